"""Early exit: windows with a certain class, alone and for the pixels they share.

The *margin* of a window is its probability minus its threshold. A pixel is a landslide where the mean
probability of the windows over it exceeds the mean of their thresholds. Their margins then sum to more than
0. So the sums of bounds of margins bound the class of a pixel. Windows that are not analysed add nothing.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from landslide_map.array_types import Bools, Floats
from landslide_map.windows import Span, WindowPlan, intervals

SAFE: Final = 1e-6
"""Nearer to 0 than this a mean margin is open: files hold float32, and networks compute in it."""


def decided_windows(low: Floats, high: Floats) -> Bools:
    """Return the windows with one class at both bounds of their margin, ``(window,)``."""
    decided: Bools = (low > SAFE) | (high < -SAFE)
    return decided


def decided_windows_and_pixels(
    low: Floats, high: Floats, plan: WindowPlan, rows: range, elsewhere: tuple[float, float]
) -> Bools:
    """Return the windows with a decided class, also in every pixel that they cover.

    These windows and pixels keep their class for all margins within the bounds. A pixel is decided only
    together with all the windows over it, so that none of them counts on another's old bounds.

    Parameters
    ----------
    low, high : ndarray, (window,)
        Bounds of the margins of whole rows of windows, row-major; both 0 where a window is not analysed.
    plan : WindowPlan
    rows : range
        Those rows of windows.
    elsewhere : tuple of float
        Bounds of the margin of any other window of `plan`.
    """
    row_edges, row_span = intervals(plan.row_starts, plan.size, rows)
    col_edges, col_span = intervals(plan.col_starts, plan.size, range(plan.grid_shape[1]))
    here = (np.clip(row_span[0], rows.start, rows.stop), np.clip(row_span[1], rows.start, rows.stop))
    here = (here[0] - rows.start, here[1] - rows.start)
    over = np.outer(row_span[1] - row_span[0], col_span[1] - col_span[0])
    others = over - np.outer(here[1] - here[0], col_span[1] - col_span[0])
    shape = (len(rows), plan.grid_shape[1])
    least = _sums(low.reshape(shape), here, col_span) + others * elsewhere[0]
    most = _sums(high.reshape(shape), here, col_span) + others * elsewhere[1]
    open_cells = (least <= SAFE * over) & (most >= -SAFE * over)
    down = _position(row_edges, plan.row_starts[rows.start : rows.stop], plan.size)
    across = _position(col_edges, plan.col_starts, plan.size)
    pixels_decided: Bools = _sums(open_cells.astype(np.int64), down, across).ravel() == 0
    return decided_windows(low, high) & pixels_decided


def _position(edges: npt.NDArray[np.int64], starts: npt.NDArray[np.int64], size: int) -> Span:
    """Return the cells that windows cover along an axis."""
    return np.searchsorted(edges, starts), np.searchsorted(edges, starts + size)


def _sums(values: npt.NDArray[Any], rows: Span, cols: Span) -> npt.NDArray[Any]:
    """Return the sum of ``values[rows[0]:rows[1], cols[0]:cols[1]]`` for every pair of spans."""
    total = np.zeros((values.shape[0] + 1, values.shape[1] + 1), values.dtype)
    total[1:, 1:] = values.cumsum(axis=0).cumsum(axis=1)
    down = total[rows[1]] - total[rows[0]]
    found: npt.NDArray[Any] = down[:, cols[1]] - down[:, cols[0]]
    return found
