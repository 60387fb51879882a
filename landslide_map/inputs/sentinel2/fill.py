"""Undeclared fill in a Sentinel-2 image, found on the pixels.

Real images have no pixel in which all bands hold the same number: none in eleven scenes of TerraMind and
BigEarthNet, 0.34 million pixels (tests/unit/test_fill.py). Where many have, nothing was measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation, binary_erosion

from landslide_map.bands import DN_OFFSET, DN_PER_REFLECTANCE
from landslide_map.errors import InputError, Notice

Pixels = npt.NDArray[np.float32]

LOWEST_DN, HIGHEST_DN = 0.5, 65535 + DN_OFFSET + 0.5
"""Range of training DN. DN 0 is "no data" in each product of ESA, also after sums and divisions: as
reflectance it is -0.1, less 1000 it is -1000. Nothing is brighter than DN 65535 without the offset."""
FEWEST: Final = 20
"""Least number of pixels with equal bands that are no chance ..."""
SHARE: Final = 1e-4
"""... and their share of the pixels seen."""
STEP_DN: Final = 60.0
"""Least difference of all bands from fill beside it, DN. Clipped numbers have a soft edge instead."""
SQUARE: Final = np.ones((3, 3), bool)
MOSTLY: Final = 0.2


def dn_limits(scale: float, offset: float) -> tuple[float, float]:
    """Return between which stored numbers a measurement lies; training DN = stored * `scale` + `offset`.

    >>> dn_limits(1.0, 1000.0)
    (-999.5, 65535.5)
    """
    return (LOWEST_DN - offset) / scale, (HIGHEST_DN - offset) / scale


def without_fill(
    name: str, stored: Mapping[str, Pixels], units: Literal["dn", "reflectance"], *, zero: bool
) -> tuple[dict[str, Pixels], tuple[float, ...], list[Notice]]:
    """Find the values of an image that mean "no data" although no tag says so.

    Parameters
    ----------
    name : str
        Of the image, for messages.
    stored : mapping of str to ndarray, one shape
        Stored numbers of the same places in each band, NaN = no data.
    units : {"dn", "reflectance"}
    zero : bool
        Whether 0 may be fill: not where scene.yaml says which values are.

    Returns
    -------
    pixels : dict of ndarray
        `stored`, NaN where it is fill.
    values : tuple of float
        To be added to the nodata values of each band.
    notices : list of Notice
        I350 for each value.

    Raises
    ------
    InputError
        E350 where the highest value of all makes up a fifth of the pixels, in each band. This is a white
        background, or an image clipped for display.
    """
    pixels, notices = _within(name, stored, units)
    if len(pixels) < 3:
        return pixels, (), notices
    first, *others = pixels.values()
    equal = np.isfinite(first)
    for other in others:
        equal &= other == first
    step = STEP_DN if units == "dn" else STEP_DN / DN_PER_REFLECTANCE
    found, counts = np.unique(first[equal], return_counts=True)
    highest = max(float(np.nanmax(band, initial=-np.inf)) for band in pixels.values())
    values = []
    for value, count in zip(found.tolist(), counts.tolist(), strict=True):
        if count < max(FEWEST, SHARE * first.size) or (value == 0 and not zero):
            continue
        if not _ends_abruptly(equal & (first == value), value, pixels, step):
            continue
        message = f"{name}: all bands hold {value:g} in {count / first.size:.1%} of the pixels seen"
        if value < highest:
            values.append(value)
            notices.append(Notice("I350", f"{message}; that is taken as no data"))
        elif count > MOSTLY * first.size:
            raise InputError(
                "E350",
                f"{message}, and nothing is brighter: a background, or numbers clipped for display. Write "
                f"nodata: {value:g} in scene.yaml if it is a background; else give unclipped numbers",
            )
    pixels = {band: np.where(np.isin(p, values), np.float32(np.nan), p) for band, p in pixels.items()}
    return pixels, tuple(values), notices


def _ends_abruptly(
    fill: npt.NDArray[np.bool_], value: float, pixels: Mapping[str, Pixels], step: float
) -> bool:
    """Return whether pixels of a value are one piece beside which all bands hold something else."""
    inner = binary_dilation(fill, SQUARE)
    beside = binary_dilation(inner, SQUARE) & ~inner
    least = np.min([np.abs(band[beside] - value) for band in pixels.values()], axis=0)
    least = least[np.isfinite(least)]
    in_one_piece = bool(binary_erosion(fill, SQUARE, border_value=1).any())
    return in_one_piece and (least.size < FEWEST or float(np.median(least)) > step)


def _within(name: str, stored: Mapping[str, Pixels], units: str) -> tuple[dict[str, Pixels], list[Notice]]:
    """Return pixels without those that are none in the units, wherever the offset is; with a notice."""
    # Digital numbers that are declared as reflectance must remain to be refused as such.
    low = dn_limits(DN_PER_REFLECTANCE if units == "reflectance" else 1.0, DN_OFFSET)[0]
    notices: list[Notice] = []
    pixels = {}
    for band, values in stored.items():
        outside = (values < low) | (values > HIGHEST_DN)
        pixels[band] = np.where(outside, np.float32(np.nan), values)
        if outside.any() and not notices:
            found, counts = np.unique(values[outside], return_counts=True)
            notices = [
                Notice(
                    "I350",
                    f"{name}: {outside.mean():.2%} of the pixels seen in {band} hold "
                    f"{found[counts.argmax()]:g} or the like, which is no reflectance: taken as no data",
                )
            ]
    return pixels, notices
