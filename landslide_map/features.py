"""Statistics of windows: streamed from a lazy stack of any size, or from ready windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

import dask.array as da
import numpy as np
import numpy.typing as npt
import xarray as xr
from dask import config
from dask.base import compute
from dask.delayed import delayed
from dask.system import CPU_COUNT

from landslide_map import moments, timings
from landslide_map.grid import BLOCK
from landslide_map.medians import window_medians
from landslide_map.one_ahead import one_ahead
from landslide_map.windows import WindowPlan

STATISTICS: Final = ("valid_fraction", "mean", "std", "min", "max", "skew", "kurtosis")
"""The statistics of every window, in order; `MEDIAN` follows them where asked for."""
MEDIAN: Final = "median"

SLAB: Final = 65_536
"""Windows yielded at once, unless one row of windows is more."""

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Kept = npt.NDArray[np.bool_]
"""Per channel, whether its pixels are kept."""


def window_statistics(
    stack: xr.DataArray,
    plan: WindowPlan,
    *,
    channels: Sequence[str] | None = None,
    median: bool = False,
    workers: int | None = None,
    slab: int = SLAB,
) -> Iterator[tuple[int, xr.DataArray]]:
    """Yield the statistics of all windows of a stack, whole rows of windows at a time.

    Each pixel is read once, block row by block row, and only what unfinished windows need is
    kept: the moments of their cells, and with `median` their pixels (float32 ``channels x
    (1024 + 63) x width``). The result has the same bits for any chunks and any number of workers.
    Where the pixels themselves are wanted too, see :func:`statistics_and_pixels`.

    Parameters
    ----------
    stack : xr.DataArray, (band, y, x), NaN = missing
        Backed by dask or NumPy. A chunk that is one broadcast NaN costs nothing.
    plan : WindowPlan
        Planned for the stack's shape.
    channels : sequence of str, optional
        The bands to describe, in this order; by default all.
    median : bool
        Whether to append the median, which costs several times all the others.
    workers : int, optional
        Threads; by default what dask is configured to use.
    slab : int
        Windows yielded at once, at least one row of windows.

    Yields
    ------
    int, xr.DataArray
        The first row of windows, and ``(window, channel, statistic)`` float64, windows row-major.
        Pixels that are not finite do not count. `std` has ddof 0, `skew` and `kurtosis` are
        biased, `kurtosis` is Fisher's; both are NaN for a constant window, and all but
        `valid_fraction` are NaN for an empty one.
    """
    for row, statistics, _ in statistics_and_pixels(
        stack, plan, (), channels=channels, median=median, workers=workers, slab=slab
    ):
        yield row, statistics


def statistics_and_pixels(
    stack: xr.DataArray,
    plan: WindowPlan,
    pixels: Sequence[str],
    *,
    channels: Sequence[str] | None = None,
    median: bool = False,
    workers: int | None = None,
    slab: int = SLAB,
    block_rows: range | None = None,
    ahead: bool = False,
) -> Iterator[tuple[int, xr.DataArray, PixelWindows]]:
    """Yield the statistics of windows as :func:`window_statistics` does, and some of their pixels.

    Parameters
    ----------
    stack, plan, channels, median, workers
        As there.
    pixels : sequence of str
        The bands whose pixels are wanted, among `channels`. Those of unfinished windows are kept.
    slab : int
        Windows yielded at once, at least one row of windows.
    block_rows : range, optional
        Yield the windows that end in these rows of blocks (:attr:`WindowPlan.block_rows`), by default all.
        Only the pixels above that such windows share are read besides; the result has the same bits.
    ahead : bool
        Read the next row of blocks while the windows of the last one are in use.

    Yields
    ------
    int, xr.DataArray, PixelWindows
        As there, and the windows' pixels in the stack's precision, bands in the order of `pixels`.
    """
    available = [str(name) for name in stack["band"].values]
    names = available if channels is None else list(channels)
    for name in (*names, *pixels):
        if name not in (names if name in pixels else available):
            raise ValueError(f"the stack has no band {name!r}; it has {', '.join(available)}")
    if stack.shape[1:] != plan.shape:
        raise ValueError(f"the stack has {stack.shape[1:]} pixels, its windows were planned for {plan.shape}")
    rows = plan.block_rows if block_rows is None else block_rows
    first = plan.ended_by(rows.start * BLOCK)
    top, bottom = int(plan.row_starts[first]), min(rows.stop * BLOCK, plan.shape[0])
    # Cells end at the lattice whatever the chunks are, so that the chunks never show in a result.
    lattice = (top, *range((top // BLOCK + 1) * BLOCK, bottom, BLOCK), bottom)
    # Asking for all bands would have dask cut the chunks along the band axis anew.
    bands = stack if names == available else stack.sel(band=names)
    data = bands.isel(y=slice(top, bottom)).chunk(y=tuple(np.diff(lattice)), x=BLOCK).data
    row_edges, col_edges = _cuts(plan.row_starts, plan.size), _cuts(plan.col_starts, plan.size)
    kept = np.array([median or name in pixels for name in names])
    kept_names = [name for name, keep in zip(names, kept, strict=True) if keep]
    wanted = [kept_names.index(name) for name in pixels]
    nothing = np.empty((len(kept_names), 0, plan.shape[1]), _pixel_type(data.dtype))
    unfinished = _Unfinished(plan, row_edges, col_edges, len(names), nothing, median, first)
    slab_rows = max(slab // plan.grid_shape[1], 1)
    edges = [row_edges[(row_edges >= a) & (row_edges <= b)] - a for a, b in pairwise(lattice)]
    reduced = (_reduce(data.blocks[:, i], own, col_edges, kept, workers) for i, own in enumerate(edges))
    for below, strip in zip(lattice[1:], one_ahead(reduced) if ahead else reduced, strict=True):
        unfinished.extend(*strip)
        stop = plan.ended_by(below)
        for row in range(first, stop, slab_rows):
            part = (row, min(row + slab_rows, stop))
            yield row, _labelled(unfinished.statistics(*part), names), unfinished.windows(*part, wanted)
        unfinished.drop_before(stop)
        first = stop


def array_statistics(
    windows: npt.NDArray[Any], channels: Sequence[str], *, median: bool = False
) -> xr.DataArray:
    """Return the statistics of ready windows, by the same kernels as :func:`window_statistics`.

    Parameters
    ----------
    windows : array, (window, row, col, channel) or (window, channel, row, col)
        Pixels that are not finite do not count.
    channels : sequence of str
        Their number tells which axis holds them.
    median : bool
        Whether to append the median.

    Returns
    -------
    xr.DataArray, (window, channel, statistic), float64

    Raises
    ------
    ValueError
        If the channels are on neither axis, or could be on both.
    """
    if windows.ndim != 4 or (windows.shape[1] == len(channels)) == (windows.shape[3] == len(channels)):
        raise ValueError(
            f"windows of shape {windows.shape} do not have the {len(channels)} channels on either the "
            "second or the last of four axes"
        )
    if windows.shape[3] == len(channels):
        windows = np.moveaxis(windows, 3, 1)
    count, bands, rows, cols = windows.shape
    values = np.empty((count, bands, len(STATISTICS) + median))
    row_edges, col_edges, origin = np.array([0, rows]), np.array([0, cols]), np.array([0])
    for window, band in np.ndindex(count, bands):
        plane = _plane(windows[window, band])
        cell = moments.cell_moments(plane, row_edges, col_edges)
        values[window, band, : len(STATISTICS)] = moments.summarise(cell, plane.size)[0, 0]
        if median:
            values[window, band, -1] = window_medians(plane, origin, origin, plane.shape)[0, 0]
    return _labelled(values, channels)


def row_bytes(plan: WindowPlan, bands: int, kept: int) -> tuple[int, int, int]:
    """Return what :func:`statistics_and_pixels` holds at most of one row of blocks, bytes.

    Parameters
    ----------
    plan : WindowPlan
    bands, kept : int
        Bands that are described, and those of which pixels are kept.

    Returns
    -------
    int, int, int
        Cells and pixels block by block; the same merged into windows and joined, with what unfinished windows
        above need; statistics that are yielded at once.
    """
    across = len(_cuts(plan.col_starts, plan.size)) - 1
    in_rows = np.searchsorted(_cuts(plan.row_starts, plan.size), np.arange(0, plan.shape[0] + BLOCK, BLOCK))
    down, windows = int(np.diff(in_rows).max()), plan.grid_shape[1]
    above = -(-plan.size // plan.stride) * 2  # rows of cells that one window may have
    cell = bands * moments.MOMENTS * np.dtype(np.float64).itemsize
    pixels = kept * plan.shape[1] * np.dtype(np.float32).itemsize
    ending = max(len(plan.ending_in(row)) for row in plan.block_rows)
    return (
        cell * down * across + pixels * BLOCK,
        cell * (down + above) * windows + pixels * (BLOCK + plan.size),
        cell * max(min(ending * windows, SLAB), windows),
    )


class PixelWindows:
    """Pixels of consecutive windows, ``(window, y, x, band)``; each is cut out when it is asked for.

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


