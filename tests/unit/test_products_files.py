import hashlib
import json
import sqlite3
import zipfile
from contextlib import closing
from datetime import UTC, date, datetime
from enum import Enum
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyogrio
import pyproj
import pytest
import xarray as xr
from rasterio.crs import CRS

from landslide_map.errors import Notice
from landslide_map.grid import Grid
from landslide_map.mapping import file_hashes, provenance
from landslide_map.mapping.file_hashes import versions
from landslide_map.products import styles
from landslide_map.products.geopackage import write_geopackage
from landslide_map.products.painting import WindowMosaic, least_over, window_mosaic
from landslide_map.products.polygons import analysed_areas, landslides
from landslide_map.products.rasters import CLASS_NAMES
from landslide_map.products.reviews import with_review_columns
from landslide_map.products.windows_netcdf import windows_dataset, write_windows
from landslide_map.reasons import Reason
from landslide_map.runtime.own_files import tree_records
from landslide_map.window_record import WindowRecord
from landslide_map.windows import WindowPlan
from tests.support.raised import raised

GRID = Grid.covering(CRS.from_epsg(32651), (300000, 2699000, 301000, 2700000))
EVENT = datetime(2024, 4, 2, 23, 58, tzinfo=UTC)
NAN = np.nan
PLAN = WindowPlan(np.array([0, 36]), np.array([0, 20, 36]), 64, 36, GRID.shape)
RECORD = WindowRecord(
    probability=np.array([[0.9, 0.2, 0.1], [0.8, NAN, NAN]]),
    threshold=np.array([[0.5, 0.5, 0.4], [0.4, NAN, NAN]]),
    scenario=np.array([[0, 0, 1], [1, -1, -1]]),
    reason=np.array([[0, 0, 0], [0, 251, 255]]),
    scenarios=("all channels", "optical only"),
    members=("lgbm", "xgb"),
    member_probability=np.stack([[[0.7, 0.3, 0.1], [NAN, NAN, NAN]], np.zeros((2, 3))], axis=-1),
    groups=("optical", "ascending"),
    valid_fraction=np.stack([np.ones((2, 3)), np.full((2, 3), 0.25)], axis=-1),
)


def layers(found=True):
    classes = np.zeros(GRID.shape, np.uint8)
    if found:
        classes[5:20, 5:30] = classes[50:60, 70:90] = 1
    pixels = WindowMosaic(np.arange(GRID.height + 1), np.arange(GRID.width + 1))
    probability = np.where(classes, 0.875, 0.1)
    dates = {
        "event_time": EVENT,
        "s2_post": datetime(2024, 4, 5, 2, 30, tzinfo=UTC),
        "s1_ascending_post": None,
    }
    areas = analysed_areas(least_over(RECORD.codes, PLAN), window_mosaic(PLAN), RECORD.scenarios, GRID)
    return landslides(classes, probability, pixels, RECORD, PLAN, GRID, dates), areas


def named(found, areas):
    return {"landslides": with_review_columns(found), "analysed": areas}


@pytest.fixture(params=[True, False], ids=["landslides", "none"])
def package(request, tmp_path):
    path = tmp_path / "landslides.gpkg"
    write_geopackage(path, named(*layers(request.param)), EVENT, {"bundle": "default 1.0"}, 0.435)
    return path


def query(path, sql, *values):
    with closing(sqlite3.connect(path)) as database:
        return database.execute(sql, values).fetchall()


def test_geopackage_is_one_and_says_where_it_lies(package):
    assert query(package, "PRAGMA application_id") == [(0x47504B47,)]
    assert query(package, "PRAGMA integrity_check") == [("ok",)]
    assert query(package, "PRAGMA foreign_key_check") == []
    geometry = query(package, "SELECT table_name, geometry_type_name, srs_id FROM gpkg_geometry_columns")
    assert sorted(geometry) == [("analysed", "MULTIPOLYGON", 32651), ("landslides", "MULTIPOLYGON", 32651)]
    indexed = query(
        package, "SELECT table_name FROM gpkg_extensions WHERE extension_name = 'gpkg_rtree_index'"
    )
    assert sorted(indexed) == [("analysed",), ("landslides",)]
    for layer in ("landslides", "analysed"):
        rows = query(package, f"SELECT count(*) FROM {layer}")
        assert query(package, f"SELECT count(*) FROM rtree_{layer}_geom") == rows


def test_geopackage_returns_what_was_written(package):
    expected, areas = layers(found=pyogrio.read_info(package, layer="landslides")["features"] > 0)
    found = pyogrio.read_dataframe(package, layer="landslides")
    expected = with_review_columns(expected)
    assert list(found.columns) == list(expected.columns)
    assert found.crs == pyproj.CRS.from_epsg(32651)
    assert found.geometry.geom_equals(expected.geometry).all()
    for name in ("id", "prob_mean", "prob_max", "area_m2", "windows", "windows_above", "scenario"):
        assert found[name].tolist() == expected[name].tolist()
    assert [when.isoformat() for when in found["event_time"]] == ["2024-04-02T23:58:00+00:00"] * len(expected)
    assert found["s1_ascending_post"].isna().all()
    analysed = pyogrio.read_dataframe(package, layer="analysed")
    assert analysed[["status", "reason", "scenario"]].values.tolist() == [
        ["analysed", "", "all channels"],
        ["analysed", "", "optical only"],
        ["not analysed", "snow or cloud", ""],
        ["not analysed", "no data", ""],
    ]
    assert analysed["area_m2"].tolist() == areas["area_m2"].tolist()


