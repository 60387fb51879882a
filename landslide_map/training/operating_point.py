"""Calibration and threshold from out-of-fold votes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from landslide_map.models.calibration import EDGE, Calibration

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.integer[Any]]

GRID: Final = np.arange(0.05, 0.951, 0.005)
"""Thresholds that are considered."""
_SMOOTHING: Final = 0.05
"""F1 is averaged over this far on both sides: its highest point alone is mostly luck."""


def fit_calibration(votes: Floats, labels: Labels) -> Calibration:
    """Return the strictly rising curve from votes to probabilities that makes the labels most likely.

    Two parameters, slope and shift of the logit (Platt scaling); beta calibration's third was not worth
    its freedom on this table (docs/decisions).
    """
    p = np.clip(votes, EDGE, 1 - EDGE)
    logit = np.log(p) - np.log1p(-p)

    def loss(parameters: Floats) -> float:
        score = np.exp(parameters[0]) * logit + parameters[1]
        return float(np.mean(np.logaddexp(0, score) - labels * score))

    slope, shift = minimize(
        loss, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-10}
    ).x
    return Calibration(lower=float(np.exp(slope)), upper=float(np.exp(slope)), shift=float(shift))


def choose_threshold(probability: Floats, labels: Labels) -> float:
    """Return the threshold with the best F1, smoothed over its neighbours.

    Parameters
    ----------
    probability, labels : ndarray, (window,)
        Calibrated; a window counts as landslide above the threshold.
    """
    called = probability[:, np.newaxis] > GRID
    hits = (called & (labels[:, np.newaxis] == 1)).sum(axis=0)
    f1 = 2 * hits / (called.sum(axis=0) + labels.sum())
    reach = round(_SMOOTHING / 0.005)
    padded = np.pad(f1, reach, mode="edge")
    smooth = np.convolve(padded, np.ones(2 * reach + 1) / (2 * reach + 1), mode="valid")
    return float(np.round(GRID[int(smooth.argmax())], 3))


def nested(
    votes: Floats, labels: Labels, folds: Sequence[npt.NDArray[np.intp]]
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Calibrate and decide every fold with curve and threshold learned on the other folds.

    Parameters
    ----------
    votes : ndarray, (window,)
        Out of fold.
    folds : sequence of ndarray
        Row numbers of each fold; together every row once.

    Returns
    -------
    probability : ndarray, (window,)
    landslide : ndarray of bool, (window,)
        Decisions that no label of the window's own fold has touched.
    """
    probability, landslide = np.empty(len(votes)), np.empty(len(votes), dtype=np.bool_)
    for rows in folds:
        others = np.setdiff1d(np.arange(len(votes)), rows)
        calibration = fit_calibration(votes[others], labels[others])
        threshold = choose_threshold(calibration(votes[others]), labels[others])
        probability[rows] = calibration(votes[rows])
        landslide[rows] = probability[rows] > threshold
    return probability, landslide
