"""Channels of vegetation before and after the event, against the files read directly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from ruamel.yaml import YAML

from landslide_map.errors import InputError
from landslide_map.grid import Block
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.scene.model import load_scene
from landslide_map.stack.pixel_channels import check_available, read_pixel_channels, unavailable
from sample_scenes.simulator.event import simulate_event
from sample_scenes.simulator.options import EventOptions

NAMES = (
    "pre_blue",
    "pre_green",
    "pre_red",
    "pre_nir",
    "ndvi_pre",
    "ndvi_post",
    "dndvi",
    "neg_dndvi",
    "rdndvi",
)
FILES = {"blue": "B02", "green": "B03", "red": "B04", "nir": "B08"}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = EventOptions(5, size=96, confusers=("clouds",), pre_days=(20, 110), list_pre=True)
    return simulate_event(tmp_path_factory.mktemp("scene"), options)


@pytest.fixture(scope="module")
def inputs(scene: Path) -> SceneInputs:
    return open_inputs(load_scene(scene))


def reflectances(scene: Path, listed: dict[str, str]) -> dict[str, npt.NDArray[np.float64]]:
    found = {}
    for name, band in FILES.items():
        with rasterio.open(scene.parent / listed[band]) as source:
            found[name] = source.read(1, masked=True).astype(float).filled(np.nan) - 1000
    return found


def green(bands: dict[str, npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    return (bands["nir"] - bands["red"]) / (bands["nir"] + bands["red"])


def test_the_greenest_image_before_counts_at_each_pixel(scene: Path, inputs: SceneInputs) -> None:
    listed = YAML(typ="safe").load(scene.read_text())["s2"]
    images = [reflectances(scene, own) for own in listed["pre"]]
    post = reflectances(scene, listed["post"])
    rows, cols = inputs.grid.shape
    made = dict(zip(NAMES, read_pixel_channels(inputs, NAMES, Block(0, 0, rows, cols)), strict=True))
    first, second = (green(own) for own in images)
    here = np.isfinite(made["ndvi_pre"])
    # Where neither is hidden, the greener one; a hidden one never.
    either = np.isclose(made["ndvi_pre"], first, atol=1e-6) | np.isclose(made["ndvi_pre"], second, atol=1e-6)
    assert either[here].all()
    best = np.isclose(made["ndvi_pre"], np.maximum(first, second), atol=1e-6)
    assert best[here].mean() > 0.9
    chosen = np.abs(made["ndvi_pre"] - second) < np.abs(made["ndvi_pre"] - first)
    clear = here & (np.abs(first - second) > 1e-5)
    assert 0.05 < chosen[clear].mean() < 0.95
    for name in FILES:
        expected = np.where(chosen, images[1][name], images[0][name]) + 1000
        np.testing.assert_array_equal(made[f"pre_{name}"][clear], expected[clear].astype(np.float32))
    loss = green(post) - made["ndvi_pre"]
    np.testing.assert_allclose(made["ndvi_post"], green(post), atol=1e-6)
    np.testing.assert_allclose(made["dndvi"][here], loss[here], atol=1e-6)
    np.testing.assert_array_equal(made["neg_dndvi"], -made["dndvi"])
    expected = loss / np.sqrt(np.abs(green(post) + made["ndvi_pre"]))
    np.testing.assert_allclose(made["rdndvi"][here], expected[here], atol=1e-5)


def test_blocks_change_no_bit(inputs: SceneInputs) -> None:
    rows, cols = inputs.grid.shape
    whole = read_pixel_channels(inputs, NAMES, Block(0, 0, rows, cols))
    part = read_pixel_channels(inputs, NAMES, Block(17, 31, 40, 23))
    np.testing.assert_array_equal(part, whole[:, 17:57, 31:54])


def test_without_an_image_before_its_channels_are_lacking(scene: Path) -> None:
    text = YAML(typ="safe").load(scene.read_text())
    del text["s2"]["pre"]
    other = scene.with_name("without.yaml")
    YAML().dump(text, other)
    inputs = open_inputs(load_scene(other))
    assert len(unavailable(inputs, NAMES)) == len(NAMES) - 1
    with pytest.raises(InputError) as caught:
        check_available(inputs, ("ndvi_post", "dndvi"), "member")
    assert caught.value.code == "E187"
