"""Accumulator of unfinished windows: moments of cells and pixels of the rows read so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from landslide_map.array_types import Floats, Indices
from landslide_map.features import moments
from landslide_map.features.medians import window_medians
from landslide_map.features.moments import STATISTICS
from landslide_map.runtime import timings
from landslide_map.windows import WindowPlan


class PixelWindows:
    """Pixels of consecutive windows, ``(window, y, x, band)``; each is cut out when it is indexed.

    Overlapping windows share their pixels until then: what is in memory is the strip that they lie in.
    """

    def __init__(self, strip: npt.NDArray[Any], rows: Indices, cols: Indices, size: int) -> None:
        self._windows = np.lib.stride_tricks.sliding_window_view(strip, (size, size), axis=(1, 2))
        self._rows = rows
        """First row of every row of windows, in the strip ``(band, y, x)``."""
        self._cols = cols

    def __len__(self) -> int:
        return len(self._rows) * len(self._cols)

    @timings.work("cut windows")
    def __getitem__(self, windows: int | slice | npt.NDArray[np.integer[Any]]) -> npt.NDArray[Any]:
        row, col = np.divmod(np.arange(len(self))[windows], len(self._cols))
        bands, size = len(self._windows), self._windows.shape[-1]
        found = np.empty((*row.shape, size, size, bands), self._windows.dtype)
        for band in range(bands):
            found[..., band] = self._windows[band, self._rows[row], self._cols[col]]
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.asarray(self[:], dtype=dtype)


class UnfinishedWindows:
    """State of the windows that reach below the rows read so far."""

    def __init__(
        self,
        plan: WindowPlan,
        row_edges: Indices,
        col_edges: Indices,
        bands: int,
        pixels: npt.NDArray[Any],
        median: bool,
        first: int,
    ) -> None:
        self._plan = plan
        self._cols = _span(plan.col_starts, plan.size, col_edges)
        self._rows = _span(plan.row_starts, plan.size, row_edges)
        self._cells = [np.empty((0, moments.MOMENTS, plan.grid_shape[1])) for _ in range(bands)]
        self._first_cell = int(self._rows[0][first])
        self._pixels = pixels
        self._first_pixel = int(plan.row_starts[first])
        self._median = median

    @timings.work("statistics")
    def extend(self, cells: list[list[Floats]], blocks: list[list[npt.NDArray[Any]]]) -> None:
        """Append one row of blocks: per channel its cells, and the pixels that are kept, block by block."""
        for band, parts in enumerate(cells):
            merged = moments.merge_columns(np.concatenate(parts, axis=2), *self._cols)
            parts.clear()  # the caller still names them
            self._cells[band] = np.concatenate([self._cells[band], merged])
        self._pixels = _append_rows(self._pixels, blocks)

    @timings.work("statistics")
    def statistics(self, first: int, stop: int) -> Floats:
        """Return ``(window, channel, statistic)`` of the rows of windows ``first`` to ``stop - 1``."""
        plan = self._plan
        cell_first, cell_stop = (span[first:stop] - self._first_cell for span in self._rows)
        width = len(STATISTICS) + self._median
        values = np.empty((stop - first, plan.grid_shape[1], len(self._cells), width))
        for band, cells in enumerate(self._cells):
            merged = moments.merge_rows(cells, cell_first, cell_stop)
            values[:, :, band, : len(STATISTICS)] = moments.summarise(merged, plan.size**2)
            if self._median:
                starts = plan.row_starts[first:stop] - self._first_pixel
                size = (plan.size, plan.size)
                values[:, :, band, -1] = window_medians(self._pixels[band], starts, plan.col_starts, size)
        return values.reshape(-1, len(self._cells), width)

    def windows(self, first: int, stop: int, wanted: Sequence[int]) -> PixelWindows:
        """Return the pixels of rows of windows; `wanted` numbers bands among those that are kept."""
        strip = self._pixels if wanted == list(range(len(self._pixels))) else self._pixels[wanted]
        rows = self._plan.row_starts[first:stop] - self._first_pixel
        return PixelWindows(strip, rows, self._plan.col_starts, self._plan.size)

    def drop_before(self, window_row: int) -> None:
        """Drop the cells that no window of `window_row` and below needs."""
        if window_row == len(self._plan.row_starts):
            return
        cell, pixel = int(self._rows[0][window_row]), int(self._plan.row_starts[window_row])
        # Copies: a view would keep the whole strip in memory.
        self._cells = [cells[cell - self._first_cell :].copy() for cells in self._cells]
        self._first_cell = cell
        self._pixels = self._pixels[:, pixel - self._first_pixel :].copy()
        self._first_pixel = pixel


def _append_rows(kept: npt.NDArray[Any], blocks: list[list[npt.NDArray[Any]]]) -> npt.NDArray[Any]:
    """Return `kept` and below it a row of `blocks`, which are taken off the list to be freed."""
    bands, top, width = kept.shape
    pixels = np.empty((bands, top + blocks[0][0].shape[1], width), dtype=kept.dtype)
    pixels[:, :top] = kept
    right = width
    while blocks:
        parts = blocks.pop()
        left = right - parts[0].shape[2]
        np.concatenate(parts, out=pixels[:, top:, left:right])
        right = left
    return pixels


def _span(starts: Indices, size: int, edges: Indices) -> tuple[Indices, Indices]:
    """Return the first and last + 1 cell of every window of an axis."""
    return np.searchsorted(edges, starts), np.searchsorted(edges, starts + size)
