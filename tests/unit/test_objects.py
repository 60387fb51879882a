"""Object-level figures against hand-made geometry."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyproj
import pytest
import shapely
from click.testing import CliRunner
from landslide_map_cli.main import cli
from shapely.geometry import LineString, MultiPolygon, Point, Polygon, box

from landslide_map.evaluation.inventory_match import compare, evaluate_map
from landslide_map.evaluation.match_inputs import read_known
from landslide_map.products.geopackage import write_geopackage
from landslide_map.products.polygons import ANALYSED_COLUMNS, LANDSLIDE_COLUMNS
from tests.support import messages
from tests.support.raised import raised
from tests.support.shared_data import shared_data

CRS = pyproj.CRS.from_epsg(32651)
X, Y = 500000.0, 2650000.0
"""On the central meridian, where lengths on the grid are 0.9996 of those on the ground."""
SCALE = 0.9996**2


def square(x: float, y: float, edge: float, height: float | None = None) -> Polygon:
    return box(X + x, Y + y, X + x + edge, Y + y + (edge if height is None else height))


AREA = square(0, 0, 10000)


def compared(mapped: list, known: list, area=AREA) -> dict:
    return compare(np.array(mapped, dtype=object), np.array(known, dtype=object), area, CRS)


def test_hits_and_precision_count_shared_area() -> None:
    mapped = [square(0, 0, 640), square(2000, 0, 640), square(5000, 5000, 640)]
    known = [square(600, 600, 80), square(640, 0, 10), square(2100, 100, 20), square(8000, 8000, 50)]
    # The first is hit by a corner, the second only touches, the third is inside, the last is missed.
    found = compared(mapped, known)
    assert found["hit_rate"] == 2 / 4
    assert found["touching"] == pytest.approx(2 / 3)
    assert found["inventory"] == {"landslides": 4, "hit": 2, "left_out": 0}
    assert found["mapped"] == {"landslides": 3, "right": 2, "left_out": 0}
    assert found["level"] == "object level"


@pytest.mark.parametrize(("shared", "hit"), [(0.9, 0), (1.1, 1), (30, 1)])
def test_a_hit_shares_a_square_metre(shared: float, hit: int) -> None:
    strip = shared * SCALE / 100  # 100 m of border, so many metres deep
    found = compared([square(0, 0, 640)], [square(640 - strip, 0, 50, 100)])
    assert found["inventory"] == {"landslides": 1, "hit": hit, "left_out": 0}
    assert found["mapped"]["right"] == hit


def test_a_landslide_exactly_half_inside_is_counted() -> None:
    found = compared([], [square(-100, 0, 200), square(-101, 500, 200)])  # 100 and 99 of 200 m inside
    assert found["inventory"] == {"landslides": 1, "hit": 0, "left_out": 1}


def test_area_agreement_is_of_unions_on_the_ellipsoid() -> None:
    mapped = [square(0, 0, 1000)]
    known = [square(500, 0, 1000), square(900, 0, 600)]  # overlap: together 500 to 1500
    found = compared(mapped, known)["area"]
    assert found["mapped_m2"] == pytest.approx(1e6 / SCALE, rel=1e-5)
    assert found["inventory_m2"] == pytest.approx(1e6 / SCALE, rel=1e-5)
    assert found["shared_m2"] == pytest.approx(5e5 / SCALE, rel=1e-5)
    assert found["recall"] == pytest.approx(0.5)
    assert found["precision"] == pytest.approx(0.5)
    assert found["iou"] == pytest.approx(5e5 / 1.5e6)
    assert found["mapped_share"] == pytest.approx(1e6 / 1e8)


def test_areas_on_the_ground_are_geodesic() -> None:
    away = box(800000.0, Y, 801000.0, Y + 1000)  # far from the central meridian, where the scale differs
    found = compare(np.array([away]), np.array([away]), away, CRS)["area"]["mapped_m2"]
    to_degrees = pyproj.Transformer.from_crs(CRS, 4326, always_xy=True)
    longitude, latitude = to_degrees.transform(*np.array(away.exterior.coords).T)
    geodesic, _ = pyproj.Geod(ellps="WGS84").polygon_area_perimeter(longitude, latitude)
    assert found == pytest.approx(abs(geodesic), rel=1e-5)
    assert abs(found - 1e6) > 500


def test_sizes_are_of_whole_landslides_and_a_limit_belongs_above() -> None:
    edge = np.sqrt(1e4 * SCALE) * (1 + 1e-5)
    known = [square(0, 0, 20), square(1000, 0, edge), square(2000, 0, 90), square(3000, 0, 1100)]
    found = compared([square(990, -10, 2000)], known)["size_classes"]
    assert [own["landslides"] for own in found] == [1, 1, 1, 0, 1]
    assert [own["hit"] for own in found] == [0, 1, 1, 0, 0]
    assert [own["hit_rate"] for own in found] == [0, 1, 1, None, 0]
    assert found[0]["name"] == "under 1,000 m2"
    assert found[-1]["to_m2"] is None


def test_a_body_is_held_where_a_third_of_it_is_mapped() -> None:
    known = [square(0, 0, 300, 10), square(0, 1000, 300, 10), square(0, 2000, 40)]
    mapped = [square(0, 0, 60, 10), square(50, 0, 60, 10), square(0, 1000, 99, 10), square(0, 2000, 40)]
    found = compared(mapped, known)
    # 110 and 99 of 300 m; the last is held but too small to count.
    assert found["bodies"]["landslides"] == 2
    assert found["bodies"]["held"] == 1
    assert [own["held"] for own in found["size_classes"]] == [0, 2, 0, 0, 0]
    assert found["touching"] == 1


def test_objects_and_windows_of_a_map_are_evaluated_apart(results: Path, tmp_path: Path) -> None:
    known = write(tmp_path / "known.gpkg", [square(100, 100, 60)])
    alone = evaluate_map(results, known)
    assert alone["outlines"] == "windows"
    assert "windows" not in alone
    path = results / "landslides.gpkg"
    gpd.GeoDataFrame(geometry=[square(100, 100, 60, 50)], crs=CRS).to_file(path, layer="objects")
    windows = gpd.read_file(path, layer="landslides")
    windows.to_file(path, layer="windows")
    gpd.read_file(path, layer="objects").to_file(path, layer="landslides")
    both = evaluate_map(results, known)
    assert both["outlines"] == "objects"
    assert both["area"]["iou"] == pytest.approx(5 / 6)
    assert both["windows"]["area"]["iou"] == pytest.approx(alone["area"]["iou"])


def test_what_lies_mostly_outside_is_not_counted_but_makes_others_right() -> None:
    known = [square(-60, 0, 100), square(-40, 1000, 100), square(-500, 5000, 100)]
    mapped = [square(0, 0, 50), square(9900, 0, 640)]
    found = compared(mapped, known)
    # 40 % inside: left out; 60 % inside: counted; none inside: left out.
    assert found["inventory"] == {"landslides": 1, "hit": 0, "left_out": 2}
    # The first mapped one is on a landslide that is left out, and right; the second is mostly outside.
    assert found["mapped"] == {"landslides": 1, "right": 1, "left_out": 1}
    assert found["area"]["inventory_m2"] == pytest.approx((40 * 100 + 60 * 100) / SCALE, rel=1e-5)


def test_distances_are_between_centroids_of_best_partners() -> None:
    mapped = [square(0, 0, 600), square(600, 0, 300)]
    known = [square(500, 0, 300, 100), square(100, 100, 100)]
    # The first shares 100 x 100 with the left and 200 x 100 with the right: its partner is the right one.
    found = compared(mapped, known)["centroid_distance_m"]
    first = np.hypot(650 - 750, 50 - 150)
    second = np.hypot(150 - 300, 150 - 300)
    assert found["known"]["pairs"] == 2
    assert found["known"]["mean"] == pytest.approx((first + second) / 2)
    # The left mapped one shares 500..600 x 0..100 and the whole second: their common centroid is (350, 100).
    left = np.hypot(350 - 300, 100 - 300)
    right = np.hypot(700 - 750, 50 - 150)
    assert found["mapped"]["mean"] == pytest.approx((left + right) / 2)


def test_an_empty_map_hits_nothing_and_has_no_precision() -> None:
    found = compared([], [square(0, 0, 100)])
    assert (found["hit_rate"], found["touching"]) == (0, None)
    assert found["centroid_distance_m"]["known"]["median"] is None
    assert found["area"]["precision"] is None
    assert found["area"]["recall"] == 0


def test_calling_everything_shows_in_the_mapped_share() -> None:
    found = compared([AREA], [square(0, 0, 100)])
    assert (found["hit_rate"], found["area"]["mapped_share"]) == (1, 1)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A finished map: one landslide of 640 m, the western half of the grid analysed."""
    folder = tmp_path / "results"
    folder.mkdir()
    mapped = gpd.GeoDataFrame(
        {name: [1] if kind != "str" else ["all"] for name, kind in LANDSLIDE_COLUMNS.items()},
        geometry=[MultiPolygon([square(0, 0, 640)])],
        crs=CRS,
    ).astype(dict(LANDSLIDE_COLUMNS))
    analysed = gpd.GeoDataFrame(
        {
            "status": ["analysed", "not analysed"],
            "reason": ["", "no data"],
            "scenario": ["all", ""],
            "area_m2": [5e7, 5e7],
        },
        geometry=[MultiPolygon([square(0, 0, 5000, 10000)]), MultiPolygon([square(5000, 0, 5000, 10000)])],
        crs=CRS,
    ).astype(dict(ANALYSED_COLUMNS))
    layers = {"landslides": mapped, "analysed": analysed}
    write_geopackage(folder / "landslides.gpkg", layers, datetime(2024, 4, 3, tzinfo=UTC), {}, 0.5)
    return folder


