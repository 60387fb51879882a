"""Areas of outlines: on the ellipsoid, square metres, and shared by two sets of outlines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pyproj
import shapely
from shapely.geometry.base import BaseGeometry

from landslide_map.array_types import Floats, Rows, Shapes

_STEP_M: Final = 500.0
"""Longest straight piece of an outline, before its corners are moved to the ellipsoid."""


def ellipsoidal_areas(outlines: gpd.GeoSeries) -> npt.NDArray[np.float64]:
    """Return geodesic areas ``(outline,)`` of outlines of any size, in any projection, rounded to 1 m2."""
    geod = outlines.crs.get_geod()
    degrees = outlines.segmentize(_STEP_M).to_crs(outlines.crs.geodetic_crs).normalize()
    return np.array(
        [round(abs(geod.geometry_area_perimeter(shape)[0])) for shape in degrees], dtype=np.float64
    )


def small_areas(
    planar: npt.NDArray[np.floating], outlines: Sequence[BaseGeometry], crs: pyproj.CRS
) -> npt.NDArray[np.float64]:
    """Return areas ``(outline,)`` from planar ones, by the areal scale of the projection at each centroid.

    Within one map this agrees with :func:`ellipsoidal_areas` to 1e-5. Areas are rounded to 1 m2.

    Parameters
    ----------
    planar : ndarray, (outline,)
        Areas in the projection, square metres.
    outlines : sequence of geometries
        In `crs`.
    crs : CRS
        A projection in metres.
    """
    if not len(outlines):
        return np.zeros(0)
    areas: npt.NDArray[np.float64] = np.round(planar / areal_scales(outlines, crs))
    return areas


def areal_scales(shapes: Sequence[BaseGeometry], crs: pyproj.CRS) -> npt.NDArray[np.float64]:
    """Return square metres of a projection per square metre on the ellipsoid, at each centroid."""
    centre = shapely.get_coordinates(shapely.centroid(shapes))
    to_degrees = pyproj.Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)
    longitude, latitude = to_degrees.transform(centre[:, 0], centre[:, 1])
    return np.asarray(pyproj.Proj(crs).get_factors(longitude, latitude).areal_scale)


def overlaps(left: Shapes, right: Shapes) -> tuple[Rows, Rows, Floats]:
    """Return index pairs of valid shapes that intersect, and of each pair the intersection over union."""
    mine, theirs = shapely.STRtree(right).query(left, predicate="intersects")
    shared = shapely.area(shapely.intersection(left[mine], right[theirs]))
    union = shapely.area(left[mine]) + shapely.area(right[theirs]) - shared
    return mine, theirs, np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
