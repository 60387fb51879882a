"""JSON of foreign files: of bounded size, and no deeper than Python can follow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from landslide_map.untrusted.files import read_bytes

MOST_BYTES: Final = 64 * 2**20
"""Greatest size of a document. The manifest of a country's map has one megabyte."""


def read_json(path: Path, most: int = MOST_BYTES) -> Any:
    """Return the content of a JSON file of at most `most` bytes.

    Raises
    ------
    OSError
        If it cannot be read, or is no plain file.
    ValueError
        If it is larger, or is not JSON.
    """
    return parse_json(read_bytes(path, most))


def parse_json(content: bytes) -> Any:
    """Return the content of JSON; ValueError for other text."""
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("it is no JSON that is read: its parts are nested too deeply") from None
