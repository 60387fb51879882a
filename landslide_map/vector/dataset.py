"""Opening of vector files: allowed formats, files of this machine, no references elsewhere.

As for rasters (:mod:`landslide_map.raster.dataset`), the first bytes decide. OGR would follow a VRT, a WFS
or a pipeline of GDAL commands in a file of any name.
"""

from __future__ import annotations

import re
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from pyogrio.errors import DataLayerError, DataSourceError

from landslide_map.errors import InputError
from landslide_map.untrusted.files import (
    ZIP_ERRORS,
    Member,
    read_bytes,
    read_member,
    unreadable_kind,
    zip_names,
)
from landslide_map.untrusted.xml_tree import MOST_BYTES, parse_xml

FORMATS: Final = (
    "GeoPackage, Shapefile, GeoJSON, KML, GPX, FlatGeobuf, File Geodatabase, or one of these zipped"
)
_MAGIC: Final = (b"SQLite format 3\0", b"\0\0\x27\x0a", b"fgb\x03fgb")
_GEOJSON: Final = re.compile(
    rb'"type"\s*:\s*"(FeatureCollection|Feature|GeometryCollection|(Multi)?(Point|LineString|Polygon))"'
)
_PIPELINE: Final = re.compile(
    rb"gdal_streamed_alg|command_line|gdal_virtual|conformsTo|\"links\"\s*:", re.IGNORECASE
)
"""Keys of JSON: commands of GDAL, and services that GDAL would request more pages from."""
_SQL: Final = re.compile(
    rb"virtual(ogr|shape|dbf|xl|text)|geocode|gdal_|load_extension|/vsi|https?:", re.IGNORECASE
)
"""Functions in the definition of a table or view by which SQL reads other files."""
_PARTS: Final = {".shp", ".shx", ".dbf", ".prj", ".cpg", ".gpkg", ".geojson", ".json", ".kml", ".fgb"}
"""Suffixes of the files that are read from a zip."""
_MAIN: Final = _PARTS - {".shx", ".dbf", ".prj", ".cpg"}
_STEPS: Final = 100_000
_MOST_WORK: Final = 300
"""Times :data:`_STEPS` steps of SQLite, for the views of a file: a second."""
_UNKNOWN: Final = re.compile(r"no such function: (\w+)$")
_MOST_FUNCTIONS: Final = 50
_HEADER: Final = 2**16
_MOST_UNPACKED: Final = 2**29


class NoVectorFileError(ValueError):
    """A file is in no format that is read."""


UNREADABLE: Final = (
    NoVectorFileError,
    DataSourceError,
    DataLayerError,
    UnicodeDecodeError,
    UnboundLocalError,
)
"""Exceptions of reading a vector file; the last two for text other than UTF-8, pyogrio's for a projection."""


@contextmanager
def readable(path: Path) -> Iterator[Path]:
    """Yield the path that OGR may open for a vector file: itself, or a file from its zip.

    Raises
    ------
    NoVectorFileError
        If it is in no format of the allow-list.
    InputError
        E113 if it leads away.
    """
    with _opened(path) as local:
        try:
            yield local
        except UnboundLocalError as error:
            raise NoVectorFileError("its projection is no text in UTF-8") from error


@contextmanager
def _opened(path: Path) -> Iterator[Path]:
    if kind := unreadable_kind(path):
        raise NoVectorFileError(f"it is {kind}")
    if path.is_dir():
        if path.suffix.lower() != ".gdb" or not any(path.glob("a00000001.gdbtable")):
            raise NoVectorFileError("it is a folder")
        yield path
    elif path.suffix.lower() in {".zip", ".kmz"}:
        with TemporaryDirectory(prefix="landslide-map-") as folder:
            inner = _unpacked(path, Path(folder))
            _check(inner, path)
            yield inner
    else:
        _check(path, path)
        with absent_tables():
            yield path


