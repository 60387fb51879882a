"""Samples of a check: all of a small file, little of a large one, and never too little to refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling

from landslide_map.errors import InputError
from landslide_map.grid import Grid
from landslide_map.inputs import coverage
from landslide_map.inputs.coverage import covered
from landslide_map.raster import sampling
from landslide_map.raster.band import RasterBand
from landslide_map.raster.open import open_band
from landslide_map.raster.sampling import sample_bands, sample_windows, valid_at
from tests.support.bytes_read import bytes_read
from tests.support.rasters import grid_at, write_band

SIZE = 2560
GRID = grid_at(32632, 500000, 5000000, (SIZE, SIZE))
TILED: dict[str, Any] = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"}


def position() -> np.ndarray:
    """A raster with values that encode their place."""
    return np.arange(SIZE * SIZE, dtype=np.float32).reshape(SIZE, SIZE)


def test_patches_lie_inside_blocks_from_end_to_end() -> None:
    for shape in ((10980, 10980), (700, 5000), (64, 64)):
        found = sample_windows(shape, 64)
        assert len(found) == len({(p.row_off, p.col_off) for p in found}) <= 144
        for p in found:
            assert p.row_off % 64 == p.col_off % 64 == 0
            assert p.row_off + 64 <= shape[0]
            assert p.col_off + 64 <= shape[1]
        assert min(p.row_off for p in found) == 0
        assert shape[0] - max(p.row_off for p in found) < 128


def test_bands_are_seen_at_the_same_places(tmp_path: Path) -> None:
    places = position()
    fine = write_band(tmp_path / "fine.tif", places, GRID, **TILED)
    coarse_grid = grid_at(32632, 500000, 5000000, (SIZE // 2, SIZE // 2), 20.0)
    coarse = write_band(tmp_path / "coarse.tif", places[::2, ::2], coarse_grid, **TILED)
    seen = sample_bands({"fine": fine, "coarse": coarse})
    row, col = seen["fine"] // SIZE, seen["fine"] % SIZE
    assert np.array_equal(seen["coarse"], row // 2 * 2 * SIZE + col // 2 * 2)
    assert row.min() == col.min() == 0
    assert min(row.max(), col.max()) >= SIZE - 128
    assert 0.5 * sampling.SAMPLE_PIXELS < seen["fine"].size <= sampling.SAMPLE_PIXELS


@pytest.mark.parametrize("inside", [True, False])
def test_overviews_decide_nothing(tmp_path: Path, inside: bool) -> None:
    """They may be of another image than the pixels, or spoiled by one missing pixel."""
    stale, path = np.full((SIZE, SIZE), 7, np.uint16), tmp_path / "a.tif"
    write_band(path, stale, GRID, **TILED)
    with rasterio.Env(TIFF_USE_OVR=not inside), rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4, 8], Resampling.nearest)
    if inside:
        with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK=True) as dataset:
            dataset.write(position() % 1000 + 1, 1)
    else:
        kept = path.with_suffix(".tif.ovr").read_bytes()
        write_band(path, (position() % 1000 + 1).astype(np.uint16), GRID, **TILED)
        path.with_suffix(".tif.ovr").write_bytes(kept)
    band = RasterBand(str(path), GRID, nodata=(7.0,))
    (seen,) = sample_bands({"a": band}).values()
    assert np.isfinite(seen).mean() > 0.99
    thin = sampling.decimated(band, (100, 100))
    middles = (np.arange(100) * 25.6 + 12.8).astype(int)
    expected = position()[np.ix_(middles, middles)] % 1000 + 1
    np.testing.assert_array_equal(thin, np.where(expected == 7, np.nan, expected))
    found = covered(band, GRID)
    assert found is not None
    assert found.mean() > 0.99


def test_values_between_the_patches_are_found_before_an_image_counts_as_empty(tmp_path: Path) -> None:
    values = np.zeros((SIZE, SIZE), np.uint16)
    gap = slice(64, 224)  # the first patches begin at rows 0 and 192
    values[100:180, gap] = 5
    band = write_band(tmp_path / "a.tif", values, GRID, (0.0,), **TILED)
    (seen,) = sample_bands({"a": band}).values()
    assert np.isfinite(seen).any()


def test_values_are_read_at_points_of_any_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    values = np.where(rng.random((SIZE, SIZE)) < 0.5, 0, 7).astype(np.uint16)
    rows, cols = rng.integers(0, SIZE, (2, 300))
    for number, layout in enumerate((TILED, {}, {"blockysize": 100})):
        band = write_band(tmp_path / f"{number}.tif", values, GRID, (0.0,), **layout)
        assert np.array_equal(valid_at(band, rows, cols), values[rows, cols] > 0)


def every_point(valid: np.ndarray) -> np.ndarray:
    """Return the truth at the 64 x 64 points of a grid that is the raster's own."""
    at = ((np.arange(64) + 0.5) * SIZE / 64).astype(int)
    return valid[np.ix_(at, at)]


