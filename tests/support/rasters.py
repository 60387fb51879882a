"""Rasters and sources made by hand for tests of alignment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.crs import CRS

from landslide_map.grid import Block, Grid
from landslide_map.raster.band import RasterBand


def grid_at(epsg: int, left: float, top: float, shape: tuple[int, int], pixel: float = 10.0) -> Grid:
    """A north-up grid with its outer corner at (left, top)."""
    return Grid(CRS.from_epsg(epsg), Affine(pixel, 0, left, 0, -pixel, top), shape[1], shape[0])


def write_band(
    path: Path, values: Any, grid: Grid, nodata: tuple[float, ...] = (), **options: Any
) -> RasterBand:
    """Write `values` (row, col), or bands of them, as a GeoTIFF on `grid`; return the first band."""
    bands = np.atleast_3d(np.asarray(values).T).T
    shape = {"width": grid.width, "height": grid.height, "count": len(bands), "dtype": bands.dtype}
    place = {"crs": grid.crs, "transform": grid.transform}
    with rasterio.open(path, "w", driver="GTiff", **shape, **place, **options) as dataset:
        dataset.write(bands)
    return RasterBand(str(path), grid, nodata=nodata)


def whole(grid: Grid) -> Block:
    """The whole grid as one block."""
    return Block(0, 0, *grid.shape)
