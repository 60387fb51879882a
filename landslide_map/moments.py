"""The numba kernels: central moments of cells, and their exact merging into windows.

A *cell* is a rectangle of pixels that no window edge cuts. Its moments are computed in two passes
over its pixels, so nothing cancels however large the mean is against the spread; the moments of a
window are those of its cells, merged by the pairwise formulas of Pébay (2008), first along x, then
along y. All sums are float64, in an order that depends on nothing but the cell.

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
from numba import njit

COUNT, MEAN, M2, M3, M4, LOW, HIGH = range(7)
"""Positions on the moment axis: valid pixels, mean, sums of powers of deviations, extremes."""
MOMENTS: Final = 7

TILE: Final = 256
"""Columns summed together: their sums stay in the processor's nearest cache."""
EPSILON: Final = float(np.finfo(np.float64).eps)

Floats: TypeAlias = npt.NDArray[np.float64]
Indices: TypeAlias = npt.NDArray[np.int64]
Plane: TypeAlias = npt.NDArray[np.floating[Any]]

_kernel = njit(nogil=True, cache=True, error_model="numpy")


def empty_cells(rows: int, cols: int) -> Floats:
    """Return the moments of cells without a valid pixel, ``(rows, 7, cols)``."""
    cells = np.zeros((rows, MOMENTS, cols))
    cells[:, LOW], cells[:, HIGH] = np.inf, -np.inf
    return cells


@_kernel
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
    rows, cols = row_edges.size - 1, col_edges.size - 1
    cells = np.empty((rows, MOMENTS, cols))
    columns = np.empty((MOMENTS, plane.shape[1]))
    mean = np.empty(plane.shape[1])
    for i in range(rows):
        strip = plane[row_edges[i] : row_edges[i + 1]]
        for start in range(0, plane.shape[1], TILE):
            _sum_columns(strip, start, start + TILE, columns)
        for j in range(cols):
            _fold_first_pass(columns, col_edges[j], col_edges[j + 1], cells[i, :, j])
            mean[col_edges[j] : col_edges[j + 1]] = cells[i, MEAN, j]
        for start in range(0, plane.shape[1], TILE):
            _sum_deviations(strip, start, start + TILE, mean, columns)
        for j in range(cols):
            _fold_second_pass(columns, col_edges[j], col_edges[j + 1], cells[i, :, j])
    return cells


# Sums run down the columns: neighbouring columns are independent, so the compiler can vectorise
# without changing the order of any sum, and every machine gives the same bits. Each inner loop
# writes two arrays at most: with more, LLVM gives up proving that they do not overlap.


@_kernel
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


@_kernel
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


@_kernel
def _fold_first_pass(columns: Floats, start: int, stop: int, cell: Floats) -> None:
    """Set count, mean and extremes of one cell from its columns."""
    count, total, low, high = 0.0, 0.0, np.inf, -np.inf
    for x in range(start, stop):
        count += columns[COUNT, x]
        total += columns[MEAN, x]
        low = min(low, columns[LOW, x])
        high = max(high, columns[HIGH, x])
    cell[COUNT], cell[LOW], cell[HIGH] = count, low, high
    # A rounded mean would give a constant cell a spread.
    cell[MEAN] = 0.0 if count == 0.0 else (low if low == high else total / count)


@_kernel
def _fold_second_pass(columns: Floats, start: int, stop: int, cell: Floats) -> None:
    """Set the higher moments of one cell from its columns, freed of the rounding of the mean."""
    s1, s2, s3, s4 = 0.0, 0.0, 0.0, 0.0
    for x in range(start, stop):
        s1 += columns[MEAN, x]
        s2 += columns[M2, x]
        s3 += columns[M3, x]
        s4 += columns[M4, x]
    # Deviations were taken from a mean that is off by s1 / n: move the sums to the true one.
    shift = s1 / cell[COUNT] if cell[COUNT] > 0.0 else 0.0
    cell[MEAN] += shift
    cell[M2] = max(s2 - shift * s1, 0.0)
    cell[M3] = s3 - shift * (3.0 * s2 - 2.0 * shift * s1)
    cell[M4] = max(s4 - shift * (4.0 * s3 - shift * (6.0 * s2 - 3.0 * shift * s1)), 0.0)