@contextmanager
def absent_tables() -> Iterator[None]:
    """Leave a layer that a GeoPackage names and lacks to our own errors: without GDAL's warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*in gpkg_contents, but does not exist", RuntimeWarning)
        yield


def refuse_foreign(path: Path) -> None:
    """Refuse a file of a results folder, which another program may have put there, that is no GeoPackage.

    Raises
    ------
    NoVectorFileError
        If it is no SQLite database.
    InputError
        E113 if it leads away.
    OSError
        If it cannot be read.
    """
    if kind := unreadable_kind(path):
        raise NoVectorFileError(f"it is {kind}")
    with path.open("rb") as file:
        if file.read(len(_MAGIC[0])) != _MAGIC[0]:
            raise NoVectorFileError("it is no SQLite database")
    _check_sql(path, path)


def _unpacked(path: Path, folder: Path) -> Path:
    """Take the parts of the one vector file in a zip out of it."""
    try:
        names = [name for name in zip_names(path) if Path(name).suffix.lower() in _PARTS]
        found = [name for name in names if Path(name).suffix.lower() in _MAIN]
        if len(found) != 1:
            raise NoVectorFileError(f"its zip holds {len(found)} vector files; expected one")
        left = _MOST_UNPACKED
        for name in names:
            if Path(name).with_suffix("") == Path(found[0]).with_suffix(""):
                content = read_member(Member(path, name), left)
                left -= len(content)
                (folder / f"unpacked{Path(name).suffix.lower()}").write_bytes(content)
    except NoVectorFileError:
        raise
    except ZIP_ERRORS as error:
        raise NoVectorFileError(f"its zip cannot be read: {error}") from None
    return folder / f"unpacked{Path(found[0]).suffix.lower()}"


def _check(path: Path, shown: Path) -> None:
    with path.open("rb") as file:
        header = file.read(_HEADER)
    text = header.removeprefix(b"\xef\xbb\xbf").lstrip()
    if header.startswith(_MAGIC[0]):
        _check_sql(path, shown)
    elif text.startswith((b"{", b"[")):
        if _PIPELINE.search(text):
            raise _elsewhere(shown, "commands or a service")
        if not _GEOJSON.search(text):
            raise NoVectorFileError("it is JSON, but no GeoJSON")
    elif text.startswith(b"<"):
        _check_xml(path, shown)
    elif not header.startswith(_MAGIC[1:]):
        raise NoVectorFileError(f"it is in none of the formats that are read ({FORMATS})")


def _check_xml(path: Path, shown: Path) -> None:
    try:
        root = parse_xml(read_bytes(path, MOST_BYTES))
    except ValueError as error:
        raise NoVectorFileError(str(error)) from None
    if root.tag.lower() not in {"kml", "gpx"}:
        raise NoVectorFileError(f"it is XML of the kind {root.tag[:40]}, which is not read ({FORMATS})")
    if (
        any(element.tag.lower() in {"networklink", "link"} for element in root.iter())
        and root.tag.lower() == "kml"
    ):
        raise _elsewhere(shown, "a NetworkLink")


def _check_sql(path: Path, shown: Path) -> None:
    """Refuse tables and views of a database that are made of other files."""
    log = Path(f"{path}-wal")
    if log.is_file():
        with log.open("rb") as file:
            while part := file.read(2**24):
                if _SQL.search(part):
                    raise _elsewhere(shown, "other files by SQL, in its -wal file")
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        ) as database:
            database.text_factory = bytes
            query = "SELECT sql FROM sqlite_master WHERE type = 'view' OR sql LIKE 'create virtual%'"
            for (sql,) in database.execute(query):
                if _SQL.search(sql or b""):
                    raise _elsewhere(shown, sql.decode(errors="replace"))
            _check_views(database)
    except sqlite3.Error as error:
        raise NoVectorFileError(f"its database cannot be read: {error}") from None


def _check_views(database: sqlite3.Connection) -> None:
    """Refuse views that have no end, or that stand for more rows than any file holds."""
    views = database.execute("SELECT name FROM sqlite_master WHERE type = 'view'").fetchall()
    work = count()
    database.set_progress_handler(lambda: int(next(work) > _MOST_WORK), _STEPS)
    for (name,) in views:
        quoted = name.replace(b'"', b'""').decode(errors="replace")
        try:
            _read_through(database, f'SELECT * FROM "{quoted}"')
        except sqlite3.Error as error:
            raise NoVectorFileError(
                f"its view {quoted[:40]!r} cannot be read, or has no end ({error}); export it as a table"
            ) from None
    database.set_progress_handler(None, 0)


def _read_through(database: sqlite3.Connection, query: str) -> None:
    """Read all rows of a query; functions that only SpatiaLite and OGR know (ST_Area ...) are all 1 here.

    A query that calls itself may end by such a function alone, so it is refused.
    """
    for _ in range(_MOST_FUNCTIONS):
        try:
            for _ in database.execute(query):
                pass
        except sqlite3.OperationalError as error:
            unknown = _UNKNOWN.match(str(error))
            if unknown is None or _calls_itself(database):
                raise
            database.create_function(unknown[1], -1, lambda *_: 1)
        else:
            return
    raise sqlite3.OperationalError(f"more than {_MOST_FUNCTIONS} functions are unknown")


def _calls_itself(database: sqlite3.Connection) -> bool:
    """Return whether any view of a database is recursive."""
    query = "SELECT count(*) FROM sqlite_master WHERE type = 'view' AND sql LIKE '%recursive%'"
    return bool(database.execute(query).fetchone()[0])


def _elsewhere(path: Path, what: str) -> InputError:
    return InputError(
        "E113",
        f"{path}: leads to {what[:80]}; expected shapes in the file itself. Export it as GeoPackage",
    )
