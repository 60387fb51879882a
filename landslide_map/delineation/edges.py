"""Edges of objects: classification of the pixels in and around each.

A limit of bareness is one height for a whole outline. Pixels of an edge are mixed, and how bare half a
pixel is depends on the object. The neighbours of a pixel decide better than any limit.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from landslide_map.delineation.components import Runs, shapes_of
from landslide_map.delineation.partition import LEAST_PIXELS, MOST_PIXELS
from landslide_map.delineation.pixels import Strip
from landslide_map.delineation.tree import Tree
from landslide_map.runtime.jit import compiled

REACH: Final = 2
"""Pixels around an object that may become part of it."""
EDGE_FEATURES: Final = (
    "bareness",
    "sides",
    "corners",
    "ring",
    "most",
    "sharpness",
    "of_most",
    "inside",
    "inside_near",
    "inside_far",
    "kept_far",
    "red",
    "red_near",
    "object_bareness",
    "of_object",
    "level",
    "log_pixels",
    "share",
)
"""Features of a pixel. Bareness: its own, means of the four pixels beside it, of the four at its corners and
of the sixteen around these. The greatest bareness of the 25, contrast with the eight, and ratio to the
greatest. Whether it is inside, how many of 9 and of 25 are, and how many of 25 are candidates. Contrast of
red, and its mean over 9. Features of its object: mean bareness, that of the pixel against it, level,
logarithm of the pixels, expected share."""


def zones(strip: Strip, group: npt.NDArray[np.int64], owner: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the object that each pixel belongs to or lies near, -1 for none.

    Pixels near an object are those of the widest candidate around it that may be an object, up to
    :data:`REACH` away: all of these are known when the object is.

    Parameters
    ----------
    strip : Strip
    group : int64, (pixel,)
        As from :func:`groups`.
    owner : int64, (pixel,)
        The object that each pixel is in, or -1.
    """
    found = owner
    for _ in range(REACH):
        grown = found.copy()
        _grow(strip.starts, strip.cols, group, found, grown)
        found = grown
    return found


def groups(tree: Tree) -> npt.NDArray[np.int64]:
    """Return the widest candidate that each pixel is in, or -1, ``(pixel,)``."""
    return tree.at_pixels(roots(tree))


def roots(tree: Tree) -> npt.NDArray[np.int64]:
    """Return the widest candidate around each that may be an object, or itself."""
    found = np.arange(len(tree.parent), dtype=np.int64)
    _lift(tree.parent, tree.shape, found)
    return found


@compiled
def _lift(parent: npt.NDArray[np.int64], shape: npt.NDArray[np.int64], found: npt.NDArray[np.int64]) -> None:
    for n in range(parent.size):
        if parent[n] >= 0 and shape[parent[n], 0] <= MOST_PIXELS:
            found[n] = found[parent[n]]


@compiled
def _first(starts: npt.NDArray[np.int64], cols: npt.NDArray[np.uint16], row: int, col: int | np.int64) -> int:
    """Return the number of the first pixel of a row from a column on."""
    low, high = starts[row], starts[row + 1]
    while low < high:
        middle = (low + high) // 2
        if cols[middle] < col:
            low = middle + 1
        else:
            high = middle
    return int(low)


@compiled
def _at(starts: npt.NDArray[np.int64], cols: npt.NDArray[np.uint16], row: int, col: int | np.int64) -> int:
    """Return the number of the pixel, or -1."""
    if row < 0 or row >= starts.size - 1:
        return -1
    n = _first(starts, cols, row, col)
    return n if n < starts[row + 1] and cols[n] == col else -1


