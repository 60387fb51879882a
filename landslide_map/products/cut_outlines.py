"""Outlines without the inside of a mask, and without those that an earlier map has."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pyogrio
import shapely
from pyogrio.errors import DataSourceError

from landslide_map.delineation.attributes import lengths_and_widths
from landslide_map.products import columns as layers
from landslide_map.products.reviews import uids
from landslide_map.vector.areas import ellipsoidal_areas
from landslide_map.vector.reproject import projected

SMALLEST_PART_M2: Final = 100.0
"""Parts that a mask leaves are dropped below one pixel."""


def outline_layer(path: Path) -> str | None:
    """Return the layer of outlines where the file is one of ours, else None."""
    with suppress(DataSourceError):
        if layers.LANDSLIDES in {str(name) for name, _ in pyogrio.list_layers(path)}:
            return layers.LANDSLIDES
    return None


def cut_out(drawn: gpd.GeoDataFrame, mask: gpd.GeoSeries, min_area_m2: float) -> gpd.GeoDataFrame:
    """Cut a mask out of outlines, and measure the rest."""
    shapes = _placed(mask, drawn.crs).make_valid()
    hit = np.unique(drawn.sindex.query(shapes, predicate="intersects")[1])
    if not len(hit):
        return drawn
    rest = drawn.geometry.to_numpy().copy()
    rest[hit] = [_polygons(shape) for shape in shapely.difference(rest[hit], shapely.union_all(shapes))]
    cut = drawn.set_geometry(gpd.GeoSeries(rest, index=drawn.index, crs=drawn.crs))
    cut.loc[cut.index[hit], "area_m2"] = ellipsoidal_areas(cut.geometry.iloc[hit])
    left = ~cut.geometry.is_empty & (cut["area_m2"] >= max(min_area_m2, SMALLEST_PART_M2))
    changed = np.isin(np.arange(len(cut)), hit) & left.to_numpy()
    length, width = lengths_and_widths(cut.geometry.to_numpy()[changed])
    cut.loc[changed, "length_m"], cut.loc[changed, "width_m"] = length.round(), width.round()
    cut = cut[left].reset_index(drop=True)
    cut["uid"] = uids(cut)
    return cut


def _polygons(shape: Any) -> shapely.MultiPolygon:
    parts = shapely.get_parts(shapely.get_parts(shape))
    return shapely.MultiPolygon(
        [part for part in parts if part.geom_type == "Polygon" and part.area >= SMALLEST_PART_M2]
    )


def new_ones(drawn: gpd.GeoDataFrame, earlier: gpd.GeoSeries) -> gpd.GeoDataFrame:
    """Leave out outlines of which at least half was outlined earlier."""
    shapes = _placed(earlier, drawn.crs).make_valid().to_numpy()
    theirs, mine = drawn.sindex.query(shapes, predicate="intersects")
    shared = shapely.area(shapely.intersection(drawn.geometry.to_numpy()[mine], shapes[theirs]))
    known = np.bincount(mine, shared, minlength=len(drawn)) >= 0.5 * drawn.geometry.area.to_numpy()
    return drawn[~known].reset_index(drop=True)


def _placed(shapes: gpd.GeoSeries, crs: Any) -> gpd.GeoSeries:
    """Return shapes in the projection of a map, without those that it cannot hold."""
    placed = projected(shapes, crs)
    return placed[np.isfinite(placed.bounds).all(axis=1)]
