"""Outlines in the layers and columns of other institutions."""

from __future__ import annotations

from pathlib import Path

import pyogrio
import pytest

from landslide_map.errors import UsageError
from landslide_map.products.exchange import PROFILES, load_profile, write_exchange
from landslide_map.products.formats import add_formats, check_formats
from tests.unit.test_formats import finished


def layers(path: Path) -> dict[str, tuple[str, ...]]:
    return {
        str(name): tuple(pyogrio.read_info(path, layer=name)["fields"])
        for name, _ in pyogrio.list_layers(path)
    }


@pytest.mark.parametrize("count", [0, 3])
def test_the_copernicus_package_has_its_layers_in_hectares_and_degrees(tmp_path: Path, count: int) -> None:
    folder = finished(tmp_path / "a", count)
    add_formats(folder, ["cems"])
    path = folder / "landslides_cems.gpkg"
    assert list(layers(path)) == ["observedEventA", "areaOfInterestA", "imageFootprintA", "source"]
    found = pyogrio.read_dataframe(path, layer="observedEventA")
    assert len(found) == count
    assert tuple(found.columns.drop("geometry")) == (
        *("event_type", "obj_desc", "det_method", "notation", "dmg_src_id", "area"),
    )
    assert found.crs.to_epsg() == 4326
    assert set(found["area"]) == ({3.0} if count else set())
    assert set(found["event_type"]) == ({"6 - Mass movement"} if count else set())
    area = pyogrio.read_dataframe(path, layer="areaOfInterestA")
    assert tuple(area.columns[:-1]) == ("emsr_id", "glide_no", "area_id", "locality", "map_type")
    assert len(area) == 1
    parts = pyogrio.read_dataframe(path, layer="imageFootprintA")
    assert parts["obj_type"].tolist() == ["Image Footprint"]
    assert "or_src_id" in parts


def test_a_verdict_decides_method_and_place_in_the_package(tmp_path: Path) -> None:
    folder = finished(tmp_path / "a")
    frame = pyogrio.read_dataframe(folder / "landslides.gpkg", layer="landslides")
    frame["review"] = ["confirmed", "rejected", "unseen"]
    pyogrio.write_dataframe(frame, folder / "landslides.gpkg", layer="landslides", append=False)
    write_exchange(load_profile(PROFILES["cems"]), folder, tmp_path / "out.gpkg")
    found = pyogrio.read_dataframe(tmp_path / "out.gpkg", layer="observedEventA")
    assert found["det_method"].tolist() == ["Semi-automatic extraction", "Automatic extraction"]


def test_the_repository_of_nasa_gets_place_and_identity(tmp_path: Path) -> None:
    folder = finished(tmp_path / "a")
    add_formats(folder, ["coolr"])
    found = pyogrio.read_dataframe(folder / "landslides_coolr.gpkg", layer="landslides")
    ours = pyogrio.read_dataframe(folder / "landslides.gpkg", layer="landslides")
    assert found["event_id"].tolist() == ours["uid"].tolist()
    middle = ours.geometry.representative_point().to_crs(4326)
    assert found["longitude"].tolist() == pytest.approx(middle.x.tolist(), abs=1e-5)
    assert found["latitude"].tolist() == pytest.approx(middle.y.tolist(), abs=1e-5)


PROFILE = "crs: EPSG:3857\nlayers:\n  slides:\n    rows: landslides\n    columns:\n      {}\n"


def test_a_profile_of_your_own_decides_columns(tmp_path: Path) -> None:
    folder = finished(tmp_path / "a")
    own = tmp_path / "own.yaml"
    own.write_text(PROFILE.format("km2: {column: area_m2, factor: 1e-6, digits: 3}\n      who: agency {id}"))
    check_formats([str(own)])
    assert add_formats(folder, [str(own)]) == ("landslides_exchange.gpkg",)
    found = pyogrio.read_dataframe(folder / "landslides_exchange.gpkg", layer="slides")
    assert found.crs.to_epsg() == 3857
    assert found["km2"].tolist() == [0.03] * 3
    assert found["who"].tolist() == ["agency 1", "agency 2", "agency 3"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a list",
        "layers: {}",
        PROFILE.format("a: {column: no_such_column}"),
        PROFILE.format("a: '{no_such_column}'"),
        PROFILE.format("'a; drop table': 1"),
        PROFILE.format("a: {column: id, spell: x}"),
        PROFILE.replace("EPSG:3857", "EPSG:0").format("a: 1"),
        "a: [" * 5000,
    ],
)
def test_a_profile_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    folder = finished(tmp_path / "a")
    before = sorted(folder.iterdir())
    own = tmp_path / "own.yaml"
    own.write_text(text)
    with pytest.raises(UsageError) as refusal:
        add_formats(folder, [str(own)])
    assert refusal.value.code == "E402"
    assert sorted(folder.iterdir()) == before


def test_a_profile_that_is_missing_is_refused_before_a_run() -> None:
    with pytest.raises(UsageError) as refusal:
        check_formats(["no/such/profile.yaml"])
    assert refusal.value.code == "E402"
