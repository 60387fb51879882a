"""Calibration and thresholds from out-of-fold votes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import logit

from landslide_map.array_types import Floats, Labels
from landslide_map.metrics import confusion, rates
from landslide_map.models.voting.calibration import EDGE, Calibration
from landslide_map.options import OperatingPoint

GRID: Final = np.arange(0.05, 0.951, 0.005)
"""Thresholds that are considered."""
_FINE: Final = np.arange(0.005, 0.996, 0.005)
_PROMISE: Final = 0.9


def fit_calibration(votes: Floats, labels: Labels) -> Calibration:
    """Return the slope and shift of the logit that make the labels most likely (Platt scaling)."""
    scores = logit(np.clip(votes, EDGE, 1 - EDGE))

    def loss(parameters: Floats) -> float:
        score = np.exp(parameters[0]) * scores + parameters[1]  # exp keeps the slope positive
        return float(np.mean(np.logaddexp(0, score) - labels * score))

    best = minimize(loss, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-10})
    return Calibration(slope=float(np.exp(best.x[0])), shift=float(best.x[1]))


def choose_threshold(probability: Floats) -> float:
    """Return the threshold with the best F1 that calibrated probabilities promise.

    The promise needs no labels: a window of probability p is a hit p times. Hits counted from labels give a
    threshold that depends on the random draw (standard deviation over folds 0.02 against 0.003). On windows
    left out, F1 is not better.

    Parameters
    ----------
    probability : ndarray, (window,)
        Calibrated; a window counts as landslide above the threshold.
    """
    called = probability[:, np.newaxis] > GRID
    hits = (probability[:, np.newaxis] * called).sum(axis=0)
    f1 = 2 * hits / np.maximum(called.sum(axis=0) + probability.sum(), EDGE)
    return float(np.round(GRID[int(f1.argmax())], 3))


def operating_points(probability: Floats) -> dict[OperatingPoint, float]:
    """Return the thresholds of :data:`~landslide_map.options.OPERATING_POINTS`.

    As in :func:`choose_threshold` the calibrated probabilities themselves say what a threshold finds and how
    many alarms are right. A promise that no threshold keeps is left out.

    Parameters
    ----------
    probability : ndarray, (window,)
        Calibrated; a window counts as landslide above the threshold.
    """
    called = probability[:, np.newaxis] > _FINE
    hits, alarms = (probability[:, np.newaxis] * called).sum(axis=0), called.sum(axis=0)
    points: dict[OperatingPoint, float] = {"f1": choose_threshold(probability)}
    if (enough := hits >= _PROMISE * probability.sum()).any():
        points["recall90"] = float(np.round(_FINE[enough][-1], 3))
    if (right := (alarms > 0) & (hits >= _PROMISE * alarms)).any():
        points["precision90"] = float(np.round(_FINE[right][0], 3))
    return points


def figures_at(
    points: Collection[OperatingPoint], votes: Floats, labels: Labels, folds: Sequence[npt.NDArray[np.intp]]
) -> dict[str, dict[str, float | None]]:
    """Return ``f1, precision, recall`` at operating points, each fold's learned on the other folds."""
    found: dict[str, dict[str, float | None]] = {}
    for name in points:

        def choose(probability: Floats, name: OperatingPoint = name) -> float:
            return operating_points(probability).get(name, 1.0)

        probability, threshold = nested(votes, labels, folds, choose)
        figures = rates(confusion(labels == 1, probability > threshold))
        found[name] = {key: None if rate is None else round(rate, 4) for key, rate in figures.items()}
    return found


def nested(
    votes: Floats,
    labels: Labels,
    folds: Sequence[npt.NDArray[np.intp]],
    choose: Callable[[Floats], float] = choose_threshold,
) -> tuple[Floats, Floats]:
    """Calibrate every fold with a curve, and give it a threshold, learned on the other folds.

    Parameters
    ----------
    votes : ndarray, (window,)
        Out of fold.
    folds : sequence of ndarray
        Row numbers of each fold; together every row once.
    choose : callable
        Calibrated probabilities -> threshold.

    Returns
    -------
    probability, threshold : ndarray, (window,)
        No label of the window's own fold has touched them.
    """
    probability, threshold = np.empty(len(votes)), np.empty(len(votes))
    for rows in folds:
        others = np.setdiff1d(np.arange(len(votes)), rows)
        calibration = fit_calibration(votes[others], labels[others])
        threshold[rows] = choose(calibration(votes[others]))
        probability[rows] = calibration(votes[rows])
    return probability, threshold
