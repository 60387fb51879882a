"""Features as normal scores: what small networks are given instead of raw statistics."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from landslide_map.compiled import compiled

_ROWS: Final = 256
"""Windows at a time: one feature of so many stays in the processor's cache."""


def normal_scores(
    features: npt.NDArray[np.float32], knots: npt.NDArray[np.float32], scores: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Map each feature to its normal score by linear interpolation between training quantiles.

    Parameters
    ----------
    features : ndarray, (window, feature)
    knots : ndarray, (feature, knot), never decreasing
        Where some are equal, the first one's score counts.
    scores : ndarray, (knot,)

    Returns
    -------
    ndarray, (window, feature), float32
        Values beyond the outermost quantiles get their scores; NaN stays NaN.
    """
    mapped = np.empty(features.shape, dtype=np.float32)
    # Lines are made anew each time: a fortieth of the work for 2,048 windows, and nothing to keep.
    _interpolate(features, knots, *_lines(knots, scores), mapped)
    return mapped


def _lines(
    knots: npt.NDArray[np.float32], scores: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the score at each knot and the slope from there to the next, ``(feature, knot)`` each.

    Of equal knots only the last is looked up, and it has the score of the first.
    """
    places = np.arange(knots.shape[1])
    first = np.where(np.diff(knots, axis=1, prepend=-np.inf) > 0, places, 0)
    start = scores.astype(np.float64)[np.maximum.accumulate(first, axis=1)]
    rise, run = scores[1:] - start[:, :-1], np.diff(knots.astype(np.float64), axis=1)
    slope = np.zeros(knots.shape)
    np.divide(rise, run, out=slope[:, :-1], where=run > 0)
    return start, slope


# Loops over windows that write one array each, without branches: LLVM vectorises them. Unsigned places, as
# Python's negative ones would cost half of the speed.


@compiled
def _interpolate(features: Any, knots: Any, start: Any, slope: Any, out: Any) -> None:
    """Fill `out` with the piecewise linear function of each feature, in the arithmetic of `numpy.interp`."""
    windows, count = features.shape[0], knots.shape[1]
    values, places = np.empty(_ROWS, features.dtype), np.empty(_ROWS, np.uint32)
    for begin in range(0, windows, _ROWS):
        rows = min(_ROWS, windows - begin)
        for i in range(features.shape[1]):
            line, least, most = knots[i], knots[i, 0], knots[i, count - 1]
            for r in range(rows):
                value = features[begin + r, i]
                values[r] = least if value < least else (most if value > most else value)
                places[r] = 0
            left = count
            while left > 1:  # the last knot that is not above the value: halve what may hold it
                half = np.uint32(left // 2)
                for r in range(rows):
                    places[r] += half if line[places[r] + half] <= values[r] else np.uint32(0)
                left -= half
            for r in range(rows):
                at = places[r]
                beyond = np.float64(values[r]) - np.float64(line[at])
                out[begin + r, i] = start[i, at] + slope[i, at] * beyond
