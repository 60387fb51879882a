"""Exact early exit runs fewer members and draws the same classes and outlines, at any stride."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import torch
import xarray as xr
from scipy.special import expit

from landslide_map.bands import MODEL_BANDS
from landslide_map.inference.gather import assemble_result
from landslide_map.inference.rows import predict_rows
from landslide_map.inference.score import score
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.mapping.map_scene import map_scene
from landslide_map.mapping.memory_plan import SMALLEST
from landslide_map.models.bundle.format import MemberEntry
from landslide_map.models.bundle.load import Bundle, load_bundle
from landslide_map.models.bundle.skipped import skipping
from landslide_map.models.published.import_weights import import_nasios
from landslide_map.models.voting.calibration import Calibration
from landslide_map.models.voting.scenario import Average, Scenario
from landslide_map.products.painting import mean_over
from landslide_map.products.rasters import classify
from landslide_map.reasons import Reason
from landslide_map.runtime.memory_limit import MemoryPlan, memory_limited_to
from landslide_map.scene.model import load_scene
from landslide_map.window_record import WindowRecord, joined
from landslide_map.windows import WindowPlan, plan_windows
from tests.support.sample_scene import DENSE, DENSE_SHAPE, cut_sample
from tests.support.tall_scene import write_tall_scene
from tests.support.tiny_ensemble import WINDOWS, use_tiny_encoders, write_weights


@dataclass(frozen=True)
class Brightness:
    """Member: the brightness of a band in a window, to the bit the same with any other members."""

    name: str
    band: str
    centre: float
    slope: float
    predicted: list[int] = field(default_factory=list)
    input: Literal["pixels"] = "pixels"

    @property
    def channels(self) -> tuple[str, ...]:
        return (self.band,)

    def predict(self, x: Any) -> np.ndarray:
        self.predicted.append(len(x))
        means = np.array([np.nanmean(w[..., MODEL_BANDS.index(self.band)], dtype=float) for w in x])
        return expit((means - self.centre) * self.slope)


def ensemble(average: Average = "probability") -> Bundle:
    """Five pixel members that mostly agree, in two scenarios of unlike thresholds and means."""
    bands = (("red", 1900), ("green", 1980), ("nir", 3400), ("red", 2000))
    members = [Brightness(f"m{i}", band, centre, 0.02) for i, (band, centre) in enumerate(bands)]
    members.append(Brightness("radar", "desc_vv", -10.5, 4.0))
    weights = {"m0": 1.0, "m1": 1.0, "m2": 2.0, "m3": 1.0, "radar": 0.5}
    curve = Calibration(slope=0.7, shift=-0.2)
    scenarios = (
        Scenario("all", weights, 0.45, average=average, calibration=curve),
        Scenario("any member", weights, 0.6, needs_all=False),
    )
    bundle = load_bundle()
    entries = tuple(
        MemberEntry(
            name=member.name,
            kind="network",
            input="pixels",
            channels=member.channels,
            files=("x",),
            settings={"gflop": cost},
        )
        for member, cost in zip(members, (3, 1, 2, 5, 4), strict=True)
    )
    document = bundle.document.model_copy(update={"members": entries})
    return replace(bundle, document=document, members=tuple(members), scenarios=scenarios)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> SceneInputs:
    return open_inputs(load_scene(write_tall_scene(tmp_path_factory.mktemp("tall"), rows=1300)))


def painted(record: WindowRecord, plan: WindowPlan) -> tuple[np.ndarray, np.ndarray]:
    """Classes and probabilities of patches of pixels, by the very functions that write the map."""
    probability, threshold = mean_over(record.probability, plan), mean_over(record.threshold, plan)
    return classify(probability, threshold, Reason.NO_DATA), probability


@pytest.mark.parametrize("average", ["probability", "logit"])
@pytest.mark.parametrize("stride", [64, 48, 16])
def test_classes_of_windows_and_pixels_are_those_of_a_full_run(
    inputs: SceneInputs, stride: int, average: Average
) -> None:
    plan = plan_windows(inputs.grid.shape, stride)
    full, quick = ensemble(average), skipping(ensemble(average), early_exit=True)
    records = [
        assemble_result(predict_rows(inputs, bundle, plan, 0.75, plan.block_rows), bundle, plan)
        for bundle in (full, quick)
    ]
    (classes, probability), (quick_classes, quick_probability) = (painted(r.record, plan) for r in records)
    assert len(np.unique(classes[np.isfinite(probability)])) == 2
    assert len(np.unique(records[0].record.scenario)) == 2
    np.testing.assert_array_equal(quick_classes, classes)
    np.testing.assert_array_equal(records[1].record.positive, records[0].record.positive)
    votes, true = records[1].record, records[0].record.probability
    low, high = votes.probability_low, votes.probability_high
    assert low is not None
    assert high is not None
    inside = np.isfinite(true)
    for value in (true, votes.probability):
        assert (low[inside] - 1e-12 <= value[inside]).all()
        assert (value[inside] <= high[inside] + 1e-12).all()
    # Windows with all predictions have the same bits.
    whole = inside & ~votes.skipped.any(axis=-1)
    np.testing.assert_array_equal(votes.probability[whole], true[whole])
    np.testing.assert_array_equal(low[whole], high[whole])
    assert 0 < whole.sum() < inside.sum()
    # An open vote moves a mean of log-odds much further than one of probabilities, so less is decided early.
    least = 0.1 if average == "probability" else 0.0
    assert votes.skipped.sum() > least * np.isfinite(records[0].record.member_probability).sum()
    predicted = [sum(member.predicted) for member in quick.members]
    assert predicted == np.isfinite(votes.member_probability).sum(axis=(0, 1)).tolist()
    assert not votes.skipped[..., 1].any(), "the cheapest member predicts everywhere"
    assert sum(predicted) < sum(sum(member.predicted) for member in full.members)
    assert not np.array_equal(quick_probability, probability, equal_nan=True)


def test_what_is_skipped_does_not_depend_on_how_rows_of_blocks_are_shared_out(inputs: SceneInputs) -> None:
    plan = plan_windows(inputs.grid.shape, 40)
    quick = skipping(ensemble(), early_exit=True)
    together = list(predict_rows(inputs, quick, plan, 0.75, [0, 1]))
    alone = [row for number in (1, 0) for row in predict_rows(inputs, quick, plan, 0.75, [number])]
    for row, same in zip(together, reversed(alone), strict=True):
        np.testing.assert_array_equal(row.record.skipped, same.record.skipped)
        np.testing.assert_array_equal(row.record.probability, same.record.probability)
    assert together[0].record.skipped.any()


def test_what_is_skipped_does_not_depend_on_a_limit_of_memory(inputs: SceneInputs) -> None:
    plan = plan_windows(inputs.grid.shape, 24)
    quick = skipping(ensemble(), early_exit=True)
    found = []
    for memory in (MemoryPlan(), SMALLEST, MemoryPlan(threads=3, read_ahead=False)):
        with memory_limited_to(memory):
            rows = predict_rows(inputs, quick, plan, 0.75, plan.block_rows, read_ahead=memory.read_ahead)
            found.append(joined([row.record for row in rows]))
    for votes in found[1:]:
        for name, values in votes.arrays().items():
            assert values.tobytes() == found[0].arrays()[name].tobytes(), name
    assert found[0].skipped.any()


def write_sure_weights(folder: Path, version: str, usual: float) -> None:
    """Write weights of a network that is sure of every window; `usual` is the logit of one like any other."""
    path = write_weights(folder, version, 0)
    state = torch.load(path, weights_only=True)
    state["clf.weight"] *= 20
    state["clf.bias"] = (state["clf.bias"] - usual) * 20
    torch.save(state, path)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        use_tiny_encoders(patch)
        for version, usual in {"v31": 1.4, "v33": 0.6, "v37": 0.2}.items():
            write_sure_weights(folder, version, usual)
        import_nasios(folder, folder / "bundle")
    return folder / "bundle"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cut_sample(tmp_path_factory.mktemp("scene"), DENSE, DENSE_SHAPE, images=False)


def test_a_map_of_networks_keeps_its_classes_and_outlines_and_says_what_it_did(
    networks: Path, scene: Path, tmp_path: Path
) -> None:
    # Where one sure vote of three is enough; these networks hardly ever agree.
    options: dict[str, Any] = {"bundle": networks, "stride": 48, "device": "cpu", "threshold": 0.2}
    options["outline"] = "windows"
    full = map_scene(scene, tmp_path / "full", **options)
    quick = map_scene(scene, tmp_path / "quick", **options, exact_early_exit=True)
    with rasterio.open(full.classes) as a, rasterio.open(quick.classes) as b:
        assert set(np.unique(a.read())) == {0, 1}
        np.testing.assert_array_equal(a.read(), b.read())
    outlines = [gpd.read_file(result.polygons, layer="landslides").geometry for result in (full, quick)]
    assert [shape.wkb for shape in outlines[0]] == [shape.wkb for shape in outlines[1]]
    assert full.windows == quick.windows
    run = json.loads(quick.manifest.read_text())
    said = run["counts"]["votes"]
    assert said["exact_early_exit"] is True
    assert said["cascade"] is False
    windows = full.windows["analysed"]
    assert all(
        own["windows_predicted"] + own["windows_skipped"] == windows for own in said["members"].values()
    )
    assert said["members"]["v37"]["windows_skipped"] > 0, "v37 takes longest, so it predicts last"
    assert said["members"]["v31"]["windows_skipped"] == 0
    (note,) = [note for note in run["notices"] if note["code"] == "I540"]
    assert "votes of networks were skipped" in note["message"]
    with rasterio.open(quick.probability) as a, rasterio.open(full.probability) as b:
        assert "probability_low" in a.tags()["LANDSLIDE_MAP_SKIPPED_VOTES"]
        assert "LANDSLIDE_MAP_SKIPPED_VOTES" not in b.tags()
    with (
        xr.open_dataset(quick.window_record, engine="scipy") as record,
        xr.open_dataset(full.window_record, engine="scipy") as whole,
    ):
        assert (record.probability_low <= whole.probability + 1e-6).all()
        assert (whole.probability <= record.probability_high + 1e-6).all()
        assert (record.probability_high > record.probability_low).any()
        said, all_said = record.member_probability.values, whole.member_probability.values
        np.testing.assert_array_equal(said[~np.isnan(said)], all_said[~np.isnan(said)])
        np.testing.assert_array_equal(record.probability > 0.2, whole.probability > 0.2)
    assert "probability_low" not in whole


def test_scores_of_ready_windows_are_decided_one_by_one(networks: Path) -> None:
    full = score(WINDOWS, networks)
    quick = score(WINDOWS, networks, exact_early_exit=True)
    assert quick["landslide"].tolist() == full["landslide"].tolist()
    assert list(full.columns) == ["id", "probability", "landslide", "p_v31", "p_v33", "p_v37"]
    assert list(quick.columns[3:5]) == ["probability_low", "probability_high"]
    assert quick["p_v37"].isna().any()
    assert (quick["probability_low"] <= full["probability"] + 1e-6).all()
    assert (full["probability"] <= quick["probability_high"] + 1e-6).all()
    assert [note.code for note in quick.attrs["notices"]] == ["I540"]
    assert quick.attrs["votes"]["members"]["v37"]["windows_skipped"] == quick["p_v37"].isna().sum()


def test_without_networks_nothing_is_left_out_and_that_is_said() -> None:
    quick = score(WINDOWS, exact_early_exit=True)
    plain = score(WINDOWS)
    np.testing.assert_array_equal(quick["probability"], plain["probability"])
    (note,) = [note for note in quick.attrs["notices"] if note.code == "I540"]
    assert "no networks" in note.message
