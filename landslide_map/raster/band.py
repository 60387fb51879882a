"""One band of a raster file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from landslide_map.grid import Grid

FLOAT32: Final = (float(np.finfo(np.float32).min), float(np.finfo(np.float32).max))
"""Beyond float32 there is no measurement, only fill."""


@dataclass(frozen=True, slots=True)
class RasterBand:
    """One band of one raster file."""

    path: str
    """Path for GDAL: a file or ``/vsizip/...``."""
    grid: Grid
    """The band's own pixel grid; may be in any CRS and resolution."""
    index: int = 1
    """One-based band number."""
    nodata: tuple[float, ...] = ()
    """Values that mean "no data", beside NaN (which always does)."""
    limits: tuple[float, float] = FLOAT32
    """Lowest and highest stored value that can be a measurement; others are no data."""
    mask: int | None = None
    """Band that is 0 where there is no data: the number of an alpha band, or 0 for the mask of the file."""
