"""Content that a person added to ``landslides.gpkg``: styles are taken over, other content stops a run.

Reviews are not meant here: :mod:`~landslide_map.products.reviews` carries them over.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from landslide_map.errors import OutputExistsError
from landslide_map.products.columns import COLUMNS, LANDSLIDES, REVIEWS_KEPT
from landslide_map.runtime.own_files import Kind, known_files, tables_of

_STYLES: Final = "layer_styles"
_BOOKKEEPING: Final = ("gpkg_", "rtree_", "sqlite_")
"""Prefixes of tables that SQLite and GeoPackage reserve."""
_REVIEWED: Final = (LANDSLIDES, REVIEWS_KEPT)


def refuse_added(path: Path, kind: Kind) -> None:
    """Refuse to replace a GeoPackage of ours with added content that a new one would lose.

    Parameters
    ----------
    path : Path
        ``landslides.gpkg`` of a result, or where it would be.
    kind : Kind
        Of the result: its manifest says what a run wrote.

    Raises
    ------
    OutputExistsError
        E404: a table, layer or field is not of a run, or a layer without reviews was changed.
    """
    recorded = _tables_of_run(path, kind)
    if recorded is None:
        return
    try:
        now = tables_of(path)
    except sqlite3.Error:
        return  # damaged: reading its reviews says so
    added = _added(recorded, now)
    if added:
        raise OutputExistsError(
            "E404",
            f"{path} holds {', '.join(added)}, which a new map would lose. Export it into a file "
            "of its own (QGIS: Export > Save Features As) and remove it here, or give another --out; nothing "
            "was changed.",
        )


def _added(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the content of a file, beside reviews and styles, that no run wrote."""
    added = []
    for name, table in now.items():
        if name == _STYLES or name.startswith(_BOOKKEEPING):
            continue
        if name not in recorded and name != REVIEWS_KEPT:
            added.append(f"the layer or table {name!r}")
        elif name not in _REVIEWED and table["sha256"] != recorded[name]["sha256"]:
            added.append(f"changes of the layer {name!r}")
        elif name in _REVIEWED:
            known = {
                *COLUMNS[LANDSLIDES],
                *recorded.get(name, recorded[LANDSLIDES])["columns"],
                "fid",
                "geom",
            }
            added += [
                f"the field {field!r} of layer {name!r}" for field in table["columns"] if field not in known
            ]
    return added


def take_over_styles(old: Path, new: Path, kind: Kind) -> None:
    """Copy the styles of an older GeoPackage into a new one, where a person changed them or added some.

    A style replaces that of the same name and layer; those of layers that the new one lacks stay behind.
    """
    recorded = _tables_of_run(old, kind)
    if recorded is None or _STYLES not in (now := tables_of(old)) or now[_STYLES] == recorded.get(_STYLES):
        return
    with closing(sqlite3.connect(new)) as database, database:
        database.execute("ATTACH ? AS older", (f"{old.absolute().as_uri()}?mode=ro&immutable=1",))
        ours, theirs = (
            [row[1] for row in database.execute(f"PRAGMA {schema}.table_info({_STYLES})")]
            for schema in ("main", "older")
        )
        shared = ", ".join(name for name in ours if name in theirs and name != "id")
        layers = "SELECT table_name FROM main.gpkg_geometry_columns"
        database.execute(
            f"DELETE FROM main.{_STYLES} WHERE (f_table_name, styleName) IN "
            f"(SELECT f_table_name, styleName FROM older.{_STYLES})"
        )
        database.execute(
            f"INSERT INTO main.{_STYLES} ({shared}) SELECT {shared} FROM older.{_STYLES} "
            f"WHERE f_table_name IN ({layers}) ORDER BY id"
        )
        # One default style a layer: that of the person, as it was chosen last.
        database.execute(
            f"UPDATE main.{_STYLES} SET useAsDefault = 0 WHERE useAsDefault AND id NOT IN "
            f"(SELECT max(id) FROM main.{_STYLES} WHERE useAsDefault GROUP BY f_table_name)"
        )


def _tables_of_run(path: Path, kind: Kind) -> Mapping[str, Any] | None:
    """Return the tables of a file as a run wrote them; None where none of ours is there."""
    record = known_files(path.parent, kind).get(path.name)
    tables = None if record is None or not path.is_file() or path.is_symlink() else record.get("tables")
    return tables if isinstance(tables, dict) and LANDSLIDES in tables else None