def write(path: Path, shapes: list, crs: object = CRS, **columns: list) -> Path:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided")
        gpd.GeoDataFrame(columns, geometry=shapes, crs=crs).to_file(path)
    return path


def test_inventories_in_degrees_are_brought_to_the_map(results: Path, tmp_path: Path) -> None:
    shapes = gpd.GeoSeries([square(100, 100, 100), square(4000, 4000, 100), square(9000, 0, 100)], crs=CRS)
    path = write(tmp_path / "known.geojson", list(shapes.to_crs(4326)), 4326)
    found = evaluate_map(results, path)
    assert found["inventory"] == {"landslides": 2, "hit": 1, "left_out": 1}  # the last is not analysed
    assert [notice[:5] for notice in found["notices"]] == ["W151:"]
    assert "1 of 3 landslides lie mostly outside the area compared" in found["notices"][0]
    said = CliRunner().invoke(cli, ["evaluate", "--map", str(results), "--inventory", str(path)])
    assert (said.exit_code, "note W151" in said.output) == (0, True)
    assert found["area"]["inventory_m2"] == pytest.approx(2e4 / SCALE, rel=1e-4)
    assert found["area"]["analysed_m2"] == pytest.approx(5e7 / SCALE, rel=1e-4)


def test_features_are_joined_by_id_and_parts_taken_apart(results: Path, tmp_path: Path) -> None:
    parts = [square(100, 100, 100), square(3000, 3000, 100), square(4000, 0, 100)]
    path = write(tmp_path / "known.gpkg", parts, slide=["a", "a", "b"])
    assert evaluate_map(results, path)["inventory"] == {"landslides": 3, "hit": 1, "left_out": 0}
    joined = evaluate_map(results, path, id_column="slide")
    assert joined["inventory"] == {"landslides": 2, "hit": 1, "left_out": 0}
    whole = write(tmp_path / "whole.gpkg", [MultiPolygon(parts)])
    assert evaluate_map(results, whole)["inventory"]["landslides"] == 1
    assert evaluate_map(results, whole, each_part=True)["inventory"]["landslides"] == 3


