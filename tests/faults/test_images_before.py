"""Sentinel-2 images before the event: what they add, and what is refused or warned of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from ruamel.yaml import YAML

from landslide_map.bands import NDVI_BEFORE, SLOPE
from landslide_map.errors import InputError
from landslide_map.inference.kept_pixels import Kept
from landslide_map.inference.rows import predict_rows
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.models.bundle.load import load_bundle
from landslide_map.scene.model import load_scene
from landslide_map.stack.acquisitions import read_optical_before
from landslide_map.stack.channels import lazy_channels
from landslide_map.windows import plan_windows
from sample_scenes.simulator import EventOptions, simulate_event


@pytest.fixture(scope="module")
def event(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("event")
    options = EventOptions(5, size=128, slides_per_km2=8, pre_days=(20, 60), list_pre=True)
    return simulate_event(folder, options)


def opened(path: Path, change: Callable[[Any], None] = lambda _: None) -> SceneInputs:
    yaml = YAML()
    document = yaml.load(path.read_text())
    change(document["s2"]["pre"])
    other = path.with_name("changed.yaml")
    with other.open("w") as file:
        yaml.dump(document, file)
    return open_inputs(load_scene(other))


def codes(inputs: SceneInputs) -> set[str]:
    return {notice.code for notice in inputs.notices}


def painted_over(path: Path, value: int, rows: slice = slice(None)) -> Path:
    """Copy a raster with some rows set to a value."""
    other = path.with_name(f"painted_{path.name}")
    with rasterio.open(path) as source:
        pixels, profile = source.read(), source.profile
    pixels[:, rows] = value
    with rasterio.open(other, "w", **profile) as target:
        target.write(pixels)
    return other


def test_the_latest_clear_image_gives_the_vegetation_before(event: Path) -> None:
    inputs = opened(event)
    latest, older = inputs.optical_before
    assert latest.acquired is not None
    assert older.acquired is not None
    assert older.acquired < latest.acquired < inputs.event_time
    ndvi = lazy_channels(inputs, [NDVI_BEFORE]).sel(band=NDVI_BEFORE).values
    red, nir = (
        rasterio.open(latest.bands[name].path).read(1).astype(np.float64) - 1000 for name in ("red", "nir")
    )
    clear = np.isfinite(ndvi) & (red > 0)
    assert clear.mean() > 0.9
    # The scene classification hides a bright pixel here and there, which the older image then shows.
    assert np.isclose(ndvi[clear], ((nir - red) / (nir + red))[clear], atol=1e-5).mean() > 0.99


def test_outlines_use_the_vegetation_before_and_the_slope_which_no_member_reads(event: Path) -> None:
    inputs, ensemble = opened(event), load_bundle()
    plan = plan_windows(inputs.grid.shape, 64)
    (row,) = predict_rows(inputs, ensemble, plan, 0.75, plan.block_rows, kept=Kept(outlines=True))
    (plain,) = predict_rows(inputs, ensemble, plan, 0.75, plan.block_rows)
    assert row.record.probability.tobytes() == plain.record.probability.tobytes()
    assert row.strip is not None
    assert NDVI_BEFORE in row.strip.layers
    assert (SLOPE in row.strip.layers) == (inputs.dem is not None)
    before = row.strip.codes[:, row.strip.layers.index(NDVI_BEFORE)]
    assert (before > 0).mean() > 0.5


def test_a_hidden_pixel_is_read_from_the_older_image(event: Path) -> None:
    def cloud_in_the_north(pre: Any) -> None:
        newest = max(pre, key=lambda image: image["datetime"])
        newest["SCL"] = str(painted_over(event.parent / newest["SCL"], 9, slice(0, 30)))

    inputs = opened(event, cloud_in_the_north)
    ndvi = lazy_channels(inputs, [NDVI_BEFORE]).sel(band=NDVI_BEFORE).values
    older = inputs.optical_before[1]
    red, nir = (
        rasterio.open(older.bands[name].path).read(1).astype(np.float64) - 1000 for name in ("red", "nir")
    )
    clear = np.isfinite(ndvi) & (red > 0)
    clear[60:] = False
    assert clear[:60].mean() > 0.9
    np.testing.assert_allclose(ndvi[clear], ((nir - red) / (nir + red))[clear], atol=1e-5)


def test_the_image_shown_is_clear_where_one_of_them_is(event: Path) -> None:
    def cloud_in_the_north(pre: Any) -> None:
        newest = max(pre, key=lambda image: image["datetime"])
        newest["SCL"] = str(painted_over(event.parent / newest["SCL"], 9, slice(0, 30)))

    inputs = opened(event, cloud_in_the_north)
    shown = read_optical_before(inputs.optical_before, inputs.grid, next(inputs.grid.blocks()))
    assert list(shown) == ["red", "green", "blue", "nir"]
    for name, values in shown.items():
        latest, older = (rasterio.open(image.bands[name].path).read(1) for image in inputs.optical_before)
        same = [np.isclose(values, own.astype(np.float32)) for own in (latest, older)]
        assert same[1][:60].mean() > 0.9, name
        assert same[0][64:].mean() > 0.9, name
        assert np.isfinite(values).all()  # under cloud in both: the latest one


@pytest.mark.parametrize(("code", "value"), [("W217", 9), ("W216", 11)])
def test_an_image_under_cloud_or_snow_is_warned_of(event: Path, code: str, value: int) -> None:
    def hide(pre: Any) -> None:
        for image in pre:
            image["SCL"] = str(painted_over(event.parent / image["SCL"], value))

    assert code not in codes(opened(event))
    assert code in codes(opened(event, hide))


def test_an_image_of_a_leafless_season_is_warned_of_with_both_dates(event: Path) -> None:
    def without_leaves(pre: Any) -> None:
        for image in pre:  # bare wood is as bright in red as in near infrared
            image["B08"] = str(painted_over(event.parent / image["B08"], 1900))

    inputs = opened(event, without_leaves)
    (notice, _) = [notice for notice in inputs.notices if notice.code == "W216"]
    latest, after = inputs.optical_before[0].acquired, inputs.optical and inputs.optical.acquired
    assert latest is not None
    assert after is not None
    assert f"{latest:%Y-%m-%d}" in notice.message
    assert f"{after:%Y-%m-%d}" in notice.message


@pytest.mark.parametrize("when", ["2024-09-30T02:00:00Z", None])
def test_an_image_that_is_not_surely_from_before_is_refused(event: Path, when: str | None) -> None:
    def dated(pre: Any) -> None:
        for image in pre:
            image["datetime"] = when
            if when is None:
                for band in ("B02", "B03", "B04", "B08"):
                    image[band] = str(painted_over(event.parent / image[band], 1, slice(0, 0)))
                    undated = Path(image[band]).with_name(f"undated_{len(pre)}_{band}.tif")
                    Path(image[band]).rename(undated)
                    with rasterio.open(undated, "r+") as target:
                        target.update_tags(DATETIME="")
                    image[band] = str(undated)

    with pytest.raises(InputError) as error:
        opened(event, dated)
    assert error.value.code == "E210"


def test_an_image_of_another_tile_is_refused(event: Path) -> None:
    def moved(pre: Any) -> None:
        for image in pre:
            for band in ("B02", "B03", "B04", "B08", "SCL"):
                path = painted_over(event.parent / image[band], 1, slice(0, 0))
                with rasterio.open(path, "r+") as target:
                    target.transform = Affine.translation(50_000, 0) @ target.transform
                image[band] = str(path)

    with pytest.raises(InputError) as error:
        opened(event, moved)
    assert error.value.code == "E211"