@compiled
def _grow(
    starts: npt.NDArray[np.int64],
    cols: npt.NDArray[np.uint16],
    group: npt.NDArray[np.int64],
    owner: npt.NDArray[np.int64],
    found: npt.NDArray[np.int64],
) -> None:
    """Give pixels beside an object, in the same group, to it; where there are two, to the first."""
    for r in range(starts.size - 1):
        for k in range(starts[r], starts[r + 1]):
            if owner[k] < 0:  # most: few pixels are in an object
                continue
            for dr in range(-1, 2):
                for dc in range(-1, 2):
                    n = _at(starts, cols, r + dr, np.int64(cols[k]) + dc)
                    beside = n >= 0 and owner[n] < 0 and group[n] >= 0 and group[n] == group[k]
                    if beside and (found[n] < 0 or owner[k] < found[n]):
                        found[n] = owner[k]


def edge_features(
    strip: Strip,
    group: npt.NDArray[np.int64],
    owner: npt.NDArray[np.int64],
    zone: npt.NDArray[np.int64],
    layers: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]],
    about: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """Return :data:`EDGE_FEATURES` of the pixels of all zones, ``(pixel of a zone, feature)``.

    Parameters
    ----------
    strip : Strip
    group, owner, zone : int64, (pixel,)
        The widest candidate and the object that each pixel is in, and the object with the zone that it is in.
    layers : pair of int32, (pixel,)
        Bareness (thousandths) and contrast of red (eighths of a step).
    about : float32, (object, 4)
        Mean bareness, level, logarithm of the pixels and expected share of each object.
    """
    found = np.zeros((np.count_nonzero(zone >= 0), len(EDGE_FEATURES)), np.float32)
    sums = np.zeros(9, np.int64)
    _fill_features(strip.starts, strip.cols, group, owner, zone, *layers, about, sums, found)
    return found


