"""Coordinates of grid pixels in a source raster, equal for any chunking.

Projecting every pixel is too slow, and projections are smooth. Coordinates are projected at
nodes: every :data:`STEP` pixels from the grid's origin. Between nodes they are interpolated bilinearly. Nodes
belong to the grid, never to the block that is read. So every pixel has the same coordinates in every
chunking, to the last bit. The error against projecting every pixel is below 1e-3 px
(docs/decisions/0003-resampling.md).
"""

from __future__ import annotations

import threading
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyproj
from affine import Affine
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.windows import Window

from landslide_map.grid import Block, Grid

STEP: Final = 32
"""Grid pixels between two nodes: 320 m, over which map projections bend by less than 1 cm."""

LIKE: Final = (0.8, 1.25)
"""Source pixels per grid pixel between which both are taken to be of one size."""
_ALONG: Final = 17
"""Points along each axis of a grid that show which part of a raster it covers."""

_local = threading.local()


def horizontal(crs: CRS) -> CRS:
    """Return the horizontal part of a reference system with heights; others as they are.

    >>> horizontal(CRS.from_string("EPSG:32651+5773")).to_epsg(), horizontal(CRS.from_epsg(4979)).to_epsg()
    (32651, 4326)
    """
    whole = pyproj.CRS.from_wkt(crs.to_wkt())
    if not whole.is_compound and len(whole.axis_info) < 3:
        return crs
    part = (whole.sub_crs_list[0] if whole.is_compound else whole).to_2d()
    epsg = part.to_epsg()
    return CRS.from_epsg(epsg) if epsg else CRS.from_wkt(part.to_wkt())


def node_coordinates(
    source: Grid, grid: Grid, block: Block
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return source coordinates of the nodes around a block.

    Parameters
    ----------
    source, grid : Grid
        Raster to read and target grid; any two coordinate reference systems.
    block : Block
        Pixels of `grid`.

    Returns
    -------
    rows, cols : ndarray, (node row, node column), float64
        Position in `source`, pixels, from the outer corner of its first pixel (with its centre at 0.5). Node
        ``[i, j]`` is the *corner* of grid pixel ``((first + i) * STEP, (first + j) * STEP)`` with `first` the
        last node at or before the block. Infinite where the projection is not defined.
    """
    rows = np.arange(block.row // STEP, -(-(block.row + block.height) // STEP) + 1, dtype=np.float64) * STEP
    cols = np.arange(block.col // STEP, -(-(block.col + block.width) // STEP) + 1, dtype=np.float64) * STEP
    return source_coordinates(source, grid, *np.meshgrid(rows, cols, indexing="ij"))


def source_coordinates(
    source: Grid, grid: Grid, rows: npt.NDArray[np.float64], cols: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the exact `source` coordinates of points of `grid`; both in pixels from the outer corner.

    Parameters
    ----------
    source, grid : Grid
        Raster to read and target grid.
    rows, cols : ndarray, any equal shape, float64
        Points of `grid`.

    Returns
    -------
    rows, cols : ndarray, same shape, float64
        The same points in `source`; infinite where the projection is not defined.
    """
    x, y = _apply(grid.transform, cols, rows)
    if source.crs != grid.crs:
        x, y = _transformer(grid.crs, source.crs).transform(x, y)
        if source.crs.is_geographic:
            x = _unwrap(x, source, grid)
    with np.errstate(invalid="ignore"):  # infinity minus infinity, where the projection is not defined
        source_cols, source_rows = _apply(~source.transform, x, y)
    return source_rows, source_cols


def window_over(source: Grid, grid: Grid) -> Window | None:
    """Return the smallest part of `source` that `grid` covers; None without an overlap."""
    rows, cols = (np.linspace(0, size, _ALONG) for size in grid.shape)
    at_row, at_col = source_coordinates(source, grid, *np.meshgrid(rows, cols, indexing="ij"))
    defined = np.isfinite(at_row) & np.isfinite(at_col)
    if not defined.any():
        return None
    ends = [
        (max(int(np.floor(at[defined].min())), 0), min(int(np.ceil(at[defined].max())), size))
        for at, size in zip((at_row, at_col), source.shape, strict=True)
    ]
    (top, bottom), (left, right) = ends
    return Window(left, top, right - left, bottom - top) if top < bottom and left < right else None


def density(source: Grid, grid: Grid) -> tuple[float, float]:
    """Return how many source pixels one grid pixel spans along its rows and columns, at the grid's centre."""
    row, col = grid.height / 2, grid.width / 2
    rows, cols = source_coordinates(
        source, grid, np.array([row - 0.5, row + 0.5, row, row]), np.array([col, col, col - 0.5, col + 0.5])
    )
    down, across = np.hypot(rows[1::2] - rows[::2], cols[1::2] - cols[::2])
    return float(down), float(across)


def keeps_looks(source: Grid, grid: Grid) -> bool:
    """Return whether radar of `source` is taken by nearest pixels: its own are about as large as the grid's.

    Interpolation averages neighbours and so their speckle; models know the speckle of pixels that were not
    averaged (docs/decisions/0052). Degrees are narrower in one direction; the other counts. Where both are
    finer, pixels are averaged, and where they are coarser interpolated: nearest ones would be doubled.
    """
    return LIKE[0] <= min(density(source, grid)) <= LIKE[1]


def _unwrap(longitudes: npt.NDArray[np.float64], source: Grid, grid: Grid) -> npt.NDArray[np.float64]:
    """Make longitudes continuous over the grid and put them on the turn on which `source` is stored."""
    middle = _apply(grid.transform, np.float64(grid.width / 2), np.float64(grid.height / 2))
    centre = float(_transformer(grid.crs, source.crs).transform(*middle)[0])
    source_centre = source.transform.c + source.width / 2 * source.transform.a
    # A projected grid spans far less than half a turn, so about its own centre nothing is ever cut.
    with np.errstate(invalid="ignore"):
        continuous = centre + (longitudes - centre + 180.0) % 360.0 - 180.0
    return np.asarray(continuous + 360.0 * round((source_centre - centre) / 360.0))


def _apply(transform: Affine, cols: Any, rows: Any) -> tuple[Any, Any]:
    """Map pixel positions by hand: affine 3 deprecates ``*``, affine 2 has no ``@``."""
    t = transform
    return t.a * cols + t.b * rows + t.c, t.d * cols + t.e * rows + t.f


def _transformer(from_crs: CRS, to_crs: CRS) -> Transformer:
    """One transformer per thread and pair: PROJ objects must not be shared between threads."""
    cache: dict[tuple[CRS, CRS], Transformer] = _local.__dict__.setdefault("transformers", {})
    key = (from_crs, to_crs)
    if key not in cache:
        cache[key] = Transformer.from_crs(from_crs.to_wkt(), to_crs.to_wkt(), always_xy=True)
    return cache[key]
