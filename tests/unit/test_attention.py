"""Attention in our own loops against torch's in float64, and by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from landslide_map.models.networks.speedups import attention as own
from landslide_map.models.networks.speedups.attention import QUERIES, attention, can_attend
from landslide_map.models.networks.speedups.packed_linear import PackedProducts


def parts(count: int, heads: int, tokens: int, features: int, seed: int = 1) -> tuple[Tensor, ...]:
    """Queries, keys and values as a product leaves them: with gaps between the tokens."""
    random = torch.Generator().manual_seed(seed)
    made = torch.randn(count, tokens, 3, heads, features, generator=random)
    return tuple(made.permute(2, 0, 3, 1, 4))


def exact(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return functional.scaled_dot_product_attention(query.double(), key.double(), value.double())


@pytest.mark.parametrize("tokens", [QUERIES, 7, 16, 17, 65, 256, 257, 260])
@pytest.mark.parametrize("features", [16, 32, 64])
def test_it_is_torchs_attention_to_rounding(tokens: int, features: int) -> None:
    given = parts(2, 3, tokens, features)
    found, expected = attention(*given), exact(*given)
    assert found.shape == expected.shape
    assert found.transpose(1, 2).is_contiguous()
    torch.testing.assert_close(found.double(), expected, atol=3e-6, rtol=0)


def test_by_hand() -> None:
    """The second key is ln 3 ahead of the others for every query: three votes against one each."""
    query, key, value = torch.zeros(3, 1, 1, QUERIES, 16)
    query[..., 0] = 4.0  # the root of the features
    key[0, 0, 1, 0] = math.log(3)
    value[0, 0, 1, 5] = 8.0
    found = attention(query, key, value)
    assert found[0, 0, :, 5] == pytest.approx([3.0] * QUERIES, rel=1e-6)
    assert found.sum() == pytest.approx(3.0 * QUERIES, rel=1e-6)


@pytest.mark.parametrize("scale", [1e-3, 30.0, 1e4])
def test_small_and_large_scores(scale: float) -> None:
    """Where one key outweighs all others, and where every score is far below or above zero."""
    query, key, value = parts(1, 2, 40, 32)
    torch.testing.assert_close(
        attention(query * scale, key, value).double(), exact(query * scale, key, value), atol=2e-4, rtol=0
    )
    far = torch.full_like(query, -scale), torch.full_like(key, scale)
    torch.testing.assert_close(attention(*far, value).double(), exact(*far, value), atol=1e-5, rtol=0)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_no_number_stays_none(wrong: float) -> None:
    query, key, value = (part.clone() for part in parts(1, 1, 20, 16))
    query[0, 0, 3, 2] = wrong
    found = attention(query, key, value)
    assert found[0, 0, 3].isnan().all()
    assert found[0, 0, :3].isfinite().all()
    key[0, 0, 19, 2] = wrong
    found = attention(query, key, value)
    assert torch.equal(found.isnan(), exact(query, key, value).isnan())
    assert found.isnan().any(dim=-1).sum() > 5


def test_bits_depend_on_an_image_alone() -> None:
    query, key, value = parts(3, 2, 257, 64)
    together = attention(query, key, value)
    for image in range(3):
        one = slice(image, image + 1)
        assert torch.equal(attention(query[one], key[one].clone(), value[one].clone()), together[one])


def test_what_it_is_written_for() -> None:
    assert can_attend(*parts(1, 1, 6, 32))
    assert not can_attend(*parts(1, 1, QUERIES - 1, 32))
    assert not can_attend(*parts(1, 1, 9, 24))
    assert not can_attend(*(part.double() for part in parts(1, 1, 9, 32)))
    assert not can_attend(*(part.transpose(2, 3) for part in parts(1, 1, 32, 32)))
    assert not can_attend(*(part[0] for part in parts(1, 1, 9, 32)))
    query, key, value = parts(1, 1, 9, 32)
    assert not can_attend(query[:, :, :8], key, value)


def test_it_is_asked_for_plain_attention_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def counted(*given: Tensor) -> Tensor:
        asked.append(1)
        return attention(*given)

    monkeypatch.setattr(own, "attention", counted)
    given = parts(1, 2, 12, 16)
    attend = functional.scaled_dot_product_attention
    for processor, times in ((True, 2), (False, 0)):
        monkeypatch.setattr(own, "available", lambda processor=processor: processor)
        asked.clear()
        with torch.inference_mode(), PackedProducts(nn.Identity()):
            for options in ({}, {"attn_mask": None, "dropout_p": 0.0, "is_causal": False}):
                torch.testing.assert_close(
                    attend(*given, **options).double(), exact(*given), atol=3e-6, rtol=0
                )
            masked = attend(*given, attn_mask=torch.zeros(12, 12))
            causal = attend(*given, is_causal=True)
            scaled = attend(*given, scale=1.0)
        assert sum(asked) == times
        torch.testing.assert_close(masked.double(), exact(*given), atol=3e-6, rtol=0)
        assert not torch.allclose(causal, masked)
        assert not torch.allclose(scaled, masked)
