"""Alignment against other implementations: GDAL's warper with an exact transformer, and real crops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from scipy.ndimage import map_coordinates

from landslide_map.grid import Grid
from landslide_map.inputs.sentinel1.backscatter import to_db
from landslide_map.raster.band import RasterBand
from landslide_map.raster.resample import read_block
from tests.support.rasters import grid_at, whole, write_band
from tests.support.shared_data import shared_data

pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")


def by_gdal(band: RasterBand, grid: Grid, tolerance: float) -> np.ndarray:
    """What GDAL's warper makes of the same pixels with the 2 x 2 kernel; `tolerance` in pixels."""
    with (
        rasterio.open(band.path) as source,
        WarpedVRT(
            source, crs=grid.crs, transform=grid.transform, width=grid.width, height=grid.height,
            resampling=Resampling.bilinear, src_nodata=np.nan, nodata=np.nan, dtype="float32",
            XSCALE=1, YSCALE=1, tolerance=tolerance,
        ) as warped,
    ):  # fmt: skip
        return warped.read(1)


@pytest.mark.parametrize(("epsg", "pixel"), [(32632, 10.0), (32634, 10.0), (32632, 30.0), (4326, 1.2e-4)])
def test_pixels_equal_those_of_gdal_with_an_exact_transformer(tmp_path, epsg, pixel):
    grid = grid_at(32633, 399_960, 5_200_020, (150, 160))
    x, y = Transformer.from_crs(32633, epsg, always_xy=True).transform(*np.meshgrid(grid.x, grid.y))
    left, top = x.min() - 8.3 * pixel, y.max() + 9.6 * pixel
    shape = (int((top - y.min()) / pixel) + 9, int((x.max() - left) / pixel) + 9)
    power = np.random.default_rng(5).exponential(0.1, shape).clip(1e-3).astype(np.float32)
    band = write_band(tmp_path / "source.tif", power, grid_at(epsg, left, top, shape, pixel))
    ours, theirs = to_db(read_block(band, grid, whole(grid))), to_db(by_gdal(band, grid, 1e-6))
    assert np.isfinite(ours).all()
    # White noise is the hardest case: 1e-4 px of coordinate are at most a few hundredths of a dB.
    np.testing.assert_allclose(ours, theirs, atol=0.03)
    assert np.sqrt(np.mean((ours - theirs) ** 2)) < 1e-3


def test_holes_and_borders_are_gdals_but_for_pixels_with_nearly_nothing_in_them(tmp_path):
    """GDAL keeps pixels with a valid nearest neighbour, we those with half of the weight: nearly equal."""
    grid = grid_at(32633, 300_000, 5_200_020, (120, 130))
    x, y = Transformer.from_crs(32633, 32632, always_xy=True).transform(*np.meshgrid(grid.x, grid.y))
    source = grid_at(32632, round(x.mean()) - 500.0, round(y.mean()) + 450.0, (90, 100))
    values = np.random.default_rng(6).uniform(1, 2, source.shape).astype(np.float32)
    values[np.random.default_rng(7).random(source.shape) < 0.05] = np.nan
    band = write_band(tmp_path / "holes.tif", values, source)
    ours, theirs = read_block(band, grid, whole(grid)), by_gdal(band, grid, 1e-6)
    both = np.isfinite(ours) & np.isfinite(theirs)
    assert both.mean() > 0.5
    np.testing.assert_allclose(ours[both], theirs[both], atol=1e-3)
    # A hole takes 1 px from either; the two rules differ on the rim only.
    assert (np.isfinite(ours) != np.isfinite(theirs)).mean() < 0.03


def test_a_real_opera_crop_lands_where_exact_coordinates_say():
    """Neighbouring zone, 30 m pixels; scipy interpolates at the coordinates from pyproj for every pixel."""
    folder = shared_data("fixtures", "opera_rtc_s1_cropped")
    path = next(iter(sorted(Path(folder).rglob("*T137*_VV.tif"))))
    with rasterio.open(path) as dataset:
        source = Grid(dataset.crs, dataset.transform, dataset.width, dataset.height)
        values = dataset.read(1)
    assert source.crs.to_epsg() == 32611
    to_target = Transformer.from_crs(32611, 32610, always_xy=True)
    left, bottom, right, top = source.bounds
    x, y = to_target.transform((left + right) / 2, (bottom + top) / 2)
    grid = grid_at(32610, round(x, -1) - 1000, round(y, -1) + 1000, (200, 200))
    read = read_block(RasterBand(str(path), source), grid, whole(grid))
    x, y = Transformer.from_crs(32610, 32611, always_xy=True).transform(*np.meshgrid(grid.x, grid.y))
    at = np.array([(source.transform.f - y) / 30 - 0.5, (x - source.transform.c) / 30 - 0.5])
    expected = map_coordinates(values.astype(np.float64), at, order=1, cval=np.nan, mode="constant")
    known = np.isfinite(expected)
    assert known.mean() > 0.5
    np.testing.assert_allclose(read[known], expected[known], rtol=1e-3)
