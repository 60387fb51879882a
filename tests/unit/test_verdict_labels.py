"""Windows labelled by the verdicts on the outlines of a map."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS
from shapely.geometry import MultiPolygon, box

from landslide_map.datasets.verdicts import Verdicts
from landslide_map.errors import InputError
from landslide_map.grid import Grid
from landslide_map.products.review_summary import verdicts_of
from landslide_map.windows import plan_windows
from tests.unit.test_reviews import outlines, reviewed, write

GRID = Grid(CRS.from_epsg(32651), Affine(10, 0, 500_000, 0, -10, 640), 64 * 6, 64)
PLAN = plan_windows(GRID.shape, 64)


def series(*lefts: float, width: float = 160) -> gpd.GeoSeries:
    """Outlines as high as a window, `width` metres wide, from `lefts` on."""
    shapes = [MultiPolygon([box(500_000 + x, 0, 500_000 + x + width, 640)]) for x in lefts]
    return gpd.GeoSeries(shapes, crs=32651)


def test_confirmed_is_landslide_rejected_alone_is_none_and_the_rest_is_left_out() -> None:
    verdicts = Verdicts(
        # windows begin at 0, 640, 1280, 1920, 2560, 3200 m
        landslides=series(0, 1280),
        others=series(640, 1480, 1920),
        undecided=series(2000, 2560),
        source=Path("a.gpkg"),
    )
    covered, labels, touched = verdicts.label(PLAN, GRID, 0.25, 0.0)
    assert covered.tolist() == [0.25, 0, 0.25, 0, 0, 0]
    assert labels.tolist() == [1, 0, 1, -1, -1, -1]
    assert touched.tolist() == [True] * 5 + [False]


def test_a_window_with_too_little_of_a_landslide_is_neither() -> None:
    verdicts = Verdicts(series(0, width=64), series(200), series(), Path("a.gpkg"))
    _, labels, _ = verdicts.label(PLAN, GRID, 0.25, 0.0)
    assert labels[0] == -1


def test_nothing_decided_is_refused() -> None:
    with pytest.raises(InputError) as refusal:
        Verdicts(series(), series(), series(0), Path("a.gpkg")).label(PLAN, GRID, 0.25, 0.0)
    assert refusal.value.code == "E172"


def test_the_words_of_a_review_become_labels(tmp_path: Path) -> None:
    words = ("confirmed", "added", "rejected", "unsure", "unseen")
    write(tmp_path / "landslides.gpkg", reviewed(outlines(*range(0, 5000, 1000)), *words))
    verdicts = verdicts_of(tmp_path)
    lefts = [
        np.round(shapes.bounds.minx - 500_000).tolist() for shapes in (verdicts.landslides, verdicts.others)
    ]
    assert lefts == [[0, 1000], [2000]]
    assert len(verdicts.undecided) == 2
