"""Source pixels -> grid pixels, equal for any chunking.

The one place that reads rasters on their way to the grid. Where the source's pixels are the grid's pixels
they are copied. Elsewhere they are interpolated bilinearly, or averaged where the source is finer. Our own
kernels do this on the coordinates of :mod:`landslide_map.raster.coordinates`;
docs/decisions/0003-resampling.md says why not GDAL.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import RasterioError
from rasterio.windows import Window

from landslide_map.errors import InputError
from landslide_map.grid import Block, Grid
from landslide_map.raster.band import RasterBand
from landslide_map.raster.coordinates import STEP, density, node_coordinates
from landslide_map.raster.handles import OpenFiles
from landslide_map.raster.nodata import read_valid
from landslide_map.raster.resample_kernels import bilinear, nearest_pixel
from landslide_map.runtime import timings

Decode = Callable[[npt.NDArray[Any]], npt.NDArray[np.float32]]
"""Pixelwise conversion before anything is averaged, e.g. dB to power; NaN = missing."""

FINER: Final = 1.25
"""Source pixels per grid pixel from which bilinear interpolation would skip some: finer than 8 m."""
LARGEST: Final = 32_000_000
"""Source pixels that one block may hold at once; larger reads are halved."""
_GDAL: Final = {
    "GDAL_NUM_THREADS": "1",  # tasks are the threads
    "GDAL_DISABLE_READDIR_ON_OPEN": "TRUE",  # product folders hold hundreds of files
}


def read_block(
    band: RasterBand,
    grid: Grid,
    block: Block,
    *,
    decode: Decode | None = None,
    nearest: bool = False,
    trim: bool = False,
    files: OpenFiles | None = None,
    most: int = LARGEST,
) -> npt.NDArray[np.float32]:
    """Read one block of `grid` from one raster band.

    Parameters
    ----------
    band : RasterBand
        Any CRS, resolution and orientation. Its file is opened here, and only if it meets the block.
    grid : Grid
        Target grid.
    block : Block
        Pixels of `grid` to read. A pixel's value does not depend on the block it is read in.
    decode : callable, optional
        Applied to the source pixels before interpolation; default a cast to float32.
    nearest : bool
        Take the source pixel that holds the centre of the grid pixel: for classes.
    trim : bool
        Drop the outermost source pixels of the valid area (:func:`trim_edges`).
    files : OpenFiles, optional
        Files that stay open for neighbouring blocks; without, this one is opened and closed.
    most : int
        Source pixels in memory at once: where more are needed, halves of the block are read.

    Returns
    -------
    ndarray, (block.height, block.width), float32
        NaN where missing. An exact copy of the decoded pixels where both grids coincide; else bilinear.
        Weights are renormalised over the valid neighbours, which must carry at least half of the weight.

    Raises
    ------
    InputError
        E101 if the file cannot be read there; a failed read never becomes missing data.
    """
    out = np.full((block.height, block.width), np.nan, np.float32)
    copied = grid.aligned_with(band.grid)
    if copied:
        row = block.row - round((band.grid.transform.f - grid.transform.f) / grid.transform.e)
        col = block.col - round((band.grid.transform.c - grid.transform.c) / grid.transform.a)
        needed: tuple[int, int, int, int] | None = (row, row + block.height, col, col + block.width)
    else:
        nodes = node_coordinates(band.grid, grid, block)
        needed = _neighbourhood(*nodes)
    window = _clip(band.grid, needed, margin=int(trim))
    if window is None:
        return out
    if window.width * window.height > most and max(block.height, block.width) > 1:
        halves = [
            read_block(band, grid, half, decode=decode, nearest=nearest, trim=trim, files=files, most=most)
            for half in _halves(block)
        ]
        return np.concatenate(halves, axis=int(block.width > block.height))
    pixels = _read(band, window, grid, block, files or OpenFiles())
    pixels = pixels.astype(np.float32) if decode is None else decode(pixels)
    if trim:
        pixels = trim_edges(pixels)
    if copied:
        _paste(pixels, window.row_off - row, window.col_off - col, out)
        return out
    place = window.row_off, window.col_off, block.row % STEP, block.col % STEP, STEP
    if nearest:
        nearest_pixel(pixels, *nodes, *place, out)
    else:
        down, across = density(band.grid, grid)
        bilinear(pixels, *nodes, *place, _samples(down), _samples(across), out)
    return out


def trim_edges(pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return `pixels` with the outermost valid pixels of every edge missing too.

    A pixel is on an edge if at least three of its eight neighbours are missing. The border of a swath loses
    one pixel, where a product's own resampling may have mixed signal with nothing; isolated missing pixels
    in radar shadow do not grow. The rule is local, so it holds for any chunking. What lies beyond the array
    counts as valid: where a file ends is no edge of the swath.

    Parameters
    ----------
    pixels : ndarray, (row, col), float32
        NaN = missing.

    Returns
    -------
    ndarray, (row, col), float32

    Examples
    --------
    >>> edge = np.array([[1, 1, np.nan], [1, 1, np.nan], [1, 1, np.nan]], np.float32)
    >>> trim_edges(edge)
    array([[ 1.,  1., nan],
           [ 1., nan, nan],
           [ 1.,  1., nan]], dtype=float32)
    """
    missing = np.pad(np.isnan(pixels), 1).astype(np.uint8)
    rows, cols = pixels.shape
    # The sum of a 3 x 3 box less the pixel itself, as two passes; a valid pixel adds nothing.
    columns = missing[:rows] + missing[1:-1] + missing[2:]
    count = columns[:, :cols] + columns[:, 1:-1] + columns[:, 2:]
    return np.where(count >= 3, np.float32(np.nan), pixels)


