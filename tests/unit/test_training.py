from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import check_grad

from landslide_map.datasets.folds import stratified_folds
from landslide_map.models.statistics.boosters import PREDICTORS
from landslide_map.training.calibrate import choose_threshold, fit_calibration, nested
from landslide_map.training.statistics.perceptron import PerceptronSettings, _Trainer, fit_perceptron
from landslide_map.training.statistics.recipe import read_recipe
from landslide_map.training.statistics.train import train_on_statistics
from landslide_map.training.statistics.trees import compact_lightgbm, short_threshold
from tests.support.labelled import made_up_statistics, tiny_recipe
from tests.support.raised import raised


def test_the_same_seed_gives_the_same_bundle_and_another_does_not() -> None:
    statistics, labels = made_up_statistics()
    first, second = (train_on_statistics(statistics, labels, recipe=tiny_recipe()) for _ in range(2))
    assert first.contents == second.contents
    assert json.dumps(first.document) == json.dumps(second.document)
    other = train_on_statistics(statistics, labels, recipe=tiny_recipe(), seed=2)
    assert other.contents["both.lightgbm.fold0.txt"] != first.contents["both.lightgbm.fold0.txt"]


def test_out_of_fold_votes_come_from_models_that_never_saw_the_window() -> None:
    """Other statistics in one fold leave the models as they are that vote there, and change all others."""
    statistics, labels = made_up_statistics()
    trained = train_on_statistics(statistics, labels, recipe=tiny_recipe())
    other = statistics.copy(deep=True)
    other[trained.folds[0]] = statistics[trained.folds[0]].values[::-1]
    again = train_on_statistics(other, labels, recipe=tiny_recipe())
    for name in (name for name in trained.contents if ".fold" in name):
        assert (again.contents[name] == trained.contents[name]) == (".fold0." in name), name
    for name, votes in trained.votes.items():
        found = again.votes[name][trained.folds[0]]
        np.testing.assert_allclose(found, votes[trained.folds[0]][::-1], rtol=1e-6, err_msg=name)


def test_what_can_be_learned_is_learned_by_every_kind() -> None:
    statistics, labels = made_up_statistics(240)
    document = train_on_statistics(statistics, labels, recipe=tiny_recipe()).document
    for member in document["members"]:
        assert member["metrics"]["auc"] > 0.7, member["name"]
    for scenario in document["scenarios"]:
        assert 0.05 <= scenario["threshold"] <= 0.95


def test_folds_hold_every_row_once_and_both_classes_evenly() -> None:
    labels = np.array([1] * 13 + [0] * 40)
    folds = stratified_folds(labels, 5, seed=0)
    assert sorted(np.concatenate(folds)) == list(range(53))
    assert {int(labels[rows].sum()) for rows in folds} == {2, 3}
    with raised("E122", "only 3 windows have label 1"):
        stratified_folds(np.array([1] * 3 + [0] * 40), 5, seed=0)


def test_compaction_leaves_every_vote_as_it_was() -> None:
    import lightgbm

    generator = np.random.default_rng(0)
    features = generator.normal(1e3, 300, (600, 6)).astype(np.float32)
    labels = (features[:, 0] > features[:, 1]).astype(int)
    booster = lightgbm.train(
        {"objective": "binary", "verbosity": -1, "num_threads": 1},
        lightgbm.Dataset(features, labels),
        num_boost_round=30,
    )
    text = booster.model_to_string()
    short = compact_lightgbm(text)
    assert len(short) < 0.6 * len(text)
    new = generator.normal(1e3, 300, (5000, 6)).astype(np.float32)
    for x in (features, new):
        np.testing.assert_allclose(
            PREDICTORS["lightgbm"](short.encode())(x), booster.predict(x), rtol=0, atol=1e-7
        )


@pytest.mark.parametrize("value", [0.1, -9.123456789, 1e-30, 1234.5678, 0.0, -0.0, 16777217.0, -1e-45])
def test_a_short_threshold_decides_float32_numbers_as_the_long_one(value: float) -> None:
    short = float(short_threshold(value))
    centre = np.float32(value)
    for x in (centre, np.nextafter(centre, np.float32(9e9)), np.nextafter(centre, np.float32(-9e9))):
        assert (float(x) <= short) == (float(x) <= value)


