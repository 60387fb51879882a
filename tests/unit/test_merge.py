"""Outlines of several scenes merged, against shapely, pyproj and a map made in one piece."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from shapely.geometry import MultiPolygon, box

from landslide_map.grid import Grid
from landslide_map.products.columns import ANALYSED, LANDSLIDES
from landslide_map.products.geopackage import read_layer, write_geopackage
from landslide_map.products.merge import (
    leading_crs,
    merged_areas,
    merged_landslides,
    reproject_layer,
)
from landslide_map.products.polygons import ANALYSED_COLUMNS, LANDSLIDE_COLUMNS, landslides
from landslide_map.vector.areas import ellipsoidal_areas, small_areas
from tests.support.raised import raised
from tests.unit.test_polygons import DATES, UTM32, grid_of, pixel_patches, record_of

ZONE32, ZONE33 = pyproj.CRS.from_epsg(32632), pyproj.CRS.from_epsg(32633)
DAY = "2024-06-{:02d}T05:00:00Z"


def layer(
    *rows: dict[str, Any], columns: dict[str, str] = LANDSLIDE_COLUMNS, crs: pyproj.CRS = ZONE32
) -> gpd.GeoDataFrame:
    """A layer of hand-made rows; what a row does not say is the same in all."""
    usual = {
        "id": 1,
        "prob_mean": 0.7,
        "prob_max": 0.8,
        "windows": 1,
        "windows_above": 1,
        "scenario": "all",
        "status": "analysed",
        "reason": "",
    }
    made = [
        {**usual, "area_m2": row["geometry"].area, **row, "geometry": MultiPolygon([row["geometry"]])}
        for row in rows
    ]
    dates = [name for name in (made[0] if made else {}) if name.endswith(("_time", "_pre", "_post"))]
    frame = gpd.GeoDataFrame(made, columns=[*columns, *dates, "geometry"], geometry="geometry", crs=crs)
    for name in dates:
        frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[ms, UTC]")
    return frame.astype(columns)


def geodesic(shape: Any, crs: pyproj.CRS, step: float = 50.0) -> float:
    """Area on the ellipsoid of a polygon with straight edges in `crs`, by pyproj."""
    points = shapely.get_coordinates(shapely.segmentize(shape.exterior, step))
    lon, lat = pyproj.Transformer.from_crs(crs, 4326, always_xy=True).transform(*points.T)
    return abs(pyproj.Geod(ellps="WGS84").polygon_area_perimeter(lon, lat)[0])


def test_overlapping_and_touching_outlines_become_one_by_the_rules() -> None:
    a = layer(
        {
            "geometry": box(500_000, 0, 500_600, 400),
            "prob_mean": 0.6,
            "prob_max": 0.9,
            "windows": 3,
            "windows_above": 1,
            "scenario": "optical",
            "event_time": DAY.format(7),
            "s2_post": DAY.format(20),
            "descending_pre": DAY.format(1),
            "descending_post": DAY.format(13),
        },
        {
            "id": 2,
            "geometry": box(510_000, 0, 510_100, 100),
            "prob_max": 0.85,
            "event_time": DAY.format(7),
            "s2_post": DAY.format(20),
            "descending_pre": DAY.format(1),
            "descending_post": DAY.format(13),
        },
    )
    b = layer(
        {
            "geometry": box(500_400, 0, 500_600, 800),
            "prob_mean": 0.8,
            "prob_max": 0.8,
            "windows": 5,
            "windows_above": 4,
            "scenario": "all",
            "event_time": DAY.format(7),
            "s2_post": DAY.format(18),
            "descending_pre": DAY.format(3),
            "descending_post": None,
        },
        {
            "id": 2,
            "geometry": box(500_600, 800, 500_700, 900),  # meets the one above at a corner
            "prob_mean": 0.5,
            "prob_max": 0.7,
            "windows": 2,
            "windows_above": 1,
            "scenario": "optical",
            "event_time": DAY.format(7),
            "s2_post": DAY.format(18),
            "descending_pre": DAY.format(3),
            "descending_post": None,
        },
    )
    found = merged_landslides({"a": a, "b": b}, ZONE32)
    assert len(found) == 2
    assert found["id"].tolist() == [1, 2]
    one, alone = found.iloc[0], found.iloc[1]
    expected = [box(500_000, 0, 500_600, 400), box(500_400, 0, 500_600, 800), box(500_600, 800, 500_700, 900)]
    assert one.geometry.equals(shapely.union_all(expected))
    assert one.geometry.is_valid
    assert one["prob_max"] == 0.9
    assert one["prob_mean"] == round((240_000 * 0.6 + 160_000 * 0.8 + 10_000 * 0.5) / 410_000, 3)
    assert (one["windows"], one["windows_above"], one["scenario"]) == (10, 6, "all")
    # 240,000 + 160,000 - 80,000 + 10,000 m2 of the plane, at the zone's middle (scale 0.9996) and the equator
    assert one["area_m2"] == pytest.approx(330_000 / 0.9996**2, rel=1e-4)
    assert one["scenes"] == "a, b"
    days = {"event_time": 7, "s2_post": 18, "descending_pre": 3, "descending_post": 13}
    assert all(one[name] == pd.Timestamp(DAY.format(day)) for name, day in days.items())
    kept = a.iloc[1].drop("id")
    assert alone.drop(["id", "scenes"]).equals(kept)
    assert alone["scenes"] == "a"


def test_a_chain_over_three_scenes_is_one_landslide() -> None:
    boxes = {name: box(500_000 + 90 * i, 0, 500_100 + 90 * i, 50) for i, name in enumerate("abc")}
    found = merged_landslides({name: layer({"geometry": shape}) for name, shape in boxes.items()}, ZONE32)
    assert found["scenes"].tolist() == ["a, b, c"]
    assert found.geometry[0].equals(box(500_000, 0, 500_280, 50))


def test_scenes_without_a_landslide_keep_columns_and_types(tmp_path: Path) -> None:
    grid = grid_of((4, 4))
    about = (np.ones((4, 4)), pixel_patches((4, 4)), *record_of((4, 4)), grid, DATES)
    none = landslides(np.zeros((4, 4), np.uint8), *about)
    one = landslides(np.eye(4, dtype=np.uint8), *about)
    area = layer({"geometry": box(*grid.bounds)}, columns=ANALYSED_COLUMNS)
    for name, frame in {"none": none, "one": one}.items():
        layers = {LANDSLIDES: frame, ANALYSED: area}
        when = datetime(2024, 6, 7, tzinfo=UTC)
        write_geopackage(tmp_path / f"{name}.gpkg", layers, when, {"software": "x"}, 0.5)
    read = {name: read_layer(tmp_path / f"{name}.gpkg", LANDSLIDES)[0] for name in ("none", "one")}
    assert read_layer(tmp_path / "one.gpkg", ANALYSED)[1] == {"software": "x"}
    pd.testing.assert_frame_equal(read["one"], one)
    pd.testing.assert_series_equal(read["none"].dtypes, one.dtypes)
    both = merged_landslides(read, ZONE32)
    empty = merged_landslides({"none": read["none"]}, ZONE32)
    assert len(both) == 1
    assert len(empty) == 0
    pd.testing.assert_series_equal(both.dtypes, empty.dtypes)
    pd.testing.assert_series_equal(both.dtypes.drop("scenes"), one.dtypes)


masks = hnp.arrays(bool, st.tuples(st.integers(8, 14), st.integers(8, 14)))


@settings(max_examples=40)
@given(masks, st.booleans(), st.integers(0, 99))
def test_two_halves_make_the_outlines_of_the_whole(mask: np.ndarray, along: bool, seed: int) -> None:
    """Cut where no window crosses: half-way, with windows of 4 pixels in either half."""
    probability = np.random.default_rng(seed).uniform(0.5, 0.999, mask.shape).astype(np.float32)
    mask, probability = (mask.T, probability.T) if along else (mask, probability)
    whole_grid, cut = grid_of(mask.shape), mask.shape[0] // 2

    def outlined(rows: slice) -> gpd.GeoDataFrame:
        part = mask[rows]
        left, top = whole_grid.bounds[0], whole_grid.bounds[3] - 10 * rows.start
        grid = Grid.covering(UTM32, (left, top - 10 * len(part), left + 10 * part.shape[1], top))
        windows = (pixel_patches(part.shape), *record_of(part.shape, seed=seed))
        return landslides(part.astype(np.uint8), probability[rows], *windows, grid, DATES)

    whole = outlined(slice(0, len(mask)))
    halves = {"north": outlined(slice(0, cut)), "south": outlined(slice(cut, len(mask)))}
    merged = merged_landslides(halves, ZONE32)
    assert len(merged) == len(whole)
    for _, landslide in merged.iterrows():
        (same,) = [row for _, row in whole.iterrows() if row.geometry.equals(landslide.geometry)]
        assert landslide["prob_max"] == same["prob_max"]
        assert landslide["prob_mean"] == pytest.approx(
            same["prob_mean"], abs=1.1e-3
        )  # means of rounded means
        assert landslide["area_m2"] == pytest.approx(same["area_m2"], abs=2)  # rounded to 1 m2 per part
    assert merged["prob_max"].is_monotonic_decreasing


def test_a_landslide_on_a_zone_border_is_one_and_counted_once() -> None:
    """12 degrees east, where zones 32 and 33 meet: one square kilometre, as each zone's map draws it."""
    east, north = pyproj.Transformer.from_crs(4326, ZONE32, always_xy=True).transform(12.0, 46.0)
    square = box(east - 500, north - 500, east + 500, north + 500)
    east, north = pyproj.Transformer.from_crs(4326, ZONE33, always_xy=True).transform(12.0, 46.0)
    other = box(east, north - 500, east + 1000, north + 500)  # half of it again, turned by 4 degrees
    one = layer({"geometry": square})
    two = layer({"geometry": other, "prob_max": 0.9}, crs=ZONE33)
    found = merged_landslides({"west": one, "east": two}, ZONE32)
    assert len(found) == 1
    assert found.crs == ZONE32
    assert found["scenes"].tolist() == ["west, east"]
    # The overlap by Monte Carlo over the ground, in degrees, which neither zone prefers.
    rng = np.random.default_rng(4)
    lon, lat = 12 + rng.uniform(-0.02, 0.02, 400_000), 46 + rng.uniform(-0.01, 0.01, 400_000)
    inside = [
        shapely.contains_xy(
            shape, *pyproj.Transformer.from_crs(4326, crs, always_xy=True).transform(lon, lat)
        )
        for shape, crs in ((square, ZONE32), (other, ZONE33))
    ]
    cell = geodesic(box(11.98, 45.99, 12.02, 46.01), pyproj.CRS.from_epsg(4326), step=1e-3)
    expected = cell * np.mean(inside[0] | inside[1])
    assert found["area_m2"][0] == pytest.approx(expected, rel=0.01)
    assert found["area_m2"][0] < 0.8 * (geodesic(square, ZONE32) + geodesic(other, ZONE33))


