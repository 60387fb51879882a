"""Encoders that average before their last product against timm's, which average after it."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch.utils.flop_counter import FlopCounterMode

from landslide_map.models.networks.speedups.early_pooling import average_early

SMALL = {"in_chans": 3, "num_classes": 2}
TOKENS = {"img_size": 64, "depth": 2, "embed_dim": 32, "num_heads": 2}
AVERAGING: list[tuple[str, dict[str, Any]]] = [
    ("vit_medium_patch16_reg4_gap_256", {**TOKENS, "init_values": 0.3}),
    ("vit_pwee_patch16_reg1_gap_256", {**TOKENS, "init_values": 0.3}),
    ("vit_medium_patch16_rope_reg1_gap_256", TOKENS),
    ("caformer_s18", {}),
]
OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("vit_tiny_patch16_224", {**TOKENS, "global_pool": "token"}),
    ("vit_tiny_patch16_224", {**TOKENS, "global_pool": "avg", "fc_norm": False}),  # normalises every token
    ("vit_medium_patch16_reg4_gap_256", {**TOKENS, "global_pool": "max"}),
    ("convformer_s18", {}),
    ("test_resnet.r160_in1k", {}),
]


@pytest.mark.parametrize(("name", "options"), AVERAGING)
def test_the_same_is_said_with_fewer_operations(name: str, options: dict[str, Any]) -> None:
    torch.manual_seed(2)
    encoder: Any = timm.create_model(name, **SMALL, **options).eval()
    for parameter in encoder.parameters():  # fresh ones are so small that a block does next to nothing
        torch.nn.init.normal_(parameter, std=0.1)
    keys = list(encoder.state_dict())
    images = torch.randn(3, 3, 64, 64)

    def said() -> tuple[torch.Tensor, int]:
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            return encoder(images), counter.get_total_flops()

    expected, before = said()
    assert average_early(encoder)
    found, after = said()
    assert list(encoder.state_dict()) == keys
    assert after < before
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("name", "options"), OTHERS)
def test_other_encoders_are_left_as_they_are(name: str, options: dict[str, Any]) -> None:
    encoder: Any = timm.create_model(name, **SMALL, **options)
    before = repr(encoder)
    assert not average_early(encoder)
    assert repr(encoder) == before
