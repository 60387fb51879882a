"""The loops of resampling, compiled: grid pixels from source pixels and lattice nodes.

Every arithmetic step of a pixel depends on its place in the grid and never on the block it is read
in, so that results are equal to the last bit for any chunking; hence no `fastmath` here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.float32]
Nodes = npt.NDArray[np.float64]

HALF = 0.5 - 1e-6
"""Share of the weight that valid neighbours must carry: a half, with room for the noise of an exact tie."""

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile for threads, once per machine."""
    return cast(_Function, numba.njit(nogil=True, cache=True, error_model="numpy")(function))


@compiled
def _row_of_nodes(nodes: Nodes, i: int, down: float) -> Any:
    """Node values on a line that is `down`, in [0, 1], of the way from node row i to the next."""
    return nodes[i] + (nodes[i + 1] - nodes[i]) * down


@compiled
def _sample(pixels: Pixels, pixels_row: int, pixels_col: int, row: float, col: float) -> Any:
    """Weighted sum of the valid neighbours of a source position, and their weight."""
    height, width = pixels.shape
    row_floor, col_floor = np.floor(row - 0.5), np.floor(col - 0.5)
    # Compared as floats first: NaN (from an infinite node) and far-away values must not become integers.
    if not (pixels_row - 1 <= row_floor < pixels_row + height):
        return 0.0, 0.0
    if not (pixels_col - 1 <= col_floor < pixels_col + width):
        return 0.0, 0.0
    top, left = int(row_floor) - pixels_row, int(col_floor) - pixels_col
    # Weights come from the place in the whole source: subtracting the window's first would round.
    below, right = row - 0.5 - row_floor, col - 0.5 - col_floor
    if 0 <= top < height - 1 and 0 <= left < width - 1:
        upper = pixels[top, left] * (1 - right) + pixels[top, left + 1] * right
        lower = pixels[top + 1, left] * (1 - right) + pixels[top + 1, left + 1] * right
        total = upper * (1 - below) + lower * below
        if not np.isnan(total):
            return total, 1.0
    total, weight = 0.0, 0.0
    for y in range(2):
        for x in range(2):
            if 0 <= top + y < height and 0 <= left + x < width:
                value = pixels[top + y, left + x]
                if not np.isnan(value):
                    share = (below if y else 1 - below) * (right if x else 1 - right)
                    total += share * value
                    weight += share
    return total, weight


@compiled
def bilinear(
    pixels: Pixels,
    node_rows: Nodes,
    node_cols: Nodes,
    pixels_row: int,
    pixels_col: int,
    block_row: int,
    block_col: int,
    step: int,
    samples_down: int,
    samples_across: int,
    out: Pixels,
) -> None:
    """Fill `out` with the mean of bilinear samples of `pixels` in every grid pixel.

    Parameters
    ----------
    pixels : ndarray, (row, col), float32
        Part of the source whose first pixel is (`pixels_row`, `pixels_col`) of the whole; NaN = missing.
    node_rows, node_cols : ndarray, (node row, node column), float64
        Source coordinates of the lattice nodes (:func:`landslide_map.lattice.node_coordinates`).
    pixels_row, pixels_col : int
        Place of `pixels` in the source.
    block_row, block_col : int
        Grid pixels between the first node and the first pixel of `out`.
    step : int
        Grid pixels between nodes.
    samples_down, samples_across : int
        Samples per grid pixel; 1 is plain bilinear interpolation at its centre.
    out : ndarray, (row, col), float32
        Written where the valid neighbours of the samples carry at least half of the weight.
    """
    lines = np.empty((samples_down, 2, node_rows.shape[1]))
    for r in range(out.shape[0]):
        i, row_in_cell = divmod(block_row + r, step)
        for a in range(samples_down):
            down = (row_in_cell + (a + 0.5) / samples_down) / step
            lines[a, 0] = _row_of_nodes(node_rows, i, down)
            lines[a, 1] = _row_of_nodes(node_cols, i, down)
        for c in range(out.shape[1]):
            j, col_in_cell = divmod(block_col + c, step)
            total, weight = 0.0, 0.0
            for a in range(samples_down):
                rows, cols = lines[a, 0], lines[a, 1]
                for b in range(samples_across):
                    across = (col_in_cell + (b + 0.5) / samples_across) / step
                    row = rows[j] + (rows[j + 1] - rows[j]) * across
                    col = cols[j] + (cols[j + 1] - cols[j]) * across
                    value, share = _sample(pixels, pixels_row, pixels_col, row, col)
                    total += value
                    weight += share
            if weight >= HALF * samples_down * samples_across:
                out[r, c] = total / weight


@compiled
def nearest_pixel(
    pixels: Pixels,
    node_rows: Nodes,
    node_cols: Nodes,
    pixels_row: int,
    pixels_col: int,
    block_row: int,
    block_col: int,
    step: int,
    out: Pixels,
) -> None:
    """Fill `out` with the source pixel that holds the centre of each grid pixel; see :func:`bilinear`."""
    height, width = pixels.shape
    for r in range(out.shape[0]):
        i, row_in_cell = divmod(block_row + r, step)
        down = (row_in_cell + 0.5) / step
        rows, cols = _row_of_nodes(node_rows, i, down), _row_of_nodes(node_cols, i, down)
        for c in range(out.shape[1]):
            j, col_in_cell = divmod(block_col + c, step)
            across = (col_in_cell + 0.5) / step
            # Nested lattices put centres on pixel edges; rounding noise must not choose the neighbour.
            row = np.floor(rows[j] + (rows[j + 1] - rows[j]) * across + 1e-6)
            col = np.floor(cols[j] + (cols[j + 1] - cols[j]) * across + 1e-6)
            if pixels_row <= row < pixels_row + height and pixels_col <= col < pixels_col + width:
                out[r, c] = pixels[int(row) - pixels_row, int(col) - pixels_col]


@compiled
def median_of_valid(dates: npt.NDArray[np.float32]) -> Pixels:
    """Return the median over the first axis of the values that are not NaN; NaN where there is none."""
    count, height, width = dates.shape
    out = np.empty((height, width), np.float32)
    valid = np.empty(count, np.float32)
    for r in range(height):
        for c in range(width):
            n = 0
            for k in range(count):
                value = dates[k, r, c]
                if not np.isnan(value):
                    # Insertion sort: a pixel has a handful of dates.
                    place = n
                    while place > 0 and valid[place - 1] > value:
                        valid[place] = valid[place - 1]
                        place -= 1
                    valid[place] = value
                    n += 1
            if n == 0:
                out[r, c] = np.nan
            else:
                out[r, c] = (np.float64(valid[(n - 1) // 2]) + np.float64(valid[n // 2])) / 2
    return out
