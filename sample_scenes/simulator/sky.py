"""Clouds of one image, their shadows, and the scene classification that sees some of both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from sample_scenes.simulator.noise import Field, power_law_field, smoothstep
from sample_scenes.simulator.terrain import PIXEL_M

CLOUD = np.array([0.52, 0.51, 0.52, 0.55])
"""Reflectance of thick cloud, B02, B03, B04, B08."""
HEIGHT_M = (700.0, 1800.0)
"""Heights of the cloud base above the ground."""
DARK = 0.85
"""Share of the direct light that thick cloud takes away."""
VEGETATION, BARE, WATER, UNCLASSIFIED, SHADOW, CLOUDY, THICK, SNOW = 4, 5, 6, 7, 3, 8, 9, 11


@dataclass(frozen=True, slots=True)
class Sky:
    """Light and clouds above one image."""

    elevation: float
    """Elevation of the sun, degrees."""
    azimuth: float
    """Azimuth of the sun, degrees clockwise from north."""
    cloud: Field
    """Opacity of the cloud in front of each pixel, 0 to 1."""
    shadow: Field
    """Share of the direct light that clouds take, 0 to 1."""


def make_sky(shape: tuple[int, int], sun: tuple[float, float], cover: float, rng: np.random.Generator) -> Sky:
    """Return a sky with clouds over the share `cover` of the map."""
    if not cover:
        return Sky(*sun, np.zeros(shape), np.zeros(shape))
    field = power_law_field(shape, rng, exponent=1.75, longest=300)
    level = float(np.quantile(field, 1 - cover))
    cloud = smoothstep(field, level - 0.15, level + 0.35)
    away = rng.uniform(*HEIGHT_M) / np.tan(np.radians(sun[0])) / PIXEL_M
    azimuth = np.radians(sun[1])
    moved = ndimage.shift(
        cloud, (away * np.cos(azimuth), -away * np.sin(azimuth)), order=1, mode="grid-wrap"
    )  # shadows fall away from the sun
    return Sky(*sun, cloud, DARK * ndimage.gaussian_filter(moved, 1.5))


def scene_classification(reflectance: Field, sky: Sky, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Return SCL codes on 20 m pixels (two by two of the image), with the errors that they have.

    Thin edges of clouds are missed, cloud shadow is found where it is deep, bright ground now and then is
    called cloud (docs/decisions/0008-snow-and-cloud.md), and deep slope shade is called cloud shadow.
    """
    blue, green, red, nir = (_halved(band) for band in reflectance)
    cloud, shadow = _halved(sky.cloud), _halved(sky.shadow)
    doubt = 0.08 * power_law_field((blue.shape[0], blue.shape[1]), rng, exponent=0.8, longest=15)
    ndvi = (nir - red) / (nir + red + 1e-6)
    codes = np.full(blue.shape, UNCLASSIFIED, np.uint8)
    codes[ndvi > 0.4] = VEGETATION
    codes[(ndvi < 0.25) & (nir > 0.10)] = BARE
    codes[(ndvi < 0.05) & (nir < 0.09) & (green > nir)] = WATER
    codes[(shadow + doubt > 0.4) | ((nir < 0.05) & (codes != WATER))] = SHADOW
    codes[blue + doubt > 0.26] = CLOUDY
    codes[(blue > 0.35) & (nir < 0.95 * blue)] = SNOW
    codes[cloud + doubt > 0.3] = CLOUDY
    codes[cloud + doubt > 0.6] = THICK
    return codes


def _halved(image: Field) -> Field:
    """Return the mean of two by two pixels."""
    rows, cols = image.shape
    return np.asarray(image.reshape(rows // 2, 2, cols // 2, 2).mean((1, 3)))
