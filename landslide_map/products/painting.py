"""Window mosaic: the grid cut into cells at the edges of windows; values are constant in a cell.

A full tile has 120 million pixels, but at stride 64 only 30 thousand cells, and half a million at stride
16. So what windows say about pixels is worked out once per cell, weighted with its pixels where that
matters, and only rasters are painted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from landslide_map.runtime.jit import compiled
from landslide_map.windows import Span, WindowPlan, intervals


@dataclass(frozen=True, slots=True, eq=False)
class WindowMosaic:
    """A grid cut into ``shape`` rectangles by horizontal and vertical lines; they need not be of one size."""

    row_edges: npt.NDArray[np.int64]
    """Pixel rows at which cells begin, increasing from 0, and the height of the grid."""
    col_edges: npt.NDArray[np.int64]
    """Pixel columns at which cells begin, increasing from 0, and the width of the grid."""

    @property
    def shape(self) -> tuple[int, int]:
        """``(rows of cells, columns of cells)``."""
        return len(self.row_edges) - 1, len(self.col_edges) - 1

    @property
    def grid_shape(self) -> tuple[int, int]:
        """Pixel ``(rows, columns)``."""
        return int(self.row_edges[-1]), int(self.col_edges[-1])

    @property
    def pixels(self) -> npt.NDArray[np.int64]:
        """Number of pixels of each cell, ``shape``."""
        return np.outer(np.diff(self.row_edges), np.diff(self.col_edges))

    def paint(self, values: npt.NDArray[Any], start: int, stop: int) -> npt.NDArray[Any]:
        """Return the values of cells, ``shape``, on the pixels of rows `start` to `stop`.

        Raises
        ------
        ValueError
            There is not one value for each cell, or the rows are not rows of the grid.
        """
        if values.shape != self.shape:
            raise ValueError(f"values of shape {values.shape} are not one for each of {self.shape} cells")
        if not 0 <= start < stop <= self.grid_shape[0]:
            raise ValueError(f"rows {start} to {stop} are not rows of a grid of {self.grid_shape[0]}")
        first = int(np.searchsorted(self.row_edges, start, side="right")) - 1
        last = int(np.searchsorted(self.row_edges, stop, side="left"))
        heights = np.diff(self.row_edges[first : last + 1].clip(start, stop))
        return values[first:last].repeat(np.diff(self.col_edges), axis=1).repeat(heights, axis=0)

    def means_along(
        self,
        values: npt.NDArray[np.floating],
        row: npt.NDArray[np.integer],
        first: npt.NDArray[np.integer],
        stop: npt.NDArray[np.integer],
        part_of: npt.NDArray[np.integer],
    ) -> npt.NDArray[np.float64]:
        """Return the mean of the values of cells over the pixels of outlines, ``(outline,)``.

        Parameters
        ----------
        values : float, ``shape``
            NaN is left out of the mean.
        row, first, stop : int, (run,)
            Runs of pixels in rows, columns `first` to `stop`.
        part_of : int, (run,)
            Number of the outline of each run, from 0.

        Returns
        -------
        float64 array
            As many as ``part_of.max() + 1``; NaN where all values are.
        """
        known = ~np.isnan(values)
        strip = np.searchsorted(self.row_edges, row, side="right") - 1
        total, count = (
            np.bincount(part_of, self._before(each, strip, stop) - self._before(each, strip, first))
            for each in (np.where(known, values, 0.0).astype(np.float64), known.astype(np.float64))
        )
        means: npt.NDArray[np.float64] = total / np.where(count > 0, count, np.nan)
        return means

    def _before(
        self,
        values: npt.NDArray[np.float64],
        strip: npt.NDArray[np.integer],
        col: npt.NDArray[np.integer],
    ) -> npt.NDArray[np.float64]:
        """Return the sum of values over the pixels of a row of cells that lie left of some columns."""
        sums = np.zeros((self.shape[0], self.shape[1] + 1))
        np.cumsum(values * np.diff(self.col_edges), axis=1, out=sums[:, 1:])
        cell = np.minimum(np.searchsorted(self.col_edges, col, side="right") - 1, self.shape[1] - 1)
        left: npt.NDArray[np.float64] = sums[strip, cell] + values[strip, cell] * (col - self.col_edges[cell])
        return left


def window_mosaic(plan: WindowPlan) -> WindowMosaic:
    """Return the cells between the edges of the windows of `plan`; together they are its grid."""
    (row_edges, _), (col_edges, _) = _axes(plan)
    return WindowMosaic(row_edges, col_edges)


def mean_over(values: npt.ArrayLike, plan: WindowPlan) -> npt.NDArray[np.float32]:
    """Return, for each cell, the mean of the windows that cover it.

    Parameters
    ----------
    values : array_like of float, ``plan.grid_shape``
        One value per window; NaN windows are left out of the mean.
    plan : WindowPlan

    Returns
    -------
    float32 array, ``window_mosaic(plan).shape``
        NaN where no covering window has a value. A mean lies within the range of its windows, and equals
        them where they agree.
    """
    (_, row_span), (_, col_span) = _axes(plan)
    means = np.full((len(row_span[0]), len(col_span[0])), np.nan, np.float32)
    _fill_means(_on_windows(np.asarray(values, dtype=np.float64), plan), *row_span, *col_span, means)
    return means


def least_over(values: npt.NDArray[Any], plan: WindowPlan) -> npt.NDArray[Any]:
    """Return the least value of the windows that cover each cell; shapes as in :func:`mean_over`."""
    (_, row_span), (_, col_span) = _axes(plan)
    return _least(_least(_on_windows(values, plan), row_span).T, col_span).T


def _axes(
    plan: WindowPlan,
) -> tuple[tuple[npt.NDArray[np.int64], Span], tuple[npt.NDArray[np.int64], Span]]:
    """Return the edges of cells, and the windows over each, along rows and along columns."""
    rows, cols = map(range, plan.grid_shape)
    return intervals(plan.row_starts, plan.size, rows), intervals(plan.col_starts, plan.size, cols)


def _on_windows(values: npt.NDArray[Any], plan: WindowPlan) -> npt.NDArray[Any]:
    if values.shape != plan.grid_shape:
        raise ValueError(f"values of shape {values.shape} are not one for each of {plan.grid_shape} windows")
    return values


def _least(values: npt.NDArray[Any], span: Span) -> npt.NDArray[Any]:
    """Return the minima of ``values[first:stop]`` along axis 0."""
    # reduceat takes pairs first, stop; one row more makes `stop == len(values)` an index.
    padded = np.concatenate([values, values[-1:]])
    found: npt.NDArray[Any] = np.minimum.reduceat(padded, np.stack(span, axis=1).ravel(), axis=0)[::2]
    return found


@compiled
def _fill_means(
    grid: npt.NDArray[np.float64],
    row_first: npt.NDArray[np.int64],
    row_stop: npt.NDArray[np.int64],
    col_first: npt.NDArray[np.int64],
    col_stop: npt.NDArray[np.int64],
    means: npt.NDArray[np.float32],
) -> None:
    """Average ``grid[row_first:row_stop, col_first:col_stop]`` without NaN, for every cell."""
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
                means[i, j] = min(max(total / count, low), high)
