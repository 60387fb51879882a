"""Pixel members in reduced precision, and on a GPU where there is one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("segmentation_models_pytorch")

from safetensors.torch import save

from landslide_map.models.published.segmentation_networks import l4s_spec
from landslide_map.models.segmentation.member import SegmentationMember
from landslide_map.models.segmentation.spec import SegmentationSpec
from landslide_map.options import Precision
from tests.support.published_segmentation import seeded
from tests.support.tiny_pixel_bundle import CHANNELS, tiny_spec

TILES = np.random.default_rng(1).normal(1, 0.3, (9, 14, 128, 128)).astype(np.float32)


def member(spec: SegmentationSpec) -> SegmentationMember:
    weights = save({key: value.contiguous() for key, value in seeded(spec).state_dict().items()})
    return SegmentationMember("seeded", spec, (weights,))


@pytest.mark.parametrize(("precision", "tolerance"), [("bfloat16", 0.02), ("float32", 0)])
def test_a_lower_precision_changes_probabilities_little(precision: Precision, tolerance: float) -> None:
    own = member(tiny_spec())
    tiles = TILES[:3, : len(CHANNELS), :64, :64] * 1000
    exact, found = own.predict(tiles), replace(own, precision=precision).predict(tiles)
    assert found.dtype == np.float64
    difference = np.abs(found - exact).max()
    assert difference <= tolerance
    assert (difference > 0) == (tolerance > 0)  # it was computed in that precision
    np.testing.assert_array_equal(own.predict(tiles), exact)


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("precision", "tolerance"), [("float32", 1e-3), ("bfloat16", 0.05), ("float16", 0.02)]
)
@pytest.mark.parametrize("row", ["resnet34", "mit_b1", "deeplabv3plus"])
def test_a_gpu_gives_the_numbers_of_a_cpu(row: str, precision: Precision, tolerance: float) -> None:
    own = member(l4s_spec(row))
    on_card = replace(own, precision=precision).predict(TILES, device="cuda")
    np.testing.assert_allclose(on_card, own.predict(TILES), atol=tolerance)
