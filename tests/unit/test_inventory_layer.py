"""Known landslides in the project of a finished map."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import geopandas as gpd
import pyogrio
import pytest
from shapely.geometry import Polygon, box

from landslide_map.errors import InputError, OutputExistsError
from landslide_map.products.geopackage import read_layer, write_geopackage
from landslide_map.products.inventory_layer import show_inventory
from landslide_map.products.project import write_zipped
from tests.unit.test_formats import finished
from tests.unit.test_project import EVENT, TAGS, document


def result(folder: Path) -> Path:
    """A result with the tags of a run in its GeoPackage."""
    finished(folder)
    path = folder / "landslides.gpkg"
    layers = {name: read_layer(path, name)[0] for name in ("landslides", "analysed")}
    path.unlink()
    (folder / "landslides.qgz").unlink()  # its manifest does not name it
    write_geopackage(path, layers, EVENT, {**TAGS, "threshold_lowest": "0.435"}, 0.435)
    return folder


def inventory(folder: Path, *shapes: Polygon) -> Path:
    frame = gpd.GeoDataFrame(geometry=list(shapes), crs=32651).to_crs(4326)
    frame.to_file(folder / "known.geojson")
    return folder / "known.geojson"


def test_the_project_shows_the_inventory_in_the_grid_of_the_map(tmp_path: Path) -> None:
    folder = result(tmp_path / "a")
    before = (folder / "landslides.gpkg").read_bytes()
    known = box(301_000, 2_598_000, 301_200, 2_598_300)
    assert show_inventory(folder, inventory(tmp_path, known)) == ()
    found = pyogrio.read_dataframe(folder / "inventory.gpkg", layer="inventory")
    assert found.crs.to_epsg() == 32651
    assert found.geometry.iloc[0].symmetric_difference(known).area < 1
    assert found["source"].tolist() == ["known.geojson"]
    root = document(folder / "landslides.qgz")
    layers = {layer.findtext("id"): layer for layer in root.iter("maplayer")}
    shown = layers["landslide_map_inventory"]
    assert shown.findtext("datasource") == "./inventory.gpkg|layername=inventory"
    assert shown.get("readOnly") == "1"
    theme = next(one for one in root.iter("visibility-preset") if one.get("name", "").startswith("1"))
    assert "landslide_map_inventory" in {layer.get("id") for layer in theme.iter("layer")}
    assert "landslide_map_image_after" in layers
    assert {"inventory.gpkg", "landslides.qgz"} <= set(
        json.loads((folder / "run.json").read_text())["outputs"]
    )
    assert (folder / "landslides.gpkg").read_bytes() == before
    show_inventory(folder, inventory(tmp_path, known, box(302_000, 2_598_000, 302_100, 2_598_100)))
    assert pyogrio.read_info(folder / "inventory.gpkg", layer="inventory")["features"] == 2


def test_a_project_that_a_person_saved_is_kept(tmp_path: Path) -> None:
    folder = result(tmp_path / "a")
    write_zipped(folder / "landslides.qgz", "<qgis saveDateTime='2026-01-01T00:00:00'/>")
    saved = (folder / "landslides.qgz").read_bytes()
    (notice,) = show_inventory(folder, inventory(tmp_path, box(301_000, 2_598_000, 301_200, 2_598_300)))
    assert notice.code == "I431"
    assert (folder / "landslides.qgz").read_bytes() == saved
    assert (folder / "inventory.gpkg").is_file()


def test_no_file_of_a_user_is_replaced(tmp_path: Path) -> None:
    folder = result(tmp_path / "a")
    known = inventory(tmp_path, box(301_000, 2_598_000, 301_200, 2_598_300))
    shutil.copy(known, folder / "inventory.gpkg")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(OutputExistsError) as refusal:
        show_inventory(folder, known)
    assert refusal.value.code == "E404"
    with pytest.raises(InputError) as missing:
        show_inventory(folder, tmp_path / "none.gpkg")
    assert missing.value.code == "E150"
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
