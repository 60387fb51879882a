"""Real pixels without landslides: no crash, few alarms, and plain words for what is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr

from landslide_map import map_scene
from landslide_map.mapping.result import MapResult
from landslide_map.reasons import Reason
from tests.support.raised import raised
from tests.support.real_scenes import BIGEARTHNET, SNOWY, TERRAMIND, write_scene
from tests.support.shared_data import shared_data

STRIDE = 32
MOST_ALARMS = 0.05
NAMES = (*TERRAMIND, *BIGEARTHNET)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, MapResult]:
    folder = tmp_path_factory.mktemp("real")
    return {
        name: map_scene(write_scene(folder, name), folder / "out" / name, stride=STRIDE) for name in NAMES
    }


def test_clear_windows_raise_few_alarms(results: dict[str, MapResult]) -> None:
    analysed = sum(result.windows["analysed"] for result in results.values())
    alarms = sum(result.windows["landslide"] for result in results.values())
    assert analysed > 150
    assert alarms <= MOST_ALARMS * analysed, f"{alarms} alarms in {analysed} windows"


@pytest.mark.parametrize("name", SNOWY)
def test_snow_is_named_and_not_called_a_landslide(results: dict[str, MapResult], name: str) -> None:
    result = results[name]
    with xr.open_dataset(result.window_record, engine="scipy") as record:
        snowy = record.reason.values == Reason.SNOW_OR_CLOUD
        assert snowy.mean() > 0.5
        assert np.isnan(record.probability.values[snowy]).all()
    with rasterio.open(result.classes) as classes:
        assert 1 not in classes.read(1)
    assert "W207" in {notice.code for notice in result.notices}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_missing_is_said(results: dict[str, MapResult], name: str) -> None:
    said = " ".join(str(notice) for notice in results[name].notices if notice.code == "W360")
    assert "no image before the event" in said
    assert "no ascending Sentinel-1 track" in said or "no descending Sentinel-1 track" in said
    without_before = {f"optical and {orbit} track after the event" for orbit in ("descending", "ascending")}
    assert set(results[name].windows["scenarios"]) <= {"optical", *without_before}


def test_flat_ground_is_left_out_where_an_elevation_model_says_so(tmp_path: Path) -> None:
    name = "282D_485L_3_3"  # a beach, bright and bare: the optical members alone take it for a scar
    result = map_scene(write_scene(tmp_path, name, dem=True), tmp_path / "out", stride=STRIDE)
    assert result.windows["landslide"] == 0
    assert result.windows["not_analysed"]["flat ground"] > 0.8 * result.windows["planned"]
    with rasterio.open(result.classes) as classes:
        assert (classes.read(1) == Reason.FLAT).mean() > 0.8


def test_an_offset_that_no_pixel_shows_must_be_declared(tmp_path: Path) -> None:

    scene = write_scene(tmp_path, SNOWY[0])
    scene.write_text(scene.read_text().replace("offset: absent", "offset: auto"))
    with raised("E204"):
        map_scene(scene, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_hokkaido_without_near_infrared_is_mapped_as_not_analysed(tmp_path: Path) -> None:
    image = shared_data("real", "hokkaido_2018", "s2_post_rgb_utm54n_10m.tif")
    scene = tmp_path / "hokkaido.yaml"
    scene.write_text(
        "event: {time: 2018-09-05T18:07:59Z}\n"
        f"s2: {{post: {{path: {image}, bands: {{red: 1, green: 2, blue: 3}}, offset: absent, "
        "datetime: 2018-10-10T01:30:00Z}}\n"
    )
    result = map_scene(scene, tmp_path / "out")
    assert result.windows["analysed"] == 0
    assert result.summary().startswith("NOTHING COULD BE ANALYSED")
    assert any(notice.code == "W211" and "nir" in notice.message for notice in result.notices)
    with rasterio.open(result.classes) as classes:
        assert set(np.unique(classes.read(1))) <= {Reason.MISSING_CHANNELS, Reason.NO_DATA}
