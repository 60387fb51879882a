"""Own files in a user's folder: named by an own manifest, and unchanged since.

A manifest is a JSON file that a run writes beside its other files. It names them with size and SHA-256, under
``outputs`` or ``files``, and ends with a seal: a hash of all the rest of it. Only what it proves to be
ours may be replaced or removed.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any, Final, cast

SEAL: Final = "seal"
_LARGEST_MANIFEST: Final = 256 << 20
UNKNOWN: Final = "was not written by a run of landslide-map"
_CHANGED: Final = "was changed since a run wrote it"

Record = Mapping[str, Any]
"""Entry of a file in a manifest: ``bytes``, ``sha256``, and of a database ``content_sha256`` and ``tables``,
the columns and a hash of each."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Content of a folder of results of one kind."""

    manifest: str
    """Names all other files; appears last and disappears first."""
    names: tuple[str, ...] = ()
    """Files that such a result may consist of, whether or not a manifest names them."""
    holds: str = "a result"
    exclusive: bool = False
    """Whether foreign files have no place beside the result."""
    adds: bool = False
    """Whether the files are added to a result, all other files of which stay as they are."""


def file_record(path: Path) -> dict[str, Any]:
    """Return size and hash of a file, and of a GeoPackage also a hash of its rows.

    Programs that only show a GeoPackage (QGIS) change bytes of its header.
    """
    record = {"bytes": path.stat().st_size, "sha256": _hash(path)}
    if path.suffix != ".gpkg":
        return record
    content, tables = _content(path)
    return record | {"content_sha256": content, "tables": tables}


def tree_records(folder: Path) -> dict[str, Record]:
    """Return the records of all files below `folder`, by relative name."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): file_record(path) for path in files}


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest with its seal; `document` holds JSON values only."""
    bare = {key: value for key, value in document.items() if key != SEAL}
    text = json.dumps(bare, sort_keys=True, allow_nan=False)
    return {**bare, SEAL: sha256(text.encode()).hexdigest()}


def records(folder: Path, manifest: str) -> dict[str, Record]:
    """Return the entries of the manifest in `folder`, the manifest itself included.

    Nothing where there is none of ours. One that was changed names the other files, but not itself.
    """
    path = folder / manifest
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST_MANIFEST:
            return {}
        content = path.read_bytes()
        document = json.loads(content)
        listed = document.get("outputs", document.get("files"))
        found = {name: entry for name, entry in listed.items() if _is_record(name, entry)}
        if document == sealed(document):
            found[manifest] = {"bytes": len(content), "sha256": sha256(content).hexdigest()}
        elif SEAL not in document:
            return {}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}
    return found


def is_unsealed(folder: Path, manifest: str) -> bool:
    """Return whether a folder holds a manifest of an earlier version, which had no seal."""
    document = _document(folder / manifest)
    return SEAL not in document and isinstance(document.get("outputs", document.get("files")), dict)


def unchanged(path: Path, record: object) -> bool:
    """Return whether a file is there as a manifest records it."""
    return _is_record(path.name, record) and _why_foreign(path, cast(Record, record), False) == ""


def known_files(folder: Path, kind: Kind) -> dict[str, Record]:
    """Return the :func:`records` of the files that a result of `kind` replaces."""
    found = records(folder, kind.manifest)
    concerned = (*kind.names, kind.manifest) if kind.adds else found
    return {name: record for name, record in found.items() if name in concerned}


def changed_since(folder: Path, kind: Kind) -> dict[str, str]:
    """Return the changed files of a result: name -> difference, as part of a sentence.

    These are files that the manifest in `folder` names and that hold something else by now. A caller that
    knows how to carry a person's work over, such as a reviewed ``landslides.gpkg``, reads the file there,
    writes the new one with that work in it, and gives the name to
    :func:`~landslide_map.runtime.transaction.outputs` as `carried`. Any other name stops ``--overwrite``.
    """
    known = known_files(folder, kind)
    return {name: why for name, why in foreign(folder, kind).items() if name in known}


def foreign(folder: Path, kind: Kind) -> dict[str, str]:
    """Return the files that stand where a result would, and are not provably ours: name -> why.

    Parameters
    ----------
    folder : Path
    kind : Kind
        Of the result; where it is exclusive, every other file in `folder` counts.
    """
    known = known_files(folder, kind)
    names = {name: None for name in (*kind.names, kind.manifest, *known) if os.path.lexists(folder / name)}
    if kind.exclusive:
        names |= dict.fromkeys(_every_name(folder))
    found = {name: _why_foreign(folder / name, known.get(name), name == kind.manifest) for name in names}
    return {name: why for name, why in found.items() if why}


def top_level(names: Iterable[str]) -> tuple[str, ...]:
    """Return the entries of a folder in which files of these relative names lie, each once."""
    return tuple(dict.fromkeys(name.split("/")[0] for name in names))


def _why_foreign(path: Path, record: Record | None, is_manifest: bool) -> str:
    if record is None:
        return _CHANGED if is_manifest and _has_seal(path) else UNKNOWN
    if path.is_symlink() or not path.is_file():
        return UNKNOWN
    return "" if _matches(path, record) else _CHANGED


def _matches(path: Path, record: Record) -> bool:
    same_size = path.stat().st_size == record["bytes"]
    content = record.get("content_sha256")
    if content is None:
        return same_size and bool(_hash(path) == record["sha256"])
    try:
        return bool(_content(path)[0] == content)
    except sqlite3.Error:
        return False


def _has_seal(path: Path) -> bool:
    return SEAL in _document(path)


def _document(path: Path) -> Mapping[str, Any]:
    """Return the mapping in a JSON file; empty if it is unreadable or no mapping."""
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST_MANIFEST:
            return {}
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_record(name: Any, entry: Any) -> bool:
    plain = isinstance(name, str) and all(part not in ("", ".", "..") for part in name.split("/"))
    return plain and isinstance(entry, dict) and {"bytes", "sha256"} <= entry.keys()


def _every_name(folder: Path) -> list[str]:
    """Return the relative name of every file below `folder`, links as files, and of every empty folder."""
    found = []
    for where, folders, files in os.walk(folder):
        links = [name for name in folders if Path(where, name).is_symlink()]
        empty = [Path(where)] if not folders and not files and Path(where) != folder else []
        found += [Path(where, name) for name in (*files, *links)] + empty
    return sorted(path.relative_to(folder).as_posix() for path in found)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def tables_of(path: Path) -> dict[str, Record]:
    """Return columns and a hash of each table of a GeoPackage, as ``tables`` of its record."""
    return _content(path)[1]


def _content(path: Path) -> tuple[str, dict[str, Record]]:
    """Return a hash of the rows of an SQLite file, and of each table; header and free pages do not count."""
    digest = sha256()
    found: dict[str, Record] = {}
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as database:
        database.text_factory = lambda text: text.decode(errors="backslashreplace")  # a damaged file's
        tables = database.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' "
            "ORDER BY name"
        ).fetchall()
        for name, sql in tables:
            own = sha256()
            digest.update(repr((name, sql)).encode())
            quoted = name.replace('"', '""')
            rows = database.execute(f'SELECT * FROM "{quoted}"')
            for row in rows:
                text = repr(row).encode()
                digest.update(text)
                own.update(text)
            found[name] = {"columns": [entry[0] for entry in rows.description], "sha256": own.hexdigest()}
    return digest.hexdigest(), found
