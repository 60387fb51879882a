"""Which windows cover a grid, and how window values are painted back on its pixels.

A plan is a product of row starts and column starts, so every question about a pixel splits into
one question per axis, and everything that is painted is constant on the rectangles between
neighbouring window edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from landslide_map.errors import InputError, UsageError
from landslide_map.grid import BLOCK

SIZE: Final = 64
"""Edge of a window, pixels: what every model was trained on."""
DENSEST: Final = 8
"""The smallest stride is ``size // DENSEST``: denser windows cost more and say nothing new."""

Rows: TypeAlias = slice | tuple[int, int]
"""Pixel rows ``start, stop`` of a strip."""


@dataclass(frozen=True, slots=True, eq=False)
class WindowPlan:
    """The windows of a grid; window ``i`` is ``divmod(i, grid_shape[1])`` of the window grid."""

    row_starts: npt.NDArray[np.int64]
    """First pixel row of every row of windows, strictly increasing."""
    col_starts: npt.NDArray[np.int64]
    """First pixel column of every column of windows, strictly increasing."""
    size: int
    """Window edge, pixels."""
    stride: int
    """Step between windows, pixels; the last step of an axis may be shorter."""
    shape: tuple[int, int]
    """Pixel rows and columns of the grid."""

    @property
    def grid_shape(self) -> tuple[int, int]:
        """``(rows of windows, columns of windows)``."""
        return len(self.row_starts), len(self.col_starts)

    @property
    def count(self) -> int:
        """Number of windows."""
        return len(self.row_starts) * len(self.col_starts)

    @property
    def block_rows(self) -> range:
        """The rows of blocks of the lattice; windows belong to the one that they end in."""
        return range(-(-self.shape[0] // BLOCK))

    def ended_by(self, row: int) -> int:
        """Return the number of rows of windows that lie wholly above pixel row `row`."""
        return int(np.searchsorted(self.row_starts, row - self.size, side="right"))

    def ending_in(self, block_row: int) -> range:
        """Return the rows of windows that end in a row of blocks; over all `block_rows` each once."""
        top, bottom = block_row * BLOCK, min((block_row + 1) * BLOCK, self.shape[0])
        return range(self.ended_by(top), self.ended_by(bottom))


def offsets(length: int, size: int, stride: int) -> npt.NDArray[np.int64]:
    """Return start offsets of windows that cover ``range(length)``.

    Parameters
    ----------
    length : int
        Axis length, pixels. At least `size`.
    size : int
        Window edge, pixels.
    stride : int
        Step between windows, pixels, ``1 <= stride <= size``.

    Returns
    -------
    int64 array
        Strictly increasing; first 0, last ``length - size``. The last step is shorter
        when ``length - size`` is not a multiple of `stride`.

    Raises
    ------
    ValueError
        If `stride` would skip pixels or `length` holds no window.

    Examples
    --------
    >>> offsets(200, size=64, stride=64)
    array([  0,  64, 128, 136])
    """
    if not 1 <= stride <= size:
        raise ValueError(f"stride={stride} px must be between 1 and size={size} px")
    if length < size:
        raise ValueError(f"length={length} px is smaller than size={size} px")
    last = length - size
    return np.array([*range(0, last, stride), last], dtype=np.int64)


def plan_windows(shape: tuple[int, int], stride: int, size: int = SIZE) -> WindowPlan:
    """Plan windows of `size` x `size` px that cover every pixel of a grid.

    Parameters
    ----------
    shape : tuple of int
        Pixel rows and columns of the grid.
    stride : int
        Step between windows, pixels, from ``size // 8`` to `size` (8 to 64).
    size : int
        Window edge, pixels.

    Raises
    ------
    UsageError
        E430, `stride` out of range.
    InputError
        E130, the grid is smaller than one window.

    Examples
    --------
    >>> plan_windows((100, 200), stride=32).grid_shape
    (3, 6)
    """
    least = max(size // DENSEST, 1)
    if not least <= stride <= size:
        raise UsageError(
            "E430", f"the stride is {stride} px; it must be from {least} to {size} px (windows are {size} px)"
        )
    rows, cols = shape
    if min(shape) < size:
        raise InputError(
            "E130",
            f"the grid has {rows} rows and {cols} columns; one window needs {size} x {size} px. "
            "Choose a larger area of interest or leave the grid to the Sentinel-2 image.",
        )
    return WindowPlan(offsets(rows, size, stride), offsets(cols, size, stride), size, stride, (rows, cols))


def paint(values: npt.ArrayLike, plan: WindowPlan, rows: Rows) -> npt.NDArray[np.float32]:
    """Paint window values on pixels: the mean over the windows that cover each pixel.

    Parameters
    ----------
    values : array_like of float, (plan.count,)
        One value per window, row-major; NaN windows are left out of the mean.
    plan : WindowPlan
    rows : slice or (start, stop)
        The strip of pixel rows to paint; memory is that of the strip.

    Returns
    -------
    float32 array, (stop - start, width)
        NaN where no covering window has a value. A pixel has the same bits in any strip, lies
        within the range of its windows, and equals them where they agree.
    """
    start, stop = _strip(rows, plan)
    grid = _on_grid(np.asarray(values, dtype=np.float64), plan)
    row_edges = _edges(plan.row_starts, plan.size, start, stop)
    col_edges = _edges(plan.col_starts, plan.size, 0, plan.shape[1])
    row_span = _covering(plan.row_starts, plan.size, row_edges)
    col_span = _covering(plan.col_starts, plan.size, col_edges)
    tiles = _tile_means(grid, *row_span, *col_span)
    return tiles.repeat(np.diff(col_edges), axis=1).repeat(np.diff(row_edges), axis=0)


def _on_grid(values: npt.NDArray[Any], plan: WindowPlan) -> npt.NDArray[Any]:
    if values.shape != (plan.count,):
        raise ValueError(f"values of shape {values.shape} are not one for each of {plan.count} windows")
    return values.reshape(plan.grid_shape)


def _strip(rows: Rows, plan: WindowPlan) -> tuple[int, int]:
    start, stop = (rows.start or 0, rows.stop) if isinstance(rows, slice) else rows
    stop = plan.shape[0] if stop is None else stop
    if not 0 <= start < stop <= plan.shape[0]:
        raise ValueError(f"rows {start} to {stop} are not a strip of a grid of {plan.shape[0]} rows")
    return int(start), int(stop)


def _edges(starts: npt.NDArray[np.int64], size: int, low: int, high: int) -> npt.NDArray[np.int64]:
    """Return every window edge inside ``[low, high]``, and both limits."""
    edges = np.concatenate([starts, starts + size])
    return np.unique(np.concatenate([[low, high], edges[(edges > low) & (edges < high)]]))


def _covering(
    starts: npt.NDArray[np.int64], size: int, edges: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the first and last + 1 window that covers each interval between `edges`."""
    first = np.searchsorted(starts + size, edges[:-1], side="right")
    return first, np.searchsorted(starts, edges[:-1], side="right")


def tiles(
    starts: npt.NDArray[np.int64], size: int, windows: range
) -> tuple[npt.NDArray[np.int64], tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Return the intervals of an axis, under some windows, on which everything painted is constant.

    Parameters
    ----------
    starts : ndarray of int
        First pixel of every window of the axis.
    size : int
    windows : range
        Numbers of those windows.

    Returns
    -------
    edges : ndarray
        Where the intervals begin, and the end of the last.
    covering : tuple of ndarray
        The first and the last + 1 window over each interval, of all windows of the axis.
    """
    edges = _edges(starts, size, int(starts[windows.start]), int(starts[windows.stop - 1]) + size)
    return edges, _covering(starts, size, edges)


@njit(nogil=True, cache=True)
def _tile_means(
    grid: npt.NDArray[np.float64],
    row_first: npt.NDArray[np.int64],
    row_stop: npt.NDArray[np.int64],
    col_first: npt.NDArray[np.int64],
    col_stop: npt.NDArray[np.int64],
) -> npt.NDArray[np.float32]:
    """Average ``grid[row_first:row_stop, col_first:col_stop]`` without NaN, for every tile."""
    tiles = np.full((row_first.size, col_first.size), np.nan, dtype=np.float32)
    for i in range(row_first.size):
        for j in range(col_first.size):
            total, count, low, high = 0.0, 0, np.inf, -np.inf
            for row in range(row_first[i], row_stop[i]):
                for col in range(col_first[j], col_stop[j]):
                    value = grid[row, col]
                    if not np.isnan(value):
                        total += value
                        count += 1
                        low = min(low, value)
                        high = max(high, value)
            if count:
                # A rounded mean may leave the range of its values by one bit; a map must not.
                tiles[i, j] = min(max(total / count, low), high)
    return tiles
