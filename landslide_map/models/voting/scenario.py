"""Scenario: a set of channels, and the vote of its members."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from landslide_map.array_types import Bools, Floats
from landslide_map.models.voting.calibration import EDGE, IDENTITY, Calibration
from landslide_map.options import OperatingPoint

if TYPE_CHECKING:
    from landslide_map.models.voting.cascade import Cascade, Rule

Average = Literal["probability", "logit"]
Chosen = npt.NDArray[np.int8]
"""``(window,)`` index of each window's scenario; -1 for none."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A set of channels that users really have, with the members that vote in it."""

    name: str
    weights: Mapping[str, float]
    """Member name -> weight in the mean."""
    threshold: float
    """A window is a landslide where the calibrated probability is above it."""
    average: Average = "probability"
    """Quantity that is averaged over members."""
    needs_all: bool = True
    """Whether every member must be able to vote, or any one of them."""
    clear_sky: bool = False
    """Whether it is silent where the optical image is mostly snow or cloud."""
    calibration: Calibration = IDENTITY
    operating_points: Mapping[OperatingPoint, float] = field(default_factory=dict)
    """Name (:mod:`landslide_map.options`) -> threshold learned for it."""
    metrics: Mapping[str, Any] | None = None
    """Out-of-fold figures, window level."""
    cascade: Cascade | None = None
    """Rule by which its cheap members alone may call a window no landslide, if it was learned."""

    @property
    def rule(self) -> Rule | None:
        """The cascade's rule at its threshold."""
        return self.cascade.at(self.threshold) if self.cascade else None


def select_scenario(
    scenarios: Sequence[Scenario], able: Mapping[str, Bools], snowy: Bools
) -> tuple[Chosen, Bools]:
    """Return the scenario of each window and where snow or cloud silenced one that would have fitted.

    `able` says, member by member, in which windows it can vote.
    """
    chosen = np.full(len(snowy), -1, dtype=np.int8)
    silenced = np.zeros(len(snowy), dtype=np.bool_)
    for i, scenario in enumerate(scenarios):
        join = np.all if scenario.needs_all else np.any
        fits = join([able[name] for name in scenario.weights], axis=0)
        if scenario.clear_sky:
            silenced |= fits & snowy
            fits = fits & ~snowy
        chosen[(chosen < 0) & fits] = i
    return chosen, silenced


def combine_predictions(
    members: Sequence[str], scenarios: Sequence[Scenario], predictions: Floats, chosen: Chosen
) -> tuple[Floats, Floats]:
    """Return probability and threshold of windows, ``(window,)``, from the predictions of the members.

    Parameters
    ----------
    members : sequence of str
        Names of the columns of `predictions`.
    scenarios : sequence of Scenario
    predictions : ndarray, (window, member)
    chosen : ndarray, (window,)
        Index of each window's scenario; -1 for none, where both are NaN.
    """
    probability = np.full(len(chosen), np.nan)
    threshold = np.full(len(chosen), np.nan)
    for i, scenario in enumerate(scenarios):
        rows = chosen == i
        probability[rows] = scenario.calibration(mean_of(members, scenario, members, predictions[rows]))
        threshold[rows] = scenario.threshold
    return probability, threshold


def bounds(
    members: Sequence[str], scenarios: Sequence[Scenario], predictions: Floats, pending: Bools, chosen: Chosen
) -> tuple[Floats, Floats]:
    """Return the least and the greatest probability, ``(window,)``, that votes not yet known can still give.

    Means of probabilities or of log-odds rise with every vote, and calibration rises strictly. So votes of 0
    and of 1 in place of the unknown ones give the bounds, up to rounding in the last places.

    Parameters
    ----------
    members, scenarios, predictions, chosen
        As of :func:`combine_predictions`.
    pending : ndarray of bool, (window, member)
        The votes that belong to the window's scenario and are not in `predictions` yet.
    """
    low, _ = combine_predictions(members, scenarios, np.where(pending, 0.0, predictions), chosen)
    high, _ = combine_predictions(members, scenarios, np.where(pending, 1.0, predictions), chosen)
    return low, high


def mean_of(
    names: Collection[str], scenario: Scenario, members: Sequence[str], predictions: Floats
) -> Floats:
    """Return the scenario's mean of some of its members, not calibrated, ``(window,)``.

    Parameters
    ----------
    names : collection of str
        Those members.
    scenario : Scenario
    members : sequence of str
        Names of the columns of `predictions`.
    predictions : ndarray, (window, member)
    """
    weights = np.array([scenario.weights.get(name, 0.0) if name in names else 0.0 for name in members])
    return weighted_mean(predictions, weights, scenario.average)


def weighted_mean(predictions: Floats, weights: Floats, average: Average = "probability") -> Floats:
    """Return the mean over the members that voted, their weights renormalised.

    Parameters
    ----------
    predictions : ndarray, (window, member)
        Probabilities; NaN where a member did not vote.
    weights : ndarray, (member,)
    average : str
        ``logit`` averages log-odds, so that one sure member counts for more than in ``probability``.

    Returns
    -------
    ndarray, (window,)
        A probability; NaN where no member voted.
    """
    voted = np.isfinite(predictions) * weights
    total = voted.sum(axis=1)
    filled = np.where(np.isfinite(predictions), predictions, 0.5)
    if average == "logit":
        filled = logit(np.clip(filled, EDGE, 1 - EDGE))
    mean: Floats = (filled * voted).sum(axis=1) / np.where(total > 0, total, np.nan)
    return expit(mean) if average == "logit" else mean
