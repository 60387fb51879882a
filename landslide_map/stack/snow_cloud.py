"""Snow and cloud by colour: bright, grey or bluish pixels without vegetation."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from landslide_map.bands import (
    CLOUD_CLASS,
    DN_OFFSET,
    DN_PER_REFLECTANCE,
    OPTICAL,
    SHADOW_CLASS,
    SNOW_CLASS,
)

BRIGHT: Final = 0.18
"""Reflectance that snow and cloud exceed in red, green and blue alike; fresh scars rarely do in blue."""
GREY: Final = 0.85
"""Blue over red reflectance above which a bright surface is no soil: soil and fresh scars are warmer."""
BARE: Final = 0.35
"""NDVI (of reflectance) below which nothing green shows through."""
HAZE: Final = (0.13, 0.95)
"""Limits in place of `BRIGHT` and `GREY` where the scene classification says cloud already."""
SHADED_SNOW: Final = 0.12
"""The only limit where the scene classification, which sees the short-wave infrared, says snow."""
SCL_CLOUD: Final = (8, 9, 10)
SCL_SNOW: Final = 11
SCL_WATER: Final = 6
SCL_SHADOW: Final = 3
SCL_NOTHING: Final = 0
SCL_HIDING: Final = {CLOUD_CLASS: SCL_CLOUD, SNOW_CLASS: (SCL_SNOW,), SHADOW_CLASS: (SCL_SHADOW,)}
"""Channel -> codes of the scene classification that are 1 in it."""


def snow_or_cloud_pixels(
    optical: dict[str, npt.NDArray[np.float32]], classes: npt.NDArray[np.float32] | None = None
) -> npt.NDArray[np.float32]:
    """Return 1 for snow or cloud, 0 for anything else, NaN where red, green or blue is missing.

    Parameters
    ----------
    optical : dict of ndarray, (row, col), float32
        ``red, green, blue, nir`` as training DN; NaN = missing. Without near infrared the other tests decide.
    classes : ndarray, (row, col), float32, optional
        Scene classification (SCL) codes, NaN = missing. It calls fresh bright scars cloud, so its word is
        never enough: it lowers the limits. It never clears a pixel that looks like snow or cloud.

    Returns
    -------
    ndarray, (row, col), float32
        Limits and what they do on real scenes: docs/decisions/0008-snow-and-cloud.md.

    Examples
    --------
    Fresh snow, a fresh scar, a forest (reflectance 0.7, 0.2 and 0.03 in red):

    >>> red, green, blue, nir = np.array(
    ...     [[8000, 3000, 1300], [8000, 2600, 1400], [8000, 2400, 1250], [7500, 3600, 4000]], np.float32)
    >>> snow_or_cloud_pixels({"red": red, "green": green, "blue": blue, "nir": nir})
    array([1., 0., 0.], dtype=float32)
    """
    red, green, blue, nir = (
        (optical[n] - np.float32(DN_OFFSET)) / np.float32(DN_PER_REFLECTANCE) for n in OPTICAL
    )
    darkest = np.minimum(np.minimum(red, green), blue)
    # As products, because reflectance may be zero or below; NaN compares false, hence "not green".
    green_shows = (nir - red) >= np.float32(BARE) * (nir + red)
    found = (darkest > BRIGHT) & (blue > GREY * red) & ~green_shows
    if classes is not None:
        found |= np.isin(classes, SCL_CLOUD) & (darkest > HAZE[0]) & (blue > HAZE[1] * red)
        found |= (classes == SCL_SNOW) & (darkest > SHADED_SNOW)
    return np.where(np.isnan(darkest), np.float32(np.nan), found.astype(np.float32))
