"""The QGIS project: what QGIS insists on, checked on the XML; QGIS itself is asked in .ci/check_qgis."""

from __future__ import annotations

import zipfile
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import geopandas as gpd
import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS
from shapely.geometry import MultiPolygon, box

from landslide_map.grid import Grid
from landslide_map.products.columns import VERDICTS
from landslide_map.products.geopackage import write_geopackage
from landslide_map.products.imagery import change_colours, read_small, stretch, write_images
from landslide_map.products.project import write_project, write_zipped
from landslide_map.products.project_document import ProjectLayer
from landslide_map.products.reviews import with_review_columns
from landslide_map.products.saved_project import saved_by_person
from landslide_map.products.vector_styles import MANY, style_document

EVENT = datetime(2024, 4, 2, 23, 58, tzinfo=UTC)
GRID = Grid(CRS.from_epsg(32651), Affine(10, 0, 300_000, 0, -10, 2_600_000), 700, 600)
TAGS = {"software": "landslide-map x", "event": "here & <there>", "event_time": EVENT.isoformat()}
TODAY = (
    "uid",
    "id",
    "prob_mean",
    "prob_max",
    "area_m2",
    "event_time",
    "review",
    "comment",
    "reviewer",
    "reviewed_at",
)
OUTLINES = ("uid", "id", "probability", "confidence", *TODAY[4:])


def result(folder: Path, count: int = 3, *, before: bool = False) -> Path:
    """A folder as a run leaves it, with images."""
    folder.mkdir(parents=True)
    shapes = [
        MultiPolygon([box(301_000 + 200 * i, 2_598_000, 301_100 + 200 * i, 2_598_300)]) for i in range(count)
    ]
    found = gpd.GeoDataFrame(
        {"id": range(1, count + 1), "prob_mean": 0.7, "area_m2": 3e4}, geometry=shapes, crs=32651
    )
    area = gpd.GeoDataFrame(
        {"status": ["analysed"], "reason": [""], "scenario": ["all"], "area_m2": [4.2e7]},
        geometry=[MultiPolygon([box(*GRID.bounds)])],
        crs=32651,
    )
    layers = {"landslides": with_review_columns(found), "analysed": area}
    write_geopackage(folder / "landslides.gpkg", layers, EVENT, {}, 0.435)
    names = ("red", "green", "blue", "nir", "desc_pre_vv", "desc_post_vv", "desc_pre_vh", "desc_post_vh")

    def read(name, block):
        values = np.full((block.height, block.width), 1500 + names.index(name), np.float32)
        values[: 10 if block.row == 0 else 0] = np.nan
        return values

    def read_before(block):
        return {name: read(name, block) for name in names[:4]}

    write_images(folder, GRID, names, read, read_before=read_before if before else None, tags=TAGS)
    project = folder / "landslides.qgz"
    write_project(project, folder, threshold=0.435, tags=TAGS, event_time=EVENT)
    return project