class _Unfinished:
    """What the windows that reach below the rows read so far need of them."""

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
        """Forget what no window of `window_row` and below needs."""
        if window_row == len(self._plan.row_starts):
            return
        cell, pixel = int(self._rows[0][window_row]), int(self._plan.row_starts[window_row])
        # Copies: a view would keep the whole strip in memory.
        self._cells = [cells[cell - self._first_cell :].copy() for cells in self._cells]
        self._first_cell = cell
        self._pixels = self._pixels[:, pixel - self._first_pixel :].copy()
        self._first_pixel = pixel


def _reduce(
    blocks: da.Array, row_edges: Indices, col_edges: Indices, keep: Kept, workers: int | None
) -> tuple[list[list[Floats]], list[list[npt.NDArray[Any]]]]:
    """Read one row of blocks.

    Returns per channel its cells block by block, ``(cell row, 7, cell column)``, and of each block the pixels
    of the channels that are kept: its chunks along the channel axis, ``(channel, row, col)``.
    """
    tasks = []
    left = 0
    kept = np.split(keep, np.cumsum(blocks.chunks[0])[:-1])
    # One graph for the whole row: dask would read what two blocks share once for each otherwise.
    columns = blocks.to_delayed()[:, 0].T  # type: ignore[no-untyped-call]
    for chunks, width in zip(columns, blocks.chunks[2], strict=True):
        edges = col_edges[(col_edges >= left) & (col_edges <= left + width)] - left
        tasks.append(
            [
                delayed(_reduce_block)(chunk, row_edges, edges, own)
                for chunk, own in zip(chunks, kept, strict=True)
            ]
        )
        left += width
    # Said outright, because dask would start more threads where the caller is not the main one.
    how = {"num_workers": config.get("num_workers", CPU_COUNT)}
    if workers is not None:
        how = {"scheduler": "threads", "num_workers": workers}
    (reduced,) = compute(tasks, **how)  # type: ignore[no-untyped-call]
    by_block = [[cells for part, _ in parts for cells in part] for parts in reduced]
    cells = [list(pieces) for pieces in zip(*by_block, strict=True)]
    return cells, [[part for _, part in parts] for parts in reduced]


