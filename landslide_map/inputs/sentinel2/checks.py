"""Checks of a Sentinel-2 image on its pixels: bands, units, band order; notices on its condition."""

from __future__ import annotations

from itertools import combinations
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from landslide_map.bands import DN_OFFSET
from landslide_map.errors import InputError, Notice
from landslide_map.inputs.sentinel2 import offset
from landslide_map.inputs.sentinel2.offset import (
    BRIGHT_DN,
    MIN_SHARE,
    VEGETATION_STEP_DN,
    BandSample,
    offset_verdict,
)

BRIGHTEST_DN: Final = 30_000.0
"""Clouds reach 20,944 in 7,147 training windows, a few glints more."""
CLASS_STEP: Final = 0.05
"""Least difference of NDVI between pixels classified as plants and others: the classifier uses it."""
VEGETATION, BARE, ENOUGH = 4, (2, 5, 6), 200
"""Codes of the classification that are compared, and the fewest pixels of both."""
CLIPPED: Final = 0.01
"""Share of the pixels that have the highest value of all, from which it is no measurement."""
PART: Final = 64
"""Edge of the squares that are checked for the offset one by one, pixels of a sample."""
MIXED: Final = 0.2
"""Share of them that must contradict the others: haze lifts plants in a few squares."""


def condition_notices(name: str, sample: BandSample) -> list[Notice]:
    """Return notices on emptiness, cloud, snow (W207, W210), zeros in some bands (I212), clipping (W350)."""
    notices = []
    valid = float(sample.valid.mean())
    if valid < 0.5:
        notices.append(Notice("W210", f"{name}: {1 - valid:.1%} of the image has no data"))
    if sample.classes is None:
        notices.append(
            Notice("I213", f"{name}: no scene classification (SCL), cloud and snow are found by colour")
        )
    elif sample.valid.any():
        cloud = float(np.isin(sample.classes[sample.valid], offset.CLOUD_CLASSES).mean())
        snow = float((sample.classes[sample.valid] == offset.SNOW_CLASS).mean())
        if cloud + snow > 0.5:
            notices.append(
                Notice(
                    "W207", f"{name}: {cloud:.0%} cloud, {snow:.0%} snow; the optical bands say little there"
                )
            )
    partly = np.any([np.isfinite(band) for band in sample.bands.values()], axis=0) & ~sample.valid
    if partly.mean() > 0.005:
        notices.append(
            Notice(
                "I212",
                f"{name}: {partly.mean():.1%} of the pixels have data in some bands only and count as "
                "missing. If a zero is a measurement there, write nodata: [] in scene.yaml",
            )
        )
    for band, values in sample.bands.items():
        seen = values[sample.valid]
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


