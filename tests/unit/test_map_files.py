"""The files of a map against pixels painted window by window, labelled and traced by other libraries."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
import xarray as xr
from rasterio.crs import CRS
from rasterio.features import shapes
from scipy import ndimage
from shapely.geometry import shape

from landslide_map import products
from landslide_map.grid import Grid
from landslide_map.products.write_map import STAGE, write_map
from landslide_map.reasons import REASON_NAMES, Reason
from landslide_map.window_record import WindowRecord
from landslide_map.windows import WindowPlan, plan_windows

GRID = Grid.covering(CRS.from_epsg(32651), (300000, 2696670, 302910, 2700000))  # 333 x 291 px
DATES = {"event_time": datetime(2024, 4, 2, 23, 58, tzinfo=UTC), "s2_post": None}
SCENARIOS = ("all", "optical only", "radar only")
THRESHOLDS = np.array([0.45, 0.5, 0.55])
MIN_AREA_M2 = 25_600.0


def make_record(plan: WindowPlan) -> WindowRecord:
    """Windows with several landslides, ragged borders, and a part without any data, at every stride."""
    rng = np.random.default_rng(plan.stride)
    lattice = plan.grid_shape
    smooth = ndimage.gaussian_filter(rng.standard_normal(lattice), 30 / plan.stride)
    probability = np.clip(0.42 + 0.2 * smooth / smooth.std() + 0.1 * rng.standard_normal(lattice), 0, 1)
    scenario = rng.choice([-1, 0, 1, 2], lattice, p=[0.2, 0.4, 0.3, 0.1])
    reason = rng.choice([Reason.SNOW_OR_CLOUD, Reason.MISSING_CHANNELS], lattice)
    row, col = (
        starts / (n - plan.size)
        for starts, n in zip((plan.row_starts, plan.col_starts), plan.shape, strict=True)
    )
    bare = row[:, None] + col < 0.5
    scenario[bare], reason[bare] = -1, Reason.NO_DATA
    out = scenario < 0
    return WindowRecord(
        probability=np.where(out, np.nan, probability),
        threshold=np.where(out, np.nan, THRESHOLDS[scenario]),
        scenario=scenario,
        reason=np.where(out, reason, Reason.ANALYSED),
        scenarios=SCENARIOS,
    )


class Pixels:
    """What the windows say of every pixel, painted window by window."""

    def __init__(self, record: WindowRecord, plan: WindowPlan) -> None:
        self.plan = plan
        total, count, limit = (np.zeros(GRID.shape) for _ in range(3))
        self.code = np.full(GRID.shape, 255, dtype=np.uint8)
        for i, j in np.ndindex(record.probability.shape):
            window = self.window(i, j)
            if record.scenario[i, j] >= 0:
                total[window] += record.probability[i, j]
                limit[window] += record.threshold[i, j]
                count[window] += 1
                self.code[window] = np.minimum(self.code[window], record.scenario[i, j])
            else:
                self.code[window] = np.minimum(self.code[window], record.reason[i, j])
        with np.errstate(invalid="ignore"):
            self.probability = (total / count).astype(np.float32)
            above = self.probability > (limit / count).astype(np.float32)
        self.classes = np.where(count > 0, above, self.code)

    def window(self, i: int, j: int) -> tuple[slice, slice]:
        row, col = self.plan.row_starts[i], self.plan.col_starts[j]
        return slice(row, row + self.plan.size), slice(col, col + self.plan.size)


def outline(mask: np.ndarray) -> shapely.Geometry:
    """Trace pixels with GDAL, and unite the pieces."""
    found = shapes(mask.astype(np.uint8), mask=mask, connectivity=4, transform=GRID.transform)
    return shapely.union_all([shape(piece) for piece, _ in found])


@pytest.fixture(scope="module", params=[8, 16, 48, 64])
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, WindowRecord, Pixels]:
    folder = tmp_path_factory.mktemp("map")
    plan = plan_windows(GRID.shape, request.param)
    assert plan.row_starts[-1] - plan.row_starts[-2] < plan.stride, "the last step is another one"
    record = make_record(plan)
    tags = {"software": "landslide-map", "bundle": "made up"}
    found, _ = write_map(folder, record, plan, GRID, dates=DATES, tags=tags, min_area_m2=MIN_AREA_M2)
    assert found == pyogrio.read_info(folder / products.LANDSLIDES, layer="landslides")["features"]
    return folder, record, Pixels(record, plan)


def test_rasters_are_the_pixels_painted_one_window_after_another(
    made: tuple[Path, WindowRecord, Pixels],
) -> None:
    folder, _, pixels = made
    with rasterio.open(folder / products.PROBABILITY) as found:
        np.testing.assert_array_max_ulp(found.read(1), pixels.probability, maxulp=1)
        assert found.descriptions == ("landslide probability (640 m window)",)
    with rasterio.open(folder / products.CLASSES) as found:
        np.testing.assert_array_equal(found.read(1), pixels.classes)
    assert {0, 1, 255} <= set(np.unique(pixels.classes))


def test_landslides_are_components_of_pixels(made: tuple[Path, WindowRecord, Pixels]) -> None:
    folder, record, pixels = made
    found = gpd.read_file(folder / products.LANDSLIDES, layer="landslides")
    labels, count = ndimage.label(pixels.classes == 1, structure=np.ones((3, 3)))
    kept = [k for k in range(1, count + 1) if (labels == k).sum() * 100 >= MIN_AREA_M2]
    assert len(found) == len(kept) > 1
    kept.sort(key=lambda k: (-pixels.probability[labels == k].max(), -(labels == k).sum()))
    positive = record.probability.astype(np.float32) > record.threshold.astype(np.float32)
    geod = found.crs.get_geod()
    for label, row in zip(kept, found.itertuples(), strict=True):
        mask = labels == label
        values = pixels.probability[mask].astype(np.float64)
        touching = [
            (i, j)
            for i, j in np.ndindex(record.scenario.shape)
            if record.scenario[i, j] >= 0 and mask[pixels.window(i, j)].any()
        ]
        above = Counter(record.scenario[at] for at in touching if positive[at])
        assert (row.prob_mean, row.prob_max) == (round(values.mean(), 3), round(values.max(), 3))
        assert (row.windows, row.windows_above) == (len(touching), above.total())
        assert row.scenario == SCENARIOS[min(above, key=lambda index: (-above[index], index))]
        assert row.geometry.is_valid
        assert row.geometry.equals(outline(mask))
        degrees = gpd.GeoSeries([row.geometry], crs=found.crs).to_crs(found.crs.geodetic_crs)[0]
        true_area = abs(geod.geometry_area_perimeter(shapely.normalize(degrees))[0])
        assert row.area_m2 == pytest.approx(true_area, rel=1e-4)


def test_the_area_analysed_is_that_of_pixels(made: tuple[Path, WindowRecord, Pixels]) -> None:
    folder, _, pixels = made
    found = gpd.read_file(folder / products.LANDSLIDES, layer="analysed")
    codes = np.unique(pixels.code)
    assert len(found) == len(codes) > 3
    for code, row in zip(codes, found.itertuples(), strict=True):
        assert row.geometry.is_valid
        assert row.geometry.equals(outline(pixels.code == code))
        if code < len(SCENARIOS):
            assert (row.status, row.reason or "", row.scenario) == ("analysed", "", SCENARIOS[code])
        else:
            why = REASON_NAMES[Reason(int(code))]
            assert (row.status, row.reason, row.scenario or "") == ("not analysed", why, "")


def test_the_window_record_is_among_the_files(made: tuple[Path, WindowRecord, Pixels]) -> None:
    folder, record, _ = made
    assert {path.name for path in folder.iterdir()} == {
        *("probability.tif", "probability.qml", "class.tif", "class.qml", "class.tif.aux.xml"),
        *("landslides.gpkg", "windows.nc"),
    }
    assert {path.name for path in folder.iterdir()} <= set(products.FILES)
    with xr.open_dataset(folder / products.WINDOWS, engine="scipy") as found:
        np.testing.assert_array_equal(found["probability"], record.probability.astype(np.float32))


def test_the_same_windows_make_the_same_bytes_and_progress_counts_the_files(tmp_path: Path) -> None:
    plan = plan_windows(GRID.shape, 48)
    reported: list[tuple[str, int, int]] = []
    for name in "ab":
        (tmp_path / name).mkdir()
        options = {"dates": DATES, "tags": {"software": "x"}, "progress": lambda *how: reported.append(how)}
        write_map(tmp_path / name, make_record(plan), plan, GRID, **options)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name
    assert reported == [(STAGE, done, 4) for done in range(5)] * 2
