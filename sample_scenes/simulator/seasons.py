"""Season: position of the sun and greenness of plants on a date."""

from __future__ import annotations

from datetime import datetime

import numpy as np

LEAST_ELEVATION = 18.0
"""Degrees: at lower suns no image is made."""
HOUR = 10.5
"""Local solar time of Sentinel-2."""
LEAF = {"broadleaf": 0.9, "deciduous": 0.0, "conifer": 1.0, "dry": 0.6, "grass": 0.25}
"""Share of the leaves that is left in the dead season."""


def sun_position(time: datetime, latitude: float) -> tuple[float, float]:
    """Return elevation and azimuth of the sun (degrees, clockwise from north) when Sentinel-2 passes."""
    day = time.timetuple().tm_yday - 1
    # The ellipse of the orbit shifts the seasons by up to 1.914 degrees of longitude.
    longitude = np.radians(0.98565 * (day + 10) + 1.914 * np.sin(np.radians(0.98565 * (day - 2))))
    declination = -np.arcsin(0.39779 * np.cos(longitude))
    north, hour = np.radians(latitude), np.radians(15 * (HOUR - 12))
    up = np.sin(north) * np.sin(declination) + np.cos(north) * np.cos(declination) * np.cos(hour)
    from_south = np.arctan2(np.sin(hour), np.cos(hour) * np.sin(north) - np.tan(declination) * np.cos(north))
    elevation = float(np.degrees(np.arcsin(up)))
    return max(elevation, LEAST_ELEVATION), float((180 + np.degrees(from_south)) % 360)


def leaf(plant: str, time: datetime) -> float:
    """Return the share of its leaves that a plant of LEAF carries; grass greens earlier and fades earlier."""
    day = time.timetuple().tm_yday
    start, end = (80, 290) if plant == "grass" else (105, 300)
    green = np.clip((day - start) / 30, 0, 1) * np.clip((end + 20 - day) / 30, 0, 1)
    return float(LEAF[plant] + (1 - LEAF[plant]) * green)