def mixed_offset_notices(name: str, sample: BandSample, scale: float) -> list[Notice]:
    """Return a notice (W203) where parts of the image carry the offset and others do not, as in some mosaics.

    Parameters
    ----------
    sample : BandSample
        Stored numbers.
    scale : float
        Stored number -> DN.
    """
    verdicts = [
        offset_verdict(
            BandSample(
                {band: values[part] for band, values in sample.bands.items()},
                None if sample.classes is None else sample.classes[part],
            ),
            scale,
        )[0]
        for part in _parts(sample.valid)
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


def check_units(name: str, units: Literal["dn", "reflectance"], sample: BandSample) -> None:
    """Refuse (E205) reflectance declared as digital numbers, the reverse, and 8-bit pictures."""
    values = np.concatenate([band[sample.valid] for band in sample.bands.values()])
    if not values.size:
        return
    middle, top = (float(np.quantile(values, q)) for q in (0.5, 0.99))
    if units == "dn" and top < 3:
        raise InputError(
            "E205",
            f"{name}: 99 % of the numbers are below {top:.3g}, as in reflectance; write units: reflectance",
        )
    if units == "dn" and top <= 255:
        raise InputError(
            "E205",
            f"{name}: 99 % of the numbers are below {top:.0f}, as in an 8-bit picture; expected digital "
            "numbers (10000 * reflectance) or reflectance",
        )
    if units == "dn" and top > BRIGHTEST_DN:
        raise InputError(
            "E205",
            f"{name}: 1 % of the numbers exceed {top:.0f}, three times as bright as snow. The image was "
            "stretched for display: give the numbers as they were delivered",
        )
    if units == "reflectance" and middle > 3:
        raise InputError(
            "E205", f"{name}: half of the numbers exceed {middle:.0f}, as in digital numbers; write units: dn"
        )


def check_bands_differ(name: str, sample: BandSample) -> None:
    """Refuse (E206) one band listed as two, and a classification that is none."""
    for one, other in combinations(sample.bands, 2):
        same = float(np.mean((sample.bands[one] == sample.bands[other])[sample.valid]))
        if same > 0.5:
            raise InputError(
                "E206",
                f"{name}: {one} and {other} hold the same value in {same:.0%} of the pixels; "
                "give one file or band number for each band",
            )
    if sample.classes is not None:
        classes = sample.classes[np.isfinite(sample.classes)]
        if classes.size and np.mean(classes > offset.SNOW_CLASS) > 0.01:
            raise InputError(
                "E206",
                f"{name}: its SCL holds numbers up to {classes.max():g}; expected the scene classification, "
                "0 to 11; correct SCL, or leave it out",
            )


def classification_notices(name: str, sample: BandSample, offset: float) -> list[Notice]:
    """Warn (W220) of a classification of another image: plants in it are not where plants are.

    Parameters
    ----------
    sample : BandSample
        In DN; with `offset` added they carry that of baseline 04.00.
    """
    if sample.classes is None or not {"red", "nir"} <= sample.bands.keys():
        return []
    red, nir = (sample.bands[band] + np.float32(offset - DN_OFFSET) for band in ("red", "nir"))
    ndvi = (nir - red) / np.maximum(nir + red, 1)
    plants = sample.valid & (sample.classes == VEGETATION)
    others = sample.valid & np.isin(sample.classes, BARE)
    if min(plants.sum(), others.sum()) < ENOUGH:
        return []
    green, bare = (float(np.median(ndvi[part])) for part in (plants, others))
    if green - bare > CLASS_STEP:
        return []
    return [
        Notice(
            "W220",
            f"{name}: NDVI is {green:.2f} where the SCL says vegetation and {bare:.2f} where it says bare "
            "soil; "
            "it is turned over, displaced, or of another image. Its cloud and snow may be wrong",
        )
    ]


def check_band_order(name: str, sample: BandSample) -> list[Notice]:
    """Refuse (E206) a swap of NIR and red, or of blue and red; warn (W206) where haze may be the cause.

    `sample` is in DN, with or without the offset.
    """
    share = max(MIN_SHARE * sample.clear.sum(), 20)
    if {"red", "nir"} <= sample.bands.keys():
        red, nir = sample.bands["red"], sample.bands["nir"]
        # Nothing is brighter in red than in NIR by 0.15 while its NIR is below 0.25, except swapped plants.
        swapped = sample.clear & (red - nir > VEGETATION_STEP_DN) & (nir < 3500)
        plants = sample.clear & (nir - red > VEGETATION_STEP_DN)
        if swapped.sum() >= share and swapped.sum() > plants.sum():
            raise InputError(
                "E206",
                f"{name}: NIR is far darker than red in {swapped.sum() / sample.clear.sum():.0%} of the "
                f"clear "
                "pixels; red and NIR look swapped, correct the bands",
            )
    if {"red", "blue", "nir"} <= sample.bands.keys():
        red, blue, nir = (sample.bands[band] for band in ("red", "blue", "nir"))
        land = sample.clear & (nir - np.maximum(red, blue) > 300) & (np.maximum(red, blue) < BRIGHT_DN)
        if land.sum() >= share:
            low, middle, high = np.quantile(blue[land] - red[land], (0.05, 0.5, 0.95))
            # Soil and dry plants are brighter in red than in blue; nothing on land is the other way round.
            if high > 400 and low > -100:
                raise InputError(
                    "E206",
                    f"{name}: blue exceeds red by up to {high:.0f} DN over land and is never darker; "
                    "red and blue look swapped, correct the bands",
                )
            if high > 150 and middle > 50 and low > -60:
                return [
                    Notice(
                        "W206",
                        f"{name}: blue exceeds red over nearly all land, by {middle:.0f} DN in the "
                        "middle: haze, or "
                        "both are swapped. See the image in true colour",
                    )
                ]
    return []
