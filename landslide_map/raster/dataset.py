"""Opening of rasters: allowed formats, files of this machine, no references elsewhere.

GDAL tries some 150 formats on a file, whatever its name is. Several fetch what the file names from the
network: a ``.tif`` may hold GDAL_WMS, a ``.jp2`` a VRT. The first bytes decide here which one driver may open
a file. What the file leads to (sources, overviews, masks) goes through the same gate.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, cast

import numpy as np
import rasterio
from rasterio.enums import Interleaving
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import DatasetReader

from landslide_map.errors import InputError, ResourceError
from landslide_map.raster.ground_range.product import GROUND_RANGE, ground_range_band, source_paths
from landslide_map.raster.ground_range.raster import GroundRangeRaster
from landslide_map.raster.joined import PREFIX, joined_document, joined_files
from landslide_map.raster.tiles import TILES, TileRaster, tile_sheets
from landslide_map.raster.vrt import local_sources
from landslide_map.raster.zarr_arrays import ZarrRaster, check_version_2, metadata_of
from landslide_map.runtime.byte_size import gigabytes
from landslide_map.runtime.memory_limit import BLOCKS_AT_ONCE, MOST_SOURCE_BLOCK, source_block
from landslide_map.runtime.read_limit import timed_read
from landslide_map.untrusted.files import (
    ZIP_ERRORS,
    Member,
    inside_zip,
    member_header,
    read_bytes,
    unreadable_kind,
    zip_names,
)

FORMATS: Final = "GeoTIFF, JPEG 2000, VRT, NetCDF, ERDAS .img, ENVI, and .hgt, .dt2, .asc of elevation"
_MAGIC: Final = {
    b"II*\0": "GTiff",
    b"MM\0*": "GTiff",
    b"II+\0": "GTiff",
    b"MM\0+": "GTiff",
    b"\0\0\0\x0cjP  ": "JP2OpenJPEG",
    b"\xff\x4f\xff\x51": "JP2OpenJPEG",
    b"EHFA_HEADER_TAG": "HFA",
    b"CDF": "netCDF",
    b"\x89HDF\r\n\x1a\n": "netCDF",
}
"""First bytes -> the driver that may open such a file."""
_BY_NAME: Final = {".hgt": "SRTMHGT", ".dt0": "DTED", ".dt1": "DTED", ".dt2": "DTED", ".asc": "AAIGrid"}
"""Elevation models without first bytes of their own."""
_NEVER_RAW: Final = re.compile(rb"(\xef\xbb\xbf)?\s*(<[?!A-Za-z_]|[{\[]\s*[\"\]}\[{])|%PDF|SQLite|PK\x03\x04")
"""First bytes of XML, JSON, PDF, SQLite and zips, which drivers of GDAL follow elsewhere."""
_HEADER: Final = 1024
"""Bytes that GDAL reads to identify the format of a file."""
_SIDECARS: Final = (".ovr", ".OVR", ".msk", ".MSK")
"""Overviews and mask beside a file, which GDAL opens as a raster of any format."""
MOST_IMAGE_PIXELS: Final = 10**11
"""Most pixels of an image: 3000 km x 3000 km at 10 m."""
MOST_PIXELS: Final = 2 * 10**12
"""Most pixels of a file: an elevation model of the whole Earth has 10^12 at 30 m."""
_DEEPEST: Final = 6
"""Greatest depth of references between files."""
_MOST_READS: Final = 1_000_000
"""Files that one file may stand for: a mosaic of a country has some 10,000, each named once for a band."""
_ZARR: Final = 'ZARR:"'
_ARRAY: Final = re.compile(r'ZARR:"(?P<store>[^"]+)":/(?P<array>[A-Za-z0-9_]+(?:/[A-Za-z0-9_]+)*)')
"""An array of a Zarr store as GDAL names it."""
_NETCDF: Final = 'NETCDF:"'
_VARIABLE: Final = re.compile(r'NETCDF:"(?P<file>[^"]+)":/*(?P<name>[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*)')
"""A variable of a NetCDF file as GDAL names it."""
_MOST_XML: Final = 64 * 2**20


def gdal_path(path: str | Path) -> str:
    """Return the path for GDAL: a path into a zip gets ``/vsizip/``.

    >>> gdal_path("/data/S2.zip/S2.SAFE/B04.jp2")
    '/vsizip//data/S2.zip/S2.SAFE/B04.jp2'
    """
    text = str(path)
    if text.startswith((_ZARR, PREFIX, _NETCDF, GROUND_RANGE, TILES)):
        return text
    return f"/vsizip/{text}" if not text.startswith("/vsizip/") and inside_zip(text) else text


def plain_path(name: str | Path) -> Path:
    """Return the path that :func:`gdal_path` made a name for GDAL of."""
    return Path(str(name).removeprefix("/vsizip/"))


def check_image_size(path: str | Path, shape: tuple[int, int]) -> None:
    """Refuse (E112) an image that is larger than any mosaic of a country: a check alone would take hours."""
    if shape[0] * shape[1] > MOST_IMAGE_PIXELS:
        raise InputError(
            "E112",
            f"{plain_path(path)}: has {shape[1]:,} x {shape[0]:,} pixels; no image is as large. Cut it to "
            "the area of interest with gdalwarp -te, or correct the file",
        )


def open_dataset(path: str | Path) -> DatasetReader:
    """Open a raster for reading, if it and all that it leads to may be opened.

    Raises
    ------
    InputError
        E101 where a file is missing, no plain file or no raster that is read; E113 where it leads elsewhere.
    rasterio.errors.RasterioError
        Where GDAL cannot open it.
    """
    with timed_read(path):
        return _open(path)


def open_unplaced(path: str | Path) -> DatasetReader:
    """Open a raster that may lie nowhere on the ground, as patches do; see :func:`open_dataset`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return open_dataset(path)


