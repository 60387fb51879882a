"""Window plan: the windows that cover a grid.

A plan is a product of row starts and column starts, so every question about a pixel splits into
one question per axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from landslide_map.errors import InputError, UsageError
from landslide_map.grid import BLOCK

SIZE: Final = 64
"""Edge of a window, pixels: that of the training windows."""
LEAST_STRIDE: Final = 8
"""Pixels: denser windows cost more and say nothing new."""

Span: TypeAlias = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""First and last + 1 of several ranges."""


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
    block: int = BLOCK
    """Edge of the blocks in which pixels are read, pixels; they begin at the origin of the grid."""

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
        """Rows of blocks; a window belongs to the row that it ends in."""
        return range(-(-self.shape[0] // self.block))

    def ended_by(self, row: int) -> int:
        """Return the number of rows of windows that lie wholly above pixel row `row`."""
        return int(np.searchsorted(self.row_starts, row - self.size, side="right"))

    def ending_in(self, block_row: int) -> range:
        """Return the rows of windows that end in a row of blocks; over all `block_rows` each once."""
        top, bottom = block_row * self.block, min((block_row + 1) * self.block, self.shape[0])
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


def plan_windows(shape: tuple[int, int], stride: int) -> WindowPlan:
    """Plan windows of 64 x 64 px that cover every pixel of a grid.

    Parameters
    ----------
    shape : tuple of int
        Pixel rows and columns of the grid.
    stride : int
        Step between windows, pixels, from :data:`LEAST_STRIDE` to :data:`SIZE`.

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
    if not LEAST_STRIDE <= stride <= SIZE:
        raise UsageError(
            "E430",
            f"the stride is {stride} px; it must be from {LEAST_STRIDE} to {SIZE} px (windows are {SIZE} px)",
        )
    rows, cols = shape
    if min(shape) < SIZE:
        raise InputError(
            "E130",
            f"the grid has {rows} rows and {cols} columns; one window needs {SIZE} x {SIZE} px. "
            "Choose a larger area of interest or leave the grid to the Sentinel-2 image.",
        )
    return WindowPlan(offsets(rows, SIZE, stride), offsets(cols, SIZE, stride), SIZE, stride, (rows, cols))


def intervals(starts: npt.NDArray[np.int64], size: int, windows: range) -> tuple[npt.NDArray[np.int64], Span]:
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
    covering : Span
        The windows over each interval, of all windows of the axis.

    Examples
    --------
    >>> intervals(np.array([0, 4, 6]), 6, range(3))
    (array([ 0,  4,  6, 10, 12]), (array([0, 0, 1, 2]), array([1, 2, 3, 3])))
    """
    under = starts[windows.start : windows.stop]
    edges = np.concatenate([starts, starts + size])
    edges = np.unique(edges[(edges >= under[0]) & (edges <= under[-1] + size)])
    first = np.searchsorted(starts + size, edges[:-1], side="right")
    return edges, (first, np.searchsorted(starts, edges[:-1], side="right"))
