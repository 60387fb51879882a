"""What is doubtful about a Sentinel-2 image and does not stop a run. Pure, arrays in."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from landslide_map.errors import Notice
from landslide_map.readers import optical_checks
from landslide_map.readers.optical_checks import Look, offset_verdict

CLIPPED: Final = 0.01
"""Share of the pixels that have the highest value of all, from which it is no measurement."""
PART: Final = 64
"""Edge of the squares that are asked for the offset by themselves, pixels of a look."""
MIXED: Final = 0.2
"""Share of them that must contradict the others: haze lifts plants in a few squares."""


def condition_notices(name: str, look: Look) -> list[Notice]:
    """Return notices on emptiness, cloud, snow (W207, W210), zeros in some bands (I212), clipping (W350)."""
    notices = []
    valid = float(look.valid.mean())
    if valid < 0.5:
        notices.append(Notice("W210", f"{name}: {1 - valid:.1%} of the image has no data"))
    if look.classes is None:
        notices.append(
            Notice("I213", f"{name}: no scene classification (SCL), cloud and snow are judged by colour")
        )
    elif look.valid.any():
        cloud = float(np.isin(look.classes[look.valid], optical_checks.CLOUD_CLASSES).mean())
        snow = float((look.classes[look.valid] == optical_checks.SNOW_CLASS).mean())
        if cloud + snow > 0.5:
            notices.append(
                Notice(
                    "W207", f"{name}: {cloud:.0%} cloud, {snow:.0%} snow; the optical bands say little there"
                )
            )
    partly = np.any([np.isfinite(band) for band in look.bands.values()], axis=0) & ~look.valid
    if partly.mean() > 0.005:
        notices.append(
            Notice(
                "I212",
                f"{name}: {partly.mean():.1%} of the pixels have data in some bands only and count as "
                "missing; if a zero is a measurement there, write nodata: [] in scene.yaml",
            )
        )
    for band, values in look.bands.items():
        seen = values[look.valid]
        highest = float((seen == seen.max(initial=-np.inf)).mean()) if seen.size else 0.0
        if CLIPPED < highest < 1:
            notices.append(
                Notice(
                    "W350",
                    f"{name}: {highest:.1%} of the pixels in {band} have its highest value, {seen.max():g} "
                    "DN: clipped for display? Scars look alike then; give the numbers as they were delivered",
                )
            )
    return notices


def mixed_offset_notices(name: str, look: Look, scale: float) -> list[Notice]:
    """Return a notice (W203) where parts of the image carry the offset and others do not, as in some mosaics.

    Parameters
    ----------
    look : Look
        Stored numbers.
    scale : float
        Stored number -> DN.
    """
    verdicts = [
        offset_verdict(
            Look(
                {band: values[part] for band, values in look.bands.items()},
                None if look.classes is None else look.classes[part],
            ),
            scale,
        )[0]
        for part in _parts(look.valid)
    ]
    present, absent = verdicts.count("present"), verdicts.count("absent")
    if min(present, absent) <= MIXED * (present + absent):
        return []
    return [
        Notice(
            "W203",
            f"{name}: the pixels say that the offset is present in {present} and absent in {absent} places. "
            "In a mosaic of images with and without it one part is wrong: make all alike before joining them",
        )
    ]


def _parts(valid: npt.NDArray[np.bool_]) -> list[tuple[slice, slice]]:
    """Cut an image into squares of PART pixels, those left out of which little is valid."""
    corners = [(i, j) for i in range(0, valid.shape[0], PART) for j in range(0, valid.shape[1], PART)]
    parts = [(slice(i, i + PART), slice(j, j + PART)) for i, j in corners]
    return [part for part in parts if valid[part].sum() > PART**2 / 2]
