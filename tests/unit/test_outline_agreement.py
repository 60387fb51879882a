"""Figures of outlines against hand-made geometry and, for pixels, against arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import shapely
from affine import Affine
from rasterio import features
from scipy import ndimage
from shapely.geometry import box, shape

from landslide_map.evaluation.outline_agreement import (
    area_agreement,
    area_ratio,
    border_distance,
    inside_shares,
)


def shapes(*own: object) -> npt.NDArray[np.object_]:
    return np.array(own, dtype=object)


def outlines(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.object_]:
    """Return polygons along the edges of pixels of 10 m."""
    found = features.shapes(mask.astype(np.uint8), mask, transform=Affine(10, 0, 0, 0, -10, 0))
    return shapes(*(shape(own) for own, _ in found))


def test_outlines_on_pixels_score_as_their_pixels() -> None:
    rng = np.random.default_rng(3)
    truth, mapped = (ndimage.gaussian_filter(rng.normal(size=(80, 80)), 3) > 0.05 for _ in range(2))
    found = area_agreement(outlines(truth), outlines(mapped))
    both = (truth & mapped).sum()
    assert found[0]["tolerance_m"] == 0
    assert found[0]["precision"] == pytest.approx(both / mapped.sum())
    assert found[0]["recall"] == pytest.approx(both / truth.sum())
    assert found[0]["iou"] == pytest.approx(both / (truth | mapped).sum())
    for own, pixels in zip(found[1:], (1, 2), strict=True):
        fine = [np.kron(mask, np.ones((10, 10), bool)) for mask in (truth, mapped)]  # of 1 m
        near = [ndimage.distance_transform_edt(~mask) <= 10 * pixels + 0.5 for mask in fine]
        assert own["precision"] == pytest.approx((fine[1] & near[0]).sum() / fine[1].sum(), abs=0.01)
        assert own["recall"] == pytest.approx((fine[0] & near[1]).sum() / fine[0].sum(), abs=0.01)


def test_a_mask_shifted_by_a_pixel_is_right_within_a_pixel() -> None:
    found = area_agreement(shapes(box(0, 0, 50, 50)), shapes(box(10, 0, 60, 50)))
    assert found[0]["iou"] == pytest.approx(40 / 60)
    assert found[1]["precision"] == found[1]["recall"] == found[1]["f1"] == found[1]["iou"] == 1


def test_without_either_side_figures_are_not_defined() -> None:
    own = shapes(box(0, 0, 10, 10))
    nothing = shapes()
    assert area_agreement(own, nothing, [0])[0] == {
        "tolerance_m": 0,
        "precision": None,
        "recall": 0,
        "f1": 0,
        "iou": 0,
    }
    none_known = area_agreement(nothing, own, [0])[0]
    assert (none_known["precision"], none_known["recall"], none_known["f1"]) == (0, None, None)
    assert border_distance(own, nothing)["median"] is None
    assert area_ratio(nothing, own) == {"pairs": 0, "median": None, "p10": None, "p90": None}
    assert inside_shares(own, nothing).tolist() == [0]


def test_what_lies_inside_is_counted_once_where_mapped_ones_overlap() -> None:
    known = shapes(box(0, 0, 90, 10), box(500, 0, 510, 10))
    mapped = shapes(box(0, 0, 30, 10), box(20, 0, 40, 10), box(80, 0, 200, 10))
    assert inside_shares(known, mapped) == pytest.approx([50 / 90, 0])


def test_borders_of_a_square_in_a_larger_one_are_as_far_apart_as_its_rim() -> None:
    inner, outer = box(20, 20, 80, 80), box(0, 0, 100, 100)
    found = border_distance(shapes(inner), shapes(outer, box(900, 900, 950, 950)))
    assert found["median"] == pytest.approx(20)
    assert found["p90"] <= 20 * np.sqrt(2)
    # The inner border is 20 m from the outer one everywhere; the outer one's corners are farther away.
    assert 20 < found["mean"] < 22


def test_a_window_around_a_slide_is_many_times_its_size() -> None:
    known = shapes(box(0, 0, 40, 50), box(300, 300, 340, 350))
    windows = shapes(box(0, 0, 640, 640))
    assert area_ratio(known, windows)["median"] == pytest.approx(640**2 / 4000)
    assert area_ratio(known, shapes(box(0, 0, 40, 60)))["median"] == pytest.approx(1.2)


def test_distances_follow_segments_not_corners() -> None:
    long = shapely.box(0, 0, 1000, 10)
    small = shapely.box(495, 0, 505, 8)
    assert border_distance(shapes(long), shapes(small))["p90"] > 100  # the long one's ends are far away
    assert border_distance(shapes(small), shapes(small))["p90"] == 0
