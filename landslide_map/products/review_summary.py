"""Reviews of a finished result: read, summed up in words, and exported."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import geopandas as gpd
import pyogrio
from pyogrio.errors import DataSourceError

from landslide_map.datasets.verdicts import Verdicts
from landslide_map.errors import InputError, OutputExistsError, ResourceError, UsageError
from landslide_map.products import LANDSLIDES
from landslide_map.products.columns import ADDED, REVIEW, UNSEEN, VERDICTS
from landslide_map.products.geopackage import NEW_FILE
from landslide_map.products.reviews import Tally, all_outlines
from landslide_map.runtime.atomic import whole_file
from landslide_map.runtime.edit_session import refuse_edited

_SURE: Final = ("confirmed", ADDED)
_EXPORTED: Final = "Confirmed and drawn landslides, written by landslide-map review."
"""Description of the layer of an export, which other GeoPackages lack."""


def reviewed_outlines(result: Path) -> gpd.GeoDataFrame:
    """Return the layer `landslides` of a result, reviewed or not, with its review columns.

    Raises
    ------
    InputError
        E170: there is no GeoPackage of landslides. E171: a review is none of the five words.
    """
    path = result / LANDSLIDES if result.is_dir() else result
    if not path.exists():
        raise InputError("E170", f"{path} does not exist; give the folder of a finished map.")
    return all_outlines(path)


def verdicts_of(result: Path) -> Verdicts:
    """Return the reviewed outlines of a result as labels; errors as of :func:`reviewed_outlines`."""
    frame = reviewed_outlines(result)
    sure, no = frame[REVIEW].isin(_SURE), frame[REVIEW] == "rejected"
    shapes = frame.geometry
    return Verdicts(shapes[sure], shapes[no], shapes[~sure & ~no], result / LANDSLIDES)


def summary(found: Tally) -> str:
    """Return the counts as lines for a person."""
    width = max(len(name) for name in VERDICTS)
    lines = [
        f"{name:<{width}}  {found.counts[name]:>7,}  {found.area_m2[name] / 1e4:>11,.1f} ha"
        for name in VERDICTS
    ]
    seen = sum(found.counts.values()) - found.counts[UNSEEN] - found.counts[ADDED]
    total = sum(found.counts.values()) - found.counts[ADDED]
    lines.append(f"{seen} of {total} outlines of the map were reviewed")
    if found.precision is None or found.interval is None:
        lines.append("no precision: no outline is confirmed or rejected")
    else:
        low, high = found.interval
        lines.append(f"precision {found.precision:.2f} (95 %: {low:.2f} to {high:.2f}), by outline")
    return "\n".join(lines)


def export_confirmed(frame: gpd.GeoDataFrame, path: Path, *, overwrite: bool = False) -> int:
    """Write the confirmed and drawn outlines as a GeoPackage; return how many.

    Raises
    ------
    OutputExistsError
        E401: `path` exists and `overwrite` is false. E404: it is no earlier export.
    UsageError
        E402: `path` does not end in ``.gpkg``. E403: it is being edited.
    ResourceError
        E601: `path` cannot be written.
    """
    if path.suffix != ".gpkg":
        raise UsageError("E402", f"{path} must end in .gpkg.")
    if path.exists() and not overwrite:
        raise OutputExistsError("E401", f"{path} exists already. Choose another name, or give --overwrite.")
    if path.exists():
        refuse_edited(path)
        if not _is_export(path):
            raise OutputExistsError(
                "E404",
                f"{path} is no export of `landslide-map review`: --overwrite does not replace it. Choose "
                "another name.",
            )
    sure = frame[frame[REVIEW].isin(_SURE)].drop(columns="edited", errors="ignore")
    try:
        with whole_file(path, ending=".gpkg") as partial:
            pyogrio.write_dataframe(
                *(sure, partial),
                layer="landslides",
                driver="GPKG",
                geometry_type="MultiPolygon",
                dataset_options=NEW_FILE,
                layer_options={"DESCRIPTION": _EXPORTED},
            )
    except DataSourceError as error:
        raise ResourceError("E601", f"{path} could not be written ({error}).") from error
    return len(sure)


def _is_export(path: Path) -> bool:
    """Return whether a file holds nothing but an export."""
    if path.is_symlink() or not path.is_file():
        return False
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            layers = database.execute("SELECT description FROM gpkg_contents").fetchall()
    except sqlite3.Error:
        return False
    return layers == [(_EXPORTED,)]
