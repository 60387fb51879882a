"""Networks without their normalisations against the same networks with them."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from landslide_map.models.networks.speedups.fused_batchnorm import FoldedNorm, fold_norms

ENCODER = "test_maxvit"


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5))


def encoder() -> nn.Module:
    made = timm.create_model(ENCODER, in_chans=3, num_classes=2, img_size=64)
    assert isinstance(made, nn.Module)
    return made.eval()


def trained(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return a state dict with normalisations that do something."""
    generator = torch.Generator().manual_seed(1)
    state = network.state_dict()
    for key, value in state.items():
        if "norm" in key and value.is_floating_point():
            low = 0.5 if key.endswith(("weight", "running_var")) else -0.5
            state[key] = torch.rand(value.shape, generator=generator) + low
    return state


def test_a_folded_network_says_what_timm_says() -> None:
    plain, folded = encoder(), encoder()
    plain.load_state_dict(trained(plain))
    norms = fold_norms(folded)
    blocks = sum(type(module).__name__ == "MbConvBlock" for module in plain.modules())
    assert blocks > 0
    assert len(norms) == 1 + 2 * blocks
    weights = plain.state_dict()
    for norm in norms:
        norm.fold(weights)
    folded.load_state_dict(weights)
    images = random(2, 3, 64, 64)
    with torch.inference_mode():
        expected = plain(images)
        torch.testing.assert_close(folded(images), expected, atol=1e-5, rtol=1e-4)
        assert expected.std() > 1e-3


def test_weights_by_hand() -> None:
    weights = {
        "conv.weight": torch.full((1, 1, 1, 1), 3.0),
        "norm.weight": torch.tensor([2.0]),
        "norm.bias": torch.tensor([7.0]),
        "norm.running_mean": torch.tensor([5.0]),
        "norm.running_var": torch.tensor([15.0]),
        "norm.num_batches_tracked": torch.tensor(9),
    }
    FoldedNorm("conv", "norm", 1.0).fold(weights)
    # (3 x - 5) / sqrt(15 + 1) * 2 + 7
    assert {key: value.item() for key, value in weights.items()} == {"conv.weight": 1.5, "conv.bias": 4.5}


@pytest.mark.parametrize("missing", ["conv.weight", "norm.running_var"])
def test_weights_that_lack_something_are_left_alone(missing: str) -> None:
    keys = {"conv.weight", *(f"norm.{name}" for name in ("weight", "bias", "running_mean", "running_var"))}
    weights = {key: torch.ones(1, 1, 1, 1) for key in keys - {missing}}
    FoldedNorm("conv", "norm", 1e-5).fold(weights)
    assert weights.keys() == keys - {missing}


@pytest.mark.parametrize("name", ["test_vit.r160_in1k", "test_resnet.r160_in1k"])
def test_other_networks_are_left_as_they_are(name: str) -> None:
    made = timm.create_model(name, in_chans=3, num_classes=2)
    before = repr(made)
    assert fold_norms(made) == []
    assert repr(made) == before
