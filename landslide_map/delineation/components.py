"""Connected pixels of a strip at or above a level, and the shape of each component."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from landslide_map.runtime.jit import compiled


@compiled
def _root(parents: npt.NDArray[np.int64], i: int) -> int:
    while parents[i] != i:
        parents[i] = parents[parents[i]]
        i = parents[i]
    return i


@dataclass(frozen=True)
class Runs:
    """Neighbouring pixels of a row that are at or above a level, and the component of each; ``(run,)``."""

    first: npt.NDArray[np.int64]
    """First pixel."""
    stop: npt.NDArray[np.int64]
    """Last pixel, plus one."""
    row: npt.NDArray[np.int64]
    component: npt.NDArray[np.int64]
    touching: npt.NDArray[np.int64]
    """Edges that its pixels share with the row above."""
    count: int
    """Components."""


def runs_at(
    starts: npt.NDArray[np.int64], cols: npt.NDArray[np.int32], levels: npt.NDArray[np.uint8], level: int
) -> Runs:
    """Return the runs at or above a level.

    Pixels are sparse and row-major: those of row ``r`` are ``starts[r]:starts[r + 1]`` with columns `cols`.
    Components touch by edges. They are numbered from 0 by their first pixel.
    """
    first, stop, row = _runs(starts, cols, levels, level)
    component, touching, count = _components(cols, first, stop, row)
    return Runs(first, stop, row, component, touching, count)


def joined_runs(
    row: npt.NDArray[np.int64], first: npt.NDArray[np.int64], stop: npt.NDArray[np.int64]
) -> tuple[Runs, npt.NDArray[np.int32]]:
    """Return runs that are known already with the component of each, and the columns of their ends.

    Parameters
    ----------
    row, first, stop : int64, (run,)
        Row, first column and the column behind the last; sorted by row, then column, and apart in a row.

    Returns
    -------
    Runs
        Each has two pixels, its ends: :func:`shapes_of` needs no more.
    int32, (2 * run,)
        Columns of these.
    """
    ends = np.column_stack([first, stop - 1]).ravel().astype(np.int32)
    at = 2 * np.arange(len(row), dtype=np.int64)
    component, touching, count = _components(ends, at, at + 2, row)
    return Runs(at, at + 2, row, component, touching, count), ends


def _runs(
    starts: npt.NDArray[np.int64], cols: npt.NDArray[np.int32], levels: npt.NDArray[np.uint8], level: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    begins = np.zeros(len(cols), np.bool_)
    found = np.empty((3, _mark_runs(starts, cols, levels, level, begins)), np.int64)
    _fill_runs(starts, levels, level, begins, found)
    return found[0], found[1], found[2]


@compiled
def _mark_runs(
    starts: npt.NDArray[np.int64],
    cols: npt.NDArray[np.int32],
    levels: npt.NDArray[np.uint8],
    level: int,
    begins: npt.NDArray[np.bool_],
) -> int:
    """Mark the first pixels of runs; return how many there are."""
    count = 0
    for r in range(starts.size - 1):
        previous = -2
        for k in range(starts[r], starts[r + 1]):
            if levels[k] >= level:
                begins[k] = cols[k] != previous + 1
                count += begins[k]
                previous = cols[k]
    return count


@compiled
def _fill_runs(
    starts: npt.NDArray[np.int64],
    levels: npt.NDArray[np.uint8],
    level: int,
    begins: npt.NDArray[np.bool_],
    found: npt.NDArray[np.int64],
) -> None:
    n = -1
    for r in range(starts.size - 1):
        for k in range(starts[r], starts[r + 1]):
            if levels[k] >= level:
                if begins[k]:
                    n += 1
                    found[0, n] = k
                    found[2, n] = r
                found[1, n] = k + 1


def _components(
    cols: npt.NDArray[np.int32],
    first: npt.NDArray[np.int64],
    stop: npt.NDArray[np.int64],
    row: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int]:
    """Return the component of each run, its edges shared with the row above, and how many components are."""
    parents, touching = np.arange(len(first), dtype=np.int64), np.zeros(len(first), np.int64)
    _join(cols, first, stop, row, parents, touching)
    component = np.empty_like(parents)
    return component, touching, _number(parents, component)


@compiled
def _join(
    cols: npt.NDArray[np.int32],
    first: npt.NDArray[np.int64],
    stop: npt.NDArray[np.int64],
    row: npt.NDArray[np.int64],
    parents: npt.NDArray[np.int64],
    touching: npt.NDArray[np.int64],
) -> None:
    """Join runs that share an edge with one in the row above; parents never come after their children."""
    a = 0
    for b in range(first.size):
        left, right = cols[first[b]], cols[stop[b] - 1]
        while row[a] < row[b] - 1 or (row[a] == row[b] - 1 and cols[stop[a] - 1] < left):
            a += 1
        c = a
        while row[c] == row[b] - 1 and cols[first[c]] <= right:
            touching[b] += min(right, cols[stop[c] - 1]) - max(left, cols[first[c]]) + 1
            x, y = _root(parents, b), _root(parents, c)
            parents[max(x, y)] = min(x, y)
            c += 1


@compiled
def _number(parents: npt.NDArray[np.int64], component: npt.NDArray[np.int64]) -> int:
    """Give components numbers by their first runs; return how many there are."""
    count = 0
    for i in range(parents.size):
        if parents[i] == i:
            component[i] = count
            count += 1
        else:
            component[i] = component[_root(parents, i)]
    return count


def shapes_of(runs: Runs, cols: npt.NDArray[np.int32], top: int) -> npt.NDArray[np.int64]:
    """Return the shape of each component, as sums, and its box.

    Returns
    -------
    int64 array, (component, 12)
        Pixels. Sums of row, column, row**2, column**2 and row * column. Runs, and shared edges between
        rows. Least and greatest row and column.
    """
    found = np.zeros((runs.count, 12), np.int64)
    found[:, [8, 10]] = np.iinfo(np.int64).max
    found[:, [9, 11]] = -1
    _fill_shapes(cols, runs.first, runs.stop, runs.row + top, runs.component, runs.touching, found)
    return found


@compiled
def _fill_shapes(
    cols: npt.NDArray[np.int32],
    first: npt.NDArray[np.int64],
    stop: npt.NDArray[np.int64],
    row: npt.NDArray[np.int64],
    component: npt.NDArray[np.int64],
    touching: npt.NDArray[np.int64],
    found: npt.NDArray[np.int64],
) -> None:
    for n in range(first.size):
        own, r = component[n], row[n]
        left, right = cols[first[n]], cols[stop[n] - 1]
        size = right - left + 1
        found[own, 0] += size
        found[own, 1] += size * r
        found[own, 3] += size * r * r
        for c in range(left, right + 1):
            found[own, 2] += c
            found[own, 4] += c * c
            found[own, 5] += r * c
        found[own, 6] += 1
        found[own, 7] += touching[n]
        found[own, 8] = min(found[own, 8], r)
        found[own, 9] = max(found[own, 9], r)
        found[own, 10] = min(found[own, 10], left)
        found[own, 11] = max(found[own, 11], right)