def test_only_where_the_inventory_is_complete_is_compared(results: Path, tmp_path: Path) -> None:
    known = write(tmp_path / "known.gpkg", [square(2000, 2000, 100)])
    limits = write(tmp_path / "limits.gpkg", [square(1500, 1500, 2000)])
    assert evaluate_map(results, known)["touching"] == 0
    found = evaluate_map(results, known, area=limits)
    assert found["touching"] is None  # the mapped landslide is outside, and no false alarm
    assert found["area"]["analysed_m2"] == pytest.approx(4e6 / SCALE, rel=1e-4)


def test_a_stray_polygon_beyond_the_pole_is_left_out(results: Path, tmp_path: Path) -> None:
    shapes = gpd.GeoSeries([square(100, 100, 100), square(4000, 4000, 100)], crs=CRS).to_crs(4326)
    path = write(tmp_path / "known.geojson", [*shapes, box(125, 95, 126, 96)], 4326)
    assert evaluate_map(results, path)["inventory"] == {"landslides": 2, "hit": 1, "left_out": 0}


def test_outlines_that_cross_themselves_are_repaired_and_reported(results: Path, tmp_path: Path) -> None:
    bow = Polygon([(X, Y), (X + 100, Y + 100), (X + 100, Y), (X, Y + 100)])
    found = evaluate_map(results, write(tmp_path / "known.gpkg", [bow]))
    assert found["area"]["inventory_m2"] == pytest.approx(5000 / SCALE, rel=1e-4)
    assert found["notices"][0].startswith("W150")


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (lambda p: p / "absent.gpkg", "E150", "no such file"),
        (lambda p: write(p / "k.gpkg", [square(0, 0, 9)], None), "E151", "no coordinate reference system"),
        (lambda p: write(p / "k.gpkg", [Point(X, Y)]), "E152", "type Point"),
        (lambda p: write(p / "k.gpkg", [LineString([(X, Y), (X, Y + 9)])]), "E152", "LineString"),
        (lambda p: write(p / "k.gpkg", [square(0, 0, 9)], 4326), "E151", "no longitudes and latitudes"),
        (
            lambda p: write(p / "k.gpkg", [box(24.1, 125.9, 24.2, 126)], 4326),
            "E151",
            "125.9 to 126 are no long",
        ),
        (lambda p: write(p / "k.gpkg", [square(9000, 0, 9)]), "E153", "nothing in common"),
        (lambda p: write(p / "k.gpkg", [square(0, 0, 0)]), "E150", "none of its 1 polygons has an area"),
        (lambda p: (p / "k.gpkg").write_text("x") and p / "k.gpkg", "E150", "cannot be read"),
    ],
)
def test_inventories_that_cannot_be_compared(results: Path, tmp_path: Path, make, code, words) -> None:
    with raised(code, words):
        evaluate_map(results, make(tmp_path))


