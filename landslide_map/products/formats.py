"""Outlines in other vector formats, and in the layers and columns of other institutions."""

from __future__ import annotations

import importlib.util
import json
import shutil
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
from pyogrio.errors import DataSourceError

from landslide_map.errors import ResourceError, UsageError
from landslide_map.products import LANDSLIDES, MANIFEST, SCENES
from landslide_map.products.columns import LANDSLIDES as LAYER
from landslide_map.products.columns import titles_of
from landslide_map.products.exchange import PROFILES, load_profile, write_exchange
from landslide_map.runtime.own_files import Kind, sealed, tree_records
from landslide_map.runtime.transaction import outputs
from landslide_map.untrusted.json_text import read_json

_WGS84: Final = "EPSG:4326"
_DBF_NAME: Final = 10
"""Longest name of a column in a shapefile."""
_STAMP: Final = (1980, 1, 1, 0, 0, 0)
_SHAPEFILE: Final = ("landslides.shp", "landslides.dbf", "landslides.shx", "landslides.prj", "landslides.cpg")


def write_formats(folder: Path, formats: Iterable[str]) -> tuple[str, ...]:
    """Write the layer `landslides` of a result in other formats; return the file names.

    Parameters
    ----------
    folder : Path
        With ``landslides.gpkg``; the files go beside it.
    formats : iterable of str
        Keys of :data:`FORMATS` or :data:`EXCHANGE`, or paths of profiles (``.yaml``). ``gpkg`` is
        there already.

    Raises
    ------
    UsageError
        E402: a format is unknown, or a profile is none.
    ResourceError
        E601: a file cannot be written. E612: GeoParquet needs pyarrow, which is not installed.
    """
    wanted = [name for name in dict.fromkeys(formats) if name != "gpkg"]
    check_formats(wanted)
    frame = pyogrio.read_dataframe(folder / LANDSLIDES, layer=LAYER) if wanted else None
    files = []
    for name in wanted:
        file = file_of(name)
        try:
            if name in FORMATS:
                FORMATS[name][1](frame, folder / file)
            else:
                write_exchange(load_profile(PROFILES.get(name, Path(name))), folder, folder / file)
        except (DataSourceError, OSError) as error:
            if isinstance(error, ResourceError):
                raise
            raise ResourceError("E601", f"{file} could not be written ({error}).") from error
        files.append(file)
    return tuple(files)


def add_formats(result: Path, formats: Iterable[str]) -> tuple[str, ...]:
    """Add formats to a finished result, all or none; parameters and errors as of :func:`write_formats`."""
    wanted = [name for name in formats if name != "gpkg"]
    files = tuple(dict.fromkeys(file_of(name) for name in wanted))
    if not files:
        return ()
    manifest = next((name for name in (MANIFEST, SCENES) if (result / name).is_file()), MANIFEST)
    with outputs(result, Kind(manifest, files, adds=True), overwrite=True) as staging:
        shutil.copyfile(result / LANDSLIDES, staging / LANDSLIDES)
        written = write_formats(staging, wanted)
        (staging / LANDSLIDES).unlink()
        name_in(result / manifest, staging)
    return written


def name_in(manifest: Path, staging: Path, gone: Iterable[str] = ()) -> None:
    """Write the manifest of a result again into `staging`, naming the files there and none `gone`."""
    try:
        document = read_json(manifest)
        document["outputs"] |= tree_records(staging)
        document["outputs"] = {name: own for name, own in document["outputs"].items() if name not in gone}
    except (OSError, ValueError, LookupError, TypeError):
        return  # no manifest of ours, which nothing changes then
    text = json.dumps(sealed(document), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    (staging / manifest.name).write_text(text + "\n", encoding="utf-8")


def check_formats(formats: Iterable[str]) -> None:
    """Refuse formats that could not be written, before a run begins; errors as of :func:`write_formats`."""
    for name in formats:
        if _is_profile(name):
            load_profile(Path(name))
    unknown = sorted({name for name in formats if not _is_profile(name)} - {"gpkg", *FORMATS, *EXCHANGE})
    if unknown:
        known = ", ".join(("gpkg", *FORMATS, *EXCHANGE))
        raise UsageError(
            "E402", f"format {', '.join(unknown)} is unknown; expected {known}, or the .yaml of a profile."
        )
    if "geoparquet" in formats and importlib.util.find_spec("pyarrow") is None:
        raise ResourceError(
            "E612",
            "--format geoparquet needs the package 'pyarrow'. "
            "Install it with: pip install 'landslide-map[formats]'",
        )


def file_of(name: str) -> str:
    """Return the file name of a format."""
    if name in FORMATS:
        return FORMATS[name][0]
    return EXCHANGE.get(name, OWN_PROFILE)


def format_of(file: str) -> str | None:
    """Return the word of ``--format`` for a file name; None for the file of a profile that a user wrote."""
    known = {name: of for of, (name, _) in FORMATS.items()} | {name: of for of, name in EXCHANGE.items()}
    return known.get(file)


def _is_profile(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))