def _open(path: str | Path) -> DatasetReader:
    if array := zarr_array(path):
        return _open_array(str(path), array)
    if parts := joined_files(path):
        return _open_joined(parts)
    if tile_sheets(path):
        return cast("DatasetReader", TileRaster(str(path), open_dataset))
    if geocoded := ground_range_band(path):
        return cast("DatasetReader", GroundRangeRaster(geocoded, open_dataset))
    place = netcdf_file(path) or plain_path(path)
    checked = _checked(place, *_state(place), 0)
    _check_memory(place, checked.block)
    return rasterio.open(gdal_path(path if netcdf_file(path) else place), driver=checked.driver)


def _check_memory(place: Path, block: int) -> None:
    if block > source_block():
        raise ResourceError(
            "E640",
            f"{place}: stores its pixels in blocks of {gigabytes(block)}, each of which is decoded whole; "
            f"the memory limit leaves {gigabytes(source_block())} for one. Write it in tiles "
            f"(gdal_translate -co TILED=YES), or give the run {gigabytes(block * BLOCKS_AT_ONCE)}",
        )


def _open_joined(parts: Sequence[str]) -> DatasetReader:
    """Open several files as one; each goes through the gate on its own."""
    with ExitStack() as stack:
        sources = [(gdal_path(part), stack.enter_context(open_dataset(part))) for part in parts]
        document = joined_document(sources)
    return rasterio.open(document, driver="VRT")


def netcdf_file(path: str | Path) -> Path | None:
    """Return the file that holds a variable, ``NETCDF:"file":variable``; None for any other path.

    >>> netcdf_file('NETCDF:"/data/a.nc":B04')
    PosixPath('/data/a.nc')
    """
    found = _VARIABLE.fullmatch(str(path))
    return None if found is None else Path(found["file"])


def variable_name(file: Path, subdataset: str) -> tuple[str, str]:
    """Return the name of a variable, of what rasterio calls it, and the path that opens it."""
    name = subdataset.rsplit(":", 1)[-1].lstrip("/")
    return name, f'{_NETCDF}{file}":{name}'


