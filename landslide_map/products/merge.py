"""Merged outlines of several scenes: a landslide across a border is one, ground counts once.

Scenes overlap (Sentinel-2 tiles by some 10 km) and may lie in different projections. What a merged
landslide carries is made of its parts by the rules of docs/decisions/0030-several-scenes.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyproj
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from shapely.geometry import MultiPolygon

from landslide_map.delineation.attributes import lengths_and_widths
from landslide_map.products.objects import OBJECT_COLUMNS
from landslide_map.products.polygons import ANALYSED_COLUMNS, LANDSLIDE_COLUMNS
from landslide_map.reasons import REASON_NAMES, Reason
from landslide_map.vector.areas import ellipsoidal_areas
from landslide_map.vector.reproject import projected

SCENES: Final = "scenes"
"""Column of both layers: the names of the scenes that something is from."""


def leading_crs(analysed: Iterable[gpd.GeoDataFrame]) -> pyproj.CRS:
    """Return the projection that the greatest part of the ground is in; of equals, the first."""
    areas: dict[pyproj.CRS, float] = {}
    for frame in analysed:
        areas[frame.crs] = areas.get(frame.crs, 0.0) + float(frame["area_m2"].sum())
    return max(areas, key=lambda crs: areas[crs])


def merged_landslides(parts: Mapping[str, gpd.GeoDataFrame], crs: pyproj.CRS) -> gpd.GeoDataFrame:
    """Return the landslides of several scenes; those that touch or overlap are one.

    Parameters
    ----------
    parts : mapping of str to GeoDataFrame
        Scene -> its layer ``landslides``, as :func:`~landslide_map.products.polygons.landslides` makes it.
    crs : CRS
        Of the result.

    Returns
    -------
    GeoDataFrame
        The same columns and `scenes`. A merged one has the union as its outline and the highest `prob_max`.
        `prob_mean` and `unlike_training` are means weighted by the areas of the parts. `windows` and
        `windows_above` are sums over the parts. `scenario` is that of most windows above, dates are those
        next to the event. `area_m2` is that of the union on the ellipsoid. One that stayed alone keeps its
        values.
    """
    return _merged(parts, crs, LANDSLIDE_COLUMNS, "prob_max", _united)


def merged_objects(parts: Mapping[str, gpd.GeoDataFrame], crs: pyproj.CRS) -> gpd.GeoDataFrame:
    """Return the landslide objects of several scenes; those that touch or overlap are one.

    Parameters
    ----------
    parts : mapping of str to GeoDataFrame
        Scene -> its layer ``landslides``: columns of ``products.objects`` but `uid`.
    crs : CRS
        Of the result.

    Returns
    -------
    GeoDataFrame
        The same columns and `scenes`. A merged one has the outline of the union, its area, length and width,
        and the elevations of all parts. All else is of the most probable part.
    """
    columns = {name: kind for name, kind in OBJECT_COLUMNS.items() if name != "uid"}
    return _merged(parts, crs, columns, "probability", _united_object)


def _merged(
    parts: Mapping[str, gpd.GeoDataFrame],
    crs: pyproj.CRS,
    columns: Mapping[str, str],
    rank: str,
    united: Callable[[gpd.GeoDataFrame, Sequence[str]], dict[str, Any]],
) -> gpd.GeoDataFrame:
    # Results of earlier versions lack numbers that were added since.
    later = [name for name, kind in columns.items() if kind == "float64"]
    frames = [
        reproject_layer(frame, crs).assign(**dict.fromkeys(set(later) - set(frame), np.nan), **{SCENES: name})
        for name, frame in parts.items()
    ]
    table = _joined(frames, crs)
    dates = [name for name in table.columns if name not in {*columns, SCENES, "geometry"}]
    group = _touching(table.geometry.to_numpy())
    several = pd.Series(group).duplicated(keep=False).to_numpy()
    ones = [united(parts, dates) for _, parts in table[several].groupby(group[several], sort=False)]
    frames = [table[~several], gpd.GeoDataFrame(ones, columns=table.columns, crs=crs)]
    merged = _joined(frames, crs)
    merged = merged.sort_values(rank, ascending=False, kind="stable").reset_index(drop=True)
    merged["id"] = np.arange(1, len(merged) + 1)
    return _typed(merged, columns, dates)


def merged_areas(
    parts: Mapping[str, gpd.GeoDataFrame], crs: pyproj.CRS, scenarios: Sequence[str]
) -> gpd.GeoDataFrame:
    """Return the areas analysed of several scenes; each place once.

    As within one scene, a place counts as analysed as soon as one scene analysed it, in the fullest
    scenario of these; where none did, the first of the reasons in the order of their codes is given.

    Parameters
    ----------
    parts : mapping of str to GeoDataFrame
        Scene -> its layer ``analysed``.
    crs : CRS
        Of the result.
    scenarios : sequence of str
        Names, fullest first.

    Returns
    -------
    GeoDataFrame
        The same columns and `scenes`; areas on the ellipsoid.
    """
    frames = [reproject_layer(frame, crs).assign(**{SCENES: name}) for name, frame in parts.items()]
    table = _joined(frames, crs)
    if unknown := set(table["scenario"]) - {*scenarios, ""}:
        raise ValueError(f"scenarios {sorted(unknown)} are not among {list(scenarios)}")
    reasons = [REASON_NAMES[reason] for reason in sorted(Reason) if reason]
    ways = [("analysed", "", name) for name in scenarios]
    ways += [("not analysed", reason, "") for reason in reasons]
    covered = MultiPolygon()
    rows = []
    for status, reason, scenario in ways:
        here = table[(table["reason"] == reason) & (table["scenario"] == scenario)]
        area = shapely.union_all(here.geometry.to_numpy())
        rest = _polygons(shapely.difference(area, covered))
        covered = shapely.union(covered, area)
        if not rest.is_empty:
            rows.append((status, reason, scenario, np.nan, ", ".join(here[SCENES].unique()), rest))
    merged = gpd.GeoDataFrame(
        rows, columns=[*ANALYSED_COLUMNS, SCENES, "geometry"], geometry="geometry", crs=crs
    )
    merged["area_m2"] = ellipsoidal_areas(merged.geometry)
    return _typed(merged, ANALYSED_COLUMNS, [])


def reproject_layer(frame: gpd.GeoDataFrame, crs: pyproj.CRS) -> gpd.GeoDataFrame:
    """Return a layer in `crs`: as it is, if it is there already; else its outlines follow the ground."""
    if frame.crs == crs:
        return frame
    bent = frame.set_geometry(projected(frame.geometry, crs))
    sound = [_polygons(shape) for shape in bent.geometry.make_valid()]
    return bent.set_geometry(gpd.GeoSeries(sound, index=frame.index, crs=crs))


def _joined(frames: Sequence[gpd.GeoDataFrame], crs: pyproj.CRS) -> gpd.GeoDataFrame:
    """Return all rows of `frames`; no frame without rows may decide a column's type."""
    full = [frame for frame in frames if len(frame)] or [frames[0]]
    return gpd.GeoDataFrame(pd.concat(full, ignore_index=True), geometry="geometry", crs=crs)


