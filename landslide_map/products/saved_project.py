"""Detection of a project that a person has saved: it must not be replaced."""

from __future__ import annotations

import zipfile
from pathlib import Path
from xml.etree import ElementTree


def saved_by_person(path: Path) -> bool:
    """Whether QGIS saved a project; one that cannot be read counts as saved, so that it is kept."""
    if not path.exists():
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            member = next(name for name in archive.namelist() if name.endswith(".qgs"))
            with archive.open(member) as file:
                _, root = next(ElementTree.iterparse(file, events=["start"]))
    except (OSError, zipfile.BadZipFile, StopIteration, ElementTree.ParseError):
        return True
    return "saveDateTime" in root.attrib
