"""Compiled loops of resampling: grid pixels from source pixels and coordinate nodes.

Every arithmetic step of a pixel depends on its place in the grid and never on the block it is read
in, so that results are equal to the last bit for any chunking.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from landslide_map.array_types import Floats, Floats32
from landslide_map.runtime.jit import compiled

Nodes = Floats
Line = Floats

HALF = 0.5 - 1e-6
"""Least share of the weight on valid neighbours: a half, less a margin for the noise of an exact tie."""


@compiled
def _between_nodes(nodes: Nodes, i: int, down: float, line: Line) -> None:
    """Fill `line` with node values `down`, in [0, 1], of the way from node row i to the next."""
    for j in range(line.size):
        line[j] = nodes[i, j] + (nodes[i + 1, j] - nodes[i, j]) * down


@compiled
def _along(line: Line, block_col: int, across: Line, out: Line) -> None:
    """Interpolate a line of nodes at grid pixels, the first of them `block_col` pixels after the first node.

    `across` says for each pixel between two nodes how far, in [0, 1], it is from one node to the next.
    """
    start, step = 0, across.size
    while start < out.size:
        j = (block_col + start) // step
        first = block_col + start - j * step
        stop = min(start + step - first, out.size)
        node, way, cell, part = line[j], line[j + 1] - line[j], across[first:], out[start:stop]
        for k in range(part.size):
            part[k] = node + way * cell[k]
        start = stop


# Loops over a row of pixels that write one array each: LLVM vectorises them, every pixel by the same steps.


@compiled
def _places(rows: Line, cols: Line, pixels_row: int, pixels_col: int, pixels: Floats32, out: Any) -> None:
    """Fill `out` with the place in `pixels` of the upper left of four neighbours, counted; -1 at edges."""
    height, width = pixels.shape
    for k in range(out.size):
        # Compared as floats first: NaN (from an infinite node) and far-away values must not become integers.
        top, left = np.floor(rows[k] - 0.5) - pixels_row, np.floor(cols[k] - 0.5) - pixels_col
        inside = (top >= 0) & (top < height - 1) & (left >= 0) & (left < width - 1)
        out[k] = int(top * width + left if inside else -1.0)


@compiled
def _weighted(flat: Any, width: int, places: Any, rows: Line, cols: Line, out: Line) -> None:
    """Fill `out` with the weighted sum of four neighbours where there are places; with anything elsewhere.

    `flat` holds the pixels, row by row of `width`.
    """
    if flat.size < width + 2:
        return  # a single row or column has no places
    for k in range(out.size):
        place = max(places[k], 0)
        # Weights come from the place in the whole source: subtracting the window's first would round.
        below, right = rows[k] - 0.5 - np.floor(rows[k] - 0.5), cols[k] - 0.5 - np.floor(cols[k] - 0.5)
        upper = flat[place] * (1 - right) + flat[place + 1] * right
        lower = flat[place + width] * (1 - right) + flat[place + width + 1] * right
        out[k] = upper * (1 - below) + lower * below


@compiled
def _of_the_valid(pixels: Floats32, pixels_row: int, pixels_col: int, row: float, col: float) -> Any:
    """Return the weighted sum of the valid neighbours of a source position, and their weight."""
    height, width = pixels.shape
    row_floor, col_floor = np.floor(row - 0.5), np.floor(col - 0.5)
    if not (pixels_row - 1 <= row_floor < pixels_row + height):
        return 0.0, 0.0
    if not (pixels_col - 1 <= col_floor < pixels_col + width):
        return 0.0, 0.0
    top, left = int(row_floor) - pixels_row, int(col_floor) - pixels_col
    below, right = row - 0.5 - row_floor, col - 0.5 - col_floor
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


def bilinear(
    pixels: Floats32,
    node_rows: Nodes,
    node_cols: Nodes,
    pixels_row: int,
    pixels_col: int,
    block_row: int,
    block_col: int,
    step: int,
    samples_down: int,
    samples_across: int,
    out: Floats32,
) -> None:
    """Fill `out` with the mean of bilinear samples of `pixels` in every grid pixel.

    Parameters
    ----------
    pixels : ndarray, (row, col), float32
        Part of the source; its first pixel is (`pixels_row`, `pixels_col`) of the whole; NaN = missing.
    node_rows, node_cols : ndarray, (node row, node column), float64
        Source coordinates of the nodes (:func:`landslide_map.raster.coordinates.node_coordinates`).
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
    width = out.shape[1]
    buffers, lines = np.empty((5, width)), np.empty((2, node_rows.shape[1]))
    across, places = np.empty(step), np.empty(width, np.int64)
    nodes, place = (node_rows, node_cols), (pixels_row, pixels_col, block_row, block_col)
    _bilinear(
        pixels,
        pixels.ravel(),
        *nodes,
        *place,
        samples_down,
        samples_across,
        buffers,
        lines,
        across,
        places,
        out,
    )