def _touching(outlines: npt.NDArray[np.object_]) -> npt.NDArray[np.int64]:
    """Return a number for each outline, equal for those that share a point, directly or over others."""
    one, other = shapely.STRtree(outlines).query(outlines, predicate="intersects")
    shape = (len(outlines), len(outlines))
    graph = coo_array((np.ones(len(one), dtype=np.int8), (one, other)), shape=shape)
    group: npt.NDArray[np.int64] = connected_components(graph, directed=False)[1]
    return group


def _united(parts: gpd.GeoDataFrame, dates: Sequence[str]) -> dict[str, Any]:
    """Return one landslide made of its parts."""
    outline = _polygons(shapely.union_all(parts.geometry.to_numpy()))
    above = parts.groupby("scenario", sort=False)["windows_above"].sum()
    return {
        "prob_mean": round(float(np.average(parts["prob_mean"], weights=parts["area_m2"])), 3),
        "prob_max": parts["prob_max"].max(),
        "area_m2": ellipsoidal_areas(gpd.GeoSeries([outline], crs=parts.crs))[0],
        "windows": parts["windows"].sum(),
        "windows_above": parts["windows_above"].sum(),
        "scenario": above.idxmax(),
        "unlike_training": round(float(np.average(parts["unlike_training"], weights=parts["area_m2"])), 3),
        **{name: parts[name].max() if name.endswith("_pre") else parts[name].min() for name in dates},
        SCENES: ", ".join(parts[SCENES].unique()),
        "geometry": outline,
    }


def _united_object(parts: gpd.GeoDataFrame, dates: Sequence[str]) -> dict[str, Any]:
    """Return one object made of its parts."""
    outline = _polygons(shapely.union_all(parts.geometry.to_numpy()))
    length, width = lengths_and_widths(np.array([outline], dtype=object))
    return {
        **parts.loc[parts["probability"].idxmax()].to_dict(),
        "area_m2": ellipsoidal_areas(gpd.GeoSeries([outline], crs=parts.crs))[0],
        "length_m": length[0].round(),
        "width_m": width[0].round(),
        "elevation_min_m": parts["elevation_min_m"].min(),
        "elevation_max_m": parts["elevation_max_m"].max(),
        **{name: parts[name].max() if name.endswith("_pre") else parts[name].min() for name in dates},
        SCENES: ", ".join(parts[SCENES].unique()),
        "geometry": outline,
    }


def _polygons(shape: Any) -> MultiPolygon:
    """Return the polygons of any shape; points and lines that an operation left are no ground."""
    parts = shapely.get_parts(shapely.get_parts(shape))  # of a collection, those of its members
    return MultiPolygon([part for part in parts if part.geom_type == "Polygon" and part.area > 0])


def _typed(frame: gpd.GeoDataFrame, columns: Mapping[str, str], dates: Sequence[str]) -> gpd.GeoDataFrame:
    """Return `frame` with these columns and dtypes, the same for any number of rows."""
    for name in dates:
        frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[ms, UTC]")
    return frame[[*columns, *dates, SCENES, "geometry"]].astype({**columns, SCENES: "str"})
