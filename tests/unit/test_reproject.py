"""Outlines in another projection, against pyproj point by point."""

from __future__ import annotations

import geopandas as gpd
import pytest
import shapely
from pyproj import Transformer
from shapely import LineString, MultiPolygon, Point, Polygon, box

from landslide_map.vector.reproject import projected


@pytest.mark.parametrize(
    ("crs", "corner", "size", "to"),
    [
        ("EPSG:4326", (12.0, 46.5), 1.0, "EPSG:32633"),
        ("EPSG:2263", (500_000.0, 0.0), 364_000.0, "EPSG:32615"),  # feet
    ],
)
def test_long_edges_follow_the_ground_into_another_projection(
    crs: str, corner: tuple[float, float], size: float, to: str
) -> None:
    """The middle of one degree of a parallel lies 120 m from the straight line between its ends."""
    x, y = corner
    shapes = gpd.GeoSeries([box(x, y, x + size, y + size)], crs=crs)
    (placed,) = projected(shapes, to)
    to_map = Transformer.from_crs(crs, to, always_xy=True).transform
    along = [Point(*to_map(x + part * size, y + size)) for part in (0, 0.25, 0.5, 0.9, 1)]
    assert max(placed.exterior.distance(point) for point in along) < 0.02
    assert LineString([along[0], along[-1]]).distance(along[2]) > 10
    assert projected(shapes, crs) is shapes


@pytest.mark.parametrize(
    "area",
    [
        MultiPolygon([box(179.9, -17, 180, -16.9), box(-180, -17, -179.9, -16.9)]),
        box(179.9, -17, 180.1, -16.9),
        box(-179.9, -17, 179.9, -16.9),  # as many programs write the first
    ],
)
@pytest.mark.parametrize("to", ["EPSG:32701", "EPSG:32760"])
def test_an_outline_across_the_antimeridian_stays_in_one_place(area: Polygon | MultiPolygon, to: str) -> None:
    beside = box(179.0, -17, 179.1, -16.9)
    placed = projected(gpd.GeoSeries([area, beside], crs="EPSG:4326"), to)
    to_map = Transformer.from_crs("EPSG:4326", to, always_xy=True).transform
    for x, inside in ((179.95, True), (179.85, False), (-179.95, True), (-179.85, False)):
        assert placed.iloc[0].contains(Point(*to_map(x, -16.95))) == inside
    assert placed.iloc[0].area == pytest.approx(2 * placed.iloc[1].area, rel=0.01)


def test_metres_declared_as_degrees_stay_few_points() -> None:
    outlines = gpd.GeoSeries([box(500_000, 5_000_000, 600_000, 5_100_000)], crs="EPSG:4326")
    assert shapely.get_num_coordinates(projected(outlines, "EPSG:32633").iloc[0]) < 100_000
