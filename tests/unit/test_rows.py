"""Rows of blocks predicted alone, in any order, make the classification of the whole scene."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from landslide_map.bands import MODEL_BANDS
from landslide_map.features.window_statistics import statistics_and_pixels
from landslide_map.inference.gather import assemble_result
from landslide_map.inference.rows import RowResult, predict_rows
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.scene_inputs import RadarComposite, RadarTrack, SceneInputs
from landslide_map.models.bundle.load import load_bundle
from landslide_map.scene.model import load_scene
from landslide_map.stack.channels import model_stack, outside_training_domain
from landslide_map.stack.pixel_sample import sampling_step
from landslide_map.windows import plan_windows
from tests.support import messages
from tests.support.bytes_read import bytes_read
from tests.support.raised import raised
from tests.support.tall_scene import write_tall_scene


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> SceneInputs:
    return open_inputs(load_scene(write_tall_scene(tmp_path_factory.mktemp("tall"))))


def same(a: RowResult, b: RowResult) -> bool:
    one, other = a.record.arrays() | a.sample, b.record.arrays() | b.sample
    return list(one) == list(other) and all(one[name].tobytes() == other[name].tobytes() for name in one)


@pytest.mark.parametrize("stride", [64, 40])
def test_rows_of_blocks_predicted_alone_have_the_same_bits(inputs: SceneInputs, stride: int) -> None:
    ensemble, plan = load_bundle(), plan_windows(inputs.grid.shape, stride)
    together = list(predict_rows(inputs, ensemble, plan, 0.75, plan.block_rows))
    alone = [row for k in (2, 0, 1) for row in predict_rows(inputs, ensemble, plan, 0.75, [k])]
    gap = list(predict_rows(inputs, ensemble, plan, 0.75, [0, 2]))
    assert [row.block_row for row in together] == [0, 1, 2]
    for name in MODEL_BANDS:
        every = slice(None, None, sampling_step(inputs.grid.shape))
        pixels = model_stack(inputs, [name]).isel(band=0, y=every, x=every)
        sampled = np.concatenate([row.sample[name] for row in together])
        np.testing.assert_array_equal(np.sort(sampled), np.sort(pixels.to_numpy().ravel()))
    assert [row.block_row for row in gap] == [0, 2]
    assert all(same(together[row.block_row], row) for row in (*alone, *gap))
    found = assemble_result(alone, ensemble, plan).record
    assert len(np.unique(found.probability[np.isfinite(found.probability)])) > plan.count // 2
    assert len(np.unique(found.scenario)) > 1


def test_a_run_says_which_bands_are_far_from_the_training_data(inputs: SceneInputs) -> None:
    ensemble, plan = load_bundle(), plan_windows(inputs.grid.shape, 64)
    rows = list(predict_rows(inputs, ensemble, plan, 0.75, plan.block_rows))
    reported = assemble_result(rows, ensemble, plan)
    assert list(reported.distributions) == list(MODEL_BANDS)
    step = sampling_step(inputs.grid.shape)
    some = model_stack(inputs, ["red"]).to_numpy()[0, ::step, ::step]
    found = reported.distributions["red"]
    assert found["scene"] == pytest.approx(np.nanquantile(some, (0.05, 0.5, 0.95)))
    assert found["valid"] == pytest.approx(np.isfinite(some).mean(), abs=1e-4)
    brighter = [replace(row, sample=row.sample | {"red": row.sample["red"] * 8}) for row in rows]
    far = [
        {notice.message.split(":")[0] for notice in classified.notices if notice.code == "W340"}
        for classified in (reported, assemble_result(brighter, ensemble, plan))
    ]
    assert "red" not in far[0]
    assert far[1] == far[0] | {"red"}


@pytest.mark.parametrize("composite", [False, True])
def test_absolute_backscatter_of_a_terrain_flattened_track_is_not_read(
    inputs: SceneInputs, composite: bool
) -> None:
    """Differences stay; so does the other track. Members of all channels then do not vote."""
    track = inputs.tracks["descending"]
    if composite:
        bands = {name: track.post[0].bands["vv"][0] for name in ("post_vv", "post_vh", "diff_vv", "diff_vh")}
        flattened = RadarTrack("descending", composite=RadarComposite(bands, "gamma0_rtc"))
    else:
        sides = [
            tuple(replace(image, quantity="gamma0_rtc") for image in images)
            for images in (track.pre, track.post)
        ]
        flattened = RadarTrack("descending", *sides)
    scene = replace(inputs, tracks={**inputs.tracks, "descending": flattened})
    level = replace(track, post=tuple(replace(image, quantity="gamma0") for image in track.post))
    for usable in (track, level):  # gamma0 of the ellipsoid is one decibel off, W313, not another measure
        assert not outside_training_domain(replace(inputs, tracks={**inputs.tracks, "descending": usable}))
    assert outside_training_domain(scene) == {"desc_vv", "desc_vh"}
    assert not outside_training_domain(replace(scene, every_member=True))
    if not composite:
        ensemble, plan = load_bundle(), plan_windows(inputs.grid.shape, 64)
        (row,) = predict_rows(scene, ensemble, plan, 0.75, [0])
        readers = [i for i, m in enumerate(ensemble.members) if {"desc_vv", "desc_vh"} & set(m.channels)]
        assert readers
        assert np.isnan(row.record.member_probability[:, readers]).all()
        assert np.isfinite(row.record.probability).any()
        (row,) = predict_rows(replace(scene, every_member=True), ensemble, plan, 0.75, [0])
        assert np.isfinite(row.record.member_probability[:, readers]).any()


def test_every_window_is_counted_once(inputs: SceneInputs) -> None:
    plan = plan_windows(inputs.grid.shape, 64)
    counts: list[int] = []
    list(predict_rows(inputs, load_bundle(), plan, 0.75, [1, 2], counts.append))
    rows = len(plan.ending_in(1)) + len(plan.ending_in(2))
    assert sum(counts) == rows * plan.grid_shape[1]


def test_a_missing_row_of_blocks_is_never_taken_for_no_landslide(inputs: SceneInputs) -> None:
    ensemble, plan = load_bundle(), plan_windows(inputs.grid.shape, 64)
    rows = list(predict_rows(inputs, ensemble, plan, 0.75, [0, 1]))
    with raised(ValueError, messages.ROWS_OF_BLOCKS):
        assemble_result(rows, ensemble, plan)


def test_only_the_shared_pixels_above_are_read_again(inputs: SceneInputs) -> None:
    """The first window that crosses row 2048 begins at 50 x 40: 48 + 152 rows of pixels, not 1024 + 152."""
    bundle, plan = load_bundle(), plan_windows(inputs.grid.shape, 40)
    read = []
    for block_row in (0, 0, 2):  # once for what is imported
        before = bytes_read()
        list(predict_rows(inputs, bundle, plan, 0.75, [block_row]))
        read.append(bytes_read() - before)
    assert read[2] < 0.4 * read[1]


def test_medians_and_pixels_of_later_rows_alone_are_those_of_the_whole(inputs: SceneInputs) -> None:
    plan = plan_windows(inputs.grid.shape, 40)
    stack: xr.DataArray = model_stack(inputs, ["red", "nir"])
    whole = list(statistics_and_pixels(stack, plan, ["nir"], median=True))
    alone = list(statistics_and_pixels(stack, plan, ["nir"], median=True, block_rows=range(1, 3)))
    assert [first for first, _, _ in alone] == [first for first, _, _ in whole[1:]]
    for (_, statistics, pixels), (_, expected, same_pixels) in zip(alone, whole[1:], strict=True):
        xr.testing.assert_identical(statistics, expected)
        np.testing.assert_array_equal(pixels, same_pixels)
