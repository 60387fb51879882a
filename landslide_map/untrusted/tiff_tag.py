"""Text of one private tag of a TIFF file, which GDAL does not read."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, Final

_ORDERS: Final = {b"II": "<", b"MM": ">"}
_LAYOUTS: Final = {42: ("I", "H", "HHI4s"), 43: ("Q", "Q", "HHQ8s")}
"""Version of the format -> types of an offset, of the number of entries, and of an entry."""
_TEXT_TYPES: Final = (1, 2, 7)
"""Bytes, text, and bytes of no said type."""
_MOST_ENTRIES: Final = 4096


def tiff_text(path: Path, tag: int, most: int) -> bytes | None:
    """Return the text of a tag of the first image in a file; None where there is none.

    Parameters
    ----------
    path : Path
        Of a plain file; any other is no TIFF.
    tag : int
        Number of the tag.
    most : int
        Bytes that a text may have; a longer one counts as none.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    if not path.is_file():
        return None
    with path.open("rb") as file:
        try:
            return _text(file, tag, most)
        except struct.error:  # it ends too early
            return None


def _text(file: BinaryIO, tag: int, most: int) -> bytes | None:
    order = _ORDERS.get(file.read(2))
    if order is None:
        return None
    (version,) = struct.unpack(f"{order}H", file.read(2))
    if version not in _LAYOUTS:
        return None
    offset_type, number_type, entry_type = _LAYOUTS[version]
    if version == 43:
        file.read(4)  # the size of an offset, and nothing

    def number(of: str) -> int:
        return int(struct.unpack(order + of, file.read(struct.calcsize(order + of)))[0])

    file.seek(number(offset_type))
    for _ in range(min(number(number_type), _MOST_ENTRIES)):
        entry = file.read(struct.calcsize(order + entry_type))
        found, kind, count, value = struct.unpack(order + entry_type, entry)
        if found == tag:
            if kind not in _TEXT_TYPES or count > most:
                return None
            if count <= len(value):
                return bytes(value[:count])
            (place,) = struct.unpack(order + offset_type, value)
            file.seek(place)
            return file.read(count)
    return None
