"""Numba kernels of central moments of cells, and of their exact merging into windows.

A *cell* is a rectangle of pixels that no window edge cuts. Its moments are computed in two passes over
its pixels, so nothing cancels, however large the mean is against the spread. The pairwise formulas of
Pébay (2008) merge the cells of a window, first along x, then along y. All sums are float64, in an order
that depends on nothing but the cell.

References
----------
Pébay, P. (2008), Formulas for robust, one-pass parallel computation of covariances and
arbitrary-order statistical moments, SAND2008-6212, Sandia National Laboratories,
doi:10.2172/1028931, equations 2.1, 3.1.
"""

from __future__ import annotations

from math import nan, sqrt
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from landslide_map.array_types import Floats, Indices
from landslide_map.runtime.jit import compiled

COUNT, MEAN, M2, M3, M4, LOW, HIGH = range(7)
"""Positions on the moment axis: valid pixels, mean, sums of powers of deviations, extremes."""
MOMENTS: Final = 7
STATISTICS: Final = ("valid_fraction", "mean", "std", "min", "max", "skew", "kurtosis")
"""Statistics from :func:`summarise`, in order."""

TILE: Final = 256
"""Columns summed together: their sums stay in the CPU's nearest cache."""
EPSILON: Final = float(np.finfo(np.float64).eps)

Plane: TypeAlias = npt.NDArray[np.floating[Any]]
Moments: TypeAlias = tuple[float, float, float, float, float, float, float]


def empty_cells(rows: int, cols: int) -> Floats:
    """Return the moments of cells without a valid pixel, ``(rows, 7, cols)``."""
    cells = np.zeros((rows, MOMENTS, cols))
    cells[:, LOW], cells[:, HIGH] = np.inf, -np.inf
    return cells


def cell_moments(plane: Plane, row_edges: Indices, col_edges: Indices) -> Floats:
    """Return the central moments of the cells of one plane of pixels.

    Parameters
    ----------
    plane : float array, (row, col)
        Pixels that are not finite do not count.
    row_edges, col_edges : int64 arrays
        Increasing; cell ``(i, j)`` is ``[row_edges[i], row_edges[i + 1]) x [col_edges[j], ...)``.

    Returns
    -------
    float64 array, (cell row, 7, cell column)
        ``COUNT, MEAN, M2, M3, M4, LOW, HIGH``; an empty cell is ``0, 0, 0, 0, 0, inf, -inf``.
    """
    cells = np.empty((row_edges.size - 1, MOMENTS, col_edges.size - 1))
    width = plane.shape[1]
    _fill_cells(plane, row_edges, col_edges, cells, np.empty((MOMENTS, width)), np.empty(width))
    return cells


@compiled
def _fill_cells(
    plane: Plane, row_edges: Indices, col_edges: Indices, cells: Floats, columns: Floats, mean: Floats
) -> None:
    width, cols = mean.size, cells.shape[2]
    for i in range(cells.shape[0]):
        strip = plane[row_edges[i] : row_edges[i + 1]]
        for start in range(0, width, TILE):
            _sum_columns(strip, start, start + TILE, columns)
        for j in range(cols):
            _fold_first_pass(columns, col_edges[j], col_edges[j + 1], cells, i, j)
            for x in range(col_edges[j], col_edges[j + 1]):
                mean[x] = cells[i, MEAN, j]
        for start in range(0, width, TILE):
            _sum_deviations(strip, start, start + TILE, mean, columns)
        for j in range(cols):
            _fold_second_pass(columns, col_edges[j], col_edges[j + 1], cells, i, j)


# Sums run down the columns. Neighbouring columns are independent: the compiler can vectorise without
# changing the order of any sum, and every machine gives the same bits. Each inner loop writes two
# arrays at most: with more, LLVM gives up proving that they do not overlap.


