"""Outlines in other formats, STAC item and comparison of two results."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio

from landslide_map.errors import InputError
from landslide_map.mapping.redraw import redraw
from landslide_map.products import FORMAT_FILES
from landslide_map.products.compare import compare_results
from landslide_map.products.formats import EXCHANGE, FORMATS, add_formats, check_formats, short_names
from landslide_map.products.stac_item import EXTENSIONS, stac_item, write_item
from landslide_map.runtime.own_files import sealed
from tests.support.killed_process import heard_by
from tests.support.raised import raised
from tests.unit.test_project import EVENT, GRID, TAGS, result


def finished(folder: Path, count: int = 3, value: float = 0.25) -> Path:
    """A result with a probability raster and a manifest."""
    result(folder, count)
    pixels = np.full((1, *GRID.shape), value, np.float32)
    profile = {"driver": "GTiff", "count": 1, "dtype": "float32", "nodata": np.nan, "crs": GRID.crs}
    profile |= {"height": GRID.height, "width": GRID.width, "transform": GRID.transform, "tiled": True}
    with rasterio.open(folder / "probability.tif", "w", **profile) as target:
        target.write(pixels)
    manifest = {
        "configuration": {"stride": 64, "s2": {"post": "/somewhere/a.tif"}},
        "inputs": [{"path": "/somewhere/a.tif", "bytes": 3, "header_sha256": "x"}],
        "bundle": {"name": "b", "sha256": "y"},
        "versions": {"numpy": "1"},
    }
    (folder / "run.json").write_text(json.dumps(sealed({**manifest, "outputs": {}})))
    return folder


@pytest.mark.parametrize("count", [0, 3])
def test_every_format_holds_the_outlines_where_they_are(tmp_path: Path, count: int) -> None:
    folder = finished(tmp_path / "a", count)
    before = {path.name for path in folder.iterdir()}
    written = add_formats(folder, ["gpkg", *FORMATS])
    assert set(written) < set(FORMAT_FILES)
    assert {path.name for path in folder.iterdir()} == before | set(written)
    expected = pyogrio.read_dataframe(folder / "landslides.gpkg", layer="landslides")
    for name in written:
        path = folder / name
        found = gpd.read_parquet(path) if name.endswith("parquet") else pyogrio.read_dataframe(path)
        assert len(found) == count, name
        if count:
            placed = found.to_crs(expected.crs)
            places = placed.geometry.centroid.x.round().sort_values().tolist()
            assert places == expected.geometry.centroid.x.round().sort_values().tolist(), name


def test_formats_do_not_depend_on_the_clock(tmp_path: Path) -> None:
    folders = [finished(tmp_path / name) for name in ("a", "b")]
    for folder in folders:
        written = add_formats(folder, [*FORMATS, *EXCHANGE])
    for name in written:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes(), name


def test_a_shapefile_says_which_column_is_which(tmp_path: Path) -> None:
    folder = finished(tmp_path / "a")
    add_formats(folder, ["shp"])
    with zipfile.ZipFile(folder / "landslides_shp.zip") as archive:
        legend = archive.read("landslides_columns.csv").decode().splitlines()
    rows = [line.split(",")[:2] for line in legend[1:]]
    fields = pyogrio.read_info(folder / "landslides_shp.zip")["fields"].tolist()
    assert [row[0] for row in rows] == fields
    assert ["reviewed_a", "reviewed_at"] in rows or ["review_at", "reviewed_at"] in rows or len(rows) == 8


def test_names_are_cut_to_ten_letters_and_stay_apart() -> None:
    names = ["descending_pre", "descending_post", "descending_p", "evidence_optical", "evidence_ascending"]
    names += [f"a_long_name_{i}" for i in range(12)]
    short = short_names(names)
    assert list(short) == names
    assert len(set(short.values())) == len(names)
    assert max(map(len, short.values())) <= 10


def test_an_unknown_format_is_refused_before_anything_is_done() -> None:
    check_formats(["gpkg", "kml"])
    with raised("E402", "dxf"):
        check_formats(["gpkg", "dxf"])


def test_the_item_says_where_and_when_and_names_files_that_exist(tmp_path: Path) -> None:
    folder = finished(tmp_path / "a")
    tags = {**TAGS, "s2_post": "2024-04-05T02:30:00+00:00", "descending_pre": "2024-03-28T00:00:00+00:00"}
    item = stac_item(folder, tags, EVENT)
    assert item["stac_extensions"] == list(EXTENSIONS)
    west, south, east, north = item["bbox"]
    # By an independent tool: gdaltransform -s_srs EPSG:32651 -t_srs EPSG:4326 of the grid's corners
    assert (west, south) == pytest.approx((121.0414, 23.4437), abs=2e-4)
    assert (east, north) == pytest.approx((121.1107, 23.4987), abs=2e-4)
    properties = item["properties"]
    assert properties["datetime"] == "2024-04-02T23:58:00Z"
    assert properties["start_datetime"] < properties["datetime"] < properties["end_datetime"]
    assert properties["proj:epsg"] == 32651
    assert properties["proj:shape"] == [600, 700]
    assert properties["landslide_map:outlines"] == 3
    assert item["assets"]["probability_tif"]["raster:bands"][0]["nodata"] == "nan"
    for asset in item["assets"].values():
        assert (folder / asset["href"]).is_file()
    write_item(folder / "item.json", folder, tags=tags, event_time=EVENT)
    assert json.loads((folder / "item.json").read_text()) == item
    assert stac_item(folder, tags | {"event": "another"}, EVENT)["id"] != item["id"]


def test_pystac_reads_the_item(tmp_path: Path) -> None:
    pystac = pytest.importorskip("pystac")
    folder = finished(tmp_path / "a")
    write_item(folder / "item.json", folder, tags=TAGS, event_time=EVENT)
    item = pystac.Item.from_file(str(folder / "item.json"))
    assert item.datetime == datetime(2024, 4, 2, 23, 58, tzinfo=UTC)
    assert set(item.assets) >= {"probability_tif", "landslides_gpkg"}


NUMBER, TEXT = {"type": "number"}, {"type": "string"}
EXTENSION_RULES = {
    "properties": {
        "properties": {
            "required": [f"ml-model:{name}" for name in ("type", "learning_approach", "prediction_type")]
            + ["ml-model:architecture"],
            "properties": {
                "proj:epsg": {"type": ["integer", "null"]},
                "proj:wkt2": {"type": ["string", "null"]},
                "proj:shape": {"items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
                "proj:transform": {"items": NUMBER, "minItems": 6, "maxItems": 6},
                "processing:software": {"type": "object", "additionalProperties": TEXT},
                "processing:lineage": TEXT,
                "ml-model:type": {"const": "ml-model"},
                "ml-model:architecture": TEXT,
            },
            "patternProperties": {
                "^proj:(?!epsg$|wkt2$|shape$|transform$)": False,
                "^processing:(?!software$|lineage$)": False,
                "^raster:": False,
            },
        },
        "assets": {
            "additionalProperties": {
                "properties": {
                    "proj:shape": {"items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
                    "proj:transform": {"items": NUMBER, "minItems": 6, "maxItems": 6},
                    "raster:bands": {
                        "minItems": 1,
                        "items": {
                            "properties": {
                                "data_type": {"enum": ["uint8", "uint16", "int16", "float32", "float64"]},
                                "nodata": {"anyOf": [NUMBER, {"enum": ["nan", "inf", "-inf"]}]},
                                "spatial_resolution": NUMBER,
                            }
                        },
                    },
                }
            }
        },
    }
}
"""Rules of the schemas of four extensions for the fields of an item: no package has the schemas."""
SCHEMAS = os.environ.get("LANDSLIDE_MAP_STAC_SCHEMAS")
"""Folder with the published schemas, as ``projection/v1.1.0/schema.json``, to validate by them too."""


def test_the_item_is_valid_without_a_network(tmp_path: Path) -> None:
    pystac_validation = pytest.importorskip("pystac.validation.stac_validator")
    jsonschema = pytest.importorskip("jsonschema")
    folder = finished(tmp_path / "a")
    with rasterio.open(
        *(folder / "image_after.tif", "w"),
        **{"driver": "GTiff", "width": 8, "height": 8, "count": 3, "dtype": "uint8", "crs": GRID.crs},
        transform=GRID.transform,
    ) as image:
        image.write(np.ones((3, 8, 8), np.uint8))
    write_item(folder / "item.json", folder, tags=TAGS, event_time=EVENT)
    item = json.loads((folder / "item.json").read_text())
    validator = pystac_validation.JsonSchemaSTACValidator()
    requests: list[str] = []
    with heard_by(lambda event, _: requests.append(event) if event == "urllib.Request" else None):
        assert validator.validate_core(item, pystac_validation.STACObjectType.ITEM, item["stac_version"])
    assert not requests, "a schema was fetched from a network"
    jsonschema.validate(item, EXTENSION_RULES)
    for url in item["stac_extensions"] if SCHEMAS else ():
        path = Path(SCHEMAS, *url.split("/")[-3:])
        jsonschema.Draft7Validator(json.loads(path.read_text())).validate(item)
    image = item["assets"]["image_after_tif"]
    assert "nodata" not in image["raster:bands"][0]
    assert image["proj:shape"] == [8, 8], "its pixels are not those of the item"
    assert "proj:shape" not in item["assets"]["probability_tif"]


def test_two_copies_of_a_result_are_the_same(tmp_path: Path) -> None:
    one = finished(tmp_path / "a")
    shutil.copytree(one, tmp_path / "b")
    assert compare_results(one, tmp_path / "b") == []


def test_every_kind_of_difference_is_named(tmp_path: Path) -> None:
    one, other = finished(tmp_path / "a"), finished(tmp_path / "b", count=4, value=0.26)
    manifest = json.loads((other / "run.json").read_text())
    manifest["configuration"]["stride"] = 32
    manifest["inputs"][0]["header_sha256"] = "z"
    manifest["versions"]["numpy"], manifest["format_version"] = "2", 9
    (other / "run.json").write_text(json.dumps(manifest))
    found = compare_results(one, other)
    assert [one.what for one in found] == ["inputs", "options", *["versions"] * 2, "rasters", "outlines"]
    assert "9" in found[2].message
    assert "420,000 of 420,000" in found[4].message
    assert "3 are in both, 0 and 1 in one alone" in found[5].message
    assert "rasters" not in [one.what for one in compare_results(one, other, tolerance=0.02)]


def test_a_folder_without_a_map_cannot_be_compared(tmp_path: Path) -> None:
    one = finished(tmp_path / "a")
    with pytest.raises(InputError) as refusal:
        compare_results(one, tmp_path)
    assert refusal.value.code == "E160"


@pytest.mark.parametrize(
    "spoil",
    [
        {"inputs": None},
        {"inputs": [1]},
        {"inputs": [{"path": 1, "bytes": 1, "header_sha256": ""}]},
        {"bundle": None},
        {"versions": []},
        {"configuration": "x"},
    ],
)
def test_a_manifest_of_another_shape_cannot_be_compared(spoil: dict[str, object], tmp_path: Path) -> None:
    one, other = finished(tmp_path / "a"), finished(tmp_path / "b")
    manifest = json.loads((other / "run.json").read_text())
    (other / "run.json").write_text(json.dumps(manifest | spoil))
    for pair in ((one, other), (other, one)):
        with pytest.raises(InputError) as refusal:
            compare_results(*pair)
        assert refusal.value.code == "E160"


def test_a_manifest_that_is_too_deep_is_refused(tmp_path: Path) -> None:
    one = finished(tmp_path / "a")
    (one / "run.json").write_text("[" * 100_000)
    for use, code in (
        (lambda: compare_results(one, one), "E160"),
        (lambda: redraw(one, tmp_path / "o"), "E174"),
    ):
        with pytest.raises(InputError) as refusal:
            use()
        assert refusal.value.code == code
