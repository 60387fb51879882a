"""Outlines of vector files in another projection: edges follow the ground, the antimeridian parts nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import shapely

if TYPE_CHECKING:
    import geopandas as gpd

_STEP_M: Final = 500.0
"""Longest straight edge that is projected: its middle then strays by less than 1 cm."""
_MOST_PIECES: Final = 20_000
"""Most pieces of an edge: metres that a file declares as degrees must be refused, not fill the memory."""
_METRES_PER_DEGREE: Final = 111_320.0


def projected(outlines: gpd.GeoSeries, crs: Any) -> gpd.GeoSeries:
    """Return outlines in another projection, where straight edges become curves.

    An area of a degree, drawn as a rectangle, would stray by more than 100 m by its corners alone.

    Parameters
    ----------
    outlines : GeoSeries
        With a CRS.
    crs : any CRS
    """
    if outlines.crs == crs:
        return outlines
    unit = _METRES_PER_DEGREE
    if outlines.crs.is_geographic:
        outlines = on_one_turn(outlines)
    else:
        unit = outlines.crs.axis_info[0].unit_conversion_factor
    left, bottom, right, top = outlines.total_bounds
    step = max(_STEP_M / unit, max(right - left, top - bottom) / _MOST_PIECES)
    return outlines.segmentize(step).to_crs(crs)


def no_degrees(outlines: gpd.GeoSeries) -> str | None:
    """Return a message where outlines declared in degrees are not: metres, or both swapped.

    Parameters
    ----------
    outlines : GeoSeries
        With a CRS; None is returned where it is a projection, or where any outline is in degrees.
    """
    if not outlines.crs.is_geographic:
        return None
    west, south, east, north = outlines.bounds.to_numpy().T
    if ((west >= -180) & (east <= 360) & (south >= -90) & (north <= 90)).any():
        return None
    left, bottom, right, top = outlines.total_bounds
    return (
        f"x {left:.10g} to {right:.10g}, y {bottom:.10g} to {top:.10g} are no longitudes and latitudes, as "
        f"{outlines.crs.name} has them; a GeoJSON holds degrees, longitude first: export it again, or write "
        "the right projection into the file"
    )


def on_one_turn(outlines: gpd.GeoSeries) -> gpd.GeoSeries:
    """Return outlines in degrees without the jump from 180 to -180 in those that cross the antimeridian.

    Parted there, or drawn around the world the other way as some programs do, an outline seems wider than
    half a turn; its western longitudes are then counted on from 180.
    """
    import geopandas as gpd  # half a second, which a run without outlines need not wait for

    west, _, east, _ = shapely.bounds(outlines.to_numpy()).T
    wide = east - west > 180
    if not wide.any():
        return outlines
    shapes = outlines.to_numpy().copy()
    shapes[wide] = shapely.transform(shapes[wide], _eastwards)
    return gpd.GeoSeries(shapes, index=outlines.index, crs=outlines.crs)


def _eastwards(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    turn = np.array([360.0, 0.0])  # of longitudes; negative latitudes stay
    return np.where(points < 0, points + turn, points)
