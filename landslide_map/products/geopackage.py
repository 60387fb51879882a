"""``landslides.gpkg``: layers with styles, spatial index and descriptions for QGIS."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import geopandas as gpd
import pandas as pd
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError

from landslide_map.errors import InputError, LandslideMapError, ResourceError
from landslide_map.products.columns import (
    ANALYSED,
    CANDIDATES,
    INVENTORY,
    LANDSLIDES,
    REVIEW,
    REVIEWS_KEPT,
    VERDICTS,
    WINDOWS,
    titles_of,
)
from landslide_map.products.vector_styles import style_document
from landslide_map.vector.dataset import UNREADABLE, absent_tables, refuse_foreign
from landslide_map.vector.layers import check_coordinates

_LAYERS: Final = {
    INVENTORY: ("Known landslides", "Polygons that the map was compared with; not made by this map."),
    LANDSLIDES: (
        "Landslides",
        "Outlines to review. They say where to look; `method` or the tags say how exact an edge is.",
    ),
    WINDOWS: (
        "Areas to check",
        "Outlines where the probability of a landslide in the windows around a pixel is above the"
        " threshold. They say where to look, not where the edge of a scar is.",
    ),
    CANDIDATES: (
        "Candidates",
        "All outlines with a probability, those too that are below the threshold.",
    ),
    ANALYSED: (
        "Area analysed",
        "Where the map has an answer, by which set of channels, and where it has none and why.",
    ),
    REVIEWS_KEPT: (
        "Verdicts kept",
        "Reviewed outlines of earlier results that this one does not have.",
    ),
}
"""Layer -> title and description."""
NEW_FILE: Final = {"VERSION": "1.2"}
"""Options of a new GeoPackage: GDAL and QGIS of the last decade read this version without a warning."""
_STYLE_TABLE: Final = """
CREATE TABLE layer_styles (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  f_table_catalog TEXT(256), f_table_schema TEXT(256), f_table_name TEXT(256), f_geometry_column TEXT(256),
  styleName TEXT(30), styleQML TEXT, styleSLD TEXT, useAsDefault BOOLEAN, description TEXT,
  owner TEXT(30), ui TEXT(30), update_time DATETIME
)"""
_COLUMN_TABLE: Final = """
CREATE TABLE gpkg_data_columns (
  table_name TEXT NOT NULL, column_name TEXT NOT NULL, name TEXT, title TEXT, description TEXT,
  mime_type TEXT, constraint_name TEXT,
  CONSTRAINT pk_gdc PRIMARY KEY (table_name, column_name),
  CONSTRAINT gdc_tn UNIQUE (table_name, name)
)"""
_CONSTRAINT_TABLE: Final = """
CREATE TABLE gpkg_data_column_constraints (
  constraint_name TEXT NOT NULL, constraint_type TEXT NOT NULL, value TEXT, min NUMERIC,
  min_is_inclusive BOOLEAN, max NUMERIC, max_is_inclusive BOOLEAN, description TEXT,
  CONSTRAINT gdcc_ntv UNIQUE (constraint_name, constraint_type, value)
)"""


def write_geopackage(
    path: Path,
    layers: Mapping[str, gpd.GeoDataFrame],
    changed: datetime,
    metadata: Mapping[str, str],
    threshold: float,
) -> None:
    """Write layers with spatial index, default styles, column titles and metadata.

    Parameters
    ----------
    path : Path
        File to write; must not exist.
    layers : mapping of str to GeoDataFrame
        Name, one of ``products.columns``, -> outlines; may be empty.
    changed : datetime
        Written as the time of last change. Give the event's time, not the clock's: the same data then
        make the same bytes.
    metadata : mapping of str to str
        About the run as a whole, kept in ``gpkg_metadata`` for each layer.
    threshold : float
        Lowest threshold of the run: where the colours of the styles begin.

    Raises
    ------
    ResourceError
        E601: the file cannot be written, or does not hold what was written.
    """
    stamp = changed.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    with _explained(path):
        with clock(stamp):
            for layer, frame in layers.items():
                title, description = _LAYERS[layer]
                pyogrio.write_dataframe(
                    frame,
                    path,
                    layer=layer,
                    driver="GPKG",
                    append=path.exists(),
                    geometry_type="MultiPolygon",
                    # On the layer: of metadata on the file, GDAL makes an .aux.xml whenever it is read.
                    layer_metadata=dict(metadata),
                    dataset_options=None if path.exists() else NEW_FILE,
                    layer_options={"SPATIAL_INDEX": "YES", "IDENTIFIER": title, "DESCRIPTION": description},
                )
        with closing(sqlite3.connect(path)) as database, database:
            _add_styles(database, layers, stamp, threshold)
            _add_column_titles(database, layers)
        for layer, frame in layers.items():
            found = pyogrio.read_info(path, layer=layer, force_feature_count=True)["features"]
            if found != len(frame):
                raise ResourceError(
                    "E601",
                    f"{path.name}: layer {layer} holds {found} features of {len(frame)}. Is the disk full?",
                )


def read_layer(path: Path, layer: str) -> tuple[gpd.GeoDataFrame, dict[str, str]]:
    """Return a layer as it was given to :func:`write_geopackage`, and the metadata.

    Raises
    ------
    InputError
        E170: the file or the layer cannot be read.
    """
    with readable(path):
        frame = pyogrio.read_dataframe(path, layer=layer)
        if not isinstance(frame, gpd.GeoDataFrame):
            raise DataLayerError(f"layer {layer} has no shapes")
        check_coordinates(frame.geometry.to_numpy())
        tags = _tags(path, layer)
    for name in frame.columns.drop("geometry"):
        if frame[name].dtype.kind == "M":  # without a row, GDAL does not know that they are UTC
            frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[ms, UTC]")
        elif frame[name].dtype.kind == "O":
            frame[name] = frame[name].astype("str")
    return frame, tags


def read_tags(path: Path, layer: str) -> dict[str, str]:
    """Return the metadata of a layer alone; errors as of :func:`read_layer`."""
    with readable(path):
        return _tags(path, layer)


def _tags(path: Path, layer: str) -> dict[str, str]:
    metadata = dict(pyogrio.read_info(path, layer=layer)["layer_metadata"] or {})
    for own in ("IDENTIFIER", "DESCRIPTION"):
        metadata.pop(own, None)
    return metadata


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn errors of GDAL and SQLite on an unreadable file into E170; refuse references elsewhere."""
    try:
        refuse_foreign(path)
        with absent_tables():
            yield
    except LandslideMapError:
        raise
    except (*UNREADABLE, sqlite3.Error, OSError) as error:
        raise InputError(
            "E170",
            f"{path}: cannot be read as a GeoPackage of landslides ({error}). Map the scene again, or name "
            "another folder.",
        ) from error


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn errors of GDAL and SQLite on a file that they cannot write into E601."""
    try:
        yield
    except (DataSourceError, DataLayerError, sqlite3.Error) as error:
        raise ResourceError(
            "E601",
            f"{path.name} could not be written ({error}). Is the disk full or faulty? Free some space, or "
            "choose another --out.",
        ) from error


@contextmanager
def clock(stamp: str) -> Iterator[None]:
    """Make GDAL write `stamp` in place of the current time."""
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": stamp})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def _add_styles(
    database: sqlite3.Connection, layers: Mapping[str, gpd.GeoDataFrame], stamp: str, threshold: float
) -> None:
    database.execute(_STYLE_TABLE)
    # Registered as GDAL does it, so that readers do not take the table for a foreign one.
    database.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, last_change)"
        " VALUES ('layer_styles', 'attributes', 'layer_styles', '', ?)",
        (stamp,),
    )
    for layer, frame in layers.items():
        columns = list(frame.columns.drop("geometry"))
        column = database.execute(
            "SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?", (layer,)
        ).fetchone()[0]
        database.execute(
            "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column,"
            " styleName, styleQML, styleSLD, useAsDefault, description, owner, update_time)"
            " VALUES ('', '', ?, ?, ?, ?, '', 1, ?, '', ?)",
            (
                layer,
                column,
                layer,
                style_document(layer, columns, threshold, len(frame)),
                _LAYERS[layer][0],
                stamp,
            ),
        )


def _add_column_titles(database: sqlite3.Connection, layers: Mapping[str, gpd.GeoDataFrame]) -> None:
    """Describe the columns; GDAL and QGIS read `name` as the alias, other software `title`."""
    database.execute(_COLUMN_TABLE)
    database.execute(_CONSTRAINT_TABLE)
    for table in ("gpkg_data_columns", "gpkg_data_column_constraints"):
        database.execute(
            "INSERT INTO gpkg_extensions (table_name, column_name, extension_name, definition, scope)"
            " VALUES (?, NULL, 'gpkg_schema',"
            " 'http://www.geopackage.org/spec121/#extension_schema', 'read-write')",
            (table,),
        )
    # A value map alone where styles are not read.
    database.executemany(
        "INSERT INTO gpkg_data_column_constraints (constraint_name, constraint_type, value, description)"
        " VALUES (?, 'enum', ?, ?)",
        [(REVIEW, verdict, words) for verdict, words in VERDICTS.items()],
    )
    database.executemany(
        "INSERT INTO gpkg_data_columns (table_name, column_name, name, title, description, constraint_name)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [
            (layer, column, title, title, description, REVIEW if column == REVIEW else None)
            for layer, frame in layers.items()
            for column, (title, description) in titles_of(layer, list(frame.columns)).items()
        ],
    )
