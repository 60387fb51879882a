"""Sentinel-2 surface reflectance under a slanted sun, and the digital numbers that store it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from sample_scenes.simulator.cover import Cover
from sample_scenes.simulator.noise import Field, power_law_field, smoothstep
from sample_scenes.simulator.scars import Scars
from sample_scenes.simulator.terrain import PIXEL_M

BANDS = ("B02", "B03", "B04", "B08")
SUN_ELEVATION, SUN_AZIMUTH = 63.0, 124.0
"""Degrees, azimuth clockwise from north: 24 N on 3 September at 10.5 h local solar time."""
DIFFUSE = np.array([0.30, 0.22, 0.16, 0.09])
"""Share of sky light on flat ground, falling with wavelength."""
HAZE = np.array([0.005, 0.004, 0.003, 0.002])
"""Reflectance that an imperfect atmospheric correction leaves."""

REFLECTANCE = {
    "forest": (0.019, 0.041, 0.030, 0.260),
    "grass": (0.032, 0.066, 0.055, 0.290),
    "bare": (0.090, 0.115, 0.135, 0.190),
    "water": (0.042, 0.058, 0.050, 0.032),
    "scar": (0.098, 0.126, 0.155, 0.228),
}
PLOUGHED, GROWN = (0.050, 0.070, 0.085, 0.170), (0.024, 0.056, 0.038, 0.340)


def _direct_light(elevation: Field) -> Field:
    """Return the cosine of the sun's incidence over that on flat ground, 0 in cast shadow."""
    down, right = np.gradient(elevation, PIXEL_M)
    sun, azimuth = np.radians(SUN_ELEVATION), np.radians(SUN_AZIMUTH)
    east, north, up = np.cos(sun) * np.sin(azimuth), np.cos(sun) * np.cos(azimuth), np.sin(sun)
    cosine = (-right * east + down * north + up) / np.sqrt(1 + down**2 + right**2)
    lit = np.ones(elevation.shape)
    for step in range(2, 60, 2):  # march towards the sun
        ray = elevation + step * PIXEL_M * np.tan(sun)
        blocked = ndimage.shift(
            elevation, (step * np.cos(azimuth), -step * np.sin(azimuth)), order=1, mode="nearest"
        )
        lit = np.minimum(lit, 1 - smoothstep(blocked - ray, -2, 6))
    return np.asarray(np.clip(cosine, 0, None) / up * ndimage.gaussian_filter(lit, 0.8))


def _mixed(cover: Cover, scars: Scars, rng: np.random.Generator) -> Field:
    """Return (4, row, col) reflectance on flat ground."""
    shape = cover.vigour.shape
    grain = power_law_field(shape, rng, exponent=0.45, longest=8)
    stones = power_law_field(shape, rng, exponent=0.95, longest=25)
    wet = power_law_field(shape, rng, exponent=1.3, longest=40)
    ploughed, grown = (np.array(v)[:, None, None] for v in (PLOUGHED, GROWN))
    total = cover.fractions["field"] * (ploughed + (grown - ploughed) * cover.crop) * np.exp(0.05 * grain)
    # More leaves: darker in the visible, brighter in the near infrared.
    leaf = np.array([-0.14, -0.09, -0.18, 0.13])[:, None, None] * cover.vigour
    canopy = np.array([0.17, 0.15, 0.18, 0.14])[:, None, None] * grain
    # Fresh debris: brightest near the crown, darker and wetter towards the toe, tree remains throughout.
    fresh = 0.18 * (0.5 - scars.downslope) + 0.22 * stones + 0.14 * wet + 0.07 * grain
    texture = {
        "forest": leaf + canopy,
        "grass": 1.2 * leaf + 0.7 * canopy,
        "bare": 0.22 * stones,
        "water": 0.06 * wet,
    }
    for name, reflectance in REFLECTANCE.items():
        flat = np.array(reflectance)[:, None, None]
        total = total + cover.fractions[name] * flat * np.exp(fresh if name == "scar" else texture[name])
    return np.asarray(total)


def digital_numbers(
    cover: Cover, scars: Scars, elevation: Field, rng: np.random.Generator
) -> npt.NDArray[np.uint16]:
    """Return Sentinel-2 digital numbers ``10000 * reflectance + 1000``, (band, row, col), as BANDS."""
    direct = _direct_light(elevation)
    slope = np.hypot(*np.gradient(elevation, PIXEL_M))
    sky = (1 + 1 / np.sqrt(1 + slope**2)) / 2
    haze = 1 + 0.25 * power_law_field(elevation.shape, rng, exponent=1.8, longest=200)
    diffuse = DIFFUSE[:, None, None]
    observed = (
        _mixed(cover, scars, rng) * ((1 - diffuse) * direct + diffuse * sky) + HAZE[:, None, None] * haze
    )
    observed = np.stack([ndimage.gaussian_filter(band, 0.45) for band in observed])
    noise = rng.normal(0, 1, observed.shape) * (0.0008 + 0.006 * observed)
    return np.clip(np.rint(10000 * (observed + noise) + 1000), 1, 65534).astype(np.uint16)
