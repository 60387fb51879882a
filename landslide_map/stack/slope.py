"""Steep ground from an elevation model: landslides need slopes."""

from __future__ import annotations

from typing import Final

import numpy as np

from landslide_map.array_types import Floats32
from landslide_map.grid import Block, Grid
from landslide_map.raster.band import RasterBand
from landslide_map.raster.handles import OpenFiles
from landslide_map.raster.resample import read_block

STEEP_DEG: Final = 5.0
"""Slope from which ground counts as steep (Handwerger et al. 2022, https://doi.org/10.5194/nhess-22-753-2022)."""
_HALO: Final = 2
"""Pixels around a block that its slopes depend on: one for smoothing, one for the gradient."""


def steep_block(dem: RasterBand, grid: Grid, block: Block, files: OpenFiles | None = None) -> Floats32:
    """Return 1 where the ground is steep, 0 where it is not, NaN where the elevation is missing around.

    Parameters
    ----------
    dem : RasterBand
        Elevation in metres, in any CRS.
    grid : Grid
        In metres.
    block : Block
        Pixels of `grid`; a pixel's value does not depend on the block it is read in.
    files : OpenFiles, optional
        Files that stay open for neighbouring blocks.

    Returns
    -------
    ndarray, (block.height, block.width), float32
    """
    slope = slope_block(dem, grid, block, files)
    return np.where(np.isnan(slope), np.float32(np.nan), (slope >= STEEP_DEG).astype(np.float32))


def slope_block(dem: RasterBand, grid: Grid, block: Block, files: OpenFiles | None = None) -> Floats32:
    """Return the slope in degrees, NaN where the elevation is missing around; see :func:`steep_block`."""
    wide = Block(block.row - _HALO, block.col - _HALO, block.height + 2 * _HALO, block.width + 2 * _HALO)
    elevation = read_block(dem, grid, wide, files=files)
    return slope_degrees(_smoothed(elevation), grid.transform.a)


def elevation_block(dem: RasterBand, grid: Grid, block: Block, files: OpenFiles | None = None) -> Floats32:
    """Return the elevation in metres, NaN where it is missing; parameters as of :func:`steep_block`."""
    return read_block(dem, grid, block, files=files)


def slope_degrees(elevation: Floats32, pixel_m: float) -> Floats32:
    """Return the slope by Horn's (1981) gradient of 3 x 3 pixels, degrees.

    Parameters
    ----------
    elevation : ndarray, (row, col), metres
    pixel_m : float
        Pixel edge, metres.

    Returns
    -------
    ndarray, (row - 2, col - 2), float32
        NaN where one of the eight neighbours is missing.

    Examples
    --------
    A plane that rises 10 m over every 10 m to the east:

    >>> slope_degrees(np.tile(np.arange(4, dtype=np.float32) * 10, (3, 1)), 10.0)
    array([[45., 45.]], dtype=float32)
    """
    z = elevation.astype(np.float64)
    down = z[2:] - z[:-2]
    right = z[:, 2:] - z[:, :-2]
    north = (down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]) / (8 * pixel_m)
    east = (right[:-2] + 2 * right[1:-1] + right[2:]) / (8 * pixel_m)
    return np.degrees(np.arctan(np.hypot(north, east))).astype(np.float32)


def _smoothed(elevation: Floats32) -> Floats32:
    """Return the mean of 3 x 3 pixels, one row and column less on every side."""
    rows = elevation[:-2] + elevation[1:-1] + elevation[2:]
    mean: Floats32 = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / np.float32(9)
    return mean
