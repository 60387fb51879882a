"""Pixel evidence as one-byte codes: the same bits wherever a block is read, and exact integer sums.

Codes: 0 is missing, 1 is snow or cloud, 2 to 255 are values in equal steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from landslide_map.bands import (
    DIFFERENCES,
    DN_OFFSET,
    DN_PER_REFLECTANCE,
    NDVI_BEFORE,
    OPTICAL,
    SLOPE,
    WATER_CLASS,
)

Codes = npt.NDArray[np.uint8]

MISSING: Final = 0
CLOUD: Final = 1
FIRST: Final = 2
"""Least code that is a value."""
SHADED: Final = FIRST + 2
"""Code of a pixel in cloud shadow, in the layer of water: 2 is dry, 3 is water."""
NDVI: Final = "ndvi"
LAYERS: Final = (NDVI, *OPTICAL, *DIFFERENCES, NDVI_BEFORE, SLOPE, WATER_CLASS)
"""Layers of evidence in the order they are stored in."""
NDVI_STEP: Final = 1.2 / 253
NDVI_LEAST: Final = -0.2
LOG_STEP: Final = 0.025
"""Natural logarithm of reflectance: 2.5 %."""
LOG_LEAST: Final = float(np.log(0.002))
DB_STEP: Final = 0.125
DB_LEAST: Final = -DB_STEP * 126
SLOPE_STEP: Final = 0.3
"""Degrees."""


def coded(values: npt.NDArray[np.floating], least: float, step: float) -> Codes:
    """Return codes of values in equal steps from `least`, clipped; NaN is missing."""
    scaled = values - np.float32(least)  # then in place: further arrays double the time
    scaled /= np.float32(step)
    np.rint(scaled, out=scaled)
    scaled += np.float32(FIRST)
    np.clip(scaled, FIRST, 255, out=scaled)
    scaled[np.isnan(scaled)] = MISSING
    return scaled.astype(np.uint8)


def true_ndvi(red: npt.NDArray[np.float32], nir: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return NDVI of reflectance, from training DN."""
    a = np.maximum(red - np.float32(DN_OFFSET), np.float32(1))
    b = np.maximum(nir - np.float32(DN_OFFSET), np.float32(1))
    ndvi: npt.NDArray[np.float32] = (b - a) / (b + a)
    return ndvi


def optical_codes(
    optical: Mapping[str, npt.NDArray[np.float32]], snow_or_cloud: npt.NDArray[np.float32]
) -> dict[str, Codes]:
    """Return the codes of NDVI and of the four bands, of one block.

    Parameters
    ----------
    optical : dict of ndarray, (row, col), float32
        ``red, green, blue, nir`` as training DN; NaN = missing.
    snow_or_cloud : ndarray, (row, col), float32
        1 where snow or cloud hides the ground.
    """
    found = {NDVI: ndvi_codes(true_ndvi(optical["red"], optical["nir"]))}
    for name in OPTICAL:
        reflectance = (optical[name] - np.float32(DN_OFFSET)) / np.float32(DN_PER_REFLECTANCE)
        found[name] = coded(np.log(np.maximum(reflectance, np.float32(0.002))), LOG_LEAST, LOG_STEP)
    found[NDVI][(snow_or_cloud == 1) & (found[NDVI] != MISSING)] = CLOUD
    return found


def change_codes(difference: npt.NDArray[np.float32]) -> Codes:
    """Return the codes of a change of backscatter (dB)."""
    return coded(difference, DB_LEAST, DB_STEP)


def ndvi_codes(ndvi: npt.NDArray[np.float32]) -> Codes:
    """Return the codes of NDVI of reflectance."""
    return coded(ndvi, NDVI_LEAST, NDVI_STEP)
