"""Attributes of objects: size, direction, confidence and supporting evidence."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import shapely
from scipy.special import erf

from landslide_map.bands import DIFFERENCES
from landslide_map.delineation.features import BESIDE_IMAGE, FEATURES, TRACKS, ellipse
from landslide_map.delineation.objects import Objects
from landslide_map.delineation.regions import Regions
from landslide_map.delineation.score import OutlineModel

Floats = npt.NDArray[np.float64]

LOOKS_SHARED: Final = 3.0
"""Neighbouring pixels of Sentinel-1 share their speckle: so many count as one."""
HIGH: Final = 0.8
"""Probability that every model must give an outline of high confidence."""
CHANGED: Final = 0.9
"""Evidence of change that an outline of high confidence has from at least one track, or from vegetation."""
MEDIUM: Final = 0.6
"""Probability of an outline of medium confidence."""


def column(features: npt.NDArray[np.float32], name: str) -> npt.NDArray[np.float32]:
    """Return one feature of objects, ``(object,)``."""
    values: npt.NDArray[np.float32] = features[:, FEATURES.index(name)]
    return values


def evidence_columns(objects: Objects, model: OutlineModel) -> dict[str, Floats]:
    """Return how far each kind of evidence supports an object, 0 to 1, NaN where the sensor is missing.

    Returns
    -------
    dict of str to float64, (object,)
        `evidence_optical`: the probability that the image alone gives. `evidence_descending`,
        `evidence_ascending`: the probability that speckle alone makes a smaller change of backscatter than
        the one found, of the polarisation that changed more. `evidence_vegetation`: the share of the drop
        of NDVI below the surroundings that is new since the image before the event.
    """
    features = objects.features
    image = features.copy()
    image[:, [FEATURES.index(name) for name in BESIDE_IMAGE]] = 0
    found = {"evidence_optical": model.probability(model.shares(image).mean(axis=1), image)}
    for prefix, orbit in TRACKS.items():
        signals = [
            column(features, f"{name}_signal").astype(np.float64)
            for name in DIFFERENCES
            if name.startswith(prefix)
        ]
        chance = erf(np.maximum.reduce(signals) / np.sqrt(2 * LOOKS_SHARED))
        found[f"evidence_{orbit}"] = np.where(column(features, f"has_{prefix}") > 0, chance, np.nan)
    new = column(features, "loss").astype(np.float64) / np.maximum(column(features, "drop"), 1e-6)
    found["evidence_vegetation"] = np.where(column(features, "has_loss") > 0, np.clip(new, 0, 1), np.nan)
    return found


def confidence(probability: Floats, low: Floats, evidence: dict[str, Floats]) -> npt.NDArray[np.str_]:
    """Return the class of confidence of every object: ``high``, ``medium`` or ``low``.

    High: every model gives at least :data:`HIGH`, and a track or the vegetation changed
    (:data:`CHANGED`). Medium: the probability is at least :data:`MEDIUM`. Low: the others.
    """
    changes = [evidence[f"evidence_{name}"] for name in ("descending", "ascending", "vegetation")]
    change = np.fmax.reduce(changes)
    sure = (low >= HIGH) & (np.nan_to_num(change) >= CHANGED)
    return np.where(sure, "high", np.where(probability >= MEDIUM, "medium", "low"))


def lengths_and_widths(outlines: npt.NDArray[np.object_]) -> tuple[Floats, Floats]:
    """Return the longer and the shorter side of the smallest box around every outline, in its units."""
    if not len(outlines):
        return np.zeros(0), np.zeros(0)
    corners = shapely.get_coordinates(shapely.oriented_envelope(outlines)).reshape(len(outlines), 5, 2)
    sides = np.hypot(*np.moveaxis(np.diff(corners[:, :3], axis=1), 2, 0))
    return sides.max(axis=1), sides.min(axis=1)


def axis_direction(objects: Regions) -> Floats:
    """Return the bearing of the long axis, degrees clockwise from grid north, 0 to 180."""
    angle = ellipse(objects.shape)[2]
    bearing: Floats = np.degrees(np.arctan2(np.sin(angle), -np.cos(angle))) % 180
    return bearing
