"""One verdict saved in the GeoPackage of a finished map, in place, as an edit in QGIS does it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NoReturn

import geopandas as gpd
import pandas as pd
import pyogrio

from landslide_map.errors import InputError, ResourceError, UsageError
from landslide_map.products import LANDSLIDES
from landslide_map.products.columns import ADDED, REVIEW, REVIEW_COLUMNS, UNSEEN, VERDICTS
from landslide_map.products.columns import LANDSLIDES as LAYER
from landslide_map.runtime.edit_session import refuse_edited
from landslide_map.runtime.transaction import locked
from landslide_map.vector.dataset import UNREADABLE, refuse_foreign

SHAPE: Final = "shape"
"""Column with a hash of the stored geometry, which separates rows of one number in two files."""
_WAIT_S: Final = 3.0
_LONGEST: Final = {"comment": 2000, "reviewer": 100}
_OF_TRIGGERS: Final = {"ST_IsEmpty": 1, "ST_MinX": 1, "ST_MaxX": 1, "ST_MinY": 1, "ST_MaxY": 1}
"""Functions that triggers of a spatial index name. SQLite wants them known though no geometry changes."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Verdict of a reviewer on one row, and the content of the row when it was shown."""

    fid: int
    shape: str
    """Hash of the geometry, as in the column :data:`SHAPE`."""
    review: str
    comment: str
    reviewer: str
    seen: tuple[str, str]
    """Review and comment that the reviewer saw."""


def rows_to_review(folder: Path) -> gpd.GeoDataFrame:
    """Return the layer `landslides` of a result, indexed by row number, with the column :data:`SHAPE`.

    Raises
    ------
    InputError
        E170: there is no such layer, or it has no columns for a review.
    """
    path = folder / LANDSLIDES
    try:
        refuse_foreign(path)
        frame = pyogrio.read_dataframe(path, layer=LAYER, fid_as_index=True)
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            key, geometry = _columns(database)
            rows = database.execute(f"SELECT {key}, {geometry} FROM {LAYER}").fetchall()
    except (*UNREADABLE, sqlite3.Error, OSError) as error:
        _refuse(path, str(error))
    frame = frame[frame.geometry.notna() & ~frame.geometry.is_empty]
    if lacking := [column for column in REVIEW_COLUMNS if column not in frame]:
        _refuse(path, f"layer {LAYER} lacks column {lacking[0]}")
    for column in REVIEW_COLUMNS:
        frame[column] = frame[column].fillna("").astype("str")
    frame[REVIEW] = frame[REVIEW].where(frame[REVIEW] != "", UNSEEN)
    frame[SHAPE] = pd.Series({fid: _hash(shape) for fid, shape in rows}, dtype="str").reindex(frame.index)
    return frame


def save_verdict(folder: Path, verdict: Verdict) -> None:
    """Save a verdict; the row gets the reviewer and the time as well, and nothing else changes.

    Raises
    ------
    UsageError
        E455 for a comment that is too long, E403 while a run or an edit session holds the file. E453 if the
        row is another one or got another verdict since it was shown. Nothing is saved then.
    InputError
        E170 if the file is no GeoPackage with verdicts, E171 for other words than the verdicts.
    ResourceError
        E601 if it cannot be written.
    """
    _check(verdict)
    path = folder / LANDSLIDES
    try:
        with locked(folder):  # as a run holds it: none replaces the file before the commit
            refuse_edited(path)
            with closing(_opened(path)) as database:
                database.execute("BEGIN IMMEDIATE")
                _update(database, verdict)
                database.execute("COMMIT")
    except UsageError as error:
        if error.code != "E403":
            raise
        raise UsageError(
            "E403",
            f"{path} is in use: a run writes there, or QGIS edits it. The verdict was not saved. Save the "
            "edits there and stop editing, or wait for the run; then review again.",
        ) from error
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise UsageError(
                "E403",
                f"{path} is being written by another program; the verdict was not saved. Review again.",
            ) from error
        raise ResourceError("E601", f"{path} could not be written ({error}).") from error
    except sqlite3.DatabaseError as error:
        _refuse(path, str(error))


def _check(verdict: Verdict) -> None:
    if verdict.review not in VERDICTS or verdict.review == ADDED:
        allowed = ", ".join(word for word in VERDICTS if word != ADDED)
        raise InputError("E171", f"review {verdict.review!r} is no verdict; expected one of {allowed}.")
    for name, most in _LONGEST.items():
        if len(getattr(verdict, name)) > most:
            raise UsageError("E455", f"the {name} is longer than {most} characters; nothing was saved.")


def _opened(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=_WAIT_S, isolation_level=None
    )
    for name, arguments in _OF_TRIGGERS.items():
        database.create_function(name, arguments, _uncalled)
    return database


def _uncalled(*_: Any) -> NoReturn:
    raise AssertionError("a verdict changes no geometry")


def _update(database: sqlite3.Connection, verdict: Verdict) -> None:
    key, geometry = _columns(database)
    row = database.execute(
        f"SELECT {geometry}, {REVIEW}, comment FROM {LAYER} WHERE {key} = ?", (verdict.fid,)
    ).fetchone()
    if row is None or _hash(row[0]) != verdict.shape:
        raise UsageError(
            "E453",
            "the outlines were redrawn or changed since they were shown; nothing was saved. Load again.",
        )
    found = (row[1] or UNSEEN, row[2] or "")
    if found[0] == ADDED:
        raise UsageError("E453", "the outline was drawn by hand: a landslide; nothing was saved.")
    if found != verdict.seen:
        raise UsageError(
            "E453",
            f"the outline was reviewed meanwhile ({': '.join(filter(None, found))}); nothing was saved. "
            "Review it again.",
        )
    now = datetime.now().astimezone()
    database.execute(
        f"UPDATE {LAYER} SET {REVIEW} = ?, comment = ?, reviewer = ?, reviewed_at = ? WHERE {key} = ?",
        (verdict.review, verdict.comment, verdict.reviewer, f"{now:%Y-%m-%d %H:%M %Z}", verdict.fid),
    )
    stamp = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    database.execute("UPDATE gpkg_contents SET last_change = ? WHERE table_name = ?", (stamp, LAYER))


def _columns(database: sqlite3.Connection) -> tuple[str, str]:
    """Return the quoted names of the columns with the row number and the geometry."""
    found = database.execute(
        "SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?", (LAYER,)
    ).fetchone()
    keys = [row[1] for row in database.execute(f"PRAGMA table_info({LAYER})") if row[5]]
    if found is None or len(keys) != 1:
        raise sqlite3.DatabaseError(f"it has no layer {LAYER}")
    return _quoted(keys[0]), _quoted(found[0])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _hash(geometry: bytes | None) -> str:
    return sha256(geometry or b"").hexdigest()[:16]


def _refuse(path: Path, why: str) -> NoReturn:
    raise InputError("E170", f"{path} cannot be reviewed ({why}). Expected the GeoPackage of a finished map.")
