"""A Sentinel-1 product of SNAP (BEAM-DIMAP): ``X.dim``, an XML, and ``X.data``, a folder of rasters.

Georeference, quantity and no data value are not in the rasters, but in the XML. A GeoTIFF
of SNAP holds the same XML in a tag of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Final
from xml.etree.ElementTree import Element

from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError

from landslide_map.errors import InputError
from landslide_map.grid import Grid
from landslide_map.inputs.sentinel1.metadata import Identity
from landslide_map.options import BackscatterUnits, Quantity
from landslide_map.untrusted.files import read_bytes
from landslide_map.untrusted.tiff_tag import tiff_text
from landslide_map.untrusted.xml_tree import MOST_BYTES, parse_xml

ZERO_DB: Final = -1e-30
"""Value that SNAP writes for a number of nearly zero, in place of its decibels: 0 dB, very bright."""
_BAND: Final = re.compile(
    r"(?P<quantity>Sigma|Gamma|Beta)0_(?P<polarisation>VV|VH)(?P<db>_db)?$", re.IGNORECASE
)
_MONTHS: Final = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_ABSENT: Final = {"", "-", "99999"}
HEADER_TAG: Final = 65000
"""Tag of a GeoTIFF in which SNAP writes the XML."""


@dataclass(frozen=True, slots=True)
class DimapBand:
    """One polarisation of a product."""

    path: Path
    """The ENVI raster."""
    grid: Grid | None
    """None where only the raster's own header says where it lies."""
    nodata: tuple[float, ...] | None
    """None where nothing declares it: it is detected from pixels, as in any file."""
    identity: Identity


def read_dimap(path: Path) -> dict[str, DimapBand]:
    """Read the XML of a product: ``vv`` and ``vh``, those that it has.

    Raises
    ------
    InputError
        E101 missing or damaged, E113 files elsewhere, E301 numbers that are scaled, beta0 or made by an
        expression, E311 not geocoded.
    """
    try:
        root = parse_xml(read_bytes(path, MOST_BYTES))
    except (OSError, ValueError) as error:
        raise InputError("E101", f"{path}: cannot be read ({error}); write it again with SNAP") from None
    identity = _identity(root)
    if next(root.iter("Spectral_Band_Info"), None) is None:
        return _by_names(path, identity)
    grid = _grid(root, path)
    flattened = _is_flattened(root)
    files = _files(root, path)
    found: dict[str, DimapBand] = {}
    for band in root.iter("Spectral_Band_Info"):
        name = _text(band, "BAND_NAME")
        recorded = _BAND.search(name)
        if recorded is None:
            continue
        key = recorded["polarisation"].lower()
        if key in found:
            raise InputError(
                "E305", f"{path}: has several bands of {key.upper()}; write one kind with SNAP (Band Select)"
            )
        index = _text(band, "BAND_INDEX")
        _check_plain(band, name, path)
        if index not in files:
            raise InputError(
                "E101", f"{path}: does not say which file holds {name}; write it again with SNAP"
            )
        decibels = recorded["db"] is not None or _text(band, "PHYSICAL_UNIT").lower().endswith("db")
        found[key] = DimapBand(
            files[index], grid, _nodata(band, decibels), _of_band(identity, recorded, decibels, flattened)
        )
    return found


@dataclass(frozen=True, slots=True)
class DimapHeader:
    """Metadata from the XML in a GeoTIFF of SNAP."""

    identity: Identity
    descriptions: tuple[str, ...]
    """Names of the bands."""
    nodata: tuple[float, ...]


def dimap_header(path: Path, bands: int) -> DimapHeader | None:
    """Return the header of SNAP in a GeoTIFF; None without one, or for other bands than VV and VH.

    Parameters
    ----------
    path : Path
        A file; of one in a zip the tag is not read.
    bands : int
        Bands of the file.

    Raises
    ------
    InputError
        E101 the XML is damaged, E301 numbers that are scaled, beta0 or made by an expression.
    """
    try:
        text = tiff_text(path, HEADER_TAG, MOST_BYTES)
        root = None if text is None else parse_xml(text.rstrip(b"\0"))
    except (OSError, ValueError) as error:
        raise InputError(
            "E101", f"{path}: its header cannot be read ({error}); write it again with SNAP"
        ) from None
    listed = [] if root is None else list(root.iter("Spectral_Band_Info"))
    if root is None or len(listed) != bands:
        return None
    listed.sort(key=lambda band: int(_text(band, "BAND_INDEX") or 0))
    names = [_text(band, "BAND_NAME") for band in listed]
    measured = [
        (band, recorded) for band, name in zip(listed, names, strict=True) if (recorded := _BAND.search(name))
    ]
    if not measured:
        return None
    for band, recorded in measured:
        _check_plain(band, recorded[0], path)
    band, recorded = measured[0]
    decibels = recorded["db"] is not None or _text(band, "PHYSICAL_UNIT").lower().endswith("db")
    known = _of_band(_identity(root), recorded, decibels, _is_flattened(root))
    return DimapHeader(replace(known, polarisation=None), tuple(names), _nodata(band, decibels))


def _is_flattened(root: Element) -> bool:
    return "Terrain-Flattening" in {(node.text or "").strip() for node in root.iter("operator")}


