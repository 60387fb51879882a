"""Drift: values of a scene's bands beside those of the training data.

A wrong unit, sign or product that no metadata declare still shows here: values differ from the training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
QUIET_DB: Final = 2.95
"""Range of the middle half of VV differences below which windows with landslides are lost: 3.2 to 3.7 in the
training data. Measured on the grid, so that our own resampling counts (docs/decisions/0052)."""
ENOUGH: Final = 100
"""Fewer valid pixels than this show nothing."""


class Distribution(TypedDict):
    """Distribution of one band, ready for JSON."""

    valid: float
    """Share of the pixels read."""
    scene: list[float] | None
    """Quantiles 5, 50, 95 %, in the unit of the model band; None if too few pixels are valid."""
    middle_half: float | None
    """Range from the 25 % to the 75 % quantile of `scene`."""
    training: list[float]


def distribution(name: str, pixels: npt.NDArray[np.float32]) -> Distribution:
    """Return the distribution of the pixels of model band `name`, NaN = missing."""
    valid = pixels[np.isfinite(pixels)]
    known = valid.size >= ENOUGH
    low, first, middle, third, high = (
        np.quantile(valid, (0.05, 0.25, 0.5, 0.75, 0.95)).tolist() if known else [0] * 5
    )
    return {
        "valid": round(valid.size / max(pixels.size, 1), 4),
        "scene": [low, middle, high] if known else None,
        "middle_half": third - first if known else None,
        "training": list(bands.TRAINING_QUANTILES[name]),
    }


def drift_notices(found: Mapping[str, Distribution]) -> list[Notice]:
    """Return notices of bands far from the training data (W340) and of quiet differences (W314)."""
    notices, quiet = [], []
    for name, numbers in found.items():
        if numbers["scene"] is None:
            continue
        (low, middle, high), (t_low, t_middle, t_high) = numbers["scene"], numbers["training"]
        shift, spread = (middle - t_middle) / (t_high - t_low), (high - low) / (t_high - t_low)
        if name in bands.DIFFERENCES and abs(middle) > DIFFERENCE_STEP_DB:
            why = f"its median is {middle:+.1f} dB: wet snow, a calibration step or different tracks?"
        elif abs(shift) > DRIFT_SHIFT:
            why = f"its median {middle:.4g} is far from {t_middle:.4g} in the training data"
        elif _is_quiet(name, numbers):
            quiet.append(f"{name} {numbers['middle_half']:.1f} dB")
            continue
        elif spread > DRIFT_SPREAD[1] or (spread < DRIFT_SPREAD[0] and name not in bands.OPTICAL):
            why = f"its 5-95 % range is {spread:.2g} times that of the training data"
        else:
            continue
        notices.append(Notice("W340", f"{name}: {why}"))
    return notices + ([_quiet_notice(quiet)] if quiet else [])


def _is_quiet(name: str, numbers: Distribution) -> bool:
    middle_half = numbers["middle_half"]
    is_vv = name in bands.DIFFERENCES and name.endswith("vv")
    return is_vv and middle_half is not None and middle_half < QUIET_DB


def _quiet_notice(measured: Sequence[str]) -> Notice:
    return Notice(
        "W314",
        f"differences span in their middle half {', '.join(measured)} (training: 3.2 to 3.7 dB). "
        "Interpolation, a filter or many dates averaged the speckle, and slides get lower probabilities. "
        "Geocode radar to UTM at 10 m at once, by nearest neighbour and unfiltered, or lower --threshold",
    )
