"""Virtual rasters (VRT): their references, which must be rasters on this machine."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element

from landslide_map.errors import InputError
from landslide_map.untrusted.files import inside_zip
from landslide_map.untrusted.xml_tree import parse_xml

_LEADS: Final = {"sourcefilename", "sourcedataset", "overviewfile"}
"""Elements, or attributes, that GDAL opens as a raster."""
_CLASSES: Final = {
    "vrtwarpeddataset",
    "vrtpansharpeneddataset",
    "vrtsourcedrasterband",
    "vrtderivedrasterband",
    "vrtwarpedrasterband",
    "vrtpansharpenedrasterband",
}
"""Kinds of datasets and bands that only combine rasters."""
_PROGRAMS: Final = re.compile(r"(geoloc|rpc|tps)\w*transformer|pixelfunctioncode|processingsteps|group")
"""Elements by which a VRT leads to files in other ways, or to programs."""
_ELSEWHERE: Final = re.compile(r"/vsi|.*://|\s*[<{]|[A-Za-z][\w+.-]*:")
"""Values that are no plain path: GDAL's other file systems, addresses, formats by prefix, XML."""
_MOST_SOURCES: Final = 20_000


def local_sources(place: Path, content: bytes) -> dict[Path, int]:
    """Return the files that a VRT is made of, all on this machine, and how often it names each.

    Raises
    ------
    InputError
        E101 where it is not valid XML, or a source does not exist; E113 where it leads elsewhere.
    """
    try:
        root = parse_xml(content)
    except ValueError as error:
        raise InputError("E101", f"{place}: cannot be read as a VRT: {error}") from None
    sources: Counter[tuple[str, bool]] = Counter()
    for element in root.iter():
        for key, value, relative in _values(element):
            if not _is_harmless(key, value):
                raise InputError(
                    "E113",
                    f"{place}: leads to {(value or key)[:80]!r}; a VRT may only combine raster files on this "
                    "machine. Fetch what it names, or write it as GeoTIFF with gdal_translate",
                )
            if key in _LEADS:
                sources[value, relative] += 1
    if len(sources) > _MOST_SOURCES:
        raise InputError("E113", f"{place}: has more than {_MOST_SOURCES} sources; merge them with gdalwarp")
    found: Counter[Path] = Counter()
    for (value, relative), times in sources.items():
        found[_found(place, value, relative)] += times
    return found


def _values(element: Element) -> Iterator[tuple[str, str, bool]]:
    """Yield names and values of an element and its attributes; GDAL takes either, in any case of letters."""
    attributes = {key.lower(): value for key, value in element.attrib.items()}
    said = re.match(r"\s*[+-]?\d+", attributes.get("relativetovrt", "0"))
    relative = said is not None and int(said[0]) != 0
    nested = "<" if len(element) and element.tag.lower() in _LEADS else ""  # refused below
    yield element.tag.lower(), nested + (element.text or "").strip(), relative
    for key, value in attributes.items():
        yield key, value.strip(), relative


def _is_harmless(key: str, value: str) -> bool:
    if key in _LEADS:
        return bool(value) and not _ELSEWHERE.match(value.removeprefix("/vsizip/"))
    if key in {"srs", "sourcesrs", "targetsrs"}:
        return value.startswith("{") or not re.search("://|/vsi", value.partition("[")[0])
    if key == "subclass":
        return value.lower() in _CLASSES
    if key == "pixelfunctionlanguage":
        return value.lower() in {"", "c"}
    if key == "key":
        return value.lower() != "overview_file"
    return not _PROGRAMS.fullmatch(key)


def _found(place: Path, value: str, relative: bool) -> Path:
    """Return where a source lies, as GDAL finds it."""
    path = Path(value.removeprefix("/vsizip/"))
    path = (place.parent / path if relative else path).absolute()
    if not path.exists() and inside_zip(path) is None:
        raise InputError(
            "E101",
            f"{place}: its source {value} does not exist (looked for {path}); restore it, or correct the VRT",
        )
    return path
