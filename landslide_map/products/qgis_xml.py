"""XML elements that QGIS projects and styles share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import pyproj

VERSION: Final = "3.22.0"
"""Version that projects and styles carry: QGIS 3.22 and later read it without a warning."""
_DOCTYPE: Final = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"


def add(
    parent: Element, tag: str, attributes: Mapping[str, object] | None = None, text: object = None
) -> Element:
    """Append an element; values of attributes and text are written by ``str``."""
    element = SubElement(parent, tag, {key: str(value) for key, value in (attributes or {}).items()})
    if text is not None:
        element.text = str(text)
    return element


def add_options(parent: Element, values: Mapping[str, object]) -> None:
    """Append properties of a symbol layer in both forms: QGIS up to 3.16 reads ``prop`` alone."""
    options = add(parent, "Option", {"type": "Map"})
    for name, value in values.items():
        add(options, "Option", {"name": name, "type": "QString", "value": value})
    for name, value in values.items():
        add(parent, "prop", {"k": name, "v": value})


def add_option_map(parent: Element, values: Mapping[str, object]) -> Element:
    """Append one ``Option`` map; Python's ``bool`` becomes QGIS's."""
    options = add(parent, "Option", {"type": "Map"})
    for name, value in values.items():
        kind = "bool" if isinstance(value, bool) else "QString"
        text = str(value).lower() if isinstance(value, bool) else value
        add(options, "Option", {"name": name, "type": kind, "value": text})
    return options


def add_crs(parent: Element, crs: pyproj.CRS) -> None:
    """Append a coordinate reference system.

    QGIS ignores ``authid`` without an ``srsid``; any small positive number serves.
    """
    system = add(parent, "spatialrefsys")
    authority = crs.to_authority()
    if authority is None:
        add(system, "wkt", text=crs.to_wkt("WKT2_2019"))
        return
    add(system, "srsid", text=1)
    add(system, "authid", text=":".join(authority))


def document_text(root: Element, doctype: bool = True) -> str:
    """Return an indented document."""
    indent(root)
    return (_DOCTYPE if doctype else "") + tostring(root, encoding="unicode") + "\n"
