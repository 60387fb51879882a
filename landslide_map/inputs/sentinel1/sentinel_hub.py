"""Response of the Sentinel Hub Process API: the properties of its pixels, from the request beside it.

The Python package of Sentinel Hub keeps ``request.json`` beside ``response.tiff``. Without it scene.yaml must
declare them. Defaults are those of the API: gamma0 of the ellipsoid, and no orthorectification.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from landslide_map.errors import InputError
from landslide_map.inputs.sentinel1.metadata import Identity
from landslide_map.options import Quantity
from landslide_map.untrusted.files import ZIP_ERRORS, inside_zip, read_bytes, read_member
from landslide_map.untrusted.times import utc_time

REQUEST: Final = "request.json"
_RESPONSE: Final = re.compile(r"(response|default)\.tiff?", re.IGNORECASE)
_LIMIT: Final = 4 << 20
_DEEPEST: Final = 4
"""The payload lies in the document of the package, or is it."""
_CONVERTS: Final = re.compile(r"log|sqrt|pow|\*\*|db", re.IGNORECASE)
"""Names by which scripts convert power; the units then come from the pixels."""
_TYPE: Final = re.compile(r"sentinel-1-grd|S1GRD", re.IGNORECASE)
_QUANTITIES: Final[Mapping[str, Quantity]] = {
    "SIGMA0_ELLIPSOID": "sigma0",
    "GAMMA0_ELLIPSOID": "gamma0",
    "GAMMA0_TERRAIN": "gamma0_rtc",
}
_ONE_DAY: Final = timedelta(days=1, minutes=1)
"""Longest span of a request that is one pass."""
_ONE_PASS: Final = timedelta(hours=1)
"""Span from which only the day is known."""


def is_response(path: Path) -> bool:
    """Return whether a file is named as the package names responses, and has a request for Sentinel-1."""
    return bool(_RESPONSE.fullmatch(path.name)) and _source(path) is not None


def requested(path: Path) -> Identity:
    """Return quantity, direction and date from the request beside a raster; nothing without one.

    Raises
    ------
    InputError
        E301 beta0; E311 not orthorectified; E316 a request for several passes.
    """
    source = _source(path) if _RESPONSE.fullmatch(path.name) else None
    if source is None:
        return Identity()
    request, converted = source
    processing = _mapping(request.get("processing"))
    coefficient = str(processing.get("backCoeff") or "GAMMA0_ELLIPSOID").upper()
    if coefficient not in _QUANTITIES:
        raise InputError(
            "E301",
            f"{path}: was requested as {coefficient[:40]}; request it as SIGMA0_ELLIPSOID, as in training",
        )
    if str(processing.get("orthorectify", False)).lower() != "true":
        raise InputError(
            "E311",
            f"{path}: was requested without terrain correction, hundreds of metres off in mountains; request "
            "it with orthorectify: true",
        )
    filters = _mapping(request.get("dataFilter"))
    direction = str(filters.get("orbitDirection") or "").lower()
    speckle = str(_mapping(processing.get("speckleFilter")).get("type") or "NONE").upper()
    return Identity(
        acquired=_acquired(path, _mapping(filters.get("timeRange"))),
        orbit=direction if direction in {"ascending", "descending"} else None,
        family="Sentinel Hub",
        units=None if converted else "power",
        quantity=_QUANTITIES[coefficient],
        filtered=speckle != "NONE",
    )


def _acquired(path: Path, span: Mapping[str, Any]) -> datetime | None:
    """Return when the pass was: exactly midnight where only the day is known."""
    try:
        first, last = (utc_time(str(span[key])) for key in ("from", "to"))
    except (KeyError, ValueError):
        return None
    if last - first > _ONE_DAY:
        raise InputError(
            "E316",
            f"{path}: was requested from {first:%Y-%m-%d} to {last:%Y-%m-%d}, which may mix passes of "
            "several days; request each pass alone",
        )
    if last - first <= _ONE_PASS:
        return first
    return first.replace(hour=0, minute=0, second=0, microsecond=0)


def _source(path: Path) -> tuple[Mapping[str, Any], bool] | None:
    """Return the part of the request that names Sentinel-1, and whether its script converts the power."""
    beside = path.with_name(REQUEST)
    member = inside_zip(beside)
    try:
        content = read_bytes(beside, _LIMIT) if member is None else read_member(member, _LIMIT)
        document = json.loads(content)
    except (*ZIP_ERRORS, RecursionError):
        return None
    for payload in _payloads(document, 0):
        for one in payload["input"]["data"]:
            if isinstance(one, Mapping) and _TYPE.fullmatch(str(one.get("type"))):
                return one, bool(_CONVERTS.search(str(payload.get("evalscript"))))
    return None


def _payloads(document: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    """Yield the payloads of a request, wherever they lie in the document."""
    if not isinstance(document, Mapping) or depth > _DEEPEST:
        return
    if isinstance(_mapping(document.get("input")).get("data"), list):
        yield document
        return
    for value in document.values():
        yield from _payloads(value, depth + 1)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