def short_name(name: str | Path) -> str:
    """Return the name of files in a report: without folders, of several the first.

    >>> short_name("/data/B04.tif"), short_name('JOIN:"/data/a.tif":"/data/b.tif"')
    ('B04.tif', 'a.tif and 1 more')
    """
    if parts := tile_sheets(name) or joined_files(name):
        more = len(files_in(name)) - 1
        return f"{short_name(parts[0]).partition(' and ')[0]} and {more} more"
    if geocoded := ground_range_band(name):
        return f"{geocoded.product.name} ({geocoded.polarisation.upper()})"
    return Path(name).name


def files_in(name: str | Path) -> tuple[Path, ...]:
    """Return the files on disk behind a name that GDAL opens: zips, stores and parts."""
    if parts := tile_sheets(name) or joined_files(name):
        return tuple(file for part in parts for file in files_in(part))
    if array := zarr_array(name):
        return (array.store if array.store.is_file() else array.store / array.name,)
    if geocoded := ground_range_band(name):
        return (*source_paths(geocoded), *files_in(geocoded.dem))
    place = netcdf_file(name) or plain_path(name)
    member = inside_zip(place)
    return (member.zip if member else place,)


@dataclass(frozen=True, slots=True)
class ZarrArray:
    """An array in a Zarr store on this machine, a folder or a zip."""

    store: Path
    """The folder, or the zip."""
    place: Path
    """The folder, also where it lies in the zip."""
    name: str
    """Path of the array in it."""


def zarr_array(path: str | Path) -> ZarrArray | None:
    """Return the array that GDAL's name ``ZARR:"store":/array`` means; None for any other path.

    >>> zarr_array('ZARR:"/data/a.zarr":/measurements/b04')
    ZarrArray(store=PosixPath('/data/a.zarr'), place=PosixPath('/data/a.zarr'), name='measurements/b04')
    """
    found = _ARRAY.fullmatch(str(path))
    if found is None:
        return None
    place = plain_path(found["store"])
    member = inside_zip(place)
    return ZarrArray(member.zip if member else place, place, found["array"])


def _open_array(name: str, array: ZarrArray) -> DatasetReader:
    """Open an array; a store leads nowhere else, as only chunks below its own folder are read."""
    if not array.store.exists():
        raise InputError("E101", f"{array.store}: no such store; correct the path in scene.yaml")
    if metadata_of(array.place, array.name) is not None:
        opened = cast("DatasetReader", ZarrRaster(array.place, array.name))
    else:
        check_version_2(array.place, array.name)
        opened = rasterio.open(name, driver="Zarr")
    try:
        block = _largest_block(opened)
        _check_size(array.place / array.name, opened, block)
        _check_memory(array.place / array.name, block)
    except BaseException:
        opened.close()
        raise
    return opened


def _state(place: Path) -> tuple[int, int]:
    """Return time and size of a file, or those of its zip: they show whether it was changed."""
    member = inside_zip(place)
    try:
        status = (member.zip if member else place).stat()
    except (OSError, ValueError):
        return 0, 0
    return status.st_mtime_ns, status.st_size


@dataclass(frozen=True, slots=True)
class _Checked:
    """Properties of a file after a check of all its references."""

    driver: str
    """The one that may open it."""
    block: int
    """Bytes of the largest block, of the file or its references."""
    reads: int = 1
    """Greatest number of files that are read for it: each one as often as files name it on the way."""


