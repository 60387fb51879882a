"""Thresholds with a promise: learned, stored, used."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from landslide_map import score
from landslide_map.errors import SceneError
from landslide_map.models.bundle.load import DEFAULT, load_bundle
from landslide_map.models.bundle.options import decided_at
from landslide_map.models.bundle.profiles import with_profile
from landslide_map.models.voting.scenario import Scenario
from landslide_map.options import OPERATING_POINTS
from landslide_map.scene.model import load_scene
from landslide_map.training.calibrate import choose_threshold, operating_points
from tests.support import messages
from tests.support.filled_weights import synthetic_windows
from tests.support.labelled import tiny_bundle
from tests.support.raised import raised


def test_points_keep_what_calibrated_probabilities_promise() -> None:
    p = np.random.default_rng(0).beta(0.3, 1.2, 4000)
    points = operating_points(p)
    assert points["f1"] == choose_threshold(p)

    def promised(threshold: float) -> tuple[float, float]:
        called = p[p > threshold]
        return called.sum() / p.sum(), called.mean()

    recall, _ = promised(points["recall90"])
    assert recall >= 0.9 > promised(points["recall90"] + 0.005)[0]
    _, precision = promised(points["precision90"])
    assert precision >= 0.9 > promised(points["precision90"] - 0.005)[1]


def test_calibrated_windows_keep_the_promise_within_chance() -> None:
    generator = np.random.default_rng(1)
    p = generator.beta(0.3, 1.2, 40000)
    truth = generator.random(40000) < p
    points = operating_points(p)
    assert truth[p > points["recall90"]].sum() / truth.sum() == pytest.approx(0.9, abs=0.01)
    assert truth[p > points["precision90"]].mean() == pytest.approx(0.9, abs=0.01)


def test_a_promise_that_cannot_be_kept_is_not_made() -> None:
    assert set(operating_points(np.full(50, 0.4))) == {"f1", "recall90"}


def test_training_stores_points_that_loading_brings_back(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "b")
    written = json.loads((tmp_path / "b" / "bundle.json").read_text())["scenarios"]
    for scenario, entry in zip(bundle.scenarios, written, strict=True):
        assert dict(scenario.operating_points) == entry["operating_points"]
        assert scenario.operating_points["f1"] == scenario.threshold
        assert set(entry["metrics"]["operating_points"]) == set(scenario.operating_points)
        moved = decided_at(bundle, operating_point="recall90")
    assert [s.threshold for s in moved.scenarios] == [
        s.operating_points["recall90"] for s in bundle.scenarios
    ]


def test_the_default_bundle_has_every_point_and_they_hold_out_of_fold() -> None:
    document = json.loads((DEFAULT / "bundle.json").read_text())
    for scenario in document["scenarios"]:
        points, kept = scenario["operating_points"], scenario["metrics"]["operating_points"]
        assert set(points) == set(OPERATING_POINTS), scenario["name"]
        assert points["recall90"] < points["f1"] < points["precision90"]
        # One standard error of a share of 0.9 of 1067 landslides (or as many alarms) is 0.009.
        assert kept["recall90"]["recall"] == pytest.approx(0.9, abs=0.02), scenario["name"]
        assert kept["precision90"]["precision"] == pytest.approx(0.9, abs=0.02), scenario["name"]
        assert kept["f1"]["f1"] == max(own["f1"] for own in kept.values())


def test_scores_are_decided_at_the_point() -> None:
    windows = synthetic_windows(3, 6)
    plain, moved = score(windows), score(windows, operating_point="recall90")
    np.testing.assert_array_equal(plain["probability"], moved["probability"])
    limit = load_bundle().scenarios[0].operating_points["recall90"]
    np.testing.assert_array_equal(moved["landslide"].to_numpy(dtype=int), plain["probability"] > limit)
    with raised("E402", messages.NOT_BOTH):
        score(windows, operating_point="recall90", threshold=0.5)


def test_a_profile_that_takes_members_away_takes_their_points_away(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "b")
    assert with_profile(bundle, "optical-only").scenarios[0].operating_points  # all of its members stay
    mixed = Scenario("mixed", {"both.lightgbm": 1, "optical.lightgbm": 1}, 0.5, operating_points={"f1": 0.5})
    reduced = with_profile(replace(bundle, scenarios=(mixed,)), "optical-only").scenarios[0]
    assert (dict(reduced.weights), dict(reduced.operating_points)) == ({"optical.lightgbm": 1}, {})


SCENE = "event: {time: 2024-04-02T23:58:00Z}\ns1: {ascending: {composite: a.tif}}\n"


def test_a_scene_names_a_point_or_a_threshold(tmp_path: Path) -> None:
    path = tmp_path / "scene.yaml"
    path.write_text(SCENE + "operating_point: recall90\n")
    assert load_scene(path).operating_point == "recall90"
    given = load_scene(path, threshold=0.4)  # the command line decides instead of the file
    assert (given.threshold, given.operating_point) == (0.4, None)
    path.write_text(SCENE + "operating_point: recall90\nthreshold: 0.4\n")
    with pytest.raises(SceneError) as refusal:
        load_scene(path)
    assert refusal.value.code == "E003"
    path.write_text(SCENE + "operating_point: recall99\n")
    with raised("E003", "operating_point"):
        load_scene(path)