@compiled
def _sum_columns(strip: Plane, start: int, stop: int, columns: Floats) -> None:
    """Fill count, sum (at MEAN), lowest and highest of the columns ``start`` to ``stop - 1``."""
    count, total = columns[COUNT][start:stop], columns[MEAN][start:stop]
    low, high = columns[LOW][start:stop], columns[HIGH][start:stop]
    count[:], total[:], low[:], high[:] = 0.0, 0.0, np.inf, -np.inf
    for row in range(strip.shape[0]):
        line = strip[row][start:stop]
        for x in range(line.size):
            value = np.float64(line[x])
            valid = abs(value) < np.inf  # false for NaN, too
            count[x] += 1.0 if valid else 0.0
            total[x] += value if valid else 0.0
        for x in range(line.size):
            value = np.float64(line[x])
            valid = abs(value) < np.inf
            low[x] = min(low[x], value if valid else np.inf)
            high[x] = max(high[x], value if valid else -np.inf)


@compiled
def _sum_deviations(strip: Plane, start: int, stop: int, means: Floats, columns: Floats) -> None:
    """Fill the sums of powers 1 (at MEAN) to 4 of deviations of the columns ``start`` to ``stop - 1``."""
    m1, m2 = columns[MEAN][start:stop], columns[M2][start:stop]
    m3, m4 = columns[M3][start:stop], columns[M4][start:stop]
    mean = means[start:stop]
    m1[:], m2[:], m3[:], m4[:] = 0.0, 0.0, 0.0, 0.0
    for row in range(strip.shape[0]):
        line = strip[row][start:stop]
        for x in range(line.size):
            value = np.float64(line[x])
            deviation = value - mean[x] if abs(value) < np.inf else 0.0
            m1[x] += deviation
            m2[x] += deviation * deviation
        for x in range(line.size):
            value = np.float64(line[x])
            deviation = value - mean[x] if abs(value) < np.inf else 0.0
            square = deviation * deviation
            m3[x] += square * deviation
            m4[x] += square * square


@compiled
def _fold_first_pass(columns: Floats, start: int, stop: int, cells: Floats, i: int, j: int) -> None:
    """Set count, mean and extremes of cell ``i, j`` from its columns."""
    count, total, low, high = 0.0, 0.0, np.inf, -np.inf
    for x in range(start, stop):
        count += columns[COUNT, x]
        total += columns[MEAN, x]
        low = min(low, columns[LOW, x])
        high = max(high, columns[HIGH, x])
    cells[i, COUNT, j], cells[i, LOW, j], cells[i, HIGH, j] = count, low, high
    # A rounded mean would give a constant cell a spread.
    cells[i, MEAN, j] = 0.0 if count == 0.0 else (low if low == high else total / count)


@compiled
def _fold_second_pass(columns: Floats, start: int, stop: int, cells: Floats, i: int, j: int) -> None:
    """Set the higher moments of cell ``i, j`` from its columns, freed of the rounding of the mean."""
    s1, s2, s3, s4 = 0.0, 0.0, 0.0, 0.0
    for x in range(start, stop):
        s1 += columns[MEAN, x]
        s2 += columns[M2, x]
        s3 += columns[M3, x]
        s4 += columns[M4, x]
    # Deviations were taken from a mean that is off by s1 / n: move the sums to the true one.
    count = cells[i, COUNT, j]
    shift = s1 / count if count > 0.0 else 0.0
    cells[i, MEAN, j] += shift
    cells[i, M2, j] = max(s2 - shift * s1, 0.0)
    cells[i, M3, j] = s3 - shift * (3.0 * s2 - 2.0 * shift * s1)
    cells[i, M4, j] = max(s4 - shift * (4.0 * s3 - shift * (6.0 * s2 - 3.0 * shift * s1)), 0.0)


def merge_columns(cells: Floats, first: Indices, stop: Indices) -> Floats:
    """Merge cells along x: entry ``j`` of each row is cells ``first[j]`` to ``stop[j] - 1``.

    `cells` is ``(cell row, 7, cell column)``, the result ``(cell row, 7, window column)``.
    """
    merged = np.empty((cells.shape[0], MOMENTS, first.size))
    _merge_columns(cells, first, stop, merged)
    return merged


@compiled
def _merge_columns(cells: Floats, first: Indices, stop: Indices, merged: Floats) -> None:
    for i in range(cells.shape[0]):
        for j in range(first.size):
            total = _load(cells, i, first[j])
            for k in range(first[j] + 1, stop[j]):
                total = _merge(total, _load(cells, i, k))
            _store(merged, i, j, total)


