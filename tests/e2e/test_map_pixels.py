"""Pixel members on a scene: bits do not depend on blocks, nearness or order; what is missing is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from rasterio.features import geometry_mask

pytest.importorskip("segmentation_models_pytorch")

from landslide_map.errors import BundleError, InputError, LandslideMapError, OutputExistsError
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.mapping.map_pixels import PixelMapOptions, map_pixels
from landslide_map.mapping.map_scene import map_scene
from landslide_map.mapping.pixel_layer import write_pixel_layer
from landslide_map.mapping.redraw import redraw
from landslide_map.models.bundle.combine import add_pixel_members
from landslide_map.models.bundle.load import load_bundle
from landslide_map.models.segmentation.fusion import Fusion
from landslide_map.products.geopackage import read_layer
from landslide_map.runtime.notices import Notices
from landslide_map.scene.model import load_scene
from landslide_map.view.results import ResultView
from tests.support.sample_scene import DENSE, cut_sample
from tests.support.tiny_pixel_bundle import CHANNELS, tiny_pixel_bundle, tiny_spec


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cut_sample(tmp_path_factory.mktemp("scene"), DENSE, (128, 128), images=False)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_pixel_bundle(tmp_path_factory.mktemp("tiny") / "bundle")


def read(path: Path) -> npt.NDArray[np.float32]:
    with rasterio.open(path) as raster:
        assert raster.profile["dtype"] == "float32"
        return np.asarray(raster.read(1))


def test_blocks_change_no_bit(scene: Path, bundle: Path, tmp_path: Path) -> None:
    whole = map_pixels(scene, bundle, tmp_path / "whole.tif")
    assert whole.members == ("tiny",)
    values = read(tmp_path / "whole.tif")
    assert whole.computed == np.isfinite(values).sum() > 0.9 * values.size
    assert 0 <= np.nanmin(values) < np.nanmax(values) <= 1
    map_pixels(scene, bundle, tmp_path / "parts.tif", PixelMapOptions(block=48))
    np.testing.assert_array_equal(read(tmp_path / "parts.tif"), values)


def test_near_outlines_only_with_the_same_bits(scene: Path, bundle: Path, tmp_path: Path) -> None:
    import geopandas as gpd
    from shapely.geometry import box

    with rasterio.open(scene.parent / "dem.tif") as dem:
        left, _, _, top = dem.bounds
        crs = dem.crs
    shapes = gpd.GeoDataFrame(geometry=[box(left + 100, top - 200, left + 150, top - 100)], crs=crs)
    shapes.to_file(tmp_path / "near.gpkg")
    map_pixels(scene, bundle, tmp_path / "whole.tif")
    near = map_pixels(scene, bundle, tmp_path / "near.tif", PixelMapOptions(near=tmp_path / "near.gpkg"))
    whole, part = read(tmp_path / "whole.tif"), read(tmp_path / "near.tif")
    here = np.isfinite(part)
    assert 0 < near.computed == here.sum() < 0.5 * part.size
    assert here[:40, :40].all()
    np.testing.assert_array_equal(part[here], whole[here])


def test_what_the_scene_lacks_and_what_is_there_already(scene: Path, bundle: Path, tmp_path: Path) -> None:
    other = tiny_pixel_bundle(tmp_path / "other", tiny_spec((*CHANNELS[:2], "slope", "l4s_b10")))
    with pytest.raises(InputError) as caught:
        map_pixels(scene, other, tmp_path / "p.tif")
    assert caught.value.code == "E187"
    assert "l4s_b10" in str(caught.value)
    (tmp_path / "p.tif").write_text("mine")
    with pytest.raises(OutputExistsError):
        map_pixels(scene, bundle, tmp_path / "p.tif")
    assert (tmp_path / "p.tif").read_text() == "mine"


def test_a_bundle_of_both_kinds_writes_pixels_near_outlines(
    scene: Path, bundle: Path, tmp_path: Path
) -> None:
    assert add_pixel_members(None, bundle, tmp_path / "both") == ["tiny"]
    both = load_bundle(tmp_path / "both")
    assert len(both.members) == len(load_bundle().members)
    map_scene(scene, tmp_path / "results", bundle=tmp_path / "both")
    near = read(tmp_path / "results" / "pixel_probability.tif")
    map_pixels(scene, bundle, tmp_path / "whole.tif")
    whole = read(tmp_path / "whole.tif")
    here = np.isfinite(near)
    np.testing.assert_array_equal(near[here], whole[here])
    map_scene(scene, tmp_path / "results", bundle=tmp_path / "both", everywhere=True, overwrite=True)
    np.testing.assert_array_equal(read(tmp_path / "results" / "pixel_probability.tif"), whole)


def test_outlines_have_the_means_of_pixel_members_and_are_drawn_without_them(
    scene: Path, bundle: Path, tmp_path: Path
) -> None:
    add_pixel_members(None, bundle, tmp_path / "both")
    map_scene(scene, tmp_path / "with", bundle=tmp_path / "both")
    map_scene(scene, tmp_path / "without")
    reported, plain = (
        read_layer(tmp_path / name / "candidates.gpkg", "candidates") for name in ("with", "without")
    )
    assert reported[0].drop(columns="pixel_probability").equals(plain[0])
    assert "tiny" in reported[1]["pixel_members"]
    assert "pixel_members" not in plain[1]
    probability = read(tmp_path / "with" / "pixel_probability.tif")
    with rasterio.open(tmp_path / "with" / "pixel_probability.tif") as raster:
        for _, row in reported[0].iterrows():
            inside = geometry_mask([row.geometry], raster.shape, raster.transform, invert=True)
            assert row["pixel_probability"] == pytest.approx(np.nanmean(probability[inside]), abs=6e-4)
    drawn = read_layer(tmp_path / "with" / "landslides.gpkg", "landslides")[0]
    assert drawn["pixel_probability"].notna().all()


def test_outlines_of_pixels_are_the_same_from_a_run_and_redrawn(
    scene: Path, bundle: Path, tmp_path: Path
) -> None:
    fusion = Fusion(shift=0.5, pixels=1, outlined=0.5, outlines=0.5, threshold=0.45)
    add_pixel_members(None, bundle, tmp_path / "both", fusion=fusion)
    map_scene(scene, tmp_path / "pixels", bundle=tmp_path / "both", outline="pixels")
    drawn, tags = read_layer(tmp_path / "pixels" / "landslides.gpkg", "landslides")
    assert len(drawn) > 0
    assert set(drawn["method"]) == {"tiny pixels"}
    assert (tags["outline"], tags["outline_threshold_pixels"]) == ("pixels", "0.5")
    assert len(read_layer(tmp_path / "pixels" / "landslides.gpkg", "windows")[0]) > 0
    for source in (None, "pixels"):
        redraw(tmp_path / "pixels", tmp_path / f"again_{source}", source=source)
        again, tags_again = read_layer(tmp_path / f"again_{source}" / "landslides.gpkg", "landslides")
        assert again.equals(drawn)
        added = {"outline_least_area_m2": "0", "redrawn": ""}
        assert {**tags_again, **added} == {**tags, **added}
    view = ResultView.open(tmp_path / "pixels")
    assert view.description()["pixels"]
    shown = view.outlines(0.3)["outlines"]
    redraw(tmp_path / "pixels", tmp_path / "lower", threshold=0.3)
    lower = read_layer(tmp_path / "lower" / "landslides.gpkg", "landslides")[0]
    assert {own["u"] for own in shown if own["d"]} == set(lower["uid"])
    assert {own["u"] for own in shown if "fid" in own} == set(drawn["uid"])
    objects = read_layer(tmp_path / "pixels" / "candidates.gpkg", "candidates")[0]
    made = redraw(tmp_path / "pixels", tmp_path / "objects", source="objects")
    found = read_layer(tmp_path / "objects" / "landslides.gpkg", "landslides")[0]
    assert made.landslides == len(found) > 0
    assert set(found["uid"]) <= set(objects["uid"])
    redraw(tmp_path / "pixels", tmp_path / "joined", source="both", threshold=0.4)
    joined, tags = read_layer(tmp_path / "joined" / "landslides.gpkg", "landslides")
    assert set(joined["method"]) <= {"tiny both"}
    assert (tags["outline"], tags["outline_threshold_both"]) == ("both", "0.4")
    with (tmp_path / "pixels" / "pixel_probability.tif").open("ab") as file:
        file.write(b"edited")
    with pytest.raises(InputError) as caught:
        redraw(tmp_path / "pixels", tmp_path / "none", source="pixels")
    assert caught.value.code == "E175"


def test_outlines_that_the_bundle_or_the_scene_cannot_give_are_refused_first(
    scene: Path, bundle: Path, tmp_path: Path
) -> None:
    lacking = tiny_pixel_bundle(tmp_path / "other", tiny_spec(("red", "slope")))
    add_pixel_members(None, bundle, tmp_path / "both")
    add_pixel_members(None, lacking, tmp_path / "lacking")
    for own, outline, code in (
        (None, "pixels", "E554"),
        ("both", "both", "E556"),
        ("lacking", "pixels", "E187"),
    ):
        options = {} if own is None else {"bundle": tmp_path / own}
        with pytest.raises(LandslideMapError) as caught:
            map_scene(scene, tmp_path / "out", outline=outline, **options)
        assert caught.value.code == code
        assert not (tmp_path / "out").exists()


def test_pixel_members_everywhere_need_pixel_members(scene: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError) as caught:
        map_scene(scene, tmp_path / "out", everywhere=True)
    assert caught.value.code == "E554"


def test_pixel_members_of_a_scene_that_lacks_a_channel_are_left_out(scene: Path, tmp_path: Path) -> None:
    other = tiny_pixel_bundle(tmp_path / "other", tiny_spec(("red", "slope")))
    bundle = load_bundle(other, pixel_members_suffice=True)
    notices = Notices()
    inputs = open_inputs(load_scene(scene))
    layer = write_pixel_layer(tmp_path, inputs, bundle, None, tags={}, notices=notices)
    assert [notice.code for notice in notices.all] == ["W553"]
    assert layer.tags == {}
    assert not (tmp_path / "pixel_probability.tif").exists()