def test_an_empty_layer_has_the_types_of_a_full_one(tmp_path):
    types = {}
    for found in (True, False):
        path = tmp_path / f"{found}.gpkg"
        write_geopackage(path, named(*layers(found)), EVENT, {}, 0.435)
        info = pyogrio.read_info(path, layer="landslides")
        types[found] = (info["fields"].tolist(), info["ogr_types"], info["geometry_type"], info["crs"])
    assert types[True] == types[False]
    assert "OFTDateTime" in types[False][1]


def test_both_layers_have_a_default_style_that_fits_their_columns(package):
    rows = query(package, "SELECT f_table_name, f_geometry_column, styleQML, useAsDefault FROM layer_styles")
    assert {row[0]: row[1] for row in rows} == {"landslides": "geom", "analysed": "geom"}
    for layer, _, qml, default in rows:
        assert default == 1
        renderer = ElementTree.fromstring(qml).find("renderer-v2")
        fields = pyogrio.read_info(package, layer=layer)["fields"]
        assert renderer.get("attr", "id") in fields
        aliased = [item.get("field") for item in ElementTree.fromstring(qml).iter("alias")]
        assert aliased == ["fid", *fields]
        classes = [*renderer.iter("rule"), *renderer.iter("category")]
        symbols = {symbol.get("name") for symbol in renderer.find("symbols")}
        assert {item.get("symbol") for item in classes} == symbols


def test_columns_are_explained(package):
    titled = query(package, "SELECT column_name, name FROM gpkg_data_columns WHERE table_name = 'landslides'")
    assert dict(titled)["area_m2"] == "Area, m2"
    assert {name for name, _ in titled} <= set(pyogrio.read_info(package, layer="landslides")["fields"])
    assert pyogrio.read_info(package, layer="landslides")["layer_metadata"]["bundle"] == "default 1.0"


def test_geopackage_does_not_depend_on_the_clock_and_reading_leaves_no_file(tmp_path):
    paths = [tmp_path / "a" / "x.gpkg", tmp_path / "b" / "x.gpkg"]
    for path in paths:
        path.parent.mkdir()
        write_geopackage(path, named(*layers()), EVENT, {"bundle": "x"}, 0.435)
        pyogrio.read_dataframe(path, layer="landslides")
        assert [item.name for item in path.parent.iterdir()] == ["x.gpkg"]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    stamps = query(paths[0], "SELECT DISTINCT last_change FROM gpkg_contents")
    assert stamps == [("2024-04-02T23:58:00.000Z",)]


def test_the_bands_of_probability_begin_at_the_threshold_and_have_no_gap():
    for threshold in (0.05, 0.435, 0.59, 0.6, 0.79, 0.97):
        bands = styles.probability_bands(threshold)
        assert (bands[0][0], bands[-1][1]) == (threshold, 1)
        assert all(below[1] == above[0] for below, above in pairwise(bands))
        assert all(lower < upper for lower, upper in bands)


def test_raster_styles_are_well_formed_and_clear_below_the_threshold():
    ramp = list(ElementTree.fromstring(styles.probability_qml(0.435)).iter("item"))
    limits = [float(item.get("value")) for item in ramp]
    assert limits == sorted(limits)
    assert (limits[0], limits[-1]) == (0.435, float("inf"))
    assert [item.get("alpha") == "0" for item in ramp] == [True, False, False, False]
    palette = list(ElementTree.fromstring(styles.class_qml()).iter("paletteEntry"))
    assert {int(item.get("value")) for item in palette} == set(CLASS_NAMES) - {Reason.NO_DATA}
    assert next(item for item in palette if item.get("value") == "0").get("alpha") == "0"


def test_windows_file_holds_the_choice_made_in_every_window(tmp_path):
    path = tmp_path / "windows.nc"
    write_windows(path, windows_dataset(RECORD, PLAN, GRID, {"bundle": "default 1.0"}))
    with xr.open_dataset(path, engine="scipy") as found:
        np.testing.assert_allclose(found["probability"], RECORD.probability, rtol=1e-6)
        np.testing.assert_allclose(found["threshold"], RECORD.threshold, rtol=1e-6)
        assert found["scenario"].values.tolist() == RECORD.scenario.tolist()
        assert found["reason"].values.tolist() == RECORD.reason.tolist()
        votes = found["member_probability"].sel(member="lgbm")
        np.testing.assert_allclose(votes, RECORD.member_probability[..., 0], rtol=1e-6)
        assert found["valid_fraction"].sel(group="ascending").values.tolist() == [[0.25] * 3] * 2
        # Centres by hand: half of 640 m from the first pixel's corner.
        assert found["x"].values.tolist() == [300320, 300520, 300680]
        assert found["y"].values.tolist() == [2699680, 2699320]
        assert found["row_start"].values.tolist() == [0, 36]
        flags = dict(
            zip(
                found["reason"].attrs["flag_values"],
                found["reason"].attrs["flag_meanings"].split(),
                strict=True,
            )
        )
        assert flags[251] == "snow_or_cloud"
        meanings = found["scenario"].attrs["flag_meanings"].split()
        assert meanings == ["none", "all_channels", "optical_only"]
        assert pyproj.CRS.from_wkt(found["spatial_ref"].attrs["crs_wkt"]).to_epsg() == 32651
        assert found.attrs["bundle"] == "default 1.0"
        assert found.attrs["window_size_m"] == 640


