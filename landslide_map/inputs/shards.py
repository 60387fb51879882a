"""Exports of Earth Engine in several files."""

from __future__ import annotations

import re
from glob import escape as glob_escape
from itertools import product
from pathlib import Path
from typing import Final

from landslide_map.errors import InputError
from landslide_map.untrusted.files import inside_zip

_SHARD: Final = re.compile(r"(?P<stem>.+)-(?P<row>\d{10})-(?P<col>\d{10})\.tiff?", re.IGNORECASE)


def shards_of(path: Path) -> list[Path]:
    """Return the parts of an export of Earth Engine that is cut into files; the file itself if it is whole.

    Names end in the row and column where a part begins. Parts with their own sizes are placed by their
    georeference; the names show whether one is missing.

    Raises
    ------
    InputError
        E101 a part is missing.
    """
    own = _SHARD.fullmatch(path.name)
    if own is None or inside_zip(path) is not None:
        return [path]
    parts = {
        (found["row"], found["col"]): other
        for other in sorted(path.parent.glob(f"{glob_escape(own['stem'])}-*.tif*"))
        if (found := _SHARD.fullmatch(other.name)) and found["stem"] == own["stem"]
    }
    rows, cols = ({key[i] for key in parts} for i in (0, 1))
    missing = sorted(set(product(rows, cols)) - set(parts))
    if missing or "0000000000" not in rows or "0000000000" not in cols:
        row, col = missing[0] if missing else ("0000000000", "0000000000")
        raise InputError(
            "E101",
            f"{path}: the part {own['stem']}-{row}-{col}.tif of this export is missing; download it as well "
            "(all parts into one folder)",
        )
    return [parts[key] for key in sorted(parts)]
