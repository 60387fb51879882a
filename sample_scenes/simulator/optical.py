"""Sentinel-2 surface reflectance under a slanted sun, and the digital numbers that store it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from sample_scenes.simulator.cover import Cover
from sample_scenes.simulator.noise import Field, power_law_field, smoothstep
from sample_scenes.simulator.options import EventOptions
from sample_scenes.simulator.scars import Scars
from sample_scenes.simulator.seasons import leaf
from sample_scenes.simulator.sky import CLOUD, Sky
from sample_scenes.simulator.terrain import PIXEL_M

BANDS = ("B02", "B03", "B04", "B08")
DIFFUSE = np.array([0.30, 0.22, 0.16, 0.09])
"""Share of sky light on flat ground, falling with wavelength."""
HAZE = np.array([0.005, 0.004, 0.003, 0.002])
"""Reflectance that an imperfect atmospheric correction leaves."""
SHIFT_PX = 0.25
"""Deviation of the position of one image against another."""

FOREST = {
    "broadleaf": (0.019, 0.041, 0.030, 0.260),
    "deciduous": (0.020, 0.043, 0.032, 0.290),
    "conifer": (0.016, 0.029, 0.024, 0.185),
    "dry": (0.034, 0.056, 0.062, 0.220),
}
LEAFLESS = (0.044, 0.060, 0.072, 0.165)
"""Branches and litter."""
GRASS, HAY = (0.032, 0.066, 0.055, 0.290), (0.058, 0.085, 0.105, 0.215)
PLOUGHED, GROWN = (0.050, 0.070, 0.085, 0.170), (0.024, 0.056, 0.038, 0.340)
DEBRIS = {
    "grey": (0.098, 0.126, 0.155, 0.228),
    "red": (0.052, 0.084, 0.168, 0.262),
    "brown": (0.058, 0.084, 0.122, 0.205),
    "pale": (0.165, 0.195, 0.225, 0.290),
    "dark": (0.052, 0.064, 0.074, 0.118),
}
"""Reflectance of a scar, by soil: fresh rock and subsoil."""
MUCK = (0.044, 0.062, 0.070, 0.190)
"""Reflectance of a scar: dark soil with plant remains."""
TINTED = ("soil", "cut", "bare", "gravel", "rock", "old_scar")
"""Covers that share the colour of the soil."""
TINT = 0.7
"""Share of that colour, on the scale of logarithms."""
REFLECTANCE = {
    "soil": (0.060, 0.082, 0.106, 0.190),
    "cut": (0.050, 0.074, 0.084, 0.205),
    "burn": (0.036, 0.044, 0.050, 0.105),
    "bare": (0.090, 0.115, 0.135, 0.190),
    "gravel": (0.108, 0.134, 0.156, 0.215),
    "rock": (0.096, 0.112, 0.126, 0.168),
    "old_scar": (0.080, 0.106, 0.126, 0.222),
    "snow": (0.720, 0.720, 0.700, 0.640),
    "water": (0.042, 0.058, 0.050, 0.032),
}


@dataclass(frozen=True, slots=True)
class Texture:
    """Variation inside the covers that stays from one image to the next; mean 0, deviation 1."""

    grain: Field
    stones: Field
    wet: Field


def make_texture(shape: tuple[int, int], rng: np.random.Generator) -> Texture:
    """Return the lasting texture of a map."""
    return Texture(
        grain=power_law_field(shape, rng, exponent=0.45, longest=8),
        stones=power_law_field(shape, rng, exponent=0.95, longest=25),
        wet=power_law_field(shape, rng, exponent=1.3, longest=40),
    )


def _direct_light(elevation: Field, sky: Sky) -> Field:
    """Return the cosine of the sun's incidence over that on flat ground, 0 in cast shadow."""
    down, right = np.gradient(elevation, PIXEL_M)
    sun, azimuth = np.radians(sky.elevation), np.radians(sky.azimuth)
    east, north, up = np.cos(sun) * np.sin(azimuth), np.cos(sun) * np.cos(azimuth), np.sin(sun)
    cosine = (-right * east + down * north + up) / np.sqrt(1 + down**2 + right**2)
    lit = np.ones(elevation.shape)
    for step in range(2, 60, 2):  # march towards the sun
        ray = elevation + step * PIXEL_M * np.tan(sun)
        blocked = ndimage.shift(
            elevation, (step * np.cos(azimuth), -step * np.sin(azimuth)), order=1, mode="nearest"
        )
        lit = np.minimum(lit, 1 - smoothstep(blocked - ray, -2, 6))
    light = np.clip(cosine, 0, None) / up * ndimage.gaussian_filter(lit, 0.8)
    return np.asarray(light * (1 - sky.shadow))


