"""Items of real catalogues as candidates: recorded answers, and items that cannot be used."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import shapely

from landslide_map.search.area import Area
from landslide_map.search.candidates import Optical, Rejected, Slice
from landslide_map.search.choose_radar import passes_of
from landslide_map.search.download import file_name
from landslide_map.search.items import Source, read_item
from tests.support.shared_data import shared_data
from tests.support.stac_items import BOX, sentinel1, sentinel2, utc

AREA = Area.of_box(*BOX)


def recorded(*parts: str) -> list[dict]:
    document = json.loads(shared_data("fixtures", "catalogues", *parts).read_text())
    return document if isinstance(document, list) else document.get("features", [document])


def around(item: dict) -> Area:
    middle = shapely.geometry.shape(item["geometry"]).centroid
    return Area.of_box(middle.x - 0.1, middle.y - 0.05, middle.x + 0.1, middle.y + 0.05)


def read(item: dict, area: Area | None = None) -> Optical | Slice | Rejected:
    found = read_item(item, area or around(item), Source("test"))
    assert found is not None
    return found


def test_earth_search_holds_the_time_of_the_tile_and_its_orbit_only_in_the_product_name():
    first = read(recorded("rustac", "earthsearch_s2_c1_10items.json")[0])
    assert isinstance(first, Optical)
    assert (first.platform, first.tile, first.baseline, first.relative_orbit) == ("S2A", "13TDE", (5, 10), 98)
    assert first.start == first.end == datetime(2024, 4, 22, 17, 53, 2, 36000, UTC)
    assert first.cloud == pytest.approx(81.34, abs=0.01)
    assert first.assets["B04"].href.endswith("/B04.tif")
    assert first.assets["B04"].size == 50135369
    assert first.assets["B04"].checksum.startswith("1220")
    assert first.product == "S2A_MSIL2A_20240422T173911_N0510_R098_T13TDE_20240423T004950"


def test_planetary_computer_holds_the_start_of_the_datatake():
    first = read(recorded("stac-geoparquet", "sentinel-2-l2a-pc.json")[0])
    assert isinstance(first, Optical)
    assert (first.platform, first.tile, first.baseline, first.relative_orbit) == (
        "S2B",
        "47XML",
        (5, 10),
        122,
    )
    assert first.end - first.start == timedelta(minutes=20)
    assert set(first.assets) == {"B02", "B03", "B04", "B08", "SCL"}


def test_the_data_space_has_its_own_names_and_files_over_https():
    first = read(recorded("openeo-geopyspark", "cdse_s2_l2a_20260527_S2C_N0512.json")[0])
    assert isinstance(first, Optical)
    assert (first.platform, first.tile, first.baseline, first.relative_orbit) == ("S2C", "55WFR", (5, 12), 17)
    assert first.nodata == 0
    assert first.assets["B04"].href.startswith("https://download.dataspace.copernicus.eu/")
    assert file_name(first.assets["B04"].href) == "T55WFR_20260527T014651_B04_10m.jp2"


def test_four_slices_of_the_planetary_computer_are_one_pass():
    items = recorded("stac-geoparquet", "sentinel-1-rtc-pc.json")
    area = Area.of_box(14.4, 30.4, 15.2, 31.0)
    slices = [read(item, area) for item in items]
    assert all(isinstance(one, Slice) and one.geocoded for one in slices)
    assert {(s.platform, s.absolute_orbit, s.relative_orbit, s.state) for s in slices} == {
        ("S1A", 53498, 51, "descending")
    }
    assert slices[0].end - slices[0].start == timedelta(seconds=12)
    assert slices[0].start == datetime(2024, 4, 19, 4, 59, 4, tzinfo=UTC), "not the middle of the slice"
    (one,), rejected = passes_of(slices, area)
    assert len(one.slices) == 2, "the union of the two slices that touch the area"
    assert one.covered == pytest.approx(1, abs=1e-3), "footprints of neighbouring slices hardly touch"
    assert len(rejected) == 2
    assert max(area.covered(s.footprint) for s in one.slices) < 0.9


def test_the_same_product_of_two_catalogues_is_taken_once():
    items = recorded("titiler-openeo", "s1_grd_items_cdse.json") + recorded(
        "titiler-openeo", "s1_grd_items_earth_search.json"
    )
    one, other = (read(item) for item in items)
    assert one.id != other.id
    (found,), rejected = passes_of([one, other], around(items[0]))
    assert len(found.slices) == 1
    assert [r.id for r in rejected] == [other.id]
    assert found.track[:2] == ("ascending", 16), "S1D 3907: (3907 - 42) mod 175 + 1"


def test_a_wide_mode_is_not_taken():
    (item,) = recorded("titiler-openeo", "s1_grd_items_planetary_computer.json")
    found = read(item)
    assert isinstance(found, Rejected)
    assert "EW" in found.reason


def test_high_latitudes_are_no_reason_to_refuse():
    for item in recorded("stac-geoparquet", "sentinel-2-l2a-pc.json"):
        assert isinstance(read(item), Optical), item["id"]


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda i: i.update(geometry=None), "footprint"),
        (lambda i: i.update(geometry={"type": "Polygon", "coordinates": "no"}), "footprint"),
        (
            lambda i: i["geometry"].update(coordinates=[[[-50, 20], [120, 20], [120, 30], [-50, 20]]]),
            "wide",
        ),
        (lambda i: i.update(geometry=shapely.geometry.mapping(shapely.box(20, 23, 21, 24))), "T51RUH"),
        (
            lambda i: i.update(geometry=shapely.geometry.mapping(shapely.box(3e5, 26e5, 4e5, 27e5))),
            "degrees",
        ),
        (lambda i: i["assets"].pop("B08"), "B08"),
        (lambda i: i.update(assets=[]), "files"),
        (lambda i: i["assets"]["B02"].update(href="s3://bucket/B02.jp2"), "B02"),
        (lambda i: i["assets"]["B02"].update(href="/etc/passwd"), "B02"),
        (lambda i: i["properties"].update({"s2:product_type": "S2MSI1C"}), "Level-1C"),
        (lambda i: i["properties"].update(datetime=17), None),
        (lambda i: i.update(properties="no"), "STAC"),
    ],
)
def test_an_item_that_lies_or_lacks_something_is_left_out_with_its_reason(spoil, word):
    item = sentinel2(utc("2024-04-10T02:25"))
    spoil(item)
    found = read_item(item, AREA, Source("test"))
    if word is None:
        assert isinstance(found, Optical), "the product name holds the time"
        assert found.start == utc("2024-04-10T02:25")
    else:
        assert isinstance(found, Rejected)
        assert word in found.reason


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "soon", 5])
def test_a_time_that_is_none_is_taken_from_the_name(time):
    item = sentinel2(utc("2024-04-10T02:25"))
    item["properties"] |= {"datetime": time, "start_datetime": time}
    found = read_item(item, AREA, Source("test"))
    assert isinstance(found, Optical)
    assert found.start == utc("2024-04-10T02:25")


@pytest.mark.parametrize("item", [None, 3, [], {"id": 4, "properties": []}, {"properties": {"datetime": {}}}])
def test_what_is_no_item_is_no_candidate(item):
    assert not isinstance(read_item(item, AREA, Source("test")), Optical | Slice)


def test_files_of_a_folder_must_lie_in_it(tmp_path: Path):
    item = sentinel1(utc("2024-04-10T21:55"), orbit=53400)
    item["assets"]["vv"]["href"], item["assets"]["vh"]["href"] = "./vv.tif", "../../secret/vh.tif"
    found = read_item(item, AREA, Source("folder", tmp_path / "item.json", tmp_path))
    assert isinstance(found, Rejected)
    item["assets"]["vh"]["href"] = "vh.tif"
    found = read_item(item, AREA, Source("folder", tmp_path / "item.json", tmp_path))
    assert isinstance(found, Slice)
    assert found.assets["vv"].href == str(tmp_path / "vv.tif")
