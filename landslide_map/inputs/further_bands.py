"""Bands that only pixel members read, each opened when it is read: 20 m, 60 m, Level-1C, incidence."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Final

import numpy as np

from landslide_map.errors import InputError
from landslide_map.grid import Grid
from landslide_map.inputs.scene_inputs import UnopenedBand
from landslide_map.raster.band import RasterBand
from landslide_map.raster.open import open_band, opened
from landslide_map.raster.sampling import decimated

_MOST_RADIANS: Final = 2.0
"""Median of an angle in degrees is far above that; half a turn is 3.14 radians, and no median is."""
_DEGREES: Final = (0.0, 180.0)
_COARSE: Final = 60.0
"""Pixels of a band that lies on the ground of another image may be so much larger at its edges, metres."""


@lru_cache(maxsize=256)
def opened_band(band: UnopenedBand) -> RasterBand:
    """Open a band of Sentinel-2.

    Raises
    ------
    InputError
        As :func:`~landslide_map.raster.open.open_band`; E109 where it lies elsewhere than its image.
    """
    found = replace(open_band(band.path, band.index, band.nodata, placed=band.placed), limits=band.limits)
    if band.like is not None and not _same_ground(found.grid, band.like):
        raise InputError(
            "E109",
            f"{found.path}: lies at {_corners(found.grid)}, the 10 m bands at {_corners(band.like)}; "
            "expected another band of the same image",
        )
    return found


@lru_cache(maxsize=256)
def opened_angle(band: UnopenedBand) -> tuple[RasterBand, float]:
    """Open incidence angles, and return their factor to degrees.

    Raises
    ------
    InputError
        As :func:`~landslide_map.raster.open.open_band`; E301 where the numbers are no angles.
    """
    found = open_band(band.path, band.index, band.nodata)
    with opened(found.path) as dataset:
        real = np.issubdtype(np.dtype(dataset.dtypes[found.index - 1]), np.floating)
    seen = decimated(found)
    # Outside of the swath products hold 0, which is no angle of a side-looking radar.
    seen = seen[np.isfinite(seen) & (seen != 0)]
    median = float(np.median(seen)) if seen.size else np.nan
    if not (0 < median <= _DEGREES[1]) or (not real and median < _MOST_RADIANS):
        raise InputError(
            "E301", f"{found.path}: its median is {median:.4g}; expected incidence angles, degrees or radians"
        )
    factor = float(np.degrees(1.0)) if median < _MOST_RADIANS else 1.0
    return replace(found, nodata=(*found.nodata, 0.0), limits=(0.0, _DEGREES[1] / factor)), factor


def _same_ground(grid: Grid, other: Grid) -> bool:
    ends = zip(grid.bounds, other.bounds, strict=True)
    return grid.crs == other.crs and all(abs(a - b) <= _COARSE for a, b in ends)


def _corners(grid: Grid) -> str:
    left, bottom, right, top = grid.bounds
    return f"{left:.10g} {top:.10g} to {right:.10g} {bottom:.10g}"