def _by_names(path: Path, identity: Identity) -> dict[str, DimapBand]:
    """Return the bands of a product from the names of its rasters, where its XML does not describe them."""
    folder = path.with_suffix(".data")
    found: dict[str, DimapBand] = {}
    for raster in sorted(folder.glob("*.img")):
        recorded = _BAND.search(raster.stem)
        if (
            recorded is None
            or recorded["quantity"].lower() == "beta"
            or recorded["polarisation"].lower() in found
        ):
            continue
        decibels = recorded["db"] is not None
        found[recorded["polarisation"].lower()] = DimapBand(
            raster, None, None, _of_band(identity, recorded, decibels, False)
        )
    if set(found) != {"vv", "vh"}:
        raise InputError(
            "E101",
            f"{path}: does not describe its bands. Give the .img files of VV and VH below {folder.name} as "
            "vv: and vh: in scene.yaml, or write the product again with SNAP",
        )
    return found


def _of_band(identity: Identity, recorded: re.Match[str], decibels: bool, flattened: bool) -> Identity:
    """Return the identity of a band; only the graph separates terrain-flattened gamma0 from the other."""
    units: BackscatterUnits = "db" if decibels else "power"
    gamma: Quantity = "gamma0_rtc" if flattened else "gamma0"
    quantity: Quantity = gamma if recorded["quantity"].lower() == "gamma" else "sigma0"
    return Identity(
        units=units, quantity=quantity, polarisation=recorded["polarisation"].upper(), family="SNAP"
    ).completed(identity)


def _check_plain(band: Element, name: str, path: Path) -> None:
    """Refuse (E301) bands that are scaled, made by an expression, or beta0."""
    scale, offset = _text(band, "SCALING_FACTOR") or "1", _text(band, "SCALING_OFFSET") or "0"
    problem = None
    if next(band.iter("VIRTUAL_BAND"), None) is not None or next(band.iter("EXPRESSION"), None) is not None:
        problem = "is made by an expression and has no pixels on disk"
    elif _text(band, "LOG10_SCALED").lower() == "true" or float(scale) != 1 or float(offset) != 0:
        problem = "holds scaled numbers"
    elif name.lower().startswith("beta"):
        problem = "is beta0, which the models do not know"
    if problem:
        raise InputError(
            "E301",
            f"{path}: {name} {problem}; write Sigma0 or Gamma0 as plain numbers with SNAP (Convert Band)",
        )


def _nodata(band: Element, decibels: bool) -> tuple[float, ...]:
    value = _text(band, "NO_DATA_VALUE")
    used = _text(band, "NO_DATA_VALUE_USED").lower() == "true" and value != ""
    declared = (float(value),) if used else (0.0,)
    return (*declared, ZERO_DB) if decibels else declared


def _files(root: Element, path: Path) -> dict[str, Path]:
    """Return band index -> raster; a file outside of the product's own folder is not read."""
    files = {}
    for entry in root.iter("Data_File"):
        link = next(entry.iter("DATA_FILE_PATH"), None)
        href = "" if link is None else link.get("href", "")
        parts = PurePosixPath(href.replace("\\", "/"))
        if not href or parts.is_absolute() or ".." in parts.parts:
            raise InputError("E113", f"{path}: names a file outside of its own folder ({href[:80]!r})")
        files[_text(entry, "BAND_INDEX")] = (path.parent / parts).with_suffix(".img")
    return files


def _grid(root: Element, path: Path) -> Grid:
    wkt = _text(root, "WKT")
    numbers = _text(root, "IMAGE_TO_MODEL_TRANSFORM")
    if not wkt or not numbers:
        raise InputError(
            "E311", f"{path}: is not geocoded; run SNAP's Range-Doppler Terrain Correction on it first"
        )
    try:
        a, d, b, e, c, f = (float(number) for number in numbers.split(","))
        size = (int(_text(root, "NCOLS")), int(_text(root, "NROWS")))
        grid = Grid(CRS.from_wkt(" ".join(wkt.split())), Affine(a, b, c, d, e, f), *size)
    except (ValueError, CRSError):
        raise InputError(
            "E101", f"{path}: its projection or size cannot be read; write it again with SNAP"
        ) from None
    if b or d or a <= 0 or e >= 0:
        raise InputError("E104", f"{path}: is rotated or not north-up; reproject it with SNAP or gdalwarp")
    return grid


def _identity(root: Element) -> Identity:
    abstract = next((node for node in root.iter("MDElem") if node.get("name") == "Abstracted_Metadata"), None)
    recorded: dict[str, str] = {}
    for attribute in () if abstract is None else abstract.iter("MDATTR"):
        text = (attribute.text or "").strip()
        if text not in _ABSENT:
            recorded.setdefault(attribute.get("name", ""), text)
    platform = re.sub(r"^SENTINEL-?1", "S1", recorded.get("MISSION", "").upper())
    direction = recorded.get("PASS", "").lower()
    return Identity(
        acquired=_time(recorded.get("first_line_time", "")),
        platform=platform if re.fullmatch(r"S1[ABCD]", platform) else None,
        absolute_orbit=int(recorded["ABS_ORBIT"]) if recorded.get("ABS_ORBIT", "").isdigit() else None,
        relative_orbit=int(recorded["REL_ORBIT"]) if recorded.get("REL_ORBIT", "").isdigit() else None,
        orbit=direction if direction in {"ascending", "descending"} else None,
    )


def _time(text: str) -> datetime | None:
    """Return a time as SNAP writes it, ``29-DEC-2015 15:28:26.491675``: months are always English."""
    found = re.fullmatch(
        r"(\d{1,2})-([A-Z]{3})-(\d{4}) (\d{2}):(\d{2}):(\d{2})(?:\.\d*)?", text.strip().upper()
    )
    if found is None or found[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(found[i]) for i in (1, 3, 4, 5, 6))
    try:
        return datetime(year, _MONTHS.index(found[2]) + 1, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return None


def _text(element: Element, tag: str) -> str:
    found = next(element.iter(tag), None)
    return (found.text or "").strip() if found is not None else ""