def merge_rows(cells: Floats, first: Indices, stop: Indices) -> Floats:
    """Merge cells along y: row ``i`` of the result is rows ``first[i]`` to ``stop[i] - 1``.

    `cells` is ``(cell row, 7, column)``, the result ``(window row, 7, column)``.
    """
    merged = np.empty((first.size, MOMENTS, cells.shape[2]))
    _merge_rows(cells, first, stop, merged)
    return merged


@compiled
def _merge_rows(cells: Floats, first: Indices, stop: Indices, merged: Floats) -> None:
    for i in range(first.size):
        for j in range(cells.shape[2]):
            total = _load(cells, first[i], j)
            for k in range(first[i] + 1, stop[i]):
                total = _merge(total, _load(cells, k, j))
            _store(merged, i, j, total)


@compiled
def _load(cells: Floats, i: int, j: int) -> Moments:
    return (
        cells[i, COUNT, j],
        cells[i, MEAN, j],
        cells[i, M2, j],
        cells[i, M3, j],
        cells[i, M4, j],
        cells[i, LOW, j],
        cells[i, HIGH, j],
    )


@compiled
def _store(cells: Floats, i: int, j: int, values: Moments) -> None:
    n, mean, m2, m3, m4, low, high = values
    cells[i, COUNT, j], cells[i, MEAN, j], cells[i, LOW, j], cells[i, HIGH, j] = n, mean, low, high
    cells[i, M2, j], cells[i, M3, j], cells[i, M4, j] = m2, m3, m4


@compiled
def _merge(a: Moments, b: Moments) -> Moments:
    """Merge the moments of two disjoint sets (Pébay 2008, equation 3.1 for p = 2, 3, 4)."""
    na, mean_a, a2, a3, a4, low_a, high_a = a
    nb, mean_b, b2, b3, b4, low_b, high_b = b
    if nb == 0.0:
        return a
    if na == 0.0:
        return b
    n = na + nb
    delta = mean_b - mean_a
    step = delta / n
    between = delta * step * na * nb
    m3 = step * (between * (na - nb) + 3.0 * (na * b2 - nb * a2))
    m4 = step * (
        step * (between * (na * na - na * nb + nb * nb) + 6.0 * (na * na * b2 + nb * nb * a2))
        + 4.0 * (na * b3 - nb * a3)
    )
    return (
        n,
        mean_a + step * nb,
        a2 + b2 + between,
        a3 + b3 + m3,
        a4 + b4 + m4,
        min(low_a, low_b),
        max(high_a, high_b),
    )


def summarise(moments: Floats, area: int) -> Floats:
    """Turn moments into statistics.

    Parameters
    ----------
    moments : float64 array, (window row, 7, window column)
    area : int
        Pixels of a whole window.

    Returns
    -------
    float64 array, (window row, window column, 7)
        Valid fraction, mean, std (ddof 0), min, max, skew and kurtosis (biased, Fisher). All but the first
        are NaN without a valid pixel. Skew and kurtosis are NaN, too, where the spread is only rounding, by
        SciPy's rule ``variance <= (eps * mean) ** 2``.
    """
    statistics = np.full((moments.shape[0], moments.shape[2], MOMENTS), nan)
    _fill_statistics(moments, area, statistics)
    return statistics


@compiled
def _fill_statistics(moments: Floats, area: int, statistics: Floats) -> None:
    for i in range(statistics.shape[0]):
        for j in range(statistics.shape[1]):
            n, mean, low, high = (
                moments[i, COUNT, j],
                moments[i, MEAN, j],
                moments[i, LOW, j],
                moments[i, HIGH, j],
            )
            m2, m3, m4 = moments[i, M2, j], moments[i, M3, j], moments[i, M4, j]
            statistics[i, j, 0] = n / area
            if n == 0.0:
                continue
            variance = m2 / n
            std = sqrt(variance)
            statistics[i, j, 1] = mean
            statistics[i, j, 2] = std
            statistics[i, j, 3] = low
            statistics[i, j, 4] = high
            if variance > (EPSILON * mean) ** 2:
                statistics[i, j, 5] = m3 / n / (variance * std)
                statistics[i, j, 6] = m4 / n / (variance * variance) - 3.0