def test_windows_file_is_the_same_for_the_same_data_and_needs_no_members(tmp_path):
    bare = WindowRecord(
        probability=RECORD.probability,
        threshold=RECORD.threshold,
        scenario=RECORD.scenario,
        reason=RECORD.reason,
        scenarios=RECORD.scenarios,
    )
    for name in "ab":
        write_windows(tmp_path / name, windows_dataset(bare, PLAN, GRID, {}))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with xr.open_dataset(tmp_path / "a", engine="scipy") as found:
        assert found["probability"].shape == (2, 3)


class Colour(Enum):
    RED = "red"


def make_manifest(tmp_path, **changes):
    content = {
        "configuration": {"event": {"time": EVENT}, "dem": Path("a/dem.tif"), "threshold": np.float32(0.5)},
        "inputs": [],
        "bundle": {"name": "default", "sha256": "abc"},
        "counts": {"windows": np.int64(6), "scenarios": {"all": 2}, "mean": NAN, "colour": Colour.RED},
        "bands": {"red": {"valid": 0.5, "scene": None, "training": [1.0, 2.0, 3.0]}},
        "notices": [Notice("W360", "ascending is missing")],
        "timings": {"stages": {"check inputs": {"seconds": 1.25}}},
        "started": datetime(2026, 1, 1, 12, tzinfo=UTC),
        "outputs": tree_records(tmp_path / "stage") if (tmp_path / "stage").exists() else {},
    }
    return {**content, **changes}


def test_manifest_is_strict_json_of_plain_values(tmp_path):
    path = tmp_path / "run.json"
    provenance.write_manifest(path, make_manifest(tmp_path))

    def refuse(constant):
        raise AssertionError(constant)

    found = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    assert list(found) == sorted(found)
    assert found["configuration"]["dem"] == str(Path("a/dem.tif"))
    assert found["configuration"]["event"]["time"] == "2024-04-02T23:58:00Z"
    assert found["counts"] == {"windows": 6, "scenarios": {"all": 2}, "mean": None, "colour": "red"}
    assert found["notices"] == [{"code": "W360", "message": "ascending is missing"}]
    assert found["timings"]["stages"] == {"check inputs": {"seconds": 1.25}}
    assert found["started"] == "2026-01-01T12:00:00Z"
    assert [item.name for item in tmp_path.iterdir() if item.is_file()] == ["run.json"]


def test_manifest_identifies_inputs_by_size_and_header_and_outputs_whole(tmp_path):
    rng = np.random.default_rng(0)
    big, small = rng.bytes(70_000), b"MTD"
    folder = tmp_path / "S2.SAFE"
    (folder / "GRANULE").mkdir(parents=True)
    (folder / "GRANULE" / "B04.jp2").write_bytes(big)
    (folder / "MTD.xml").write_bytes(small)
    with zipfile.ZipFile(tmp_path / "s1.zip", "w") as archive:
        archive.writestr("vv.tif", big)
    (tmp_path / "stage").mkdir()
    (tmp_path / "stage" / "probability.tif").write_bytes(big)
    inputs = file_hashes.input_identities([folder, tmp_path / "s1.zip", folder / "MTD.xml"])
    found = make_manifest(tmp_path, inputs=inputs)
    assert [Path(item["path"]).name for item in found["inputs"]] == ["B04.jp2", "MTD.xml", "s1.zip"]
    jp2, mtd, archive = found["inputs"]
    assert jp2["bytes"] == 70_000
    assert jp2["header_sha256"] == hashlib.sha256(big[:65536]).hexdigest()
    assert mtd["header_sha256"] == hashlib.sha256(small).hexdigest()
    assert archive["bytes"] == (tmp_path / "s1.zip").stat().st_size
    expected = {"bytes": 70_000, "sha256": hashlib.sha256(big).hexdigest()}
    assert found["outputs"] == {"probability.tif": expected}


def test_manifest_names_the_software():
    found = versions()
    assert found["numpy"] == np.__version__
    assert {"landslide-map", "python", "gdal (rasterio)", "gdal (pyogrio)", "lightgbm", "xgboost"} <= set(
        found
    )


def test_manifest_refuses_what_json_cannot_say():
    assert provenance._plain({1: (date(2024, 1, 2), np.array([1.0, np.inf]), {3, 1})}) == {
        "1": ["2024-01-02", [1.0, None], [1, 3]]
    }
    with raised(TypeError, "no place in run.json"):
        provenance._plain({"a": object()})
