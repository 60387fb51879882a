"""Sentinel-2 Level-2A products as ESA's EOPF Zarr (version 2), folder or zip.

The arrays hold the digital numbers of the SAFE product. Their attributes tell the projection, which GDAL does
not find; the bounding box of the product is written east before west, and is not used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final

from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError

from landslide_map.errors import InputError
from landslide_map.grid import Grid
from landslide_map.untrusted.files import ZIP_ERRORS, Member, read_bytes, read_member, zip_names

METADATA: Final = ".zmetadata"
ARRAYS: Final = {
    "blue": "measurements/reflectance/r10m/b02",
    "green": "measurements/reflectance/r10m/b03",
    "red": "measurements/reflectance/r10m/b04",
    "nir": "measurements/reflectance/r10m/b08",
    "scl": "conditions/mask/l2a_classification/r20m/scl",
}
_LIMIT: Final = 256 << 20
"""Longest metadata file that is read, bytes."""
_NAME: Final = re.compile(r"S2[A-D]_MSI(?P<level>L1C|L2A)_(?P<start>\d{8}T\d{6})(?:_N(?P<baseline>\d{4}))?")


@dataclass(frozen=True, slots=True)
class Store:
    """What the metadata of a product say, before any pixel is read."""

    name: str
    baseline: str | None
    """Processing baseline, e.g. ``05.11``."""
    acquired: datetime | None
    """Start of the datatake, UTC."""
    arrays: dict[str, tuple[str, Grid]]
    """``red, green, blue, nir`` and, where there is one, ``scl`` -> what GDAL opens, and where it lies."""
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
        E101 damaged, of another version of Zarr, or without a band; E201 Level-1C.
    """
    text, top = _metadata(path)
    try:
        entries = json.loads(text)["metadata"]
        root = entries.get(".zattrs", {})
        found = root.get("stac_discovery", {})
        properties = found.get("properties", {})
        name = str(found.get("id") or path.name)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError("E101", f"{path}: its {METADATA} cannot be read; fetch the product again") from None
    told = _NAME.search(name) or _NAME.search(path.name)
    if told is not None and told["level"] == "L1C":
        raise InputError("E201", f"{path}: is Level-1C (top of atmosphere); Level-2A is needed: fetch MSIL2A")
    store = path if path.is_dir() else f"/vsizip/{path}{'/' + top if top else ''}"
    if '"' in str(store):
        raise InputError("E101", f"{path}: its name holds a quotation mark; rename it")
    arrays = {}
    for band, array in ARRAYS.items():
        if f"{array}/.zarray" in entries:
            arrays[band] = (f'ZARR:"{store}":/{array}', _grid(path, array, entries, root))
        elif band != "scl":
            raise InputError("E101", f"{path}: has no array {array}; expected a Level-2A product")
    return Store(
        name=name.removesuffix(".SAFE"),
        baseline=_baseline(properties, told),
        acquired=_time(properties, told),
        arrays=arrays,
        metadata=path / METADATA if path.is_dir() else path,
    )


def _metadata(path: Path) -> tuple[bytes, str]:
    """Return the consolidated metadata, and the folder of the store inside a zip."""
    try:
        if path.is_dir():
            if not (path / METADATA).exists():
                raise InputError("E101", f"{path}: {_other_version(path)}")
            return read_bytes(path / METADATA, _LIMIT), ""
        names = [name for name in zip_names(path) if PurePosixPath(name).name == METADATA]
        if not names:
            raise InputError("E101", f"{path}: {_other_version(path)}")
        name = min(names, key=len)
        top = str(PurePosixPath(name).parent).removeprefix(".")
        return read_member(Member(path, name), _LIMIT), top
    except InputError:
        raise
    except ZIP_ERRORS as error:
        raise InputError("E101", f"{path}: cannot be read ({error}); fetch it again") from None


def _other_version(path: Path) -> str:
    return (
        f"is a Zarr store without {METADATA} (version 3, or not an EOPF product); EOPF products of version 2 "
        f"are read. Take the SAFE product of the same name ({path.name.split('.')[0]}.SAFE) instead"
    )


def _grid(path: Path, array: str, entries: Mapping[str, Any], root: Mapping[str, Any]) -> Grid:
    """Return where an array lies: its own attributes first, then those of the product."""
    try:
        attributes = entries[f"{array}/.zattrs"]
        rows, cols = entries[f"{array}/.zarray"]["shape"]
        transform = Affine(*(float(value) for value in attributes["proj:transform"][:6]))
        other = root.get("other_metadata", {})
        crs = CRS.from_user_input(
            attributes.get("proj:epsg")
            or other.get("horizontal_CRS_code")
            or other.get("horizontal_crs_code")
            or root["stac_discovery"]["properties"]["proj:code"]
        )
        if transform.a <= 0 or transform.e >= 0 or not (int(rows) > 0 and int(cols) > 0):
            raise ValueError("not north-up")
        return Grid(crs, transform, int(cols), int(rows))
    except (KeyError, TypeError, ValueError, CRSError, AttributeError, IndexError):
        raise InputError(
            "E101", f"{path}: the attributes of {array} do not tell its projection; fetch the product again"
        ) from None


def _baseline(properties: Mapping[str, Any], name: re.Match[str] | None) -> str | None:
    """Return the baseline: `eopf:baseline` of 2025, `processing:version` later, else the name's."""
    for key in ("eopf:baseline", "processing:version"):
        if re.fullmatch(r"\d{2}\.\d{2}", str(properties.get(key))):
            return str(properties[key])
    told = name["baseline"] if name else None
    return f"{told[:2]}.{told[2:]}" if told else None


def _time(properties: Mapping[str, Any], name: re.Match[str] | None) -> datetime | None:
    for text in (properties.get("start_datetime"), properties.get("datetime"), name and name["start"]):
        try:
            found = datetime.fromisoformat(str(text))
        except ValueError:
            continue  # one of them is the word "null" in some products
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
    return None