def core(features: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Return which pixels are farther inside an object than its edge can move, of ``(pixel, feature)``.

    These stay: pixel by pixel, a large object that is doubtful as a whole would fall into small pieces.
    """
    inside: npt.NDArray[np.bool_] = features[:, EDGE_FEATURES.index("inside_far")] == (2 * REACH + 1) ** 2
    return inside


@compiled
def _fill_features(
    starts: npt.NDArray[np.int64],
    cols: npt.NDArray[np.uint16],
    group: npt.NDArray[np.int64],
    owner: npt.NDArray[np.int64],
    zone: npt.NDArray[np.int64],
    bare: npt.NDArray[np.int32],
    red: npt.NDArray[np.int32],
    about: npt.NDArray[np.float32],
    sums: npt.NDArray[np.int64],
    found: npt.NDArray[np.float32],
) -> None:
    i = 0
    for r in range(starts.size - 1):
        for k in range(starts[r], starts[r + 1]):
            if zone[k] < 0:
                continue
            own = zone[k]
            for n in range(sums.size):
                sums[n] = 0
            for row in range(max(r - REACH, 0), min(r + REACH + 1, starts.size - 1)):
                first = _first(starts, cols, row, np.int64(cols[k]) - REACH)
                _add_row(sums, cols, group, owner, bare, red, k, own, row - r, first, starts[row + 1])
            sides, corners, ring, most, near = sums[0], sums[1], sums[2], sums[3], sums[4]
            reds, inside_near, inside_far, kept = sums[5], sums[6], sums[7], sums[8]
            found[i, 0] = bare[k]
            found[i, 1] = sides / 4
            found[i, 2] = corners / 4
            found[i, 3] = ring / 16
            found[i, 4] = most
            found[i, 5] = bare[k] - (2 * sides + corners) / 12
            found[i, 6] = bare[k] / max(most, 1)
            found[i, 7] = owner[k] == own
            found[i, 8] = inside_near
            found[i, 9] = inside_far
            found[i, 10] = kept
            found[i, 11] = red[k]
            found[i, 12] = reds / max(near, 1)
            found[i, 13] = about[own, 0]
            found[i, 14] = bare[k] / max(float(about[own, 0]) * 1000, 1.0)
            found[i, 15] = about[own, 1]
            found[i, 16] = about[own, 2]
            found[i, 17] = about[own, 3]
            i += 1


@compiled
def _add_row(
    sums: npt.NDArray[np.int64],
    cols: npt.NDArray[np.uint16],
    group: npt.NDArray[np.int64],
    owner: npt.NDArray[np.int64],
    bare: npt.NDArray[np.int32],
    red: npt.NDArray[np.int32],
    k: int,
    own: int,
    down: int,
    first: int,
    stop: int,
) -> None:
    """Add the evidence of one row of pixels for pixel `k`: neighbours within reach, of the same group."""
    for n in range(first, stop):
        right = np.int64(cols[n]) - np.int64(cols[k])
        if right > REACH:
            break
        if group[n] != group[k]:
            continue
        away = down * down + right * right
        if away > 0:
            sums[0 if away == 1 else 1 if away == 2 else 2] += bare[n]
        sums[3] = max(sums[3], bare[n])
        if away <= 2:
            sums[4] += 1
            sums[5] += red[n]
            sums[6] += owner[n] == own
        sums[7] += owner[n] == own
        sums[8] += 1


def parts(
    strip: Strip, owner: npt.NDArray[np.int64], member: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the connected part of an object for each pixel, and the object of each part.

    Parameters
    ----------
    strip : Strip
    owner : int64, (pixel,)
        The object that each pixel was in, or -1. Objects without a part of :data:`LEAST_PIXELS` keep
        their pixels.
    member : int64, (pixel,)
        The object that each pixel is found to belong to, or -1.

    Returns
    -------
    int64, (pixel,)
        -1 where in none.
    int64, (part,)
        In the order of the first pixels.
    """
    count = int(max(owner.max(initial=0), member.max(initial=0))) + 1
    label = _connected(strip, member)
    size = np.bincount(label[label >= 0], minlength=len(label))
    large = (label >= 0) & (size[label] >= LEAST_PIXELS)
    has = np.zeros(count, bool)
    has[member[large]] = True
    kept = np.where(large, member, -1)
    lost = (owner >= 0) & ~has[owner] & (kept < 0)
    kept[lost] = owner[lost]
    label = _connected(strip, kept)
    firsts, number = np.unique(label, return_inverse=True)
    shift = int(len(firsts) > 0 and firsts[0] < 0)
    return number.reshape(label.shape) - shift, kept[firsts[shift:]]


def _connected(strip: Strip, member: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the first pixel of the part that each pixel is in: joined by edges, of one object; or -1."""
    first = np.arange(len(member), dtype=np.int64)
    _connect(strip.starts, strip.cols, member, first)
    return first


@compiled
def _connect(
    starts: npt.NDArray[np.int64],
    cols: npt.NDArray[np.uint16],
    member: npt.NDArray[np.int64],
    first: npt.NDArray[np.int64],
) -> None:
    for r in range(starts.size - 1):
        for k in range(starts[r], starts[r + 1]):
            if member[k] < 0:
                continue
            left = k - 1 if k > starts[r] and cols[k - 1] + 1 == cols[k] else -1
            above = _at(starts, cols, r - 1, np.int64(cols[k]))
            for n in (left, above):
                if n >= 0 and member[n] == member[k]:
                    x, y = k, n
                    while first[x] != x:
                        first[x] = first[first[x]]
                        x = first[x]
                    while first[y] != y:
                        first[y] = first[first[y]]
                        y = first[y]
                    first[max(x, y)] = min(x, y)
    for k in range(member.size):
        first[k] = first[first[k]] if member[k] >= 0 else -1


def shapes(runs: tuple[npt.NDArray[np.int64], ...], count: int) -> npt.NDArray[np.int64]:
    """Return the shapes, ``(part, 12)`` as from :func:`components.shapes_of`, of runs of parts.

    `runs` are part, row, first column and the column behind the last. Edges shared between rows are not
    counted.
    """
    part, row, first, stop = runs
    size = stop - first
    ends = np.cumsum(size)
    cols = (np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - size - first, size)).astype(
        np.int32
    )
    return shapes_of(Runs(ends - size, ends, row, part, np.zeros(len(part), np.int64), count), cols, 0)
