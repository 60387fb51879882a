"""`landslide-map init`: a scene.yaml from a folder, which passes `check` or says what is missing."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import shapely
from click.testing import CliRunner, Result
from rasterio.warp import transform_bounds

from cli.main import cli
from landslide_map.errors import LandslideMapError
from landslide_map.inputs.describe_folder import TEMPLATE
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.scene.model import load_scene
from tests.support.radar_files import write
from tests.support.safe_product import land, write_product
from tests.unit.test_radar_families import EVENT, hyp3, opera, planetary_computer


def init(folder: Path | None, out: Path, *more: str) -> Result:
    return CliRunner().invoke(cli, ["init", *([str(folder)] if folder else []), "--out", str(out), *more])


@pytest.mark.parametrize("make", [hyp3, opera, planetary_computer])
def test_images_of_a_folder_become_a_scene_that_can_be_read(tmp_path: Path, make):
    images = tmp_path / "my images"
    make(images / "radar")
    product = write_product(images, land(1000, (128, 120)))
    write(images / "dem.tif", np.ones((80, 90), np.float32))
    (images / "area.geojson").write_text("{}")
    out = tmp_path / "scenes" / "scene.yaml"
    result = init(images, out, "--event-time", EVENT)
    assert result.exception is None, result.output
    assert "missing" not in result.output
    scene = load_scene(out)
    assert scene.s2 is not None
    assert scene.s2.post.path is not None
    assert scene.s2.post.path.resolve() == product
    assert scene.dem is not None
    assert scene.dem[0].resolve() == images / "dem.tif"
    assert scene.s1 is not None
    (track,) = scene.s1.tracks.values()
    assert (len(track.pre or ()), len(track.post or ())) == (1, 1)
    assert f"{product.name}" in out.read_text()


def test_the_scene_opens(tmp_path: Path):
    hyp3(tmp_path)
    box = shapely.box(*transform_bounds("EPSG:32651", "EPSG:4326", 400_100, 2_649_300, 400_850, 2_649_950))
    (tmp_path / "area.geojson").write_text(shapely.to_geojson(box))
    out = tmp_path / "scene.yaml"
    result = init(tmp_path, out, "--event-time", EVENT)
    assert "missing: a Sentinel-2 image after the event" in result.output
    inputs = open_inputs(load_scene(out))
    assert inputs.tracks["ascending"].pre[0].relative_orbit == 68


def test_without_a_time_it_says_what_is_missing(tmp_path: Path):
    hyp3(tmp_path)
    result = init(tmp_path, tmp_path / "scene.yaml")
    assert result.exit_code == 0
    assert "missing: the time of the event" in result.output
    with pytest.raises(LandslideMapError) as error:
        load_scene(tmp_path / "scene.yaml")
    assert error.value.code == "E003"


def test_the_template_is_a_scene(tmp_path: Path):
    assert init(None, tmp_path / "scene.yaml").exit_code == 0
    scene = load_scene(tmp_path / "scene.yaml")
    assert scene.s1 is not None
    assert (tmp_path / "scene.yaml").read_text() == TEMPLATE
    assert init(None, Path("-")).stdout == TEMPLATE


def test_a_scene_that_is_there_is_not_replaced(tmp_path: Path):
    out = tmp_path / "scene.yaml"
    assert init(None, out).exit_code == 0
    written = out.read_text()
    result = init(None, out)
    assert isinstance(result.exception, LandslideMapError)
    assert result.exception.code == "E401"
    assert out.read_text() == written


def test_a_place_that_cannot_be_written_is_reported(tmp_path: Path):
    (tmp_path / "file").write_text("")
    result = init(None, tmp_path / "file" / "scene.yaml")
    assert isinstance(result.exception, LandslideMapError)
    assert result.exception.code == "E601"


@pytest.mark.parametrize("lead", ["", "20240410_", "T51RUH_20240410T022529_"])
def test_plain_band_files_are_an_image(tmp_path: Path, lead: str):
    images = tmp_path / "images"
    names = ("blue", "green", "red", "nir") if not lead else ("B02", "B03", "B04", "B08")
    for old, name in zip(("B02", "B3", "B04", "B08"), names, strict=True):
        write(images / f"{lead}{name}.tif", np.ones((80, 90), np.float32))
        write(images / f"20240301_{old}.tif", np.ones((80, 90), np.float32))
    result = init(images, tmp_path / "scene.yaml", "--event-time", EVENT)
    assert result.exception is None, result.output
    scene = load_scene(tmp_path / "scene.yaml")
    assert scene.s2 is not None
    files = {band: path.name for band, path in scene.s2.post.band_files.items()}
    assert files == dict(
        zip(("blue", "green", "red", "nir"), (f"{lead}{name}.tif" for name in names), strict=True)
    )
    assert ("missing: when" in result.output) == (scene.s2.post.datetime is None) == (not lead)
    if lead:
        assert scene.s2.post.datetime is not None
        assert f"{scene.s2.post.datetime:%Y%m%d}" == "20240410"
    text = re.sub("(?m)^  # ", "  ", (tmp_path / "scene.yaml").read_text())
    (tmp_path / "both.yaml").write_text(text)
    both = load_scene(tmp_path / "both.yaml")
    assert both.s2 is not None
    assert both.s2.pre is not None
    assert both.s2.pre[0].band_files["green"].name == "20240301_B3.tif"


@pytest.mark.parametrize("name", ["absent", "."])
def test_a_folder_without_images(tmp_path: Path, name: str):
    result = init(tmp_path / name, tmp_path / "scene.yaml", "--event-time", EVENT)
    assert isinstance(result.exception, LandslideMapError)
    assert result.exception.code == "E101"
    assert not (tmp_path / "scene.yaml").exists()
