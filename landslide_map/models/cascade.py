"""A safe cascade: which windows the cheap members alone may call "no landslide", and what that has cost.

The rule is learned from windows that no member had seen. The landslides that the whole ensemble finds
(without labels: all that it calls landslides) are sorted by the cheap members' mean. The least of them, one
in a thousand set aside, has a bound on what lies below it elsewhere, which holds although it was chosen on
these very windows, as it is a rank (a one-sided tolerance limit, Wilks 1941): with none of `n` set aside,
about ``3 / n``. The limit keeps a margin to it, as other events differ more than windows of one do.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from scipy.stats import beta

from landslide_map.arrays import Bools, Floats, Labels
from landslide_map.models.calibration import Calibration
from landslide_map.models.member import Member
from landslide_map.models.scenario import Scenario, mean_of

Count = Annotated[int, Field(ge=0)]

CASCADES: Final = "cascade.json"
"""Optional file of a bundle: scenario name -> its cascade. Who does not know it loses nothing but speed."""
MOST_LOST: Final = 0.001
"""Share of the windows found that a rule may lose, on the windows it is learned from."""
MARGIN: Final = 10.0
"""The limit's odds are this many times below those of the least window found."""
CONFIDENCE: Final = 0.95


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rule(_Strict):
    """At one threshold of the ensemble, from where on the cheap members are trusted, and the evidence."""

    threshold: float = Field(gt=0, lt=1)
    """Of the ensemble, on the calibrated probability: the rule holds for it and no other."""
    below: float = Field(ge=0, le=1)
    """A window is no landslide where the cheap members' mean, not calibrated, is below it."""
    found: int = Field(gt=0)
    """Windows that all members together call landslides; where labels were known, and that are."""
    lost: Count
    """Of those, the ones below."""
    spared: Count
    """All windows below."""
    false_alarms: Count = 0
    """Of the windows below, those that all members together call landslides and the labels do not."""

    @property
    def recall_lost(self) -> float:
        """Share of the windows found that it lost."""
        return self.lost / self.found

    @property
    def at_most(self) -> float:
        """Share that it loses of windows like these, with 95 % confidence (Clopper and Pearson).

        It is that of the rank: as many are lost as were set aside. A margin below proves nothing by itself.
        """
        lost = max(self.lost, _aside(self.found))
        if lost == self.found:
            return 1.0
        return float(beta.ppf(CONFIDENCE, lost + 1, self.found - lost))


class Cascade(_Strict):
    """The rules of one scenario."""

    first: tuple[str, ...] = Field(min_length=1)
    """The cheap members, which are asked first."""
    windows: int = Field(gt=0)
    """How many windows it was learned from."""
    evidence: str
    """Why no member had seen them."""
    rules: tuple[Rule, ...] = Field(min_length=1)
    labelled: bool = False
    """Whether labels said which windows found are landslides: the others need not be kept."""

    def at(self, threshold: float) -> Rule | None:
        """Return the rule for a threshold; None if none was learned for it."""
        return next((rule for rule in self.rules if rule.threshold == threshold), None)

    def in_words(self, rule: Rule) -> str:
        """Return a rule and its evidence, in a sentence."""
        return (
            f"where the mean of {', '.join(self.first)} is below {rule.below:.4g}, they alone say no "
            f"landslide. On {self.windows} windows ({self.evidence}) that spared {rule.spared} and lost "
            f"{rule.lost} of the {rule.found} {'landslides found' if self.labelled else 'found'} "
            f"({rule.recall_lost:.2%}); so many prove no more than that it loses at most {rule.at_most:.2%} "
            f"of windows like those (95 % confidence)"
            + (f"; false alarms silenced too: {rule.false_alarms}" if self.labelled else "")
        )


def cascades_file(cascades: Mapping[str, Cascade]) -> bytes:
    """Return the content of :data:`CASCADES`, from scenario name -> cascade."""
    plain = {name: cascade.model_dump(mode="json") for name, cascade in cascades.items()}
    return (json.dumps(plain, indent=1, allow_nan=False) + "\n").encode()


def with_cascades(
    scenarios: Iterable[Scenario], members: Iterable[Member], content: bytes
) -> tuple[Scenario, ...]:
    """Return `scenarios` with the cascades that a bundle's file gives them; ValueError if it is not valid."""
    try:
        cascades = TypeAdapter(dict[str, Cascade]).validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ValueError(f"{where}: {first['msg']} ({error.error_count()} in all)") from None
    known = {scenario.name: scenario for scenario in scenarios}
    cheap = {member.name for member in members if member.input == "statistics"}
    for name, cascade in cascades.items():
        if name not in known:
            raise ValueError(f"there is no scenario {name!r}")
        if unfit := set(cascade.first) - (cheap & known[name].weights.keys()):
            raise ValueError(f"scenario {name!r} has no members on statistics {', '.join(sorted(unfit))}")
        known[name] = replace(known[name], cascade=cascade)
    return tuple(known.values())


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
        Of all members' mean. Calibrated as if it were that, the cheap members' mean is what a window that is
        not asked on shows, so it must be no landslide by itself.
    """
    above = probability > threshold
    found = np.sort(cheap[above & landslide])
    below = min(_with_margin(float(found[_aside(len(found))])), calibration.before(threshold))
    return Rule(
        threshold=threshold,
        below=below,
        found=len(found),
        lost=int((found < below).sum()),
        spared=int((cheap < below).sum()),
        false_alarms=int((cheap[above & ~landslide] < below).sum()),
    )


def _aside(found: int) -> int:
    """Return how many of the windows found may lie below the limit."""
    return int(MOST_LOST * found)


def _with_margin(probability: float) -> float:
    return probability / (MARGIN - (MARGIN - 1) * probability)