@timings.work("statistics")
def _reduce_block(
    block: npt.NDArray[Any], row_edges: Indices, col_edges: Indices, keep: Kept
) -> tuple[list[Floats], npt.NDArray[Any]]:
    """Reduce the channels of one chunk to cells; the pixels come back of those that are kept."""
    cells = []
    for plane in block:
        if plane.strides == (0, 0) and not np.isfinite(plane[0, 0]):
            # A band that is not there: one NaN broadcast to a block, and nothing to read.
            cells.append(moments.empty_cells(len(row_edges) - 1, len(col_edges) - 1))
        else:
            cells.append(moments.cell_moments(_plane(plane), row_edges, col_edges))
    return cells, block if keep.all() else block[keep]


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


def _cuts(starts: Indices, size: int) -> Indices:
    """Return every cell edge of an axis: window starts and ends, and the lattice of blocks."""
    end = starts[-1] + size
    return np.unique(np.concatenate([starts, starts + size, np.arange(0, end, BLOCK)]))


def _span(starts: Indices, size: int, edges: Indices) -> tuple[Indices, Indices]:
    """Return the first and last + 1 cell of every window of an axis."""
    return np.searchsorted(edges, starts), np.searchsorted(edges, starts + size)


def _pixel_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return what the kernels are compiled for: float32 as it is, all else as float64."""
    return np.dtype(np.float32 if dtype == np.float32 else np.float64)


def _plane(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(pixels, dtype=_pixel_type(pixels.dtype))


def _labelled(values: Floats, channels: Sequence[str]) -> xr.DataArray:
    names = (*STATISTICS, MEDIAN)[: values.shape[2]]
    return xr.DataArray(
        values,
        dims=("window", "channel", "statistic"),
        coords={"channel": list(channels), "statistic": list(names)},
    )
