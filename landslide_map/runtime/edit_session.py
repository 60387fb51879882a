"""Detection of an edit session: a GeoPackage that QGIS is editing must not be replaced."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from landslide_map.errors import UsageError

_LOCK_SECONDS: Final = 1.0
_HEADER: Final = b"SQLite format 3\0"


def refuse_edited(path: Path) -> None:
    """Refuse a GeoPackage that another program is editing; put one that QGIS left in WAL mode in order.

    While QGIS edits a layer, the journal mode cannot be changed; while it only shows one, it can.

    Raises
    ------
    UsageError
        E403: an edit session holds the file.
    """
    if not path.is_file() or not os.access(path, os.W_OK) or not _is_database(path):
        return
    try:
        with closing(sqlite3.connect(path, timeout=_LOCK_SECONDS)) as database:
            database.execute("PRAGMA journal_mode=DELETE").fetchone()
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            return
        raise UsageError(
            "E403",
            f"{path} is being edited, in QGIS for example. Save the edits, close the project and run again, "
            "or choose another --out; nothing was changed.",
        ) from None
    except sqlite3.DatabaseError:
        return  # damaged: its reader will say so


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_HEADER)) == _HEADER
