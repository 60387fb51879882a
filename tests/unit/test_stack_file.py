"""``stack.tif``: every band named, every pixel as computed, nothing half-written."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio

from landslide_map.bands import ACQUISITIONS, CHANNELS, OPTICAL, SNOW_OR_CLOUD, unit
from landslide_map.errors import OutputExistsError
from landslide_map.inputs.scene_inputs import OpticalImage, RadarImage, RadarTrack, SceneInputs
from landslide_map.products.stack_file import write_stack
from landslide_map.stack import channels
from tests.support import messages
from tests.support.raised import raised
from tests.support.rasters import grid_at, write_band

GRID = grid_at(32633, 300_000, 5_200_020, (520, 24))


@pytest.fixture
def inputs(tmp_path) -> SceneInputs:
    rng = np.random.default_rng(3)
    bands = {
        name: write_band(
            tmp_path / f"{name}.tif", rng.integers(1001, 5000, GRID.shape).astype(np.uint16), GRID
        )
        for name in OPTICAL
    }
    optical = OpticalImage(
        bands, 1.0, 0.0, "baseline 05.09", datetime(2024, 4, 5, tzinfo=UTC), product="S2A_TEST"
    )
    images = {}
    for side, day in (("pre", 1), ("post", 9)):
        values = {
            pol: (
                write_band(tmp_path / f"{side}{pol}.tif", rng.normal(-11, 3, GRID.shape).astype("f4"), GRID),
            )
            for pol in ("vv", "vh")
        }
        when = datetime(2024, 4, day, 6, tzinfo=UTC)
        images[side] = (RadarImage(values, "db", "sigma0", when, "descending", product=f"S1_{side}"),)
    track = RadarTrack("descending", **images)
    return SceneInputs(GRID, datetime(2024, 4, 2, tzinfo=UTC), optical, {"descending": track})


def test_the_file_holds_every_acquisition_and_channel_by_name_with_its_unit(inputs, tmp_path):
    stages: list[tuple[int, int]] = []
    path = write_stack(
        inputs,
        tmp_path / "new" / "stack.tif",
        chunk=512,
        progress=lambda _, done, total: stages.append((done, total)),
    )
    made = channels.lazy_channels(inputs, [*ACQUISITIONS, *CHANNELS, SNOW_OR_CLOUD]).compute()
    with rasterio.open(path) as dataset:
        assert set(dataset.descriptions) == {*ACQUISITIONS, *CHANNELS, SNOW_OR_CLOUD}
        assert len(set(dataset.descriptions)) == dataset.count
        assert (dataset.crs, dataset.transform, dataset.shape) == (GRID.crs, GRID.transform, GRID.shape)
        assert np.isnan(dataset.nodata)
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.overviews(1)
        for index, name in enumerate(dataset.descriptions, start=1):
            assert dataset.units[index - 1] == unit(name)
            np.testing.assert_array_equal(dataset.read(index), made.sel(band=name), err_msg=name)
        tags = dataset.tags()
    assert tags["LANDSLIDE_MAP_EVENT_TIME"] == "2024-04-02T00:00:00+00:00"
    assert tags["LANDSLIDE_MAP_S2_PRODUCT"] == "S2A_TEST"
    assert tags["LANDSLIDE_MAP_DESCENDING_PRE"] == "2024-04-01T06:00:00+00:00"
    assert tags["LANDSLIDE_MAP_DESCENDING_POST_PRODUCTS"] == "S1_post"
    assert stages == [(0, 2), (1, 2), (2, 2)]
    assert [p.name for p in path.parent.iterdir()] == ["stack.tif"]


def test_an_existing_file_is_kept_unless_overwriting_is_requested(inputs, tmp_path):
    path = tmp_path / "stack.tif"
    path.write_text("mine")
    with raised("E401", "stack.tif exists already", "--overwrite"):
        write_stack(inputs, path)
    assert path.read_text() == "mine"
    with raised("E402", messages.IS_A_FOLDER):
        write_stack(inputs, tmp_path, overwrite=True)
    with pytest.raises(OutputExistsError) as refusal:
        write_stack(inputs, path, overwrite=True)
    assert (refusal.value.code, path.read_text()) == ("E404", "mine")
    path.unlink()
    write_stack(inputs, path)
    write_stack(inputs, path, overwrite=True)
    with rasterio.open(path) as dataset:
        assert dataset.descriptions[0] == OPTICAL[0]


def test_an_input_is_never_the_output(inputs, tmp_path):
    path = tmp_path / "stack.tif"
    write_stack(inputs, path)
    with raised("E402", messages.IS_AN_INPUT):
        write_stack(replace(inputs, files=(path,)), path, overwrite=True)


def test_an_input_that_breaks_leaves_what_was_there(inputs, tmp_path):
    path = tmp_path / "stack.tif"
    write_stack(inputs, path)
    content = path.read_bytes()
    broken = Path(inputs.optical.bands["blue"].path)
    broken.write_bytes(broken.read_bytes()[:5000])
    before = sorted(p.name for p in tmp_path.iterdir())
    with raised("E101", "blue.tif: band 1 cannot be read"):
        write_stack(inputs, path, overwrite=True)
    assert path.read_bytes() == content
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_a_file_that_does_not_read_back_is_not_kept(inputs, tmp_path):
    def spoil_when_written(_: str, done: int, total: int) -> None:
        if done == total:
            (blocks,) = tmp_path.glob("**/blocks.tif")
            with rasterio.open(blocks, "r+") as dataset:
                dataset.write(np.zeros((5, 5), np.float32), 1, window=((0, 5), (0, 5)))

    with raised("E601", messages.DOES_NOT_READ_BACK):
        write_stack(inputs, tmp_path / "stack.tif", progress=spoil_when_written)
    assert not (tmp_path / "stack.tif").exists()


def test_a_folder_that_cannot_be_made_is_said_in_words(inputs, tmp_path):
    (tmp_path / "file").write_text("")
    with raised("E601", "stack.tif: cannot be written"):
        write_stack(replace(inputs, tracks={}), tmp_path / "file" / "stack.tif")
