"""Slope, aspect and hillshade from an elevation model."""

from __future__ import annotations

from typing import Final

import numpy as np

from landslide_map.array_types import Floats, Floats32

SUN_AZIMUTH_DEG: Final = 270.0
"""Clockwise from north: the default of Earth Engine's ``Terrain.hillshade``."""
SUN_ALTITUDE_DEG: Final = 45.0


def gradient(elevation: Floats32, pixel_m: float) -> tuple[Floats, Floats]:
    """Return the rise to the east and to the north by Horn's (1981) gradient of 3 x 3 pixels, m per m.

    Parameters
    ----------
    elevation : ndarray, (row, col), metres
        Rows run from north to south.
    pixel_m : float
        Pixel edge, metres.

    Returns
    -------
    tuple of ndarray, (row - 2, col - 2)
        NaN where one of the eight neighbours is missing.
    """
    z = elevation.astype(np.float64)
    down = z[2:] - z[:-2]
    right = z[:, 2:] - z[:, :-2]
    south = (down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]) / (8 * pixel_m)
    east = (right[:-2] + 2 * right[1:-1] + right[2:]) / (8 * pixel_m)
    missing = np.isnan(south) | np.isnan(east)
    return np.where(missing, np.nan, east), np.where(missing, np.nan, -south)


def slope(east: Floats, north: Floats) -> Floats32:
    """Return the slope in degrees."""
    return np.degrees(np.arctan(np.hypot(east, north))).astype(np.float32)


def aspect(east: Floats, north: Floats) -> Floats32:
    """Return the direction of steepest descent, degrees clockwise from north; NaN where the ground is flat.

    Examples
    --------
    Ground that falls to the east, and ground that falls to the south:

    >>> aspect(np.array([-0.1, 0.0]), np.array([0.0, 0.1]))
    array([ 90., 180.], dtype=float32)
    """
    direction = np.degrees(np.arctan2(-east, -north)) % 360
    return np.where((east == 0) & (north == 0), np.nan, direction).astype(np.float32)


def hillshade(
    east: Floats,
    north: Floats,
    azimuth_deg: float = SUN_AZIMUTH_DEG,
    altitude_deg: float = SUN_ALTITUDE_DEG,
) -> Floats32:
    """Return the illumination, 0 to 255.

    Examples
    --------
    Flat ground with the sun 45 degrees high:

    >>> hillshade(np.array([0.0]), np.array([0.0])).round(1)
    array([180.3], dtype=float32)
    """
    azimuth, altitude = np.radians(azimuth_deg), np.radians(altitude_deg)
    sun = np.cos(altitude) * np.sin(azimuth), np.cos(altitude) * np.cos(azimuth), np.sin(altitude)
    # The ground's normal is (-east, -north, 1), of that length.
    lit = (-east * sun[0] - north * sun[1] + sun[2]) / np.sqrt(east**2 + north**2 + 1)
    shade: Floats32 = (255 * np.maximum(lit, 0)).astype(np.float32)
    return shade
