"""A map made with networks says in every window exactly what scoring says of that window, cut out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dask
import numpy as np
import pytest
import torch
import xarray as xr

from landslide_map.bands import MODEL_BANDS
from landslide_map.datasets.cut_windows import LabelRule, cut_windows
from landslide_map.datasets.labelled_windows import read_labelled_windows
from landslide_map.features.window_statistics import statistics_and_pixels
from landslide_map.inference.rows import predict_rows
from landslide_map.inference.score import score
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.mapping.map_scene import map_scene
from landslide_map.models.bundle.load import load_bundle
from landslide_map.scene.model import load_scene
from landslide_map.training.windows.train import train
from landslide_map.windows import plan_windows
from tests.support import messages
from tests.support.network_recipes import labelled_windows, tiny_window_recipe
from tests.support.raised import raised
from tests.support.sample_scene import DENSE, SAMPLE, cut_sample


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cut_sample(tmp_path_factory.mktemp("scene"), DENSE, (160, 160), images=False)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a busy machine makes two wait for each other
    out = tmp_path_factory.mktemp("bundle") / "bundle"
    train(*labelled_windows(16), out, recipe=tiny_window_recipe())
    yield out
    torch.set_num_threads(threads)


def test_map_and_scores_agree(scene: Path, bundle: Path, tmp_path: Path) -> None:
    result = map_scene(scene, tmp_path / "map", bundle=bundle, stride=48, device="cpu", outline="windows")
    truth = SAMPLE / "landslides_truth.gpkg"
    everything = LabelRule(0.05, between="negative")
    cut_windows(scene, truth, tmp_path / "data", stride=48, rule=everything, name="s")
    data = read_labelled_windows(tmp_path / "data")
    assert data.windows.ids[4] == "s_00048_00048"
    scored = score(data.windows, bundle, device="cpu")
    with xr.open_dataset(result.window_record, engine="scipy") as windows:
        said = windows.load()
    assert len(scored) == said.probability.size == 9
    for member in ("one", "two"):
        np.testing.assert_array_equal(
            said.member_probability.sel(member=member).values.ravel(), scored[f"p_{member}"].astype("f4")
        )
    np.testing.assert_allclose(said.probability.values.ravel(), scored["probability"], atol=1e-6)
    assert len(set(np.round(scored["p_one"], 4))) > 3


def test_how_windows_are_grouped_and_threads_change_no_bit(scene: Path, bundle: Path) -> None:
    inputs, ensemble, plan = open_inputs(load_scene(scene)), load_bundle(bundle), plan_windows((160, 160), 48)
    (expected,) = predict_rows(inputs, ensemble, plan, 0.75, [0])
    for part in (slice(0, 1), slice(1, 3)):
        some = replace(plan, row_starts=plan.row_starts[part])
        with dask.config.set(num_workers=3):
            (rows,) = predict_rows(inputs, ensemble, some, 0.75, [0])
        networks = [rows.record.members.index(name) for name in ("one", "two")]
        found = rows.record.member_probability[:, networks]
        together = expected.record.member_probability.reshape(3, 3, -1)[part][..., networks]
        np.testing.assert_array_equal(found, together.reshape(found.shape))


def test_a_bundle_without_networks_cuts_no_windows(scene: Path, bundle: Path, tmp_path: Path) -> None:
    assert load_bundle(bundle).needs_pixels
    trees = tmp_path / "trees"
    train(*labelled_windows(16), trees, recipe=tiny_window_recipe(), members=["trees", "more"])
    for own, cut in ((bundle, True), (trees, False)):
        result = map_scene(scene, tmp_path / "map", bundle=own, stride=64, device="cpu", overwrite=True)
        assert ("cut windows" in json.loads(result.manifest.read_text())["timings"]["work"]) == cut


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_cuda_that_is_absent_is_refused_before_anything_is_read(
    scene: Path, bundle: Path, tmp_path: Path
) -> None:
    with raised("E610", messages.NO_CUDA_DEVICE):
        map_scene(scene, tmp_path / "map", bundle=bundle, device="cuda")
    assert not (tmp_path / "map").exists()


@pytest.mark.parametrize("chunks", [None, (1, 1024, 1024), (3, 200, 40)])
@pytest.mark.parametrize("median", [False, True])
def test_streamed_pixels_are_those_of_the_stack(chunks: tuple[int, ...] | None, median: bool) -> None:
    rng = np.random.default_rng(0)
    names = list(MODEL_BANDS[:3])
    values = rng.normal(size=(3, 1100, 80)).astype(np.float32)
    stack = xr.DataArray(values, dims=("band", "y", "x"), coords={"band": names})
    plan = plan_windows((1100, 80), 60)  # windows cross the edge of a block at 1024
    wanted = [names[2], names[0]]
    lazy = stack if chunks is None else stack.chunk(dict(zip(("band", "y", "x"), chunks, strict=True)))
    rows = []
    for first, _, pixels in statistics_and_pixels(lazy, plan, wanted, median=median, slab=5):
        for i, window in enumerate(pixels):
            row, col = divmod(first * plan.grid_shape[1] + i, plan.grid_shape[1])
            top, left = plan.row_starts[row], plan.col_starts[col]
            part = values[[2, 0], top : top + 64, left : left + 64]
            np.testing.assert_array_equal(window, np.moveaxis(part, 0, -1))
            rows.append((row, col))
    assert len(rows) == plan.count
