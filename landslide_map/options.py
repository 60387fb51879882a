"""Names of choices: device, precision, units and quantity of backscatter, operating point, outlines."""

from __future__ import annotations

from typing import Final, Literal

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["float32", "bfloat16", "float16"]

BackscatterUnits = Literal["db", "power", "amplitude"]
Quantity = Literal["sigma0", "gamma0", "gamma0_rtc"]

Registration = Literal["check", "correct", "trust"]
"""Treatment of images of a track that may be displaced."""

Outline = Literal["objects", "windows", "pixels", "both"]
"""Source of outlines: their own evidence, windows above the threshold, the probability of pixel
members, or this joined with the probability of objects."""

Pixels = Literal["near", "everywhere"]
"""Extent of the pixel members of a bundle: near candidates, or the whole grid."""

Voters = Literal["fitting", "all"]
"""Members that vote on terrain-flattened backscatter: those that their training fits, or all."""

OperatingPoint = Literal["f1", "recall90", "precision90"]

OPERATING_POINTS: Final[dict[OperatingPoint, str]] = {
    "f1": "the best F1",
    "recall90": "the highest threshold that finds 90 % of the landslide windows",
    "precision90": "the lowest threshold at which 90 % of the alarms are right",
}
"""Name -> its meaning, at window level."""
