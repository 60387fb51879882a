"""Sentinel-2 Level-2A products as ESA's EOPF Zarr (versions 2 and 3) and GeoZarr, folder or zip.

The arrays hold the digital numbers of the SAFE product; those of GeoZarr hold reflectance without the
offset. Their attributes hold the projection, which GDAL does not find. Bounding boxes are not used: that of
the product is written east before west, and that of GeoZarr holds zeros.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final

from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError

from landslide_map.bands import BANDS_20M, BANDS_60M
from landslide_map.errors import InputError
from landslide_map.grid import Grid
from landslide_map.raster.zarr_arrays import metadata_of
from landslide_map.untrusted.files import ZIP_ERRORS, inside_zip, read_bytes, read_member, zip_names
from landslide_map.untrusted.times import utc_time_or_none

METADATA: Final = ".zmetadata"
"""File with the metadata of all groups and arrays of version 2."""
VERSION_3: Final = "zarr.json"
ARRAYS: Final = {
    "blue": "measurements/reflectance/r10m/b02",
    "green": "measurements/reflectance/r10m/b03",
    "red": "measurements/reflectance/r10m/b04",
    "nir": "measurements/reflectance/r10m/b08",
    "scl": "conditions/mask/l2a_classification/r20m/scl",
}
FURTHER: Final = {
    **{name: f"measurements/reflectance/r20m/{name}" for name in BANDS_20M},
    **{name: f"measurements/reflectance/r60m/{name}" for name in BANDS_60M},
}
_LIMIT: Final = 256 << 20
"""Longest metadata file that is read, bytes."""
_EPSG: Final = re.compile(r"(?:EPSG:)?(?P<number>\d{4,6})", re.IGNORECASE)
"""A CRS by its number: no other text is handed to PROJ, which may be an address."""
_NAME: Final = re.compile(r"S2[A-D]_MSI(?P<level>L1C|L2A)_(?P<start>\d{8}T\d{6})(?:_N(?P<baseline>\d{4}))?")


@dataclass(frozen=True, slots=True)
class Store:
    """Metadata of a product, before any pixel is read."""

    name: str
    baseline: str | None
    """Processing baseline, e.g. ``05.11``."""
    acquired: datetime | None
    """Start of the datatake, UTC."""
    arrays: dict[str, tuple[str, Grid]]
    """``red, green, blue, nir`` and, where there is one, ``scl`` -> what GDAL opens, and where it lies."""
    further: dict[str, tuple[str, Grid]]
    """The same of ``b05`` ..., those that there are."""
    reflectance: bool
    """Whether the arrays hold reflectance, the offset taken off, instead of digital numbers."""
    metadata: Path
    """File that the metadata were read from."""


def is_store(path: Path) -> bool:
    """Whether a path is a Zarr store: a folder with its metadata, or a zip that is named so."""
    if path.is_dir():
        return any((path / name).is_file() for name in (METADATA, ".zgroup", "zarr.json"))
    return path.name.lower().endswith(".zarr.zip")


def read_store(path: Path) -> Store:
    """Read the metadata of a store.

    Raises
    ------
    InputError
        E101 damaged, or without a band; E201 Level-1C.
    """
    place, entries, file = _entries(path)
    root = entries.get("", {})
    found = root.get("stac_discovery") or {}
    properties = found.get("properties") if isinstance(found, Mapping) else None
    properties = properties if isinstance(properties, Mapping) else {}
    name = str((found.get("id") if isinstance(found, Mapping) else None) or path.name)
    recorded = _NAME.search(name) or _NAME.search(path.name)
    if recorded is not None and recorded["level"] == "L1C":
        raise InputError("E201", f"{path}: is Level-1C (top of atmosphere); Level-2A is needed: fetch MSIL2A")
    store = place if path.is_dir() else f"/vsizip/{place}"
    if '"' in str(store):
        raise InputError("E101", f"{path}: its name holds a quotation mark; rename it")
    arrays = {}
    for band, array in ARRAYS.items():
        if "shape" in entries.get(array, {}):
            arrays[band] = (f'ZARR:"{store}":/{array}', _grid(path, array, entries))
        elif band != "scl":
            raise InputError("E101", f"{path}: has no array {array}; expected a Level-2A product")
    further = {
        band: (f'ZARR:"{store}":/{array}', _grid(path, array, entries))
        for band, array in FURTHER.items()
        if "shape" in entries.get(array, {})
    }
    return Store(
        name=re.sub(r"\.(SAFE|zarr|zarr\.zip)$", "", name),
        baseline=_baseline(properties, recorded),
        acquired=_time(properties, recorded),
        arrays=arrays,
        further=further,
        reflectance=str(entries[ARRAYS["red"]].get("dtype")) in {"float32", "float64", "<f4", "<f8"},
        metadata=path / file if path.is_dir() else path,
    )


Entries = dict[str, dict[str, Any]]
"""Path of a group or array -> its attributes; of an array also ``shape`` and ``dtype``."""


def _entries(path: Path) -> tuple[Path, Entries, str]:
    """Return where the store lies, perhaps inside the zip, its attributes, and the file they are from."""
    try:
        inside = [] if path.is_dir() else zip_names(path)
    except ZIP_ERRORS as error:
        raise InputError("E101", f"{path}: cannot be read ({error}); fetch it again") from None
    for file, read in ((METADATA, _version_2), (VERSION_3, _version_3)):
        if path.is_dir() and (path / file).exists():
            return path, read(path), file
        if names := [name for name in inside if PurePosixPath(name).name == file]:
            top = str(PurePosixPath(min(names, key=len)).parent).removeprefix(".")
            return path / top, read(path / top), file
    raise InputError("E101", f"{path}: {_other_version(path)}")


def _version_2(place: Path) -> Entries:
    """Return the consolidated metadata of version 2, attributes and shape of each array together."""
    try:
        member = inside_zip(place / METADATA)
        text = read_member(member, _LIMIT) if member else read_bytes(place / METADATA, _LIMIT)
        entries: Entries = {}
        for key, value in json.loads(text)["metadata"].items():
            name, _, kind = key.rpartition("/")
            if kind in {".zattrs", ".zarray"}:
                known = (
                    {"shape": value["shape"], "dtype": value.get("dtype")}
                    if kind == ".zarray"
                    else dict(value)
                )
                entries[name] = entries.get(name, {}) | known
        return entries
    except (*ZIP_ERRORS, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            "E101", f"{place}: its {METADATA} cannot be read ({error}); fetch the product again"
        ) from None


def _version_3(place: Path) -> Entries:
    """Return the attributes of the root, of the arrays that are read, and of the groups above these."""
    arrays = (*ARRAYS.values(), *FURTHER.values())
    groups = {parent.as_posix() for array in arrays for parent in PurePosixPath(array).parents}
    entries: Entries = {}
    for name in {"", *groups, *arrays} - {"."}:
        recorded = metadata_of(place, name)
        attributes = None if recorded is None else recorded.get("attributes", {})
        if recorded is None or not isinstance(attributes, Mapping):
            continue
        known = (
            {"shape": recorded["shape"], "dtype": recorded.get("data_type")} if "shape" in recorded else {}
        )
        entries[name] = {**attributes, **known}
    return entries


def _other_version(path: Path) -> str:
    return (
        f"is a Zarr store without {METADATA} or {VERSION_3}; expected an EOPF product of Sentinel-2 "
        "Level-2A. Take "
        f"the SAFE product of the same name ({path.name.split('.')[0]}.SAFE) instead"
    )


def _grid(path: Path, array: str, entries: Entries) -> Grid:
    """Return where an array lies: its own attributes first, then those of its group and of the product."""
    try:
        own, group = entries[array], entries.get(array.rpartition("/")[0], {})
        rows, cols = own["shape"]
        recorded = own.get("proj:transform") or group.get("spatial:transform") or own["spatial:transform"]
        transform = Affine(*(float(value) for value in recorded[:6]))
        root = entries.get("", {})
        other = root.get("other_metadata") or {}
        code = str(
            own.get("proj:epsg")
            or own.get("proj:code")
            or group.get("proj:code")
            or other.get("horizontal_CRS_code")
            or other.get("horizontal_crs_code")
            or root["stac_discovery"]["properties"]["proj:code"]
        )
        crs = CRS.from_epsg(int(_EPSG.fullmatch(code)["number"]))  # type: ignore[index]  # caught
        if not all(map(math.isfinite, transform[:6])):
            raise ValueError("not finite")
        if transform.a <= 0 or transform.e >= 0 or not (int(rows) > 0 and int(cols) > 0):
            raise ValueError("not north-up")
        return Grid(crs, transform, int(cols), int(rows))
    except (KeyError, TypeError, ValueError, OverflowError, CRSError, AttributeError, IndexError):
        raise InputError(
            "E101", f"{path}: the attributes of {array} lack its projection; fetch the product again"
        ) from None


def _baseline(properties: Mapping[str, Any], name: re.Match[str] | None) -> str | None:
    """Return the baseline: `eopf:baseline` of 2025, `processing:version` later, else the name's."""
    for key in ("eopf:baseline", "processing:version"):
        if re.fullmatch(r"\d{2}\.\d{2}", str(properties.get(key))):
            return str(properties[key])
    recorded = name["baseline"] if name else None
    return f"{recorded[:2]}.{recorded[2:]}" if recorded else None


def _time(properties: Mapping[str, Any], name: re.Match[str] | None) -> datetime | None:
    # One of them is the word "null" in some products.
    recorded = (properties.get("start_datetime"), properties.get("datetime"), name and name["start"])
    return next((time for text in recorded if (time := utc_time_or_none(text))), None)
