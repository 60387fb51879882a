"""Figures of probabilities against labels, for windows: plain numpy, no model."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from landslide_map.array_types import Bools, Floats, Labels

LEVEL: Final = "window level"
UNIT: Final = "window level (64 x 64 px of 10 m); never comparable with pixel-level or object-level figures"
CALIBRATION_BINS: Final = 15


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
    return {
        "positives": int(truth.sum()),
        **rates(counts),
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


def rates(counts: dict[str, int]) -> dict[str, float | None]:
    """Return ``f1, precision, recall`` of counts as from :func:`confusion`."""
    tp, fp, fn = counts["tp"], counts["fp"], counts["fn"]
    return {
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
        "precision": _ratio(tp, tp + fp),
        "recall": _ratio(tp, tp + fn),
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
    hits, called, _ = _called_from_the_top(truth, probability)
    gained = np.diff(np.concatenate([[0], hits])) / truth.sum()
    return float(np.sum(gained * hits / called))


def expected_calibration_error(
    truth: Bools, probability: Floats, bins: int = CALIBRATION_BINS
) -> float | None:
    """Return the mean gap between promised and found share of landslides over bins of equal width."""
    if not truth.size:
        return None
    gaps = np.bincount(_bin(probability, bins), weights=probability - truth, minlength=bins)
    return float(np.abs(gaps).sum() / truth.size)


def roc_curve(truth: Bools, probability: Floats) -> dict[str, Floats]:
    """Return ``false_positive_rate, true_positive_rate``, from (0, 0) to (1, 1), one point for each value."""
    hits, called, _ = _called_from_the_top(truth, probability)
    return {
        "false_positive_rate": np.concatenate([[0.0], (called - hits) / max((~truth).sum(), 1)]),
        "true_positive_rate": np.concatenate([[0.0], hits / max(truth.sum(), 1)]),
    }


def precision_recall_curve(truth: Bools, probability: Floats) -> dict[str, Floats]:
    """Return ``recall, precision, probability``: calling everything from each value upwards, best first."""
    hits, called, value = _called_from_the_top(truth, probability)
    return {"recall": hits / max(truth.sum(), 1), "precision": hits / called, "probability": value}


def reliability_curve(truth: Bools, probability: Floats, bins: int = CALIBRATION_BINS) -> dict[str, Floats]:
    """Return ``promised`` (mean probability), ``found`` (share) and ``windows`` of bins of equal width."""
    index = _bin(probability, bins)
    count = np.bincount(index, minlength=bins).astype(np.float64)
    held = count > 0
    promised = np.bincount(index, weights=probability, minlength=bins)[held] / count[held]
    found = np.bincount(index, weights=truth, minlength=bins)[held] / count[held]
    return {"promised": promised, "found": found, "windows": count[held]}


def threshold_curve(truth: Bools, probability: Floats) -> dict[str, Floats]:
    """Return ``threshold, f1, precision, recall``, a window being called above the threshold.

    Precision is NaN where no window is called; the others are 0 where nothing is found.
    """
    limits = np.arange(1, 100) / 100
    called = len(probability) - np.searchsorted(np.sort(probability), limits, side="right")
    hits = truth.sum() - np.searchsorted(np.sort(probability[truth]), limits, side="right")
    return {
        "threshold": limits,
        "f1": 2 * hits / np.maximum(called + truth.sum(), 1),
        "precision": np.where(called > 0, hits / np.maximum(called, 1), np.nan),
        "recall": hits / max(truth.sum(), 1),
    }


def _called_from_the_top(truth: Bools, probability: Floats) -> tuple[Floats, Floats, Floats]:
    """Return hits, windows called and the lowest value called, as ever more are; ties enter together."""
    order = np.argsort(-probability, kind="stable")
    last_of_tie = np.append(np.diff(probability[order]) != 0, True)[: truth.size]
    hits = np.cumsum(truth[order])[last_of_tie].astype(np.float64)
    called = (np.arange(truth.size) + 1)[last_of_tie].astype(np.float64)
    return hits, called, probability[order][last_of_tie]


def _bin(probability: Floats, bins: int) -> npt.NDArray[np.intp]:
    return np.minimum((probability * bins).astype(np.intp), bins - 1)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
