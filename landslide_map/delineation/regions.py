"""Regions: connected pixels as runs along rows, found strip by strip in a raster of probabilities."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from landslide_map.array_types import Floats32
from landslide_map.delineation.components import joined_runs, shapes_of
from landslide_map.delineation.partition import LEAST_PIXELS
from landslide_map.grid import Block

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Regions:
    """Regions and their pixels, as runs along rows; ``(region,)`` and ``(run,)``."""

    shape: Ints
    """``(region, 12)``, as from :func:`components.shapes_of`."""
    run_object: Ints
    """Number of the region of each run."""
    run_row: Ints
    run_first: Ints
    """First column of each run."""
    run_stop: Ints
    """Column behind the last."""

    def only(self, order: Ints) -> Self:
        """Return some regions, in this order."""
        numbers = np.full(len(self.shape), -1, np.int64)
        numbers[order] = np.arange(len(order))
        own = numbers[self.run_object]
        kept = own >= 0
        return type(self)(
            shape=self.shape[order],
            run_object=own[kept],
            run_row=self.run_row[kept],
            run_first=self.run_first[kept],
            run_stop=self.run_stop[kept],
            **self._columns(order),
        )

    def runs_in(self, block: Block) -> npt.NDArray[np.bool_]:
        """Return which runs have a pixel in a block, ``(run,)``."""
        rows = (self.run_row >= block.row) & (self.run_row < block.row + block.height)
        return rows & (self.run_first < block.col + block.width) & (self.run_stop > block.col)

    def _columns(self, _order: Ints) -> dict[str, npt.NDArray[np.floating]]:
        """Return further features of some regions, in this order."""
        return {}


@dataclass(frozen=True)
class _Open:
    """Runs of regions that may go on below."""

    row: Ints
    first: Ints
    stop: Ints
    seeds: Ints
    """Pixels of each run above the seed."""


_NO: Final = np.zeros(0, np.int64)


def regions_above(
    strips: Iterable[Floats32], edge: float, seed: float, least_pixels: int = LEAST_PIXELS
) -> Regions:
    """Return connected pixels above `edge` of which one is above `seed`: a threshold with hysteresis.

    Pixels touch by edges. Regions are in the order of their first pixels, whatever the height of strips.

    Parameters
    ----------
    strips : iterable of float32, (y, x)
        Rows of a raster from the top downwards, without a gap; NaN belongs to no region.
    edge, seed : float
        `seed` is at least `edge`.
    least_pixels : int
        Smaller regions are left out.
    """
    held, top = _Open(_NO, _NO, _NO, _NO), 0
    found: list[tuple[Ints, Ints, Ints, Ints, Ints]] = []
    count = 0
    for values in strips:
        own = _runs(values, edge, seed, top)
        top += len(values)
        held, done = _closed(held, own, top - 1, least_pixels)
        found.append((done[0], done[1] + count, *done[2:]))
        count += len(done[0])
    _, done = _closed(held, _Open(_NO, _NO, _NO, _NO), top, least_pixels)
    found.append((done[0], done[1] + count, *done[2:]))
    shape, number, row, first, stop = (np.concatenate(part) for part in zip(*found, strict=True))
    at = np.full(len(shape), -1, np.int64)
    at[number[::-1]] = np.arange(len(number))[::-1]  # the first run of each region
    return Regions(shape, number, row, first, stop).only(np.lexsort((first[at], row[at])))


def _runs(values: Floats32, edge: float, seed: float, top: int) -> _Open:
    """Return the runs of pixels above `edge` in rows that begin at `top`."""
    inside = np.zeros((values.shape[0], values.shape[1] + 2), np.int8)
    inside[:, 1:-1] = values > np.float32(edge)
    change = np.diff(inside, axis=1)
    row, first = np.nonzero(change == 1)
    stop = np.nonzero(change == -1)[1]
    seeds = np.zeros((values.shape[0], values.shape[1] + 1), np.int32)
    np.cumsum(values > np.float32(seed), axis=1, out=seeds[:, 1:])
    return _Open(row + top, first, stop, (seeds[row, stop] - seeds[row, first]).astype(np.int64))


def _closed(
    held: _Open, own: _Open, last: int, least_pixels: int
) -> tuple[_Open, tuple[Ints, Ints, Ints, Ints, Ints]]:
    """Join runs to regions; return those that reach row `last`, and the others: shape, and number of runs."""
    row, first, stop, seeds = (
        np.concatenate([getattr(held, name), getattr(own, name)])
        for name in ("row", "first", "stop", "seeds")
    )
    runs, ends = joined_runs(row, first, stop)
    shape = shapes_of(runs, ends, 0)
    reaches = shape[:, 9] >= last if len(shape) else np.zeros(0, bool)
    sown = np.bincount(runs.component, seeds, runs.count) > 0
    kept = ~reaches & sown & (shape[:, 0] >= least_pixels)
    number = np.cumsum(kept) - 1
    mine, goes_on = kept[runs.component], reaches[runs.component]
    done = (shape[kept], number[runs.component[mine]], row[mine], first[mine], stop[mine])
    return _Open(row[goes_on], first[goes_on], stop[goes_on], seeds[goes_on]), done


def region_means(strips: Iterable[Floats32], regions: Regions) -> npt.NDArray[np.float64]:
    """Return the mean over the pixels of each region, ``(region,)``, NaN where none has a value.

    Parameters
    ----------
    strips : iterable of float32, (y, x)
        Rows of a raster from the top downwards, without a gap.
    regions : Regions
        On its pixels.
    """
    count = len(regions.shape)
    total, valid = np.zeros(count), np.zeros(count)
    top = 0
    for values in strips:
        here = (regions.run_row >= top) & (regions.run_row < top + len(values))
        there = np.isfinite(values)
        rows, first, stop = regions.run_row[here] - top, regions.run_first[here], regions.run_stop[here]
        for sums, each in ((total, np.where(there, values, 0)), (valid, there)):
            along = np.pad(np.cumsum(each, axis=1, dtype=np.float64), ((0, 0), (1, 0)))
            np.add.at(sums, regions.run_object[here], along[rows, stop] - along[rows, first])
        top += len(values)
    means: npt.NDArray[np.float64] = np.divide(total, valid, out=np.full(count, np.nan), where=valid > 0)
    return means
