"""Activations computed in place against timm's own."""

from __future__ import annotations

import math
from typing import Any

import pytest
import timm
import torch

from landslide_map.models.networks.speedups.inplace_activations import (
    LeanGELU,
    LeanStarReLU,
    LeanTimmGELU,
    Rotation,
    lean_activations,
)

SMALL = {"in_chans": 3, "num_classes": 2}
TOKENS = {"img_size": 64, "depth": 2, "embed_dim": 32, "num_heads": 2}


@pytest.mark.parametrize(
    ("name", "options", "replaced", "count"),
    [
        ("vit_medium_patch16_rope_reg1_gap_256", TOKENS, Rotation, 1),  # shared by all blocks
        ("caformer_s18", {}, LeanStarReLU, 24),
        ("test_vit.r160_in1k", {"img_size": 64}, Rotation, 0),
        ("test_vit.r160_in1k", {"img_size": 64}, LeanGELU, 6),
        ("maxvit_rmlp_pico_rw_256", {"img_size": 64}, LeanTimmGELU, 22),
        ("eva02_tiny_patch14_336", {**TOKENS, "img_size": 56}, Rotation, 1),  # biases of their own
        ("vit_base_patch16_rope_mixed_224", TOKENS, Rotation, 0),  # other turns in every block
    ],
)
def test_an_encoder_says_what_timm_says(
    name: str, options: dict[str, Any], replaced: type, count: int
) -> None:
    torch.manual_seed(4)
    encoder: Any = timm.create_model(name, **SMALL, **options).eval()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    keys = list(encoder.state_dict())
    size = options.get("img_size", 64)
    images = torch.randn(2, 3, size, size)
    with torch.inference_mode():
        expected = encoder(images)
        lean_activations(encoder)
        found, again = encoder(images), encoder(images)
    assert list(encoder.state_dict()) == keys
    assert sum(type(module) is replaced for module in encoder.modules()) == count
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert torch.equal(found, again)


def test_a_pair_of_features_is_turned_by_hand() -> None:
    """A quarter of a turn at the first patch, none at the second; the token before them has no place."""
    embedding = torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 1]])  # sine, sine, cosine, cosine
    tokens = torch.tensor([[3.0, 4], [3, 4], [3, 4]])[None, None]
    found = Rotation(embedding, 1)(tokens)
    assert found[0, 0].tolist() == [[3, 4], [-4, 3], [3, 4]]


@pytest.mark.parametrize("lean", [LeanGELU, LeanTimmGELU])
def test_gelu_against_the_error_function(lean: type[torch.nn.Module]) -> None:
    values = [-30.0, -2.0, -0.5, 0.0, 0.5, 2.0, 30.0]
    x = torch.tensor(values)
    with torch.inference_mode():
        found = lean()(x)
    assert found.data_ptr() == x.data_ptr()
    expected = [value * (1 + math.erf(value / math.sqrt(2))) / 2 for value in values]
    assert found.tolist() == pytest.approx(expected, abs=1e-6)


def test_star_relu_by_hand() -> None:
    star = LeanStarReLU(scale_value=0.5, bias_value=-1.0)
    with torch.inference_mode():
        assert star(torch.tensor([-2.0, 0.0, 3.0])).tolist() == [-1, -1, 3.5]
