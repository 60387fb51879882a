"""One band of a raster file."""

from __future__ import annotations

from dataclasses import dataclass

from landslide_map.grid import Grid


@dataclass(frozen=True, slots=True)
class RasterBand:
    """One band of one raster file."""

    path: str
    """What GDAL opens: a file path or ``/vsizip/...``."""
    grid: Grid
    """The band's own pixel grid; may be in any CRS and resolution."""
    index: int = 1
    """One-based band number."""
    nodata: tuple[float, ...] = ()
    """Values that mean "no data", beside NaN (which always does)."""
