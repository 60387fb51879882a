"""Every file that the pixels of a raster come from: sources of a VRT, files beside it that GDAL reads too."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element

from landslide_map.raster.vrt import local_sources
from landslide_map.untrusted.files import read_bytes
from landslide_map.untrusted.xml_tree import parse_xml

_HEADER: Final = 1024
_MOST_XML: Final = 64 * 2**20
_AFTER_NAME: Final = (".aux.xml", ".msk", ".ovr", ".rrd", ".hdr", ".vat.dbf")
"""Endings after the whole name."""
_AFTER_STEM: Final = (".hdr", ".prj", ".aux", ".ige", ".rrd", ".rde", ".wld")
"""Endings in place of the file's own: headers, projections and pixels kept elsewhere."""
_STATISTICS: Final = "STATISTICS_"


def source_files(paths: Iterable[Path]) -> list[Path]:
    """Return `paths` and every file that GDAL reads with them, each once.

    Sources of a VRT are followed as deep as they go. Statistics that a viewer keeps in an ``.aux.xml`` change
    no pixel: a file that holds nothing else is left out. Of a path into a zip, the zip is what counts.
    """
    found: dict[Path, None] = {}
    waiting = list(paths)
    while waiting:
        path = waiting.pop(0)
        if path not in found:
            found[path] = None
            waiting += [*_sources(path), *_beside(path)]
    return list(found)


def _sources(path: Path) -> list[Path]:
    if not path.is_file():
        return []
    with path.open("rb") as file:
        header = file.read(_HEADER)
    return list(local_sources(path, read_bytes(path, _MOST_XML))) if b"<VRTDataset" in header else []


def _beside(path: Path) -> list[Path]:
    if not path.is_file():
        return []
    ending = path.suffix
    # A world file is named after the raster: .tfw and .tifw for .tif.
    worlds = [f".{ending[1:2]}{ending[-1:]}w", f"{ending}w"] if len(ending) > 2 else []
    after_name = [Path(f"{path}{added}") for added in _AFTER_NAME]
    after_stem = [path.with_suffix(added) for added in (*_AFTER_STEM, *worlds)] if ending else []
    candidates = [
        other
        for own in (*after_name, *after_stem)
        for other in (own, own.with_name(own.name[: len(path.stem)] + own.name[len(path.stem) :].upper()))
    ]
    present = dict.fromkeys(other for other in candidates if other != path and other.is_file())
    return [other for other in present if not _only_statistics(other)]


def _only_statistics(path: Path) -> bool:
    if not path.name.lower().endswith(".aux.xml"):
        return False
    try:
        root = parse_xml(read_bytes(path, _MOST_XML))
    except (OSError, ValueError):
        return False
    bands = [child for child in root if child.tag == "PAMRasterBand"]
    return len(bands) == len(root) and all(_is_statistics(part) for band in bands for part in band)


def _is_statistics(part: Element) -> bool:
    if part.tag == "Histograms":
        return True
    return part.tag == "Metadata" and all(item.get("key", "").startswith(_STATISTICS) for item in part)