def test_projected_outlines_follow_the_ground_and_areas_are_geodesic() -> None:
    shape = box(300_000, 5_000_000, 409_800, 5_109_800)  # a whole tile
    frame = layer({"geometry": shape}, columns=ANALYSED_COLUMNS)
    moved = reproject_layer(frame, ZONE33)
    edge = shapely.get_coordinates(shapely.segmentize(shape.exterior, 77.0))
    there = pyproj.Transformer.from_crs(ZONE32, ZONE33, always_xy=True).transform(*edge.T)
    ring = moved.geometry[0].geoms[0].exterior
    assert shapely.distance(shapely.points(*there), ring).max() < 0.01
    assert reproject_layer(frame, ZONE32) is frame
    expected = geodesic(shape, ZONE32)
    assert ellipsoidal_areas(frame.geometry)[0] == pytest.approx(expected, rel=1e-8)
    assert ellipsoidal_areas(moved.geometry)[0] == pytest.approx(expected, rel=1e-7)
    hole = gpd.GeoSeries([shape.difference(box(310_000, 5_010_000, 320_000, 5_020_000))], crs=ZONE32)
    missing = geodesic(box(310_000, 5_010_000, 320_000, 5_020_000), ZONE32)
    assert ellipsoidal_areas(hole)[0] == pytest.approx(expected - missing, rel=1e-8)


