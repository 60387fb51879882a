"""The QGIS project: what QGIS requires, checked on the XML; QGIS itself opens it in .ci/check_qgis."""

from __future__ import annotations

import zipfile
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
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

from landslide_map.bands import OPTICAL, SHOWN_BEFORE
from landslide_map.grid import Grid
from landslide_map.products.columns import VERDICTS
from landslide_map.products.geopackage import write_geopackage
from landslide_map.products.imagery import change_colours, read_small, smoothed_change, write_images
from landslide_map.products.project import write_project, write_zipped
from landslide_map.products.project_document import ProjectLayer
from landslide_map.products.reviews import with_review_columns
from landslide_map.products.saved_project import saved_by_person
from landslide_map.products.vector_styles import MANY, style_document
from landslide_map.stack.display import change_codes, display_planes, display_strips, shades
from tests.support.raised import raised

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
    channels = [*OPTICAL, "desc_diff_vv", "desc_diff_vh", *(SHOWN_BEFORE.values() if before else ())]
    planes = {name: np.full(GRID.shape, 1500 + i, np.float32) for i, name in enumerate(channels)}
    for plane in planes.values():
        plane[:10] = np.nan
    with TemporaryDirectory() as elsewhere:
        write_images(folder, GRID, kept(Path(elsewhere), [[planes]], GRID), TAGS)
    project = folder / "landslides.qgz"
    write_project(project, folder, threshold=0.435, tags=TAGS, event_time=EVENT)
    return project


def kept(folder: Path, rows: list[list[dict[str, Any]]], grid: Grid) -> dict[str, list[Path]]:
    """Rows of blocks for display, as a checkpoint keeps them."""
    found: dict[str, list[Path]] = {}
    for number, blocks in enumerate(rows):
        strips = display_strips([display_planes(block.keys(), block) for block in blocks], grid, number)
        for name, content in strips.items():
            path = folder / f"{name}-{number}.tif"
            path.write_bytes(content)
            found.setdefault(name, []).append(path)
    return found


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


def test_a_project_that_qgis_saved_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "landslides.qgz"
    assert not saved_by_person(path)
    write_zipped(path, '<qgis version="3.22.0"><title/></qgis>')
    assert not saved_by_person(path)
    write_zipped(path, '<qgis version="3.40.6" saveDateTime="2026-11-28T20:00:00"><title/></qgis>')
    assert saved_by_person(path)
    path.write_bytes(b"not a zip")  # whatever it is, it is not ours
    assert saved_by_person(path)


def test_a_short_layer_id_is_refused_because_qgis_would_replace_it() -> None:
    with raised(ValueError, "fewer than 11"):
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
    change = np.float32([[np.nan, -9, 0, 4]])
    colours = change_colours(change)[:, 0]
    assert colours.T.tolist() == [[0, 0, 0], [33, 102, 172], [245, 245, 245], [178, 24, 43]]
    dn = np.float32([[-5, 1, 1000, 1300, 4000, 60000, np.nan]])
    assert shades(dn, 0.3).tolist() == [[1, 1, 1, 72, 255, 255, 0]]


def test_a_code_of_change_is_the_mean_of_two_polarisations_over_four_pixels() -> None:
    rng = np.random.default_rng(4)
    vv, vh = rng.normal(0, 3, (2, 7, 9)).astype(np.float32)
    vv[:2, :2], vh[4, 4] = np.nan, np.nan
    vv[2:4, :2], vv[2:4, 2:4] = 90, -90
    codes = change_codes(vv, vh)
    assert codes.shape == (4, 5)
    both = np.pad((vv.astype(np.float64) + vh) / 2, ((0, 1), (0, 1)), constant_values=np.nan)
    four = both.reshape(4, 2, 5, 2).transpose(0, 2, 1, 3).reshape(4, 5, 4)
    assert codes[0, 0] == 0
    assert (codes[1, 0], codes[1, 1]) == (255, 1)
    with np.errstate(invalid="ignore"):
        expected = np.clip(
            np.nanmean(np.where(np.isnan(four).all(2)[..., None], 0, four), axis=2), -12.7, 12.7
        )
    shown = codes > 0
    assert shown.sum() == 19
    assert np.abs((codes.astype(float) - 128) * 0.1 - expected)[shown].max() <= 0.0501


def test_images_go_on_across_rows_of_blocks_without_a_seam(tmp_path: Path) -> None:
    grid = Grid(GRID.crs, GRID.transform, 1100, 1051)
    rng = np.random.default_rng(8)
    whole = {name: rng.uniform(1000, 3000, grid.shape).astype(np.float32) for name in OPTICAL}
    whole |= {f"asc_diff_{pol}": rng.normal(0, 2, grid.shape).astype(np.float32) for pol in ("vv", "vh")}
    whole["red"][1020:1030, 5] = np.nan
    cuts = [(slice(0, 1024), slice(1024, None))] * 2
    rows = [
        [{name: plane[down, right] for name, plane in whole.items()} for right in cuts[1]] for down in cuts[0]
    ]
    files = write_images(tmp_path, grid, kept(tmp_path, rows, grid), TAGS)
    assert set(files) == {"image_after.tif", "image_after_false_colour.tif", "image_change_ascending.tif"}
    with rasterio.open(tmp_path / "image_after.tif") as image:
        assert (image.shape, image.transform, image.crs) == (grid.shape, grid.transform, grid.crs)
        hidden = np.argwhere(image.dataset_mask() == 0)
        assert hidden.tolist() == [[row, 5] for row in range(1020, 1030)]
        green = image.read(2)
        found = np.corrcoef(green[1000:1050].ravel(), shades(whole["green"], 0.3)[1000:1050].ravel())
        assert found[0, 1] > 0.7  # JPEG halves colours
    with rasterio.open(tmp_path / "image_change_ascending.tif") as image:
        assert (image.shape, image.transform.a, image.transform.f) == ((526, 550), 20, grid.transform.f)
        codes = change_codes(whole["asc_diff_vv"], whole["asc_diff_vh"])
        expected = change_colours(smoothed_change(codes))
        assert np.abs(image.read().astype(int) - expected)[:, 505:520].mean() < 12


def test_smoothed_change_is_the_mean_of_the_pixels_around_that_are_there() -> None:
    codes = np.array([[0, 138, 128], [118, 128, 168], [0, 0, 128]], np.uint8)
    found = smoothed_change(codes)
    assert np.isnan(found[0, 0])
    assert found[1, 1] == pytest.approx(np.mean([1.0, 0.0, -1.0, 0.0, 4.0, 0.0]))
    assert found[0, 2] == pytest.approx(np.mean([1.0, 0.0, 0.0, 4.0]))
