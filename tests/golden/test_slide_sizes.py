"""Sizes and shapes of simulated slides against two real inventories."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from sample_scenes.simulator.scars import BODY_M2, LEAST_M2, make_scars, slide_areas
from sample_scenes.simulator.terrain import PIXEL_M, make_relief
from tests.support.shared_data import shared_data

Floats = npt.NDArray[np.float64]
INVENTORIES = ("colombia_landslides.gpkg", "png_2018_predicted.gpkg")
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


@pytest.fixture(scope="module")
def real() -> list[tuple[Floats, Floats]]:
    """Area (m2) and elongation of the slides of each inventory that a simulation could hold."""
    tables = [gpd.read_file(shared_data("real", "inventories", name)) for name in INVENTORIES]
    return [_measured(table.to_crs(table.estimate_utm_crs())) for table in tables]


def _measured(table: gpd.GeoDataFrame) -> tuple[Floats, Floats]:
    parts = table.geometry.explode(index_parts=False)
    parts = parts[parts.area >= LEAST_M2]
    corners = [np.array(box.exterior.coords) for box in parts.minimum_rotated_rectangle()]
    sides = np.array([np.hypot(*np.diff(own, axis=0).T)[:2] for own in corners])
    return parts.area.to_numpy(), sides.max(1) / sides.min(1)


def _between(values: Floats, low: Floats, high: Floats, slack: float) -> bool:
    return bool(np.all((values >= np.minimum(low, high) / slack) & (values <= np.maximum(low, high) * slack)))


@pytest.mark.parametrize("tail", [0.9, 1.2, 1.5])
def test_areas_lie_between_those_of_two_events(real: list[tuple[Floats, Floats]], tail: float) -> None:
    drawn = slide_areas(4000, tail, np.random.default_rng(1))
    colombia, papua = (np.quantile(areas, QUANTILES) for areas, _ in real)
    assert _between(np.quantile(drawn, QUANTILES), colombia, papua, 1.35)


def test_the_exponent_of_large_slides_is_that_of_the_law() -> None:
    drawn = slide_areas(20_000, 1.4, np.random.default_rng(2))
    large = drawn[(drawn > 10_000) & (drawn < 200_000)]
    exponent = 1 + large.size / np.log(large / 10_000).sum()  # Hill, little biased by the cut at the top
    assert exponent == pytest.approx(2.4, abs=0.15)


def test_slides_are_as_long_as_real_ones(real: list[tuple[Floats, Floats]]) -> None:
    rng = np.random.default_rng(4)
    scars = make_scars(make_relief((576, 576), rng), rng, count=120)
    boxes = ndimage.find_objects(scars.label)
    sides, areas = [], []
    for number, box in enumerate(boxes, 1):
        if box is None:
            continue
        own = np.argwhere(scars.label[box] == number) * PIXEL_M
        if own.shape[0] * PIXEL_M**2 < BODY_M2:
            continue
        own = own - own.mean(0)
        spread = np.linalg.svd(own, compute_uv=False)
        sides.append(spread[0] / max(spread[1], 1e-6))
        areas.append(own.shape[0])
    assert len(sides) > 40
    colombia, papua = (np.median(elongation[areas >= BODY_M2]) for areas, elongation in real)
    assert papua / 1.3 <= np.median(sides) <= colombia * 1.3


def test_a_density_counts_slides_of_two_thousand_m2() -> None:
    areas = slide_areas(300, 1.4, np.random.default_rng(3))
    assert (areas >= BODY_M2).sum() == 300
    assert areas.min() >= LEAST_M2
    assert slide_areas(0, 1.4, np.random.default_rng(3)).size == 0
