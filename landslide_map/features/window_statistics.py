"""Statistics of windows: streamed from a lazy stack of any size, or from ready windows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

import dask.array as da
import numpy as np
import numpy.typing as npt
import xarray as xr
from dask import config, threaded
from dask.base import compute
from dask.delayed import delayed
from dask.system import CPU_COUNT

from landslide_map.array_types import Bools, Floats, Indices
from landslide_map.features import moments
from landslide_map.features.accumulator import PixelWindows, UnfinishedWindows
from landslide_map.features.medians import window_medians
from landslide_map.features.moments import STATISTICS
from landslide_map.runtime import timings
from landslide_map.runtime.prefetch import prefetch
from landslide_map.windows import WindowPlan

PIXEL_SLAB: Final = 512
"""Windows predicted at once where pixels are needed: 200 kB each; weights are read again for each slab."""

MEDIAN: Final = "median"
"""Follows :data:`~landslide_map.features.moments.STATISTICS` where it is requested."""

SLAB: Final = 65_536
"""Windows yielded at once, unless one row of windows is more."""

Wanted = tuple[Bools, Bools]
"""Per band, whether it is described, and whether its pixels are kept."""


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
        The first row of windows, and ``(window, channel, statistic)`` float64, windows row-major. Pixels that
        are not finite do not count. `std` has ddof 0, `skew` and `kurtosis` are biased, `kurtosis` is
        Fisher's. Both are NaN for a constant window. All but `valid_fraction` are NaN for an empty one.
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
    read_ahead: bool = False,
    computed: Collection[str] = (),
) -> Iterator[tuple[int, xr.DataArray, PixelWindows]]:
    """Yield the statistics of windows as :func:`window_statistics` does, and some of their pixels.

    Parameters
    ----------
    stack, plan, channels, median, workers
        As there.
    pixels : sequence of str
        The bands, among `channels`, with pixels to return. Those of unfinished windows are kept.
    slab : int
        Windows yielded at once, at least one row of windows.
    block_rows : range, optional
        Yield the windows that end in these rows of blocks (:attr:`WindowPlan.block_rows`), by default all.
        Of the pixels above only those that such windows share are read, too; the result has the same bits.
    read_ahead : bool
        Read the next row of blocks while the windows of the last one are in use.
    computed : collection of str
        Bands that are computed too, not described: for a stack that keeps something of its blocks. The
        channels are in the order of the stack then.

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
    first = plan.ended_by(rows.start * plan.block)
    top, bottom = int(plan.row_starts[first]), min(rows.stop * plan.block, plan.shape[0])
    # Cells end at the edges of blocks in every cut of chunks, so that chunks never show in a result.
    block_edges = (top, *range((top // plan.block + 1) * plan.block, bottom, plan.block), bottom)
    # Selecting all bands would have dask cut the chunks along the band axis again.
    read = [name for name in available if name in names or name in computed] if computed else names
    names = [name for name in read if name in names]
    bands = stack if read == available else stack.sel(band=read)
    data = bands.isel(y=slice(top, bottom)).chunk(y=tuple(np.diff(block_edges)), x=plan.block).data
    row_edges, col_edges = _cuts(plan.row_starts, plan), _cuts(plan.col_starts, plan)
    described = np.array([name in names for name in read])
    kept = np.array([name in names and (median or name in pixels) for name in read])
    kept_names = [name for name, keep in zip(read, kept, strict=True) if keep]
    wanted = [kept_names.index(name) for name in pixels]
    nothing = np.empty((len(kept_names), 0, plan.shape[1]), _pixel_type(data.dtype))
    unfinished = UnfinishedWindows(plan, row_edges, col_edges, len(names), nothing, median, first)
    slab_rows = max(slab // plan.grid_shape[1], 1)
    edges = [row_edges[(row_edges >= a) & (row_edges <= b)] - a for a, b in pairwise(block_edges)]
    wanted_of = (described, kept)
    reduced = (_reduce(data.blocks[:, i], own, col_edges, wanted_of, workers) for i, own in enumerate(edges))
    for below, strip in zip(block_edges[1:], prefetch(reduced) if read_ahead else reduced, strict=True):
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
        The axis with as many entries holds them.
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
    """Return the greatest memory of :func:`statistics_and_pixels` for one row of blocks, bytes.

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
    across = len(_cuts(plan.col_starts, plan)) - 1
    rows = np.arange(0, plan.shape[0] + plan.block, plan.block)
    in_rows = np.searchsorted(_cuts(plan.row_starts, plan), rows)
    down, windows = int(np.diff(in_rows).max()), plan.grid_shape[1]
    above = -(-plan.size // plan.stride) * 2  # rows of cells that one window may have
    cell = bands * moments.MOMENTS * np.dtype(np.float64).itemsize
    pixels = kept * plan.shape[1] * np.dtype(np.float32).itemsize
    ending = max(len(plan.ending_in(row)) for row in plan.block_rows)
    return (
        cell * down * across + pixels * plan.block,
        cell * (down + above) * windows + pixels * (plan.block + plan.size),
        cell * max(min(ending * windows, SLAB), windows),
    )


def _reduce(
    blocks: da.Array, row_edges: Indices, col_edges: Indices, wanted: Wanted, workers: int | None
) -> tuple[list[list[Floats]], list[list[npt.NDArray[Any]]]]:
    """Read one row of blocks.

    Returns the cells of each channel, block by block, ``(cell row, 7, cell column)``. Returns also the pixels
    of the channels that are kept, for each block its chunks along the channel axis, ``(channel, row, col)``.
    """
    tasks = []
    left = 0
    ends = np.cumsum(blocks.chunks[0])[:-1]
    wanted_of = list(zip(*(np.split(own, ends) for own in wanted), strict=True))
    # One graph for the whole row: dask would read what two blocks share once for each otherwise.
    columns = blocks.to_delayed()[:, 0].T  # type: ignore[no-untyped-call]
    for chunks, width in zip(columns, blocks.chunks[2], strict=True):
        edges = col_edges[(col_edges >= left) & (col_edges <= left + width)] - left
        tasks.append(
            [
                delayed(_reduce_block)(chunk, row_edges, edges, own)
                for chunk, own in zip(chunks, wanted_of, strict=True)
            ]
        )
        left += width
    # Given as a function: for a name, dask imports `distributed` and hands the work to any client it finds.
    # It would also start more threads where the caller is not the main one.
    threads = config.get("num_workers", CPU_COUNT) if workers is None else workers
    (reduced,) = compute(tasks, scheduler=threaded.get, num_workers=threads)  # type: ignore[no-untyped-call]
    by_block = [[cells for part, _ in parts for cells in part] for parts in reduced]
    cells = [list(pieces) for pieces in zip(*by_block, strict=True)]
    return cells, [[part for _, part in parts] for parts in reduced]


@timings.work("statistics")
def _reduce_block(
    block: npt.NDArray[Any], row_edges: Indices, col_edges: Indices, wanted: Wanted
) -> tuple[list[Floats], npt.NDArray[Any]]:
    """Reduce the channels of one chunk to cells; the pixels come back of those that are kept."""
    cells, (described, keep) = [], wanted
    for plane in (own for own, wanted_here in zip(block, described, strict=True) if wanted_here):
        if plane.strides == (0, 0) and not np.isfinite(plane[0, 0]):
            # A band that is not there: one NaN broadcast to a block, and nothing to read.
            cells.append(moments.empty_cells(len(row_edges) - 1, len(col_edges) - 1))
        else:
            cells.append(moments.cell_moments(_plane(plane), row_edges, col_edges))
    return cells, block if keep.all() else block[keep]


def _cuts(starts: Indices, plan: WindowPlan) -> Indices:
    """Return every cell edge of an axis: window starts and ends, and edges of blocks."""
    ends = starts + plan.size
    return np.unique(np.concatenate([starts, ends, np.arange(0, ends[-1], plan.block)]))


def _pixel_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type for the kernels: float32 as it is, all else as float64."""
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
