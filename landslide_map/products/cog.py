"""Cloud-optimised GeoTIFFs, converted from a plain GeoTIFF that is written in pieces.

The COG driver of GDAL reads the plain file once to make overviews and once more to write everything in the
order that readers want. The bytes do not depend on the number of threads nor on the size of GDAL's cache.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import rasterio
import rasterio.shutil
from rasterio._err import CPLE_BaseError  # what GDAL's own errors arrive as; there is no public name
from rasterio.errors import RasterioError

from landslide_map.errors import ResourceError
from landslide_map.grid import Grid

TILE: Final = 512
"""Edge of the tiles of both files, pixels: pieces of so many rows are compressed once."""
PREFIX: Final = "LANDSLIDE_MAP_"
"""Prefix of our tags in rasters; GeoPackages and netCDF have the same names, in small letters, without it."""
ADVICE: Final = "Is the disk full or faulty? Free some space, or choose another --out."
_CACHE: Final = 16 * 2**20
"""Bytes. More was no faster, and GDAL's own choice is a twentieth of the machine's memory."""


def small_cache() -> rasterio.Env:
    """Bound GDAL's cache in a block. It is one for all threads, so one thread must do it for all."""
    return rasterio.Env(GDAL_CACHEMAX=_CACHE)  # bytes: rasterio hands a number on as it is


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn a failure to write our own file into E601 about `path`; errors of inputs pass through."""
    try:
        yield
    except (RasterioError, CPLE_BaseError, OSError) as error:
        if isinstance(error, ResourceError):
            raise
        raise ResourceError("E601", f"{path} could not be written ({error}). {ADVICE}") from error


def tag(target: Any, tags: Mapping[str, str]) -> None:
    """Write tags about a run (:func:`tags_of`)."""
    target.update_tags(**tags_of(tags))


def tags_of(tags: Mapping[str, str]) -> dict[str, str]:
    """Return tags about a run; names that are not GDAL's own get the prefix ``LANDSLIDE_MAP_``."""
    software = {"TIFFTAG_SOFTWARE": tags["software"]} if "software" in tags else {}
    ours = {
        key if key.startswith("TIFFTAG_") else f"{PREFIX}{key.upper()}": str(value)
        for key, value in tags.items()
        if key != "software"
    }
    return {"AREA_OR_POINT": "Area", **dict(sorted({**software, **ours}.items()))}


def plain(path: Path, grid: Grid, count: int, dtype: str, nodata: float | None) -> Any:
    """Open a plain GeoTIFF to be written, described, and then finished by :func:`finish`."""
    return rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=grid.width,
        height=grid.height,
        count=count,
        dtype=dtype,
        crs=grid.crs,
        transform=grid.transform,
        nodata=nodata,
        tiled=True,
        blockxsize=TILE,
        blockysize=TILE,
        interleave="band",
        bigtiff="IF_SAFER",
        # Cheaper than to write and read many more bytes, which some disks cannot hold.
        compress="zstd",
        zstd_level=1,
    )


def finish_picture(source: Path, path: Path) -> None:
    """Make a COG for display of an 8-bit plain GeoTIFF with a mask: JPEG, a tenth of the bytes."""
    rasterio.shutil.copy(
        os.fspath(source),
        os.fspath(path),
        driver="COG",
        BLOCKSIZE=TILE,
        COMPRESS="JPEG",
        QUALITY=87,
        OVERVIEW_RESAMPLING="AVERAGE",
        BIGTIFF="IF_SAFER",
        NUM_THREADS=1,
    )


def finish(
    source: Path, path: Path, *, overviews: str, predictor: bool, statistics: str = "AUTO", threads: int = 1
) -> None:
    """Make a COG with overviews of a plain GeoTIFF.

    Parameters
    ----------
    source, path : Path
        The plain file, and the one to be made.
    overviews : str
        How GDAL resamples them, e.g. ``AVERAGE``.
    predictor : bool
        Whether neighbouring pixels are similar rather than either equal or unrelated.
    statistics : str
        ``YES`` to have them computed, ``AUTO`` for those that `source` holds.
    threads : int
        Every further one holds some 25 MB for overviews.
    """
    rasterio.shutil.copy(
        os.fspath(source),
        os.fspath(path),
        driver="COG",
        BLOCKSIZE=TILE,
        COMPRESS="DEFLATE",  # ZSTD is smaller, but older GDAL and ArcGIS builds cannot read it
        PREDICTOR="YES" if predictor else "NO",
        OVERVIEW_RESAMPLING=overviews,
        STATISTICS=statistics,
        BIGTIFF="IF_SAFER",
        NUM_THREADS=threads,
    )