def _samples(density: float) -> int:
    """Return samples per grid pixel along one axis; more than one only where the source is finer than 8 m."""
    return ceil(density - 1e-6) if density >= FINER else 1


def _neighbourhood(
    rows: npt.NDArray[np.float64], cols: npt.NDArray[np.float64]
) -> tuple[int, int, int, int] | None:
    """Rows and columns of the source that interpolation between these nodes can touch."""
    defined = np.isfinite(rows) & np.isfinite(cols)
    if not defined.any():
        return None
    # Bilinear coordinates stay between their nodes, so this holds for every pixel in between.
    (top, bottom), (left, right) = ((v[defined].min(), v[defined].max()) for v in (rows, cols))
    return floor(top - 0.5), floor(bottom - 0.5) + 2, floor(left - 0.5), floor(right - 0.5) + 2


def _clip(source: Grid, needed: tuple[int, int, int, int] | None, margin: int) -> Window | None:
    """Cut the needed rows and columns, and a margin around them, at the source's ends; None if all is cut."""
    if needed is None:
        return None
    top, bottom = max(needed[0] - margin, 0), min(needed[1] + margin, source.height)
    left, right = max(needed[2] - margin, 0), min(needed[3] + margin, source.width)
    return Window(left, top, right - left, bottom - top) if top < bottom and left < right else None


def _halves(block: Block) -> tuple[Block, Block]:
    """Cut a block across its longer side."""
    if block.width > block.height:
        cut = block.width // 2
        return (
            Block(block.row, block.col, block.height, cut),
            Block(block.row, block.col + cut, block.height, block.width - cut),
        )
    cut = block.height // 2
    return (
        Block(block.row, block.col, cut, block.width),
        Block(block.row + cut, block.col, block.height - cut, block.width),
    )


def _paste(pixels: npt.NDArray[np.float32], row: int, col: int, out: npt.NDArray[np.float32]) -> None:
    """Copy `pixels` into `out` with their first pixel at (row, col), which may lie outside."""
    top, left = max(row, 0), max(col, 0)
    bottom, right = min(row + pixels.shape[0], out.shape[0]), min(col + pixels.shape[1], out.shape[1])
    if top < bottom and left < right:  # a window of nothing but margin touches no pixel
        out[top:bottom, left:right] = pixels[top - row : bottom - row, left - col : right - col]


@timings.work("read")
def _read(band: RasterBand, window: Window, grid: Grid, block: Block, files: OpenFiles) -> npt.NDArray[Any]:
    """Read source pixels; NaN where they are no data."""
    try:
        with rasterio.Env(**_GDAL), files.lend(band.path) as dataset:
            return read_valid(dataset, band, window)
    except (RasterioError, OSError, IndexError) as error:
        left, top = (
            grid.transform.c + block.col * grid.transform.a,
            grid.transform.f + block.row * grid.transform.e,
        )
        raise InputError(
            "E101",
            f"{band.path}: band {band.index} cannot be read from row {window.row_off}, "
            f"column {window.col_off}, {window.height} x {window.width} pixels "
            f"(grid block at {left:.0f}, {top:.0f}): {error.__cause__ or error}. "
            "The file is probably truncated or damaged: fetch it again",
        ) from error
