"""Learning of a cascade: the mean of cheap members below which networks are skipped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from landslide_map.array_types import Bools, Floats, Labels
from landslide_map.models.voting.calibration import Calibration
from landslide_map.models.voting.cascade import Cascade, Rule, set_aside
from landslide_map.models.voting.scenario import Scenario, mean_of

MARGIN: Final = 10.0
"""The limit's odds are this many times below those of the least window found."""


def learned_cascade(
    scenario: Scenario,
    members: Sequence[str],
    cheap: Sequence[str],
    predictions: Floats,
    evidence: str,
    labels: Labels | None = None,
) -> Cascade | None:
    """Return the rules of a scenario for its threshold and operating points.

    Parameters
    ----------
    scenario : Scenario
    members : sequence of str
        Names of the columns of `predictions`.
    cheap : sequence of str
        Those of its members that can do without a network.
    predictions : ndarray, (window, member)
        Of windows that none of the members had seen and in which all of the scenario's voted.
    evidence : str
        How they had not.
    labels : ndarray, (window,), optional
        1 for landslides: only those are to be found. Without labels all count that the ensemble finds.

    Returns
    -------
    Cascade or None
        None where there is nothing to learn: without networks, cheap members or landslides found, or if not
        all of the scenario's members need to vote.
    """
    first = tuple(name for name in scenario.weights if name in cheap)
    if not first or len(first) == len(scenario.weights) or not scenario.needs_all or not len(predictions):
        return None
    probability = scenario.calibration(mean_of(members, scenario, members, predictions))
    cheap_mean = mean_of(first, scenario, members, predictions)
    landslide = np.ones(len(predictions), dtype=np.bool_) if labels is None else labels == 1
    rules = tuple(
        learned_rule(cheap_mean, probability, landslide, threshold, scenario.calibration)
        for threshold in sorted({scenario.threshold, *scenario.operating_points.values()})
        if ((probability > threshold) & landslide).any()
    )
    if not rules:
        return None
    return Cascade(
        first=first, windows=len(predictions), evidence=evidence, rules=rules, labelled=labels is not None
    )


def learned_rule(
    cheap: Floats, probability: Floats, landslide: Bools, threshold: float, calibration: Calibration
) -> Rule:
    """Return the rule of a threshold above which some landslide is.

    Parameters
    ----------
    cheap : ndarray, (window,)
        The cheap members' mean, of windows that they had not seen.
    probability : ndarray, (window,)
        Of all members, calibrated.
    landslide : ndarray of bool, (window,)
        Which of the windows found it matters not to lose.
    threshold : float
    calibration : Calibration
        Of all members' mean. A window without the networks' votes shows the cheap members' mean, calibrated
        as if it were the mean of all. So it must be no landslide alone.
    """
    above = probability > threshold
    found = np.sort(cheap[above & landslide])
    below = min(_with_margin(float(found[set_aside(len(found))])), calibration.before(threshold))
    return Rule(
        threshold=threshold,
        below=below,
        found=len(found),
        lost=int((found < below).sum()),
        skipped=int((cheap < below).sum()),
        false_alarms=int((cheap[above & ~landslide] < below).sum()),
    )


def _with_margin(probability: float) -> float:
    return probability / (MARGIN - (MARGIN - 1) * probability)
