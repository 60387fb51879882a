"""Displacement of the image against the ground, and outlines moved back by it.

A Sentinel-2 image may lie up to a pixel beside the ground. Outlines are drawn on its pixels and would lie
there too. Fresh slides are bare in the image and changed in backscatter. The changes of both tracks are
compared with the bare pixels at every shift: that of the best match is the displacement. Each track alone
would be biased, because a scar lies lower than the ground that radar was geocoded with. Two that look from
opposite sides are biased in opposite directions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from landslide_map.bands import DIFFERENCES
from landslide_map.delineation.cells import CELL, SPREAD, deviations, surroundings
from landslide_map.delineation.codes import FIRST, NDVI, NDVI_STEP, Codes
from landslide_map.runtime.jit import compiled

REACH: Final = 3
"""Greatest shift that is compared, pixels."""
SIDE: Final = 2 * REACH + 1
TILE: Final = 32
_HALO: Final = REACH + 1
"""Pixels around a tile: it is compared at every shift, blurred over one more."""
GROUPS: Final = 32
"""Groups of tiles for the jackknife, which gives the standard error of the displacement."""
BARE: Final = 0.25
"""NDVI below the surroundings from which a pixel may be a fresh slide."""
MOST_PIXELS: Final = 1 << 21
"""Pixels of a strip that are compared; of a larger one every so many tiles."""
_STEPS: Final = 10
"""Changes are counted in tenths of the variance of their surroundings, at most :data:`_MOST` of it."""
_MOST: Final = 6
_COLUMNS: Final = 2 * SIDE * SIDE + 1
_NEAR: Final = 1.5
"""Deviation of the weight of a shift, pixels: the peak counts."""
_PRIOR: Final = 0.3
"""Deviation of the position of an image along each axis before anything is measured, pixels."""
_BIAS: Final = 0.1
"""Deviation that more pixels do not reduce."""
_GROUPS_LEAST: Final = 8
_SIGNAL_LEAST: Final = 3.0
"""Least ratio of the match to its own deviation."""
_FINENESS: Final = 16

Sums = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Displacement:
    """Displacement of the image from the ground, pixels, and its grid."""

    down: float
    right: float
    shape: tuple[int, int]

    def __bool__(self) -> bool:
        """Return whether there is any."""
        return self.down != 0 or self.right != 0


def match_sums(layers: Mapping[str, Codes], cells: Mapping[str, Codes]) -> Sums:
    """Return the sums of a strip for the displacement, ``(group, column)``; zeros without both tracks.

    Columns: sums of the change of backscatter at each shift from the bare pixels, sums of blurred bare pixels
    there, and how many are bare. Sums are exact: those of strips can be added in any order.

    Parameters
    ----------
    layers : mapping of str to uint8, (row, col)
    cells : mapping of str to uint8, (cell row, cell column)
        As from :func:`cells.cells_of`.
    """
    found: Sums = np.zeros((GROUPS, _COLUMNS), np.int64)
    names = [name for name in DIFFERENCES if name in layers]
    if NDVI not in layers or len({name.split("_")[0] for name in names}) < 2:
        return found
    most = surroundings(cells[NDVI]) - np.float32(BARE / NDVI_STEP)
    near = np.stack([surroundings(cells[name]) for name in names])
    deviation = deviations(np.stack([surroundings(cells[name + SPREAD]) for name in names]))
    changes = tuple(np.ascontiguousarray(layers[name]) for name in names)
    every = -(-layers[NDVI].size // MOST_PIXELS)
    tile = np.zeros((3, TILE + 2 * _HALO, TILE + 2 * _HALO), np.int64)
    _add(found, np.ascontiguousarray(layers[NDVI]), most, changes, near, deviation, every, *tile)
    return found


def displacement_of(strips: Iterable[Sums], shape: tuple[int, int]) -> Displacement:
    """Return the displacement of the image, which is 0 where no evidence shows it.

    It is drawn towards 0 the more, the less sure it is: an image lies well more often than not.

    Parameters
    ----------
    strips : iterable of int64, (group, column)
        As from :func:`match_sums`.
    shape : tuple of int
        Rows and columns of the grid.
    """
    sums = np.zeros((GROUPS, _COLUMNS), np.int64)
    for own in strips:
        sums += own
    used = np.flatnonzero(sums[:, -1])
    if len(used) < _GROUPS_LEAST:
        return Displacement(0.0, 0.0, shape)
    whole = sums.sum(axis=0)
    found = _fit(whole)
    without = np.array([_fit(whole - sums[group]) for group in used])
    variance = (len(used) - 1) * without.var(axis=0)
    shift, signal = found[:2], found[2]
    if signal < _SIGNAL_LEAST * np.sqrt(variance[2]) or np.abs(shift).max() > REACH / 2:
        return Displacement(0.0, 0.0, shape)
    shift = shift * _PRIOR**2 / (_PRIOR**2 + _BIAS**2 + variance[:2])
    down, right = (np.rint(shift * _FINENESS) / _FINENESS).tolist()
    return Displacement(down + 0.0, right + 0.0, shape)


def _fit(sums: Sums) -> npt.NDArray[np.float64]:
    """Return the displacement (down, right) of a match, and how strong this is.

    The changes are a level, plus some times the bare pixels themselves, displaced.
    """
    count = float(sums[-1])
    change = sums[: SIDE * SIDE].reshape(SIDE, SIDE) / count
    bare = sums[SIDE * SIDE : -1].reshape(SIDE, SIDE) / count
    even = (bare + bare[::-1, ::-1]) / 2
    down, right = np.gradient(even)
    rows, cols = np.indices(change.shape) - REACH
    weight = np.exp(-(rows**2 + cols**2) / (4 * _NEAR**2)).ravel()
    columns = np.stack([np.ones(change.size), even.ravel(), down.ravel(), right.ravel()], axis=1)
    columns *= weight[:, np.newaxis]
    _, strength, *moved = np.linalg.lstsq(columns, change.ravel() * weight, rcond=None)[0]
    if strength <= 0:
        return np.zeros(3)
    return np.array([moved[0] / strength, moved[1] / strength, strength])


@compiled
def _add(
    found: Sums,
    ndvi: Codes,
    most: npt.NDArray[np.float32],
    changes: tuple[Codes, ...],
    near: npt.NDArray[np.float32],
    deviation: npt.NDArray[np.float32],
    every: int,
    bare: Sums,
    blurred: Sums,
    change: Sums,
) -> None:
    rows, cols = ndvi.shape
    edge = bare.shape[0]
    for i in range(rows // TILE):
        for j in range(cols // TILE):
            if (i + j) % every:
                continue
            top, left = i * TILE, j * TILE
            inside = min(top, left) >= _HALO and top + TILE + _HALO <= rows and left + TILE + _HALO <= cols
            if not inside or not _any_bare(ndvi, most, top, left):
                continue
            for r in range(edge):
                for c in range(edge):
                    y, x = top - _HALO + r, left - _HALO + c
                    code = ndvi[y, x]
                    bare[r, c] = code >= FIRST and code <= most[y // CELL, x // CELL]
                    change[r, c] = _change(changes, near, deviation, y, x)
            for r in range(1, edge - 1):
                for c in range(1, edge - 1):
                    total = 4 * bare[r, c]
                    total += 2 * (bare[r - 1, c] + bare[r + 1, c] + bare[r, c - 1] + bare[r, c + 1])
                    total += bare[r - 1, c - 1] + bare[r - 1, c + 1] + bare[r + 1, c - 1] + bare[r + 1, c + 1]
                    blurred[r, c] = total
            _add_tile(found[(7 * i + 3 * j) % GROUPS], bare, blurred, change)


@compiled
def _any_bare(ndvi: Codes, most: npt.NDArray[np.float32], top: int, left: int) -> bool:
    for y in range(top, top + TILE):
        for x in range(left, left + TILE):
            if ndvi[y, x] >= FIRST and ndvi[y, x] <= most[y // CELL, x // CELL]:
                return True
    return False


@compiled
def _change(
    changes: tuple[Codes, ...],
    near: npt.NDArray[np.float32],
    deviation: npt.NDArray[np.float32],
    y: int,
    x: int,
) -> int:
    """Return the mean square change of backscatter in a pixel, tenths of the variance around."""
    total = np.float32(0)
    for k in range(len(changes)):
        code = changes[k][y, x]
        if code < FIRST:
            total += np.float32(1)
        else:
            z = (np.float32(code) - near[k, y // CELL, x // CELL]) / deviation[k, y // CELL, x // CELL]
            total += min(z * z, np.float32(_MOST))
    return int(np.rint(total * np.float32(_STEPS) / np.float32(len(changes))))


@compiled
def _add_tile(own: Sums, bare: Sums, blurred: Sums, change: Sums) -> None:
    for r in range(_HALO, _HALO + TILE):
        for c in range(_HALO, _HALO + TILE):
            if not bare[r, c]:
                continue
            own[-1] += 1
            k = 0
            for a in range(-REACH, REACH + 1):
                for b in range(-REACH, REACH + 1):
                    own[k] += change[r + a, c + b]
                    own[SIDE * SIDE + k] += blurred[r + a, c + b]
                    k += 1


def moved_back(
    starts: npt.NDArray[np.int64],
    cols: npt.NDArray[np.uint16],
    number: npt.NDArray[np.int64],
    value: npt.NDArray[np.float32],
    top: int,
    shape: tuple[int, int],
    by: tuple[float, float],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return row, column and number of the pixels of the ground that more than half of a number falls on.

    Parameters
    ----------
    starts, cols, top
        Of a :class:`pixels.Strip`.
    number : int64, (pixel,)
        Of objects, or -1.
    value : float32, (pixel,)
        From 0 to 1, how far each pixel belongs to its object.
    shape : tuple of int
        Of the grid; pixels beyond it are left out.
    by : tuple of float
        How far the image lies below and right of the ground, pixels.
    """
    height, width = shape
    down, right = int(np.floor(by[0])), int(np.floor(by[1]))
    y, x = by[0] - down, by[1] - right
    weights = np.array([(1 - y) * (1 - x), (1 - y) * x, y * (1 - x), y * x], np.float32)
    rows, columns, numbers = np.empty((3, 4 * np.count_nonzero(number >= 0)), np.int64)
    own, values = np.full((2, width + 2), -1, np.int64), np.zeros((2, width + 2), np.float32)
    first, stop = max(top - down - 1, 0), min(top - down + len(starts) - 1, height)
    pixels = (starts, cols, number, value)
    found = _fill_moved(*pixels, top - down, first, stop, right, weights, own, values, rows, columns, numbers)
    return rows[:found], columns[:found], numbers[:found]