def test_gradients_of_the_networks_agree_with_finite_differences() -> None:
    settings = PerceptronSettings(networks=1, hidden=(4, 3), dropout=0, input_dropout=0, weight_decay=0)
    generator = np.random.default_rng(0)
    x = generator.normal(size=(1, 7, 5))
    labels = (generator.random((1, 7)) > 0.5).astype(np.float64)
    trainer = _Trainer((5, 4, 3, 1), settings, generator)
    trainer.weights = [w.astype(np.float64) * (10 if w.shape[-1] == 1 else 1) for w in trainer.weights]
    trainer.biases = [b + generator.normal(size=b.shape) for b in trainer.biases]
    captured: list[np.ndarray] = []
    trainer._descend = lambda gradients, _: captured.extend(gradients)  # type: ignore[method-assign]
    parts = [*trainer.weights, *trainer.biases]

    def put(flat: np.ndarray) -> None:
        for part in parts:
            part[...] = flat[: part.size].reshape(part.shape)
            flat = flat[part.size :]

    def loss(flat: np.ndarray) -> float:
        put(flat)
        h = x[0]
        for i, (w, b) in enumerate(zip(trainer.weights, trainer.biases, strict=True)):
            h = h @ w[0] + b[0]
            h = h / (1 + np.exp(-h)) if i < 2 else h
        return float(np.mean(np.logaddexp(0, h[:, 0]) - labels[0] * h[:, 0]))

    def gradient(flat: np.ndarray) -> np.ndarray:
        put(flat)
        captured.clear()
        trainer.step(x, labels, rate=0.0)
        return np.concatenate([part.ravel() for part in captured])

    start = np.concatenate([part.ravel() for part in parts])
    assert check_grad(loss, gradient, start) < 1e-5


def test_a_perceptron_does_not_depend_on_the_scale_of_features() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(90, 4)).astype(np.float32)
    labels = (features[:, 0] > 0).astype(int)
    settings = PerceptronSettings(networks=1, hidden=(4,), epochs=3, batch=30, knots=9)
    votes = [
        fit_perceptron(x, labels, settings, seed=0).probability(x) for x in (features, features * 1024 - 4096)
    ]
    np.testing.assert_allclose(votes[0], votes[1], atol=1e-3)  # float32 rounding of the shifted features


def test_calibration_recovers_a_known_distortion() -> None:
    generator = np.random.default_rng(0)
    scores = generator.normal(-1, 2, 40000)
    labels = (generator.random(40000) < 1 / (1 + np.exp(-scores))).astype(int)
    distorted = 1 / (1 + np.exp(-(2 * scores + 1)))
    found = fit_calibration(distorted, labels)
    assert found.slope == pytest.approx(0.5, rel=0.03)
    assert found.shift == pytest.approx(-0.5, abs=0.06)


def test_the_threshold_is_half_the_best_f1() -> None:
    """For calibrated probabilities the best threshold is F*/2 (Lipton et al. 2014, theorem 1)."""
    p = np.random.default_rng(0).beta(0.3, 1.2, 20000)
    threshold = choose_threshold(p)
    called = p > threshold
    best = 2 * p[called].sum() / (called.sum() + p.sum())
    assert threshold == pytest.approx(best / 2, abs=0.01)


def test_nested_decisions_ignore_the_labels_of_their_own_fold() -> None:
    generator = np.random.default_rng(0)
    votes, labels = generator.random(60), (generator.random(60) < 0.3).astype(int)
    folds = [np.arange(i, 60, 3) for i in range(3)]
    probability, threshold = nested(votes, labels, folds)
    labels[folds[1]] = 1 - labels[folds[1]]
    again, thresholds = nested(votes, labels, folds)
    np.testing.assert_array_equal(again[folds[1]], probability[folds[1]])
    np.testing.assert_array_equal(thresholds[folds[1]], threshold[folds[1]])
    assert not np.array_equal(again, probability)


def test_shipped_recipes_are_valid_and_use_only_channels_that_the_table_has() -> None:
    from landslide_map.datasets.statistics_table import TABLE_CHANNELS

    recipe = read_recipe("default")
    assert {name for _, channels, _ in recipe.members() for name in channels} <= set(TABLE_CHANNELS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("folds: [", "not YAML"),
        ("name: x", "version"),
        ("{name: x, colour: red}", "unknown key colour"),
    ],
)
def test_a_bad_recipe_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with raised("E510", words):
        read_recipe(path)


def test_an_unknown_recipe_names_those_there_are() -> None:
    with raised("E510", "default"):
        read_recipe("defualt")