@pytest.mark.parametrize("degrees", [0, 12, 45, 78])
def test_the_edge_of_a_swath_is_found_exactly(tmp_path: Path, degrees: int) -> None:
    rows, cols = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    across = np.cos(np.radians(degrees)) * cols + np.sin(np.radians(degrees)) * rows
    valid = across < 300
    band = write_band(tmp_path / "a.tif", np.where(valid, 1, np.nan).astype(np.float32), GRID, **TILED)
    found = covered(band, GRID)
    assert found is not None
    assert np.array_equal(found, every_point(valid))


def test_a_stripe_that_meets_none_of_the_first_points_is_found(tmp_path: Path) -> None:
    valid = np.zeros((SIZE, SIZE), bool)
    valid[:, 100:180] = True  # points lie at 20, 60, 100, 140 ...; the first read at 20 and 380
    band = write_band(tmp_path / "a.tif", np.where(valid, 1, np.nan).astype(np.float32), GRID, **TILED)
    found = covered(band, GRID)
    assert found is not None
    assert np.array_equal(found, every_point(valid))
    assert found.any()


def test_looking_reads_a_part_of_a_large_file(tmp_path: Path) -> None:
    size, block = 8192, 256
    grid: Grid = grid_at(32632, 500000, 5000000, (size, size))
    path = tmp_path / "large.tif"
    shape = {"width": size, "height": size, "count": 1, "dtype": "uint8", "crs": grid.crs}
    plain = {"tiled": True, "blockxsize": block, "blockysize": block}
    with rasterio.open(path, "w", driver="GTiff", transform=grid.transform, **shape, **plain) as dataset:
        for _, window in dataset.block_windows(1):
            dataset.write(np.ones((window.height, window.width), np.uint8), 1, window=window)
    band = RasterBand(str(path), grid)
    directory = 2**20  # where the blocks lie in the file, and what else is read
    sample_bands({"a": write_small(tmp_path)})  # imports
    before = bytes_read()
    sample_bands({"a": band})
    assert 144 * block**2 <= bytes_read() - before <= 144 * block**2 + directory  # of 1024 blocks
    before = bytes_read()
    found = covered(band, grid)
    points = (coverage.POINTS // coverage.STEP + 1) ** 2
    assert points * block**2 <= bytes_read() - before <= points * block**2 + directory
    assert found is not None
    assert found.all()


def write_small(folder: Path) -> RasterBand:
    return write_band(folder / "small.tif", np.ones((64, 64), np.uint8), grid_at(32632, 0, 0, (64, 64)))


def test_a_sample_of_a_strip_of_swath_has_no_mixture_of_ground_and_nothing(tmp_path: Path) -> None:
    """Their pixels are sums over others, 0 included: the edge looked like an image without the offset."""
    row, col = np.mgrid[:SIZE, :SIZE]
    strip = np.abs(col + row // 4 - 1500) < 75
    pixels = np.where(strip, 2300, 0).astype(np.uint16)
    how = {"QUALITY": "100", "REVERSIBLE": "YES", "driver": "JP2OpenJPEG"}
    shape = {"width": SIZE, "height": SIZE, "count": 1, "dtype": "uint16"}
    path = tmp_path / "strip.jp2"
    with rasterio.open(path, "w", **shape, crs=GRID.crs, transform=GRID.transform, **how) as dataset:
        dataset.write(pixels, 1)
    band = RasterBand(str(path), GRID, nodata=(0.0,))
    assert sampling.has_levels(band)
    mixed = sampling.decimated(band)
    assert np.nanmin(mixed) < 2200
    seen = sample_bands({"red": band})["red"]
    valid = seen[np.isfinite(seen)]
    assert valid.size > 50
    np.testing.assert_allclose(valid, 2300, rtol=0.02)


def test_a_vast_empty_raster_is_refused_in_moments(tmp_path: Path) -> None:
    """A sparse file of 120,000 x 120,000 pixels takes hours to decode, and a kilobyte on disk."""
    edge = 120_000
    grid = grid_at(32651, 300_000, 2_700_000, (edge, edge))
    with rasterio.open(
        tmp_path / "sparse.tif",
        "w",
        driver="GTiff",
        width=edge,
        height=edge,
        count=1,
        dtype="uint8",
        crs=grid.crs,
        transform=grid.transform,
        sparse_ok=True,
        tiled=True,
        blockxsize=4096,
        blockysize=4096,
    ):
        pass
    with pytest.raises(InputError) as caught:
        sample_bands({"red": open_band(tmp_path / "sparse.tif", nodata=(0.0,))})
    assert caught.value.code == "E106"
