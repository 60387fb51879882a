"""Ensemble of pixel members: mean of the probabilities of the best k, without weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def probability(logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the logistic function of `logits`, without overflow."""
    x = np.asarray(logits, dtype=np.float64)
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


def mean_probability(members: Iterable[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
    """Return the mean of arrays of probabilities of equal shape; a pixel is NaN where one of them is."""
    total: npt.NDArray[np.float64] | None = None
    count = 0
    for values in members:
        total = np.array(values, dtype=np.float64) if total is None else total + values
        count += 1
    if total is None:
        raise ValueError("an ensemble needs at least one member")
    return total / count


def is_landslide(probabilities: npt.NDArray[Any], threshold: float = 0.5) -> npt.NDArray[np.bool_]:
    """Return where a probability is above `threshold`; one of exactly 0.5 is no landslide."""
    return np.asarray(probabilities > threshold)


def best(names: Sequence[str], scores: Sequence[float], k: int) -> list[str]:
    """Return the `k` names of the highest scores, best first; equal scores keep their order.

    Raises
    ------
    ValueError
        If `k` is below 1 or there are fewer names.
    """
    if not 1 <= k <= len(names):
        raise ValueError(f"k={k} members of {len(names)}")
    order = sorted(range(len(names)), key=lambda i: (-scores[i], i))
    return [names[i] for i in order[:k]]