@lru_cache(maxsize=4096)
def _checked(place: Path, changed: int, size: int, depth: int) -> _Checked:
    """Return the properties of a file, kept until it changes; refuse it for itself or its references."""
    del changed, size
    if depth > _DEEPEST:
        raise InputError("E113", f"{place}: files lead to each other, or too far; give the last one")
    member = inside_zip(place)
    driver = _driver(place, member)
    leads = local_sources(place, _xml(place)) if driver == "VRT" else {}
    times = {**dict.fromkeys(_sidecars(place, member), 1), **leads}
    parts = {path: _checked(path, *_state(path), depth + 1) for path in times}
    reads = max(1, sum(parts[path].reads * count for path, count in times.items()))
    if reads > _MOST_READS:
        raise InputError(
            "E113",
            f"{place}: files that it leads to name each other again and again, {reads:,} reads in all; "
            "merge them with gdalwarp",
        )
    with rasterio.open(gdal_path(place), driver=driver) as dataset:
        tags = {key.upper(): value for key, value in dataset.tags(ns="OVERVIEWS").items()}
        block = _largest_block(dataset)
        _check_size(place, dataset, block)
    if elsewhere := tags.get("OVERVIEW_FILE"):
        raise InputError(
            "E113",
            f"{place}: its tags name another file as overviews ({elsewhere[:80]!r}), which is not followed; "
            "rewrite it with gdal_translate",
        )
    return _Checked(driver, max(block, *(part.block for part in parts.values()), 0), reads)


def _check_size(place: Path, dataset: DatasetReader, block: int) -> None:
    if dataset.width * dataset.height > MOST_PIXELS or block > MOST_SOURCE_BLOCK:
        raise InputError(
            "E112",
            f"{place}: has {dataset.width:,} x {dataset.height:,} pixels, blocks of {gigabytes(block)}; no "
            "image is as large. Cut it with gdalwarp -te, and write it in tiles",
        )


def _largest_block(dataset: DatasetReader) -> int:
    """Return the bytes of a block as it is decoded: of all bands, where their pixels are stored together."""
    sizes = [
        height * width * np.dtype(kind if kind != "complex_int16" else "complex64").itemsize
        for (height, width), kind in zip(dataset.block_shapes, dataset.dtypes, strict=True)
    ]
    return sum(sizes) if dataset.interleaving is Interleaving.pixel else max(sizes, default=0)


def _driver(place: Path, member: Member | None) -> str:
    header = _first_bytes(place, member)
    if b"<VRTDataset" in header:
        if member:
            raise InputError("E113", f"{place}: is a VRT inside a zip, which is not followed; unpack the zip")
        return "VRT"
    found = next((driver for magic, driver in _MAGIC.items() if header.startswith(magic)), None)
    if found is None and not _NEVER_RAW.match(header):
        found = _BY_NAME.get(place.suffix.lower()) or _raw(place)
    if found is None:
        raise InputError(
            "E101",
            f"{place}: cannot be read; it is truncated, damaged or not a raster in a format that is read "
            f"({FORMATS}). Convert it with gdal_translate, or fetch it again",
        )
    return found


def _first_bytes(place: Path, member: Member | None) -> bytes:
    missing = f"{member.zip if member else place}: no such file; correct the path in scene.yaml"
    try:
        if member:
            return member_header(member, _HEADER)
        if kind := "a folder" if place.is_dir() else unreadable_kind(place):
            raise InputError("E101", f"{place}: is {kind}, not a raster file")
        with place.open("rb") as file:
            return file.read(_HEADER)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError("E101", missing) from None
    except ZIP_ERRORS as error:
        problem = f"cannot be read{' from its zip' if member else ''} ({error}); fetch it again"
        raise InputError("E101", f"{place}: {problem}") from None


def _raw(place: Path) -> str | None:
    """Return the driver of raw pixels, by the text file that describes them."""
    for path in (place.with_suffix(".hdr"), Path(f"{place}.hdr")):
        if path.is_file():
            with path.open("rb") as file:
                return "ENVI" if file.read(_HEADER).lstrip().startswith(b"ENVI") else "EHdr"
    return None


def _xml(place: Path) -> bytes:
    try:
        return read_bytes(place, _MOST_XML)
    except (OSError, ValueError) as error:
        raise InputError("E101", f"{place}: cannot be read as a VRT ({error})") from None


def _sidecars(place: Path, member: Member | None) -> list[Path]:
    paths = [Path(f"{place}{ending}") for ending in _SIDECARS]
    if member is None:
        return [path for path in paths if path.exists()]
    names = set(zip_names(member.zip))
    return [path for path in paths if path.relative_to(member.zip).as_posix() in names]
