"""XML of foreign files, without document types: entities could expand without bound, or lead elsewhere."""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree
from xml.parsers import expat

MOST_BYTES: Final = 16 * 2**20
"""Greatest size of a document. The metadata of a Sentinel-2 tile have one."""
_MOST_ELEMENTS: Final = 1_000_000
_DEEPEST: Final = 200
"""Elements inside each other."""


def parse_xml(content: bytes) -> ElementTree.Element:
    """Return the root of an XML document; ValueError where it is none, or has a document type."""
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    depth = count = 0

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, count
        depth, count = depth + 1, count + 1
        if count > _MOST_ELEMENTS:
            raise ValueError(f"it has more than {_MOST_ELEMENTS:,} elements")
        if depth > _DEEPEST:
            raise ValueError(f"elements are nested more than {_DEEPEST} deep")
        builder.start(name.rpartition(":")[2], attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name.rpartition(":")[2])

    def refuse(*_: object) -> None:
        raise ValueError("it has a document type (DOCTYPE), which is not read")

    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, LookupError, UnicodeError) as error:
        raise ValueError(f"it is not XML: {error}") from None
    return builder.close()