def _write_geojson(frame: gpd.GeoDataFrame, path: Path) -> None:
    """Write GeoJSON as RFC 7946 wants it: degrees, seven decimals, rings turning left."""
    pyogrio.write_dataframe(
        _with_text_dates(frame).to_crs(_WGS84),
        path,
        driver="GeoJSON",
        geometry_type="MultiPolygon",
        layer_options={"RFC7946": "YES", "COORDINATE_PRECISION": "7"},
    )


def _write_geoparquet(frame: gpd.GeoDataFrame, path: Path) -> None:
    frame.to_parquet(path, index=False, compression="zstd", write_covering_bbox=True)


def _write_flatgeobuf(frame: gpd.GeoDataFrame, path: Path) -> None:
    pyogrio.write_dataframe(
        frame, path, driver="FlatGeobuf", geometry_type="MultiPolygon", layer_options={"SPATIAL_INDEX": "YES"}
    )


def _write_kml(frame: gpd.GeoDataFrame, path: Path) -> None:
    """Write KML with a name and a table of the columns for every outline."""
    titles = {name: title for name, (title, _) in titles_of(LAYER, list(frame.columns)).items()}
    table = _with_text_dates(frame).rename(columns=titles)
    table.insert(0, "Name", [f"Landslide {number}" for number in frame["id"]])
    pyogrio.write_dataframe(
        table.to_crs(_WGS84), path, driver="LIBKML", geometry_type="MultiPolygon", layer="landslides"
    )


def _write_shapefile(frame: gpd.GeoDataFrame, path: Path) -> None:
    """Write a zipped shapefile with names of ten letters, and a legend that says which is which."""
    short = short_names(list(frame.columns.drop("geometry")))
    table = _with_text_dates(frame).rename(columns=short)
    folder = path.with_name(f".{path.stem}.parts")
    folder.mkdir()
    try:
        pyogrio.write_dataframe(
            table,
            folder / _SHAPEFILE[0],
            driver="ESRI Shapefile",
            geometry_type="MultiPolygon",
            layer_options={"ENCODING": "UTF-8", "DBF_DATE_LAST_UPDATE": "1980-01-01"},
        )
        titles = titles_of(LAYER, list(short))
        legend = "column,name,meaning\n" + "".join(
            f'{cut},{name},"{": ".join(titles.get(name, ("", "")))}"\n' for name, cut in short.items()
        )
        (folder / "landslides_columns.csv").write_text(legend, encoding="utf-8")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in (*_SHAPEFILE, "landslides_columns.csv"):
                if (folder / name).exists():
                    member = zipfile.ZipInfo(name, _STAMP)
                    member.compress_type = zipfile.ZIP_DEFLATED
                    archive.writestr(member, (folder / name).read_bytes())
    finally:
        for part in folder.iterdir():
            part.unlink()
        folder.rmdir()


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Return every name with one of at most ten letters, no two the same.

    Examples
    --------
    >>> short_names(["probability", "probability_low", "probability_high"])
    {'probability': 'probabilit', 'probability_low': 'proba_low', 'probability_high': 'proba_high'}
    """
    made: dict[str, str] = {}
    for name in names:
        head, _, tail = name.rpartition("_")
        cut = name if len(name) <= _DBF_NAME else name[:_DBF_NAME]
        if len(name) > _DBF_NAME and head and len(tail) < 6:
            cut = f"{head[: min(_DBF_NAME - len(tail) - 1, 5)].rstrip('_')}_{tail}"
        number = 1
        while cut in made.values():
            number += 1
            cut = f"{name[: _DBF_NAME - len(str(number))]}{number}"
        made[name] = cut
    return made


def _with_text_dates(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return a frame with times as ISO text, UTC: not every format keeps time and zone."""
    frame = frame.copy()
    for name in frame.columns.drop("geometry"):
        if frame[name].dtype.kind == "M":
            times = pd.to_datetime(frame[name], utc=True)
            text = times.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
            frame[name] = np.where(times.isna(), None, text)
    return frame


FORMATS: Final[Mapping[str, tuple[str, Callable[[Any, Path], None]]]] = {
    "geojson": ("landslides.geojson", _write_geojson),
    "geoparquet": ("landslides.parquet", _write_geoparquet),
    "flatgeobuf": ("landslides.fgb", _write_flatgeobuf),
    "kml": ("landslides.kml", _write_kml),
    "shp": ("landslides_shp.zip", _write_shapefile),
}
"""Word of ``--format`` -> file name, and its writer."""

EXCHANGE: Final[Mapping[str, str]] = {name: f"landslides_{name}.gpkg" for name in PROFILES}
"""Word of ``--format`` -> file name, for profiles that come with landslide-map."""
OWN_PROFILE: Final = "landslides_exchange.gpkg"
"""File of a profile that a user wrote."""