@compiled
def _bilinear(
    pixels: Floats32,
    flat: Any,
    node_rows: Nodes,
    node_cols: Nodes,
    pixels_row: int,
    pixels_col: int,
    block_row: int,
    block_col: int,
    samples_down: int,
    samples_across: int,
    buffers: Floats,
    lines: Floats,
    across: Line,
    places: Any,
    out: Floats32,
) -> None:
    width, step = out.shape[1], across.size
    rows, cols, values, total, weight = buffers[0], buffers[1], buffers[2], buffers[3], buffers[4]
    line_rows, line_cols = lines[0], lines[1]
    for r in range(out.shape[0]):
        i = (block_row + r) // step
        row_in_cell = block_row + r - i * step
        for c in range(width):
            total[c], weight[c] = 0.0, 0.0
        for a in range(samples_down):
            down = (row_in_cell + (a + 0.5) / samples_down) / step
            _between_nodes(node_rows, i, down, line_rows)
            _between_nodes(node_cols, i, down, line_cols)
            for b in range(samples_across):
                for c in range(step):
                    across[c] = (c + (b + 0.5) / samples_across) / step
                _along(line_rows, block_col, across, rows)
                _along(line_cols, block_col, across, cols)
                _places(rows, cols, pixels_row, pixels_col, pixels, places)
                _weighted(flat, pixels.shape[1], places, rows, cols, values)
                for c in range(width):
                    value, share = values[c], 1.0
                    if places[c] < 0 or np.isnan(value):
                        value, share = _of_the_valid(pixels, pixels_row, pixels_col, rows[c], cols[c])
                    total[c] += value
                    weight[c] += share
        for c in range(width):
            if weight[c] >= HALF * samples_down * samples_across:
                out[r, c] = total[c] / weight[c]


def nearest_pixel(
    pixels: Floats32,
    node_rows: Nodes,
    node_cols: Nodes,
    pixels_row: int,
    pixels_col: int,
    block_row: int,
    block_col: int,
    step: int,
    out: Floats32,
) -> None:
    """Fill `out` with the source pixel that holds the centre of each grid pixel; see :func:`bilinear`."""
    place = (pixels_row, pixels_col, block_row, block_col, step)
    _nearest_pixel(pixels, node_rows, node_cols, *place, np.empty((2, node_rows.shape[1])), out)


@compiled
def _nearest_pixel(
    pixels: Floats32,
    node_rows: Nodes,
    node_cols: Nodes,
    pixels_row: int,
    pixels_col: int,
    block_row: int,
    block_col: int,
    step: int,
    lines: Floats,
    out: Floats32,
) -> None:
    height, width = pixels.shape
    rows, cols = lines[0], lines[1]
    for r in range(out.shape[0]):
        i = (block_row + r) // step
        down = (block_row + r - i * step + 0.5) / step
        _between_nodes(node_rows, i, down, rows)
        _between_nodes(node_cols, i, down, cols)
        for c in range(out.shape[1]):
            j = (block_col + c) // step
            across = (block_col + c - j * step + 0.5) / step
            # Nested lattices put centres on pixel edges; rounding noise must not choose the neighbour.
            row = np.floor(rows[j] + (rows[j + 1] - rows[j]) * across + 1e-6)
            col = np.floor(cols[j] + (cols[j + 1] - cols[j]) * across + 1e-6)
            if pixels_row <= row < pixels_row + height and pixels_col <= col < pixels_col + width:
                out[r, c] = pixels[int(row) - pixels_row, int(col) - pixels_col]
