"""Slopes against hand arithmetic and scipy, and the same in any block."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from scipy import ndimage

from landslide_map.grid import Block, Grid
from landslide_map.inputs.elevation import open_elevation, without_fill
from landslide_map.stack.slope import slope_degrees, steep_block
from tests.support.rasters import grid_at, whole, write_band
from tests.support.shared_data import shared_data


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
    write_band(tmp_path / "dem.tif", elevation, coarse)
    steep = steep_block(open_elevation(tmp_path / "dem.tif"), grid, whole(grid))
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


def relief(shape: tuple[int, int], low: float, high: float) -> np.ndarray:
    """Hills between two heights."""
    z = hills(shape, 1.0)
    return (low + (high - low) * (z - z.min()) / (z.max() - z.min())).astype(np.float32)


def filled_of(folder: Path, heights: np.ndarray) -> tuple[tuple[float, ...], list[str]]:
    """Return what is found to be fill on a grid that the heights cover."""
    edge = grid_at(32633, 500000, 5000000, heights.shape, 30.0)
    grid = grid_at(32633, 500000, 5000000, (3 * heights.shape[0], 3 * heights.shape[1]))
    write_band(folder / "dem.tif", heights, edge)
    dem, notices = without_fill(open_elevation(folder / "dem.tif"), grid)
    return dem.nodata, [notice.code for notice in notices]


@pytest.mark.parametrize(
    ("shape", "lowest", "fill"),
    [((160, 160), 20, 0.0), ((160, 160), 20, -1.0), ((160, 160), 250, 1.0), ((1700, 1700), 20, 0.0)],
)
def test_a_missing_tile_is_no_ground(
    tmp_path: Path, fill: float, lowest: float, shape: tuple[int, int]
) -> None:
    heights = relief(shape, lowest, lowest + 150)
    heights[:, 5 * shape[1] // 9 :] = fill
    assert filled_of(tmp_path, heights) == ((fill,), ["W350"])


def test_fill_cut_out_askew_is_no_ground(tmp_path: Path) -> None:
    heights = relief((200, 200), 200, 400)
    row, col = np.mgrid[:200, :200]
    heights[row + col / 3 > 150] = 0
    assert filled_of(tmp_path, heights) == ((0.0,), ["W350"])


def test_an_elevation_model_of_one_height_is_none(tmp_path: Path) -> None:
    assert filled_of(tmp_path, np.zeros((100, 100), np.float32)) == ((), ["W350"])


@pytest.mark.parametrize("slope_deg", [5, 20, 35, 50])
@pytest.mark.parametrize("level", [0.0, 612.0])
def test_water_below_slopes_is_ground(tmp_path: Path, slope_deg: float, level: float) -> None:
    """Lakes, fjords and the sea are level, and steep shores rise from them."""
    wavy = ndimage.gaussian_filter(np.random.default_rng(5).normal(size=(200, 200)), 8)
    row, _ = np.mgrid[:200, :200]
    inland = row - 100 + 12 * wavy / wavy.std()
    heights = np.maximum(level, level + inland * 30 * np.tan(np.radians(slope_deg))).astype(np.float32)
    values, codes = filled_of(tmp_path, heights)
    assert (values, set(codes) - {"W381"}) == ((), set())  # 50 degrees over all ground may be other units


@pytest.mark.parametrize(
    "site", ["282D_485L_3_3", "38D_378R_2_3", "433D_629L_3_1", "609U_541L_3_0", "637U_59R_1_3"]
)
def test_real_elevation_has_no_fill(site: str) -> None:
    dem = open_elevation(shared_data("real", "terramind", "DEM", f"{site}.tif"))
    assert without_fill(dem, dem.grid) == (dem, [])


def test_the_real_elevation_of_hokkaido_has_no_fill() -> None:
    dem = open_elevation(shared_data("real", "hokkaido_2018", "dsm_30m.tif"))
    with rasterio.open(shared_data("real", "hokkaido_2018", "s2_post_rgb_utm54n_10m.tif")) as source:
        grid = Grid(source.crs, source.transform, source.width, source.height)
    assert without_fill(dem, grid) == (dem, [])