@_kernel
def merge_columns(cells: Floats, first: Indices, stop: Indices) -> Floats:
    """Merge cells along x: entry ``j`` of each row is cells ``first[j]`` to ``stop[j] - 1``.

    `cells` is ``(cell row, 7, cell column)``, the result ``(cell row, 7, window column)``.
    """
    merged = np.empty((cells.shape[0], MOMENTS, first.size))
    for i in range(cells.shape[0]):
        for j in range(first.size):
            merged[i, :, j] = cells[i, :, first[j]]
            for k in range(first[j] + 1, stop[j]):
                _merge(merged[i], j, cells[i], k)
    return merged


@_kernel
def merge_rows(cells: Floats, first: Indices, stop: Indices) -> Floats:
    """Merge cells along y: row ``i`` of the result is rows ``first[i]`` to ``stop[i] - 1``.

    `cells` is ``(cell row, 7, column)``, the result ``(window row, 7, column)``.
    """
    merged = np.empty((first.size, MOMENTS, cells.shape[2]))
    for i in range(first.size):
        merged[i] = cells[first[i]]
        for k in range(first[i] + 1, stop[i]):
            for j in range(cells.shape[2]):
                _merge(merged[i], j, cells[k], j)
    return merged


@_kernel
def _merge(into: Floats, j: int, other: Floats, k: int) -> None:
    """Add the moments ``other[:, k]`` to ``into[:, j]`` (Pébay 2008, equation 3.1 for p = 2, 3, 4)."""
    na, nb = into[COUNT, j], other[COUNT, k]
    if nb == 0.0:
        return
    if na == 0.0:
        into[:, j] = other[:, k]
        return
    n = na + nb
    delta = other[MEAN, k] - into[MEAN, j]
    step = delta / n
    a2, a3, b2, b3 = into[M2, j], into[M3, j], other[M2, k], other[M3, k]
    between = delta * step * na * nb
    into[COUNT, j] = n
    into[MEAN, j] += step * nb
    into[M2, j] += b2 + between
    into[M3, j] += b3 + step * (between * (na - nb) + 3.0 * (na * b2 - nb * a2))
    into[M4, j] += (
        other[M4, k]
        + step * step * (between * (na * na - na * nb + nb * nb) + 6.0 * (na * na * b2 + nb * nb * a2))
        + 4.0 * step * (na * b3 - nb * a3)
    )
    into[LOW, j] = min(into[LOW, j], other[LOW, k])
    into[HIGH, j] = max(into[HIGH, j], other[HIGH, k])


@_kernel
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
        Valid fraction, mean, std (ddof 0), min, max, skew and kurtosis (biased, Fisher). All but
        the first are NaN without a valid pixel; skew and kurtosis are NaN, too, where the spread
        is nothing but rounding, by SciPy's rule ``variance <= (eps * mean) ** 2``.
    """
    rows, cols = moments.shape[0], moments.shape[2]
    statistics = np.empty((rows, cols, MOMENTS))
    for i in range(rows):
        for j in range(cols):
            n, mean = moments[i, COUNT, j], moments[i, MEAN, j]
            out = statistics[i, j]
            out[0] = n / area
            out[1:] = nan
            if n == 0.0:
                continue
            variance = moments[i, M2, j] / n
            out[1], out[2] = mean, sqrt(variance)
            out[3], out[4] = moments[i, LOW, j], moments[i, HIGH, j]
            if variance > (EPSILON * mean) ** 2:
                out[5] = moments[i, M3, j] / n / variance**1.5
                out[6] = moments[i, M4, j] / n / variance**2 - 3.0
    return statistics


@_kernel
def window_medians(plane: Plane, row_starts: Indices, col_starts: Indices, size: tuple[int, int]) -> Floats:
    """Return the median of the finite pixels of every window, NaN where there is none.

    `plane` is ``(row, col)``, `size` the rows and columns of a window; the result is
    ``(window row, window column)``.
    """
    medians = np.empty((row_starts.size, col_starts.size))
    valid = np.empty(size[0] * size[1])
    for i in range(row_starts.size):
        for j in range(col_starts.size):
            count = 0
            for row in range(row_starts[i], row_starts[i] + size[0]):
                for col in range(col_starts[j], col_starts[j] + size[1]):
                    value = np.float64(plane[row, col])
                    valid[count] = value
                    count += 1 if abs(value) < np.inf else 0
            medians[i, j] = np.median(valid[:count]) if count else nan
    return medians