def test_the_projection_of_most_ground_leads() -> None:
    def area(size: float, crs: pyproj.CRS) -> gpd.GeoDataFrame:
        return layer({"geometry": box(0, 0, size, size)}, columns=ANALYSED_COLUMNS, crs=crs)

    assert leading_crs([area(5, ZONE32), area(4, ZONE33), area(4, ZONE33)]) == ZONE33
    assert leading_crs([area(5, ZONE33), area(5, ZONE32)]) == ZONE33


def test_ground_is_analysed_once_in_the_fullest_scenario() -> None:
    cloud = {"status": "not analysed", "reason": "snow or cloud", "scenario": ""}
    nothing = {"status": "not analysed", "reason": "no data", "scenario": ""}
    left, middle, right = (box(500_000 + x, 0, 501_000 + x, 1000) for x in (0, 1000, 2000))
    a = layer(
        {"geometry": left, "scenario": "optical"}, {"geometry": middle, **cloud}, columns=ANALYSED_COLUMNS
    )
    b = layer(
        {"geometry": box(500_500, 0, 501_500, 1000), "scenario": "all"},
        {"geometry": box(501_500, 0, 503_000, 1000), **nothing},
        columns=ANALYSED_COLUMNS,
    )
    found = merged_areas({"a": a, "b": b}, ZONE32, ["all", "optical", "radar"])
    by_way = {(row["reason"], row["scenario"]): row for _, row in found.iterrows()}
    assert list(by_way) == [("", "all"), ("", "optical"), ("snow or cloud", ""), ("no data", "")]
    outlines = {way: row.geometry for way, row in by_way.items()}
    assert outlines["", "all"].equals(box(500_500, 0, 501_500, 1000))
    assert outlines["", "optical"].equals(box(500_000, 0, 500_500, 1000))
    assert outlines["snow or cloud", ""].equals(box(501_500, 0, 502_000, 1000))
    assert outlines["no data", ""].equals(right)
    assert [row["scenes"] for row in by_way.values()] == ["b", "a", "a", "b"]
    assert found["area_m2"].sum() == pytest.approx(3e6 / 0.9996**2, rel=1e-4)
    assert set(found["status"]) == {"analysed", "not analysed"}
    with raised(ValueError, "radar"):
        merged_areas(
            {"a": layer({"geometry": left, "scenario": "radar"}, columns=ANALYSED_COLUMNS)}, ZONE32, []
        )


def test_both_areas_agree_within_a_map() -> None:
    """A rule of thumb of pixels times areal scale against the geodesic area, 40 km beside the meridian."""
    shapes = gpd.GeoSeries(
        [box(460_000 + x, 2_650_000, 461_000 + x, 2_651_500) for x in (0, 90_000)], crs=32651
    )
    scaled = small_areas(np.array([1.5e6, 1.5e6]), list(shapes), shapes.crs)
    np.testing.assert_allclose(scaled, ellipsoidal_areas(shapes), rtol=1e-5)
