"""Slopes against hand arithmetic and scipy, and the same in any block."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from scipy import ndimage

from landslide_map.grid import Block, Grid
from landslide_map.stack.slope import slope_degrees, steep_block
from tests.rasters import grid_at, whole, write_band
from tests.shared_data import shared_data


def hills(shape: tuple[int, int], relief_m: float = 6) -> np.ndarray:
    noise = np.random.default_rng(3).normal(size=shape)
    smooth = ndimage.gaussian_filter(noise, 6)
    return (500 + relief_m * smooth / smooth.std()).astype(np.float32)


def test_a_plane_has_one_slope_whichever_way_it_falls() -> None:
    row, col = np.mgrid[0:6, 0:7].astype(np.float32)
    plane = 3 * row - 4 * col  # 5 m over 10 m
    np.testing.assert_allclose(slope_degrees(plane, 10.0), np.degrees(np.arctan(0.5)), rtol=1e-6)


def test_horn_by_scipy_after_smoothing(tmp_path: Path) -> None:
    grid = grid_at(32633, 500000, 5000000, (60, 70))
    elevation = hills(grid.shape)
    band = write_band(tmp_path / "dem.tif", elevation, grid)
    steep = steep_block(band, grid, whole(grid))
    smooth = ndimage.uniform_filter(elevation.astype(float), 3)
    kernel = np.outer([1, 2, 1], [-1, 0, 1]) / 80
    gradient = np.hypot(ndimage.correlate(smooth, kernel), ndimage.correlate(smooth, kernel.T))
    inner = (slice(2, -2), slice(2, -2))
    np.testing.assert_array_equal(steep[inner], (np.degrees(np.arctan(gradient)) >= 5)[inner])
    assert 0.1 < steep[inner].mean() < 0.9
    assert np.isnan(steep[0]).all()  # what lies beyond the model is not flat


def test_any_block_gives_the_same_bytes_from_another_projection(tmp_path: Path) -> None:
    grid = grid_at(32633, 500000, 5000000, (90, 100))
    band = write_band(tmp_path / "dem.tif", hills((90, 90)), grid_at(32632, 970700, 5018500, (90, 90), 30.0))
    once = steep_block(band, grid, whole(grid))
    assert np.isfinite(once).any()
    pieces = [
        np.hstack([steep_block(band, grid, Block(r, c, min(37, 90 - r), 25)) for c in range(0, 100, 25)])
        for r in range(0, 90, 37)
    ]
    assert np.vstack(pieces).tobytes() == once.tobytes()


@pytest.mark.parametrize(("fill", "kind"), [(-9999, np.int16), (-32768, np.int16), (3.4e38, np.float32)])
def test_fill_that_the_file_does_not_declare_is_not_flat(tmp_path: Path, fill: float, kind: type) -> None:
    """Between two nodes of fill and ground, interpolated, no height is made up either."""
    grid, coarse = grid_at(32633, 500000, 5000000, (60, 60)), grid_at(32633, 500000, 5000000, (20, 20), 30.0)
    elevation = np.full(coarse.shape, -420, kind)  # the shore of the Dead Sea
    elevation[:, 10:] = fill
    steep = steep_block(write_band(tmp_path / "dem.tif", elevation, coarse), grid, whole(grid))
    assert (steep[5:55, 5:25] == 0).all()
    assert np.isnan(steep[:, 33:]).all()
    assert not (steep == 1).any()


def test_missing_elevation_is_not_flat(tmp_path: Path) -> None:
    grid = grid_at(32633, 500000, 5000000, (30, 30))
    elevation = np.zeros(grid.shape, np.float32)
    elevation[10, 10] = np.nan
    steep = steep_block(write_band(tmp_path / "dem.tif", elevation, grid), grid, whole(grid))
    assert np.isnan(steep[8:13, 8:13]).all()
    assert steep[20, 20] == 0


@pytest.mark.parametrize(("factor", "flat"), [(1, 0), (9, 1), (25, 5), (100, 8)])
def test_a_coarse_dem_takes_hills_for_flat(tmp_path: Path, factor: int, flat: int) -> None:
    """Real hills with 150 m of relief, 3 x 3 windows, under means of `factor` pixels of 10 m: hence W380."""
    with rasterio.open(shared_data("real", "terramind", "DEM", "433D_629L_3_1.tif")) as source:
        heights, t, crs = source.read(1).astype(np.float32), source.transform, source.crs
    grid = Grid(crs, t, *heights.shape)
    edge = -(-len(heights) // factor)
    padded = np.pad(heights, (0, edge * factor - len(heights)), mode="edge")
    coarse = padded.reshape(edge, factor, edge, factor).mean((1, 3))
    scaled = Affine(factor * t.a, 0, t.c, 0, factor * t.e, t.f)
    dem = write_band(tmp_path / "dem.tif", coarse, Grid(crs, scaled, edge, edge))
    steep = steep_block(dem, grid, whole(grid))
    windows = [steep[row : row + 64, col : col + 64] for row in (0, 64, 128) for col in (0, 64, 128)]
    covered = [window for window in windows if np.isfinite(window).mean() > 0.75]
    assert sum(np.nanmean(window) < 0.1 for window in covered) == flat
