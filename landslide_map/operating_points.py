"""Names of the thresholds that a bundle may bring, for those who rather miss or rather check."""

from __future__ import annotations

from typing import Final, Literal

OperatingPoint = Literal["f1", "recall90", "precision90"]

OPERATING_POINTS: Final[dict[OperatingPoint, str]] = {
    "f1": "the best F1",
    "recall90": "the highest threshold that finds 90 % of the landslide windows",
    "precision90": "the lowest threshold at which 90 % of the alarms are right",
}
"""Name -> what it promises, at window level."""