@compiled
def _fill_moved(
    starts: npt.NDArray[np.int64],
    cols: npt.NDArray[np.uint16],
    number: npt.NDArray[np.int64],
    value: npt.NDArray[np.float32],
    top: int,
    first: int,
    stop: int,
    right: int,
    weights: npt.NDArray[np.float32],
    own: npt.NDArray[np.int64],
    values: npt.NDArray[np.float32],
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    numbers: npt.NDArray[np.int64],
) -> int:
    """Fill rows, columns and numbers of pixels of the ground; return how many there are."""
    found, width = 0, own.shape[1] - 2
    for row in range(first, stop):
        for n in range(2):
            _spread(own[n], values[n], starts, cols, number, value, row + n - top)
        for i in range(max(right + 1, 0), min(width + right + 1, width + 1)):
            if own[0, i] < 0 and own[0, i + 1] < 0 and own[1, i] < 0 and own[1, i + 1] < 0:
                continue
            best = _number_at(own, values, weights, i)
            if best >= 0:
                rows[found], columns[found], numbers[found] = row, i - right - 1, best
                found += 1
    return found


@compiled
def _spread(
    own: npt.NDArray[np.int64],
    values: npt.NDArray[np.float32],
    starts: npt.NDArray[np.int64],
    cols: npt.NDArray[np.uint16],
    number: npt.NDArray[np.int64],
    value: npt.NDArray[np.float32],
    row: int,
) -> None:
    """Write the numbers and values of the pixels of a row of a strip one right of their columns."""
    for k in range(own.size):
        own[k] = -1
    if 0 <= row < starts.size - 1:
        for k in range(starts[row], starts[row + 1]):
            own[cols[k] + 1] = number[k]
            values[cols[k] + 1] = value[k]


@compiled
def _number_at(
    own: npt.NDArray[np.int64],
    values: npt.NDArray[np.float32],
    weights: npt.NDArray[np.float32],
    left: int,
) -> int:
    """Return the number that more than half of a pixel between four belongs to, or -1."""
    for k in range(4):
        number = own[k // 2, left + k % 2]
        if number < 0:
            continue
        total = np.float32(0)
        for m in range(4):
            if own[m // 2, left + m % 2] == number:
                total += weights[m] * values[m // 2, left + m % 2]
        if total > np.float32(0.5):
            return int(number)
    return -1