def test_an_id_column_must_be_there_and_filled(results: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "known.gpkg", [square(0, 0, 9), square(99, 0, 9)], slide=["a", None])
    with raised("E150", "no column 'name'"):
        evaluate_map(results, path, id_column="name")
    with raised("E150", "1 polygons have no value in column 'slide'"):
        evaluate_map(results, path, id_column="slide")


def test_folders_without_a_map(results: Path, tmp_path: Path) -> None:
    known = write(tmp_path / "known.gpkg", [square(0, 0, 9)])
    with raised("E160", messages.NO_SUCH_FILE):
        evaluate_map(tmp_path / "elsewhere", known)
    with raised("E160", messages.NO_MAP_OF_LANDSLIDE_MAP):
        evaluate_map(known, known)
    blank = gpd.read_file(results / "landslides.gpkg", layer="analysed")
    blank["status"] = "not analysed"
    blank.to_file(results / "landslides.gpkg", layer="analysed")
    with raised("E160", messages.NOTHING_WAS_ANALYSED):
        evaluate_map(results, known)


@pytest.mark.parametrize(
    ("name", "epsg"),
    [
        ("cipongkor_landslides_2024", 32748),
        ("papau_new_guinea_landslide_2024", 32754),
        ("chilcotin_river_landslide_and_flood_2024", 32610),
    ],
)
def test_real_inventories_keep_their_geodesic_area(name: str, epsg: int) -> None:
    path = shared_data("real", "event_polygons", f"{name}.geojson")
    crs = pyproj.CRS.from_epsg(epsg)
    known, _ = read_known(path, None, "name", True, crs)
    outlines = gpd.read_file(path)
    geod = pyproj.Geod(ellps="WGS84")
    expected = sum(abs(geod.geometry_area_perimeter(part)[0]) for part in outlines.geometry.make_valid())
    whole = shapely.box(*shapely.total_bounds(known))
    found = compare(known, known, whole, crs)
    assert found["area"]["inventory_m2"] == pytest.approx(expected, rel=1e-3)
    assert found["hit_rate"] == found["touching"] == 1
    assert found["area"]["iou"] == pytest.approx(1)
