"""Tiles of a raster at fixed grid coordinates, and their blending by linear weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Reader = Callable[[int, int, int, int], npt.NDArray[Any]]
"""(top, left, bottom, right) within the raster -> pixels ``(channel, y, x)``."""


def tile_starts(first: int, last: int, tile: int, overlap: int) -> range:
    """Return the starts of all tiles that touch pixels `first` to ``last - 1`` of one axis.

    Starts are multiples of ``tile - overlap`` counted from grid pixel 0, shifted by half an overlap. So a
    tile's place depends on no block, extent or order of work. The first may be negative.
    """
    step = tile - overlap
    shift = overlap // 2
    lowest = (first + shift - tile) // step + 1
    highest = (last - 1 + shift) // step
    return range(lowest * step - shift, highest * step - shift + 1, step)


def ramp(tile: int, overlap: int) -> npt.NDArray[np.float64]:
    """Return the weights of a tile's pixels along one axis: linear in the overlap, 1 elsewhere.

    Weights of neighbouring tiles add up to 1 at each pixel where at most two tiles meet.
    """
    weights = np.ones(tile)
    if overlap:
        rise = (np.arange(overlap) + 0.5) / overlap
        weights[:overlap] = rise
        weights[tile - overlap :] = rise[::-1]
    return weights


def reflected(first: int, count: int, length: int) -> npt.NDArray[np.int64]:
    """Return which pixels of an axis of `length` stand at `first` to ``first + count - 1``.

    Pixels outside are mirrored at the edge pixels (the edge itself is not repeated), as often as needed.
    """
    if length == 1:
        return np.zeros(count, dtype=np.int64)
    period = 2 * (length - 1)
    place = np.abs(np.arange(first, first + count)) % period
    return np.where(place < length, place, period - place)


def tile_pixels(read: Reader, shape: tuple[int, int], top: int, left: int, tile: int) -> npt.NDArray[Any]:
    """Return the pixels ``(channel, tile, tile)`` of the tile at (`top`, `left`), sides reflected."""
    rows = reflected(top, tile, shape[0])
    columns = reflected(left, tile, shape[1])
    corner = (int(rows.min()), int(columns.min()))
    pixels = read(*corner, int(rows.max()) + 1, int(columns.max()) + 1)
    return np.asarray(pixels[:, (rows - corner[0])[:, None], (columns - corner[1])[None, :]])


def blended(
    block: tuple[int, int, int, int],
    tiles: Iterator[tuple[int, int, npt.NDArray[Any]]],
    tile: int,
    overlap: int,
) -> npt.NDArray[np.float32]:
    """Return the weighted mean of tiles of values in one block of pixels, NaN where no tile lies.

    The sum of a pixel runs over its tiles in the order given; with row-major order its bits do not depend on
    the block.

    Parameters
    ----------
    block : (top, left, bottom, right)
        Grid pixels, the last two not included.
    tiles : iterator of (top, left, values)
        Values ``(tile, tile)``, in row-major order of their corners.
    tile, overlap : int
        Pixels.
    """
    top, left, bottom, right = block
    total = np.zeros((bottom - top, right - left))
    weight = np.zeros_like(total)
    along = ramp(tile, overlap)
    both = along[:, None] * along[None, :]
    for row, column, values in tiles:
        y0, y1 = max(row, top), min(row + tile, bottom)
        x0, x1 = max(column, left), min(column + tile, right)
        if y0 >= y1 or x0 >= x1:
            continue
        inside = np.s_[y0 - row : y1 - row, x0 - column : x1 - column]
        here = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
        total[here] += both[inside] * values[inside]
        weight[here] += both[inside]
    with np.errstate(invalid="ignore"):
        return np.where(weight > 0, total / weight, np.nan).astype(np.float32)