def _between(low: tuple[float, ...], high: tuple[float, ...], share: float) -> tuple[float, ...]:
    """Return the reflectance between two, on the scale of logarithms."""
    return tuple(float(a ** (1 - share) * b**share) for a, b in zip(low, high, strict=True))


def _levels(forest: str, soil: str, contrast: float, time: datetime) -> dict[str, tuple[float, ...]]:
    """Return the reflectance of every cover but fields on a date."""
    tint = tuple((own / grey) ** TINT for own, grey in zip(DEBRIS[soil], DEBRIS["grey"], strict=True))
    tinted = {name: tuple(a * b for a, b in zip(REFLECTANCE[name], tint, strict=True)) for name in TINTED}
    return (
        REFLECTANCE
        | tinted
        | {
            "forest": _between(LEAFLESS, FOREST[forest], leaf(forest, time)),
            "grass": _between(HAY, GRASS, leaf("grass", time)),
            "scar": _between(MUCK, DEBRIS[soil], contrast),
        }
    )


def _mixed(cover: Cover, scars: Scars, texture: Texture, levels: dict[str, tuple[float, ...]]) -> Field:
    """Return (4, row, col) reflectance on flat ground."""
    grain, stones, wet = texture.grain, texture.stones, texture.wet
    ploughed, grown = (np.array(v)[:, None, None] for v in (PLOUGHED, GROWN))
    total = cover.fractions["field"] * (ploughed + (grown - ploughed) * cover.crop) * np.exp(0.05 * grain)
    # More leaves: darker in the visible, brighter in the near infrared.
    leaves = np.array([-0.14, -0.09, -0.18, 0.13])[:, None, None] * cover.vigour
    canopy = np.array([0.17, 0.15, 0.18, 0.14])[:, None, None] * grain
    # Fresh debris: brightest near the crown, darker and wetter towards the toe, tree remains throughout.
    fresh = 0.18 * (0.5 - scars.downslope) + 0.22 * stones + 0.14 * wet + 0.07 * grain + scars.brightness
    within = {
        "forest": leaves + canopy,
        "grass": 1.2 * leaves + 0.7 * canopy,
        "cut": 0.5 * leaves + 0.18 * stones + 0.5 * canopy,
        "burn": 0.25 * stones + 0.10 * wet,
        "soil": 0.12 * wet + 0.05 * grain,
        "snow": 0.05 * stones,
        "water": 0.06 * wet,
        "scar": fresh,
    }
    for name, fraction in cover.fractions.items():
        if name != "field":
            flat = np.array(levels[name])[:, None, None]
            total = total + fraction * flat * np.exp(within.get(name, 0.22 * stones + 0.05 * grain))
    return np.asarray(total)


@dataclass(frozen=True, slots=True)
class Ground:
    """Ground under Sentinel-2 on one date."""

    cover: Cover
    scars: Scars
    elevation: Field
    """Metres."""
    texture: Texture


def reflectance(
    ground: Ground, sky: Sky, options: EventOptions, time: datetime, rng: np.random.Generator
) -> Field:
    """Return the reflectance that Sentinel-2 measures, (band, row, col) as BANDS: clouds, haze and noise in.

    Of `options` the forest, the soil and the contrast of the scars count.
    """
    direct = _direct_light(ground.elevation, sky)
    slope = np.hypot(*np.gradient(ground.elevation, PIXEL_M))
    lit_sky = (1 + 1 / np.sqrt(1 + slope**2)) / 2
    haze = 1 + 0.25 * power_law_field(slope.shape, rng, exponent=1.8, longest=200)
    diffuse = DIFFUSE[:, None, None]
    flat = _mixed(
        ground.cover,
        ground.scars,
        ground.texture,
        _levels(options.forest, options.soil, options.contrast, time),
    )
    observed = flat * ((1 - diffuse) * direct + diffuse * lit_sky) + HAZE[:, None, None] * haze
    if sky.cloud.any():
        observed += sky.cloud * (CLOUD[:, None, None] * (0.75 + 0.35 * sky.cloud) - observed)
    move = rng.normal(0, SHIFT_PX, 2)
    observed = np.stack(
        [
            ndimage.shift(ndimage.gaussian_filter(band, 0.4), move, order=1, mode="nearest")
            for band in observed
        ]
    )
    return np.asarray(observed + rng.normal(0, 1, observed.shape) * (0.0008 + 0.006 * observed))


def digital_numbers(measured: Field) -> npt.NDArray[np.uint16]:
    """Return Sentinel-2 digital numbers ``10000 * reflectance + 1000``."""
    return np.clip(np.rint(10000 * measured + 1000), 1, 65534).astype(np.uint16)
