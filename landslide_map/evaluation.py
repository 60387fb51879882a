"""Scores of window probabilities against labels: always at window level."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from landslide_map.models.bundle import Bundle, load_bundle

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.integer[Any]]

UNIT: Final = "window level (64 x 64 px of 10 m); never comparable with pixel-level or object-level figures"
CALIBRATION_BINS: Final = 15


def evaluate(
    statistics: xr.DataArray,
    labels: Labels,
    *,
    bundle: Bundle | None = None,
    threshold: float | None = None,
    excluded: Collection[str] = (),
    ids: Iterable[str] = (),
) -> dict[str, Any]:
    """Score a bundle on labelled windows.

    Parameters
    ----------
    statistics : xr.DataArray, (window, channel, statistic)
    labels : ndarray, (window,), 0 or 1
    bundle : Bundle, optional
        The default bundle if not given.
    threshold : float, optional
        Instead of each scenario's own.
    excluded : collection of str
        Channels taken away, to see what remains without them.
    ids : iterable of str, optional
        Names of the windows, to tell those that the bundle was trained on.

    Returns
    -------
    dict
        Plain JSON values: ``n`` windows scored, ``unscored`` windows in which nobody could vote,
        ``threshold`` (a number where all windows share it), ``trained_on``, ``trained_on_windows``, and
        what :func:`scores` returns.
    """
    bundle = bundle or load_bundle()
    votes = bundle.vote(statistics, excluded=excluded)
    voted = votes.scenario >= 0
    limits = np.full(len(labels), threshold) if threshold is not None else votes.threshold
    used = sorted(set(limits[voted].tolist()))
    seen = bundle.trained_on(ids)
    names = [scenario.name for scenario in bundle.scenarios]
    return {
        "unit": UNIT,
        "bundle": bundle.name,
        "n": int(voted.sum()),
        "unscored": int((~voted).sum()),
        "trained_on": seen > 0,
        "trained_on_windows": seen,
        "threshold": used[0] if len(used) == 1 else (used or None),
        **scores(labels[voted], votes.probability[voted], votes.probability[voted] > limits[voted]),
        "windows_per_scenario": {
            names[i]: int(count) for i, count in enumerate(np.bincount(votes.scenario[voted])) if count
        },
    }


def evaluate_scenarios(
    statistics: xr.DataArray, labels: Labels, *, bundle: Bundle
) -> dict[str, dict[str, Any]]:
    """Score every scenario that the windows' channels allow, as if it were the only one: name -> figures."""
    single = {s.name: replace(bundle, scenarios=(s,)) for s in bundle.scenarios}
    found = {name: evaluate(statistics, labels, bundle=one) for name, one in single.items()}
    return {name: figures for name, figures in found.items() if figures["n"]}


def scores(labels: Labels, probability: Floats, landslide: Bools) -> dict[str, Any]:
    """Return every figure for one set of windows.

    Parameters
    ----------
    labels : ndarray, (window,), 0 or 1
    probability : ndarray, (window,)
    landslide : ndarray of bool, (window,)
        The decision; figures that need none use `probability` alone.

    Returns
    -------
    dict
        ``positives, f1, precision, recall, auc, average_precision, brier, ece, confusion``; a figure that
        is not defined (no positive window, say) is None.
    """
    truth = np.asarray(labels) == 1
    counts = confusion(truth, landslide)
    tp, fp, fn = counts["tp"], counts["fp"], counts["fn"]
    return {
        "positives": int(truth.sum()),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
        "precision": _ratio(tp, tp + fp),
        "recall": _ratio(tp, tp + fn),
        "auc": roc_auc(truth, probability),
        "average_precision": average_precision(truth, probability),
        "brier": float(np.mean((probability - truth) ** 2)) if truth.size else None,
        "ece": expected_calibration_error(truth, probability),
        "confusion": counts,
    }


def confusion(truth: Bools, landslide: Bools) -> dict[str, int]:
    """Return counts of windows: ``tp, fp, fn, tn``."""
    return {
        "tp": int((truth & landslide).sum()),
        "fp": int((~truth & landslide).sum()),
        "fn": int((truth & ~landslide).sum()),
        "tn": int((~truth & ~landslide).sum()),
    }


def roc_auc(truth: Bools, probability: Floats) -> float | None:
    """Return the chance that a landslide outranks another window, ties counting half."""
    positives, negatives = np.sort(probability[truth]), np.sort(probability[~truth])
    if not positives.size or not negatives.size:
        return None
    below = np.searchsorted(negatives, positives, side="left").sum()
    not_above = np.searchsorted(negatives, positives, side="right").sum()
    return float((below + not_above) / 2 / (positives.size * negatives.size))


def average_precision(truth: Bools, probability: Floats) -> float | None:
    """Return the mean of precision over recall, without interpolation; ties enter together."""
    if not truth.any():
        return None
    order = np.argsort(-probability, kind="stable")
    last_of_tie = np.append(np.diff(probability[order]) != 0, True)
    hits = np.cumsum(truth[order])[last_of_tie]
    called = (np.arange(truth.size) + 1)[last_of_tie]
    gained = np.diff(np.concatenate([[0], hits])) / truth.sum()
    return float(np.sum(gained * hits / called))


def expected_calibration_error(
    truth: Bools, probability: Floats, bins: int = CALIBRATION_BINS
) -> float | None:
    """Return the mean gap between promised and found share of landslides over bins of equal width."""
    if not truth.size:
        return None
    index = np.minimum((probability * bins).astype(int), bins - 1)
    gaps = np.bincount(index, weights=probability - truth, minlength=bins)
    return float(np.abs(gaps).sum() / truth.size)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
