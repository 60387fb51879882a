"""Outlines as other institutions exchange them: layers and columns of a profile, which is a YAML file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pyproj
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from landslide_map.errors import UsageError
from landslide_map.products import LANDSLIDES
from landslide_map.products import columns as names
from landslide_map.products.geopackage import NEW_FILE, clock, readable
from landslide_map.untrusted.validation import first_problem
from landslide_map.untrusted.yaml_text import YamlError, read_yaml

PROFILES: Final = {name: Path(__file__).with_name(f"{name}.yaml") for name in ("cems", "coolr")}
"""Word of ``--format`` -> the profile that comes with landslide-map."""
_IMAGES: Final = {
    "s2_pre": ("Sentinel-2", "Pre-event"),
    "s2_post": ("Sentinel-2", "Post-event"),
    "descending_pre": ("Sentinel-1", "Pre-event"),
    "descending_post": ("Sentinel-1", "Post-event"),
    "ascending_pre": ("Sentinel-1", "Pre-event"),
    "ascending_post": ("Sentinel-1", "Post-event"),
}
"""Tag with the time of an image -> sensor and phase."""
_OURS: Final = pd.Index(names.COLUMNS[names.LANDSLIDES])
"""Columns that outlines can have; those of a sensor that a scene lacks stay empty."""
_STAMP: Final = "1980-01-01T00:00:00.000Z"
"""Fixed time in place of the clock: the same result makes the same bytes."""
_PLACE: Final = re.compile(r"\{([a-z_0-9]+)\}")
_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,62}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Strict):
    """A column made from one of ours."""

    column: str
    """Name of our column."""
    factor: float | None = None
    """Multiplies numbers, such as m2 to ha."""
    digits: int | None = Field(default=None, ge=0, le=12)
    """Decimals that numbers are rounded to."""
    date: str | None = None
    """Format of times, as of ``strftime``; UTC."""
    words: dict[str, str] | None = None
    """Our word -> theirs."""


class Layer(_Strict):
    """A layer of an exchange file."""

    rows: Literal["landslides", "analysed", "area", "images"]
    """Outlines but rejected ones; parts of the area, with reasons; the whole area; images, without shape."""
    columns: dict[_Name, str | int | float | Column] = Field(min_length=1)
    """Column -> the same value everywhere, a text with ``{column}`` in it, or :class:`Column`."""


class Profile(_Strict):
    """Layers of an exchange file."""

    crs: str = "EPSG:4326"
    layers: dict[_Name, Layer] = Field(min_length=1)


def load_profile(path: Path) -> Profile:
    """Read a profile.

    Raises
    ------
    UsageError
        E402: there is no such file, or it is no profile.
    """
    try:
        profile = Profile.model_validate(read_yaml(path))
        pyproj.CRS.from_user_input(profile.crs)
    except FileNotFoundError:
        raise UsageError("E402", f"{path}: no such file; expected the profile of an exchange file.") from None
    except (OSError, YamlError, pyproj.exceptions.CRSError) as error:
        raise UsageError("E402", f"{path}: is no profile of an exchange file ({error}).") from None
    except ValidationError as error:
        raise UsageError("E402", f"{path}: {first_problem(error, Profile, 'profile').text}.") from None
    return profile


def write_exchange(profile: Profile, result: Path, path: Path) -> None:
    """Write the GeoPackage of a profile.

    Parameters
    ----------
    profile : Profile
        Layers and columns.
    result : Path
        Folder with ``landslides.gpkg``.
    path : Path
        The GeoPackage to write.

    Raises
    ------
    UsageError
        E402: the profile names a column that the rows do not have.
    """
    crs = pyproj.CRS.from_user_input(profile.crs)
    rows = _rows_of(result / LANDSLIDES)
    with clock(_STAMP):
        _write_layers(profile, rows, crs, path)


def _write_layers(profile: Profile, rows: dict[str, pd.DataFrame], crs: pyproj.CRS, path: Path) -> None:
    for number, (name, layer) in enumerate(profile.layers.items()):
        frame = rows[layer.rows]
        made = {column: _filled(f"{name}.{column}", how, frame) for column, how in layer.columns.items()}
        table = pd.DataFrame(made, index=frame.index)
        if isinstance(frame, gpd.GeoDataFrame):
            table = gpd.GeoDataFrame(table, geometry=frame.geometry, crs=frame.crs).to_crs(crs)
        options = {"geometry_type": "MultiPolygon"} if isinstance(table, gpd.GeoDataFrame) else {}
        pyogrio.write_dataframe(
            *(table, path),
            layer=name,
            driver="GPKG",
            append=number > 0,
            dataset_options=None if number else NEW_FILE,
            **options,
        )


def _rows_of(path: Path) -> dict[str, pd.DataFrame]:
    """Return our tables by the word of :attr:`Layer.rows`."""
    with readable(path):
        tags = pyogrio.read_info(path, layer=names.LANDSLIDES)["layer_metadata"] or {}
        outlines = pyogrio.read_dataframe(path, layer=names.LANDSLIDES)
        analysed = pyogrio.read_dataframe(path, layer=names.ANALYSED)
    images = _images(tags)
    after = images.loc[images["phase"] == "Post-event", "source_id"]
    source = int(after.iloc[0]) if len(after) else None
    outlines = outlines[outlines[names.REVIEW] != "rejected"] if names.REVIEW in outlines else outlines
    if "probability" not in outlines:  # groups of windows above the threshold, not landslides
        outlines = outlines.assign(probability=outlines["prob_mean"], confidence="no outline, 640 m windows")
    outlines = outlines.reindex(columns=[*outlines.columns, *_OURS.difference(outlines.columns)])
    middles = outlines.representative_point().to_crs("EPSG:4326")
    outlines = outlines.assign(longitude=middles.x, latitude=middles.y)
    whole = {"area_m2": [analysed["area_m2"].sum()]} if len(analysed) else {"area_m2": []}
    shapes = [analysed.union_all()] if len(analysed) else []
    area = gpd.GeoDataFrame(whole, geometry=shapes, crs=analysed.crs)
    shared = {"event": tags.get("event", ""), "bundle": tags.get("bundle", ""), "source_id": source}
    tables: dict[str, pd.DataFrame] = {"landslides": outlines, "analysed": analysed, "area": area}
    tables = {word: table.assign(**shared) for word, table in tables.items()}
    return {**tables, "images": images}


def _images(tags: dict[str, str]) -> pd.DataFrame:
    """Return the images with times in the tags: ``source_id``, ``sensor``, ``phase``, ``time``."""
    found = [(*_IMAGES[key], tags[key]) for key in _IMAGES if tags.get(key)]
    table = pd.DataFrame(found, columns=["sensor", "phase", "time"])
    table["time"] = pd.to_datetime(table["time"], utc=True, format="ISO8601")
    table.insert(0, "source_id", np.arange(1, len(table) + 1))
    return table


def _filled(where: str, how: str | int | float | Column, frame: pd.DataFrame) -> Any:
    """Return the values of a column, one for each row of `frame`."""
    if isinstance(how, Column):
        return _made(how, _ours(where, how.column, frame))
    if not isinstance(how, str):
        return how
    texts = {name: _texts(_ours(where, name, frame)) for name in _PLACE.findall(how)}
    rows = range(len(frame))
    return [_PLACE.sub(lambda found, row=row: texts[found[1]][row], how) for row in rows]  # type: ignore[misc]


def _ours(where: str, name: str, frame: pd.DataFrame) -> pd.Series[Any]:
    if name not in frame.columns or name == "geometry":
        known = ", ".join(column for column in frame.columns if column != "geometry")
        raise UsageError("E402", f"{where}: there is no column {name!r}; expected one of {known}.")
    return frame[name]


def _texts(values: pd.Series[Any]) -> list[str]:
    return ["" if pd.isna(value) else str(value) for value in values]


def _made(how: Column, values: pd.Series[Any]) -> pd.Series[Any]:
    """Return one of our columns as theirs."""
    if how.date is not None:
        return pd.to_datetime(values, utc=True).dt.strftime(how.date)
    if how.words is not None:
        return values.map(lambda word: how.words.get(str(word), word) if how.words else word)
    if how.factor is not None:
        values = values * how.factor
    return values if how.digits is None else values.round(how.digits)
