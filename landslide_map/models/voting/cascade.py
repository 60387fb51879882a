"""Cascade: windows that the cheap members alone may call free of landslides, and its cost.

The rule is learned from windows that no member had seen. The landslides that the whole ensemble finds
(without labels: all that it calls landslides) are sorted by the cheap members' mean. The least of them, one
in a thousand set aside, has a bound on what lies below it elsewhere, which holds although it was chosen on
these very windows, as it is a rank (a one-sided tolerance limit, Wilks 1941): with none of `n` set aside,
about ``3 / n``. The limit keeps a margin to it, as other events differ more than windows of one do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from scipy.special import betaincinv

Count = Annotated[int, Field(ge=0)]

CASCADES: Final = "cascade.json"
"""Optional file of a bundle: scenario name -> its cascade. Software that does not know it loses only
speed."""
MOST_LOST: Final = 0.001
"""Share of the windows found that a rule may lose, on the windows it is learned from."""
CONFIDENCE: Final = 0.95


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Rule(_Strict):
    """Limit for skipping networks at one threshold of the ensemble, and its evidence."""

    threshold: float = Field(gt=0, lt=1)
    """Threshold of the ensemble, on the calibrated probability: the rule holds for it and no other."""
    below: float = Field(ge=0, le=1)
    """A window is no landslide where the cheap members' mean, not calibrated, is below it."""
    found: int = Field(gt=0)
    """Windows that all members together call landslides; where labels were known, and that are."""
    lost: Count
    """Number of those below."""
    skipped: Count = Field(validation_alias=AliasChoices("skipped", "spared"))
    """All windows below; earlier bundles call it ``spared``."""
    false_alarms: Count = 0
    """Number of windows below that all members together call landslides and the labels do not."""

    @property
    def recall_lost(self) -> float:
        """Share of the windows found that it lost."""
        return self.lost / self.found

    @property
    def at_most(self) -> float:
        """Share that it loses of windows like these, with 95 % confidence (Clopper and Pearson).

        It is that of the rank: as many are lost as were set aside. A margin below proves nothing alone.
        """
        lost = max(self.lost, set_aside(self.found))
        if lost == self.found:
            return 1.0
        return float(betaincinv(lost + 1, self.found - lost, CONFIDENCE))


class Cascade(_Strict):
    """The rules of one scenario."""

    first: tuple[str, ...] = Field(min_length=1)
    """The cheap members, which predict first."""
    windows: int = Field(gt=0)
    """Number of windows it was learned from."""
    evidence: str
    """Why no member had seen them."""
    rules: tuple[Rule, ...] = Field(min_length=1)
    labelled: bool = False
    """Whether it was learned with labels: of the windows found only landslides must be kept then."""

    def at(self, threshold: float) -> Rule | None:
        """Return the rule for a threshold; None if none was learned for it."""
        return next((rule for rule in self.rules if rule.threshold == threshold), None)

    def in_words(self, rule: Rule) -> str:
        """Return a rule and its evidence, in a sentence."""
        return (
            f"where the mean of {', '.join(self.first)} is below {rule.below:.4g}, the class is no "
            f"landslide. On {self.windows} windows ({self.evidence}) that skipped {rule.skipped} and lost "
            f"{rule.lost} of the {rule.found} {'landslides found' if self.labelled else 'found'} "
            f"({rule.recall_lost:.2%}); with 95 % confidence it loses at most {rule.at_most:.2%} "
            "of windows like those"
            + (f"; false alarms silenced too: {rule.false_alarms}" if self.labelled else "")
        )


def cascades_file(cascades: Mapping[str, Cascade]) -> bytes:
    """Return the content of :data:`CASCADES`, from scenario name -> cascade."""
    plain = {name: cascade.model_dump(mode="json") for name, cascade in cascades.items()}
    return (json.dumps(plain, indent=1, allow_nan=False) + "\n").encode()


def set_aside(found: int) -> int:
    """Return how many of the windows found may lie below the limit."""
    return int(MOST_LOST * found)
