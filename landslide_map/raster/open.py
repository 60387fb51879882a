"""Opening of one band of a raster file, with refusals of bands without a place on the ground.

Georeferencing is GDAL's: ``AREA_OR_POINT=Point`` files arrive with corner-based transforms, so nothing
here (or later) adds half a pixel.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from landslide_map.errors import InputError
from landslide_map.grid import Grid
from landslide_map.raster.band import RasterBand
from landslide_map.raster.coordinates import horizontal
from landslide_map.raster.dataset import files_in, gdal_path, open_dataset, variable_name
from landslide_map.raster.nodata import mask_of

_FARTHEST: Final = 5e8
"""Greatest coordinate in a map projection, in any unit: the Earth is 4e7 m around."""
_OPENING = Lock()
"""Filters of warnings are shared by all threads: one opens a file at a time."""


def files_of(band: RasterBand) -> tuple[Path, ...]:
    """Return the files on disk that hold `band`: the zip, where it lies in one; every part of several."""
    return files_in(band.path)


def open_band(
    path: str | Path,
    index: int = 1,
    nodata: tuple[float, ...] | None = None,
    default: tuple[float, ...] = (),
    measured: Collection[int] = (),
    placed: Grid | None = None,
) -> RasterBand:
    """Open one band, check that it is whole and placed on the ground, and describe it.

    Parameters
    ----------
    path : str or Path
        A raster that GDAL reads; a path may lead into a zip.
    index : int
        One-based band number.
    nodata : tuple of float, optional
        Values that mean "no data"; None for what the file itself says.
    default : tuple of float
        The same, where neither says.
    measured : collection of int
        Bands of the file that hold measurements: none of them is an alpha band.
    placed : Grid, optional
        Where the pixels lie, if the product says so elsewhere; it replaces what the file says.

    Raises
    ------
    InputError
        E101 missing, unreadable, truncated or without this band; E103 no coordinate reference
        system; E104 rotated; E108 complex numbers; E311 not geocoded.
    """
    with opened(path) as dataset:
        if dataset.count == 0 and dataset.driver == "netCDF":
            names = ", ".join(netcdf_variables(Path(path))) or "no raster"
            raise InputError(
                "E101",
                f"{path}: is a NetCDF file with several variables ({names}); write each as a GeoTIFF with "
                f'gdal_translate NETCDF:"{Path(path).name}":NAME NAME.tif, and name these',
            )
        if not 1 <= index <= dataset.count:
            raise InputError(
                "E101",
                f"{path}: there is no band {index}, the file has {dataset.count}; correct scene.yaml",
            )
        _check_pixels_kind(path, dataset, index)
        grid = _grid(path, dataset) if placed is None else _as_placed(path, dataset, placed)
        tag = dataset.nodatavals[index - 1]
        if nodata is None:
            nodata = default if tag is None else (tag,)
        last = Window(dataset.width - 1, dataset.height - 1, 1, 1)  # what a cut-off file lacks first
        dataset.read(index, window=last)
        mask = mask_of(dataset, index, frozenset(measured))
    values = tuple(value for value in nodata if not math.isnan(value))
    return RasterBand(gdal_path(path), grid, index, values, mask=mask)


@contextmanager
def opened(path: str | Path) -> Iterator[DatasetReader]:
    """Open a raster for reading; errors of GDAL inside become one InputError E101."""
    try:
        with _OPENING, warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # refused below, with a message
            dataset = open_dataset(path)
        with dataset:
            yield dataset
    except RasterioError as error:
        raise InputError(
            "E101", f"{path}: cannot be read; it is truncated, damaged or not a raster ({_reason(error)})"
        ) from None


def netcdf_variables(path: Path) -> dict[str, str]:
    """Return the rasters in a NetCDF file: variable -> name to open; none if the file is one raster."""
    with opened(path) as dataset:
        if dataset.count or dataset.driver != "netCDF":
            return {}
        return dict(variable_name(path, name) for name in dataset.subdatasets)


def _reason(error: BaseException) -> str:
    """Return the message of GDAL, from the chain behind rasterio's 'See previous exception'."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().rstrip(".").splitlines()[0] if str(error).strip() else type(error).__name__


def _check_pixels_kind(path: str | Path, dataset: DatasetReader, index: int) -> None:
    if (
        np.issubdtype(np.dtype(dataset.dtypes[index - 1]), np.complexfloating)
        or "complex" in dataset.dtypes[index - 1]
    ):
        raise InputError(
            "E108", f"{path}: complex numbers (an SLC?); expected detected, terrain-corrected backscatter"
        )


def _as_placed(path: str | Path, dataset: DatasetReader, placed: Grid) -> Grid:
    """Return the grid from a product's metadata, if the file has as many pixels."""
    if dataset.shape != placed.shape:
        raise InputError(
            "E109",
            f"{path}: has {dataset.shape[0]} x {dataset.shape[1]} pixels, the metadata of its product say "
            f"{placed.shape[0]} x {placed.shape[1]}; fetch the product again",
        )
    return placed


def _grid(path: str | Path, dataset: DatasetReader) -> Grid:
    crs, transform = dataset.crs, dataset.transform
    if not crs:
        gcps, _ = dataset.gcps
        if gcps:
            raise InputError(
                "E311",
                f"{path}: has ground control points but no map projection; terrain-correct it first "
                "(HyP3 RTC, Planetary Computer RTC, Earth Engine S1_GRD, or SNAP)",
            )
        raise InputError(
            "E103",
            f"{path}: has no coordinate reference system; expected a georeferenced raster (gdal_edit -a_srs)",
        )
    if not (crs.is_projected or crs.is_geographic):
        raise InputError(
            "E103", f"{path}: its coordinate reference system is local ({crs}); expected a map projection"
        )
    if dataset.driver == "netCDF" and transform.is_identity:
        raise InputError(
            "E103",
            f"{path}: this variable does not say where it lies: x and y have no standard_name "
            "projection_x_coordinate and projection_y_coordinate. Export every variable as a GeoTIFF, one "
            'band a file. With rioxarray: data["B04"].rio.to_raster("B04.tif")',
        )
    if transform.b or transform.d or transform.a <= 0 or transform.e >= 0:
        raise InputError(
            "E104",
            f"{path}: is rotated or not north-up ({tuple(transform)[:6]}); rewrite it north-up with gdalwarp",
        )
    grid = Grid(horizontal(crs), transform, dataset.width, dataset.height)
    limits = (720.0, 91.0) if crs.is_geographic else (_FARTHEST, _FARTHEST)
    if not all(abs(end) <= limit for end, limit in zip(grid.bounds, (*limits, *limits), strict=True)):
        raise InputError(
            "E103",
            f"{path}: lies at {', '.join(f'{end:.6g}' for end in grid.bounds)}, where "
            f"{crs.to_string()[:40]} has no place; fetch it again, or correct its georeference",
        )
    return grid
