"""Drift: values of a scene's bands beside those of the training data.

A wrong unit, sign or product that no metadata tell still shows here: the numbers are not what models learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypedDict

import numpy as np
import numpy.typing as npt

from landslide_map import bands
from landslide_map.errors import Notice

DRIFT_SHIFT, DRIFT_SPREAD = 0.5, (0.4, 2.5)
"""A band is far from the training data if its median lies farther from theirs than this part of their
5-95 % range, or if its own range, over theirs, is outside these limits. The lower limit is for radar
alone, where speckle sets the range; one forest is narrower than the forests of the world."""
DIFFERENCE_STEP_DB: Final = 3.0
QUIET: Final = 0.53
"""Range of VV differences, over that of the training data. Speckle was filtered or averaged below it: 1.8 of
3.4 dB for the middle half (docs/decisions/0013). Measured on the grid, so that our own resampling counts."""
ENOUGH: Final = 100
"""Fewer valid pixels than this show nothing."""


class Distribution(TypedDict):
    """Of one band, ready for JSON."""

    valid: float
    """Share of the pixels looked at."""
    scene: list[float] | None
    """Quantiles 5, 50, 95 %, in the unit of the model band; None if too few pixels are valid."""
    training: list[float]


def distribution(name: str, pixels: npt.NDArray[np.float32]) -> Distribution:
    """Return the distribution of the pixels of model band `name`, NaN = missing."""
    valid = pixels[np.isfinite(pixels)]
    return {
        "valid": round(valid.size / max(pixels.size, 1), 4),
        "scene": np.quantile(valid, (0.05, 0.5, 0.95)).tolist() if valid.size >= ENOUGH else None,
        "training": list(bands.TRAINING_QUANTILES[name]),
    }


def drift_notices(found: Mapping[str, Distribution]) -> list[Notice]:
    """Return a notice (W340) for each band with a distribution far from the training data's."""
    notices = []
    for name, numbers in found.items():
        if numbers["scene"] is None:
            continue
        (low, middle, high), (t_low, t_middle, t_high) = numbers["scene"], numbers["training"]
        shift, spread = (middle - t_middle) / (t_high - t_low), (high - low) / (t_high - t_low)
        quiet = name in bands.DIFFERENCES and name.endswith("vv") and spread < QUIET
        stepped = name in bands.DIFFERENCES and abs(middle) > DIFFERENCE_STEP_DB
        if stepped:
            why = f"its median is {middle:+.1f} dB: wet snow, a calibration step or different tracks?"
        elif abs(shift) > DRIFT_SHIFT:
            why = f"its median {middle:.4g} is far from {t_middle:.4g} in the training data"
        elif quiet or spread > DRIFT_SPREAD[1] or (spread < DRIFT_SPREAD[0] and name not in bands.OPTICAL):
            why = f"its 5-95 % range is {spread:.2g} times that of the training data"
        else:
            continue
        if quiet and not stepped:
            why += ": speckle seems filtered or strongly averaged, probabilities may be off"
        notices.append(Notice("W314" if quiet and not stepped else "W340", f"{name}: {why}"))
    return notices