def document(project: Path) -> Element:
    with zipfile.ZipFile(project) as archive:
        assert archive.namelist() == ["landslides.qgs"]
        return ElementTree.fromstring(archive.read("landslides.qgs"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Element:
    return document(result(tmp_path_factory.mktemp("made") / "with images"))


def test_a_layer_has_all_that_qgis_insists_on(root: Element) -> None:
    layers = root.findall("projectlayers/maplayer")
    assert len(layers) == 5
    for layer in layers:
        assert layer.get("type") in {"vector", "raster"}
        assert len(layer.findtext("id", "")) > 10
        assert layer.findtext("provider") == ("ogr" if layer.get("type") == "vector" else "gdal")
        assert layer.findtext("layername")
        assert layer.findtext("datasource", "").startswith("./")
        assert layer.findtext("srs/spatialrefsys/srsid") == "1"
        assert layer.findtext("srs/spatialrefsys/authid") == "EPSG:32651"


def test_an_image_before_the_event_is_a_layer_a_theme_and_a_time(tmp_path: Path) -> None:
    root = document(result(tmp_path / "a", before=True))
    names = [layer.findtext("layername") for layer in root.iter("maplayer")]
    assert {"Before, true colour", "Before, false colour (NIR, red, green)"} <= set(names)
    themes = {theme.get("name"): theme for theme in root.iter("visibility-preset")}
    shown = {layer.get("id") for layer in themes["2 Before the event"].iter("layer")}
    assert "landslide_map_image_before" in shown
    assert "landslide_map_image_after" not in shown
    with rasterio.open(tmp_path / "a" / "image_before.tif") as image:
        assert image.tags()["LANDSLIDE_MAP_EVENT_TIME"] == TAGS["event_time"]
        assert image.tags()["LANDSLIDE_MAP_IMAGE"] == "Before, true colour"
        assert image.tags()["TIFFTAG_SOFTWARE"] == TAGS["software"]
        assert image.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


def test_the_tree_the_themes_and_the_legend_name_layers_that_exist(root: Element) -> None:
    layers = {layer.findtext("id"): layer.findtext("datasource") for layer in root.iter("maplayer")}
    tree = [node for node in root.findall("layer-tree-group//layer-tree-layer")]
    assert {node.get("id"): node.get("source") for node in tree} == layers
    assert len(tree) == len(layers)
    themes = {
        preset.get("name"): [n.get("id") for n in preset.findall("layer")]
        for preset in root.iter("visibility-preset")
    }
    assert all(set(ids) <= set(layers) and ids for ids in themes.values())
    legend = [node.get("id") for node in root.find("Layouts").iter("layer-tree-layer")]
    followed = next(root.find("Layouts").iter("LayoutItem")).get("type")
    assert followed == "65638"
    shown = next(item for item in root.iter("LayoutItem") if item.get("id") == "map").get("followPresetName")
    assert set(legend) <= set(themes[shown])


def test_project_has_a_crs_an_ellipsoid_relative_paths_and_a_version_that_old_readers_take(
    root: Element,
) -> None:
    assert root.get("version") == "3.22.0"
    assert root.get("saveDateTime") is None
    assert root.findtext("projectCrs/spatialrefsys/srsid") == "1"
    assert root.findtext("properties/SpatialRefSys/ProjectionsEnabled") == "1"
    assert root.findtext("properties/Measure/Ellipsoid") == "EPSG:7030"
    assert root.findtext("properties/Paths/Absolute") == "false"
    assert root.findtext("properties/landslide_map/event") == "here & <there>"
    extent = root.find("ProjectViewSettings/DefaultViewExtent")
    assert [float(extent.get(key)) for key in ("xmin", "ymin", "xmax", "ymax")] == list(GRID.bounds)


def test_analysed_area_is_read_only_and_landslides_are_not(root: Element) -> None:
    locked = {layer.findtext("id"): layer.get("readOnly") for layer in root.iter("maplayer")}
    assert locked["landslide_map_analysed"] == "1"
    assert locked["landslide_map_landslides"] is None


def test_one_image_of_the_group_is_shown(root: Element) -> None:
    group = next(node for node in root.iter("layer-tree-group") if node.get("mutually-exclusive") == "1")
    checked = [node.get("checked") for node in group]
    assert checked == ["Qt::Checked", "Qt::Unchecked", "Qt::Unchecked"]
    assert group.get("mutually-exclusive-child") == "0"


def test_the_same_result_makes_the_same_bytes_wherever_it_lies(tmp_path: Path) -> None:
    one, other = result(tmp_path / "a"), result(tmp_path / "Ergebnis für März #1")
    assert one.read_bytes() == other.read_bytes()
    for name in ("image_after.tif", "image_change_descending.tif"):
        assert (one.parent / name).read_bytes() == (other.parent / name).read_bytes()


def test_a_result_without_landslides_and_without_images_has_a_project(tmp_path: Path) -> None:
    path = result(tmp_path / "a", count=0)
    for image in path.parent.glob("image_*"):
        image.unlink()
    write_project(path, path.parent, threshold=0.435, tags=TAGS, event_time=EVENT)
    root = document(path)
    assert [layer.findtext("id") for layer in root.iter("maplayer")] == [
        "landslide_map_landslides",
        "landslide_map_analysed",
    ]
    assert root.find("ProjectTimeSettings") is None


def test_a_project_that_qgis_saved_is_told_from_ours(tmp_path: Path) -> None:
    path = tmp_path / "landslides.qgz"
    assert not saved_by_person(path)
    write_zipped(path, '<qgis version="3.22.0"><title/></qgis>')
    assert not saved_by_person(path)
    write_zipped(path, '<qgis version="3.40.6" saveDateTime="2026-11-28T20:00:00"><title/></qgis>')
    assert saved_by_person(path)
    path.write_bytes(b"not a zip")  # whatever it is, it is not ours
    assert saved_by_person(path)


def test_a_short_layer_id_is_refused_because_qgis_would_replace_it() -> None:
    with pytest.raises(ValueError, match="fewer than 11"):
        ProjectLayer("landslide", "x", "./x.tif", pyproj.CRS(32651), lambda _: None)


@pytest.mark.parametrize("columns", [TODAY, OUTLINES], ids=["windows", "outlines"])
def test_the_style_has_alias_widget_default_and_constraint_for_every_column(columns: tuple[str, ...]) -> None:
    root = ElementTree.fromstring(style_document("landslides", columns, 0.435))
    everything = ["fid", *columns]
    for place in (
        "aliases",
        "fieldConfiguration",
        "editable",
        "defaults",
        "constraints",
        "constraintExpressions",
    ):
        fields = [item.get("field") or item.get("name") for item in root.find(place)]
        assert fields == everything, place
    values = root.findall("fieldConfiguration/field[@name='review']//Option[@type='List']/Option/Option")
    assert [item.get("value") for item in values] == list(VERDICTS)
    aliases = {item.get("field"): item.get("name") for item in root.iter("alias")}
    assert all(aliases[name] for name in columns)
    editable = [item.get("name") for item in root.find("editable") if item.get("editable") == "1"]
    assert editable == ["review", "comment", "reviewer"]
    updated = [item.get("field") for item in root.find("defaults") if item.get("applyOnUpdate") == "1"]
    assert updated == ["reviewer", "reviewed_at"]
    shown = [item.get("name") for item in root.iter("attributeEditorField")]
    assert sorted(shown) == sorted(set(columns) - {"uid"})
    assert root.find("labeling//rendering").get("scaleMin") == "1"
    assert columns[2] in root.findtext("previewExpression", "")


@pytest.mark.parametrize("columns", [TODAY, OUTLINES], ids=["windows", "outlines"])
def test_every_outline_is_drawn_hollow_and_by_one_rule(columns: tuple[str, ...]) -> None:
    root = ElementTree.fromstring(style_document("landslides", columns, 0.435))
    rules = root.findall("renderer-v2/rules/rule")
    assert rules[-1].get("filter") == "ELSE"
    assert {rule.get("symbol") for rule in rules} == {
        s.get("name") for s in root.findall("renderer-v2/symbols/symbol")
    }
    kinds = {layer.get("class") for layer in root.findall("renderer-v2/symbols/symbol/layer")}
    assert kinds == {"SimpleLine"}
    for verdict in ("confirmed", "rejected", "unsure", "added"):
        assert sum(f"= '{verdict}'" in rule.get("filter") for rule in rules) == 1


def test_many_outlines_are_drawn_plainly_when_zoomed_out() -> None:
    few, many = (
        ElementTree.fromstring(style_document("landslides", TODAY, 0.435, count))
        for count in (MANY, MANY + 1)
    )
    assert few.find("renderer-v2/rules/rule/rule") is None
    near, far = many.findall("renderer-v2/rules/rule")
    assert (near.get("scalemaxdenom"), far.get("scalemindenom")) == ("100000", "100000")
    assert len(near) == len(far)


def test_a_pixel_without_a_value_is_clear_in_every_band_and_no_other_is(tmp_path: Path) -> None:
    folder = result(tmp_path / "a").parent
    for name in ("image_after.tif", "image_after_false_colour.tif", "image_change_descending.tif"):
        with rasterio.open(folder / name) as source:
            there = source.dataset_mask()
            edge = 10 // round(source.transform.a / 10)
        assert (there[:edge] == 0).all()
        assert (there[edge:] == 255).all()
        pixels, transform = read_small(folder / name, 10_000)
        assert pixels.shape[1:] == there.shape
        assert (pixels[:, :edge] == 0).all()
        assert (pixels[:, edge:] > 0).all()
        assert (transform.c, transform.f) == (300_000, 2_600_000)


def test_colours_of_change_are_blue_white_and_red_and_the_stretch_does_not_depend_on_the_image() -> None:
    change = np.repeat(np.float32([-9, 0, 4]), 10)[None].repeat(9, axis=0)
    change[:3, :3] = np.nan
    assert change_colours(change).shape == (3, 5, 15)
    assert change_colours(change)[:, 0, :3].tolist() == [[0, 33, 33], [0, 102, 102], [0, 172, 172]]
    colours = change_colours(change)[:, 4, [1, 7, 14]]
    assert colours.T.tolist() == [[33, 102, 172], [245, 245, 245], [178, 24, 43]]
    dn = np.float32([[1, 1000, 1300, 4000, 60000]])
    assert stretch(dn, 0.3).tolist() == [[1, 1, 72, 255, 255]]
