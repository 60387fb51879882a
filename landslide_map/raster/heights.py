"""Open elevation model, and the heights of points on the ground."""

from __future__ import annotations

from typing import Final

from rasterio.io import DatasetReader

from landslide_map.grid import Grid
from landslide_map.raster.band import RasterBand
from landslide_map.raster.coordinates import horizontal

GROUND_M: Final = (-500.0, 9000.0)
"""Range from the Dead Sea to Everest. Anything else is fill, -9999 or -32768, which files often do not
declare: taken as ground it would be flat."""


def height_band(path: str, dataset: DatasetReader) -> RasterBand:
    """Return the first band of an open elevation model, where only heights of ground are valid."""
    grid = Grid(horizontal(dataset.crs), dataset.transform, dataset.width, dataset.height)
    nodata = tuple(value for value in dataset.nodatavals[:1] if value is not None)
    return RasterBand(path, grid, nodata=nodata, limits=GROUND_M)
