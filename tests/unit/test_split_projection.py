"""Parallel blocks with two products against timm's own with one."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch import nn

from landslide_map.models.networks.speedups.split_projection import PartedBlock, PartedProduct, part_blocks

TOKENS = {"img_size": 64, "depth": 2, "embed_dim": 32, "num_heads": 2, "in_chans": 3, "num_classes": 2}


def encoder(**options: Any) -> nn.Module:
    made = timm.create_model("vit_pwee_patch16_reg1_gap_256", **TOKENS, **options)
    assert isinstance(made, nn.Module)
    return made.eval()


def trained(network: nn.Module) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    state = network.state_dict()
    return {key: torch.randn(value.shape, generator=generator) * 0.2 for key, value in state.items()}


def test_a_parted_network_says_what_timm_says() -> None:
    plain, other = encoder(), encoder()
    plain.load_state_dict(trained(plain))
    network = nn.ModuleDict({"first": other})  # as an encoder in a network of several
    products = part_blocks(network)
    assert [product.block for product in products] == ["first.blocks.0.", "first.blocks.1."]
    assert sum(type(module) is PartedBlock for module in network.modules()) == 2
    weights = {f"first.{key}": value for key, value in plain.state_dict().items()}
    for product in products:
        product.fold(weights)
    network.load_state_dict(weights)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        expected = plain(images)
        assert expected.std() > 1e-3
        torch.testing.assert_close(other(images), expected, atol=1e-5, rtol=1e-4)


def test_weights_by_hand() -> None:
    weights = {"in_proj.weight": torch.arange(10.0).view(5, 2), "in_proj.bias": torch.arange(5.0)}
    PartedProduct("", 2).fold(weights)
    assert {key: value.tolist() for key, value in weights.items()} == {
        "hidden.weight": [[0, 1], [2, 3]],
        "qkv.weight": [[4, 5], [6, 7], [8, 9]],
        "hidden.bias": [0, 1],
        "qkv.bias": [2, 3, 4],
    }


def test_a_state_dict_of_something_else_is_left_for_others_to_refuse() -> None:
    weights = {"other.weight": torch.zeros(1)}
    PartedProduct("blocks.0.", 2).fold(weights)
    assert list(weights) == ["other.weight"]


@pytest.mark.parametrize("options", [{"qk_norm": True}, {"qkv_bias": False}])
def test_other_blocks_are_left_alone(options: dict[str, Any]) -> None:
    made = encoder(**options)
    keys = list(made.state_dict())
    assert part_blocks(made) == []
    assert list(made.state_dict()) == keys
