"""Trees without branches: LightGBM's and XGBoost's own votes, to the bit, or none."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost

from landslide_map.models.bundle.load import load_bundle
from landslide_map.models.statistics.boosters import lightgbm_predictor, mean_vote, xgboost_predictor
from landslide_map.models.statistics.checked_xgboost import checked_document
from landslide_map.models.statistics.quick_scorer import LEAVES, QuickScorer
from landslide_map.models.statistics.ubjson import write_ubjson
from tests.support import messages
from tests.support.raised import raised

RNG = np.random.default_rng(0)
FEATURES = RNG.standard_normal((600, 6))
FEATURES[RNG.random(FEATURES.shape) < 0.2] = 0
LABELS = (FEATURES[:, 0] * FEATURES[:, 1] + FEATURES[:, 2] > 0.2).astype(int)


def grown(features: np.ndarray = FEATURES, labels: np.ndarray = LABELS, **settings: Any) -> str:
    """Train some trees; return LightGBM's text."""
    own = {"objective": "binary", "verbosity": -1, "num_threads": 1, "min_data_in_leaf": 2, "num_leaves": 16}
    chosen = settings.pop("categories", "auto")
    data = lightgbm.Dataset(features, labels, categorical_feature=chosen, params={"verbosity": -1})
    return str(lightgbm.train(own | settings, data, num_boost_round=20).model_to_string())


def walked(text: str, features: np.ndarray) -> np.ndarray:
    return np.asarray(lightgbm.Booster(model_str=text).predict(features, num_threads=1))


def at_the_edges(scorer: QuickScorer, count: int) -> np.ndarray:
    """Draw windows with values on thresholds, next to them, far away, near 0, or nowhere."""
    rng = np.random.default_rng(1)
    values = rng.standard_normal((count, scorer.columns))
    for i in range(scorer.columns):
        limits = scorer.thresholds[scorer.features == i]
        if limits.size:
            values[:, i] = rng.choice(limits, count)
    values[::3] = np.nextafter(values[::3], np.inf)
    values[1::7] *= 1 + 1e-6
    special = [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-35, -1e-35, 5e-36, 2e-35, 1e30]
    return np.where(rng.random(values.shape) < 0.1, rng.choice(special, values.shape), values)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"num_leaves": 2},
        {"num_leaves": LEAVES},
        {"sigmoid": 1.7, "zero_as_missing": False, "max_depth": 3},
    ],
    ids=str,
)
def test_every_bit_is_lightgbm_s(settings: dict[str, Any], dtype: type) -> None:
    text = grown(**settings)
    scorer = QuickScorer.of_lightgbm(text)
    assert scorer is not None
    windows = at_the_edges(scorer, 1000).astype(dtype)
    np.testing.assert_array_equal(scorer.probability(windows), walked(text, windows))


@pytest.mark.parametrize("count", [0, 1, 127, 128, 129])
def test_any_number_of_windows(count: int) -> None:
    text = grown()
    scorer = QuickScorer.of_lightgbm(text)
    assert scorer is not None
    expected = walked(text, FEATURES)[:count]
    np.testing.assert_array_equal(scorer.probability(FEATURES[:count]), expected)
    np.testing.assert_array_equal(scorer.probability(np.asfortranarray(FEATURES)[:count]), expected)


def test_the_default_bundle_votes_as_lightgbm_would() -> None:
    members = [member for member in load_bundle().members if getattr(member, "kind", "") == "lightgbm"]
    assert len(members) >= 10
    for member in members:
        text = member.folds[-1].decode()
        scorer = QuickScorer.of_lightgbm(text)
        assert scorer is not None, member.name
        windows = at_the_edges(scorer, 200).astype(np.float32)
        np.testing.assert_array_equal(scorer.probability(windows), walked(text, windows))


def boosted(features: np.ndarray = FEATURES, **settings: Any) -> bytes:
    """Train some trees; return XGBoost's document."""
    own = {"objective": "binary:logistic", "nthread": 1, "min_child_weight": 0.1, "tree_method": "exact"}
    data = xgboost.DMatrix(features, LABELS)
    return bytes(xgboost.train(own | settings, data, num_boost_round=20).save_raw("ubj"))


def walked_by_xgboost(content: bytes, features: np.ndarray) -> np.ndarray:
    return np.asarray(xgboost.Booster(model_file=bytearray(content)).inplace_predict(features))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "settings",
    [
        {"max_depth": 5},
        {"max_depth": 1, "base_score": 0.9},
        {"max_leaves": LEAVES, "max_depth": 0, "grow_policy": "lossguide", "tree_method": "hist"},
        {"max_depth": 5, "gamma": 3},
        {"max_depth": 3, "eta": 30, "lambda": 0},
    ],
    ids=str,
)
def test_every_bit_is_xgboost_s(settings: dict[str, Any], dtype: type) -> None:
    content = boosted(**settings)
    scorer = QuickScorer.of_xgboost(checked_document(content))
    assert scorer is not None
    windows = at_the_edges(scorer, 1000)
    with np.errstate(over="ignore"):
        windows[5::9] *= 1e300
        windows = windows.astype(dtype)
    np.testing.assert_array_equal(scorer.probability(windows), walked_by_xgboost(content, windows))
    expected = walked_by_xgboost(content, windows[:129])
    np.testing.assert_array_equal(scorer.probability(windows[:129]), expected)


@pytest.mark.parametrize("sign", [-1, 1])
def test_sums_of_votes_that_have_no_exponential_end_as_in_xgboost(sign: int) -> None:
    content = boosted(max_depth=1)
    document = checked_document(content)
    tree = document["learner"]["gradient_booster"]["model"]["trees"][0]
    tree["split_conditions"][tree["left_children"] < 0] = sign * 1e4
    scorer = QuickScorer.of_xgboost(document)
    assert scorer is not None
    expected = walked_by_xgboost(write_ubjson(document), FEATURES[:3])
    assert np.isin(expected, (1, np.float32(1 / (1 + np.exp(np.float64(np.float32(88.7))))))).all()
    np.testing.assert_array_equal(scorer.probability(FEATURES[:3]), expected)


def test_the_default_bundle_votes_as_xgboost_would() -> None:
    members = [member for member in load_bundle().members if getattr(member, "kind", "") == "xgboost"]
    assert len(members) >= 3
    for member in members:
        scorer = QuickScorer.of_xgboost(checked_document(member.folds[-1]))
        assert scorer is not None, member.name
        windows = at_the_edges(scorer, 200).astype(np.float32)
        expected = walked_by_xgboost(member.folds[-1], windows)
        np.testing.assert_array_equal(scorer.probability(windows), expected)


@pytest.mark.parametrize("kind", ["more leaves", "missing values"])
def test_other_trees_are_left_to_xgboost(kind: str) -> None:
    features = FEATURES.copy()
    if kind == "missing values":
        features[np.random.default_rng(1).random(features.shape) < 0.2] = np.nan
    content = boosted(features, max_depth=7 if kind == "more leaves" else 4, min_child_weight=0)
    assert QuickScorer.of_xgboost(checked_document(content)) is None
    expected = walked_by_xgboost(content, features)
    np.testing.assert_array_equal(xgboost_predictor(content)(features), expected)


def with_missing() -> str:
    features = FEATURES.copy()
    features[::4, 0] = np.nan
    return grown(features)


OTHERS = {
    "more leaves": lambda: grown(num_leaves=LEAVES + 1, min_data_in_leaf=1),
    "missing values": with_missing,
    "zero is missing": lambda: grown(zero_as_missing=True),
    "a forest": lambda: grown(boosting="rf", bagging_fraction=0.5, bagging_freq=1),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_trees_of_another_kind_are_left_to_lightgbm(kind: str) -> None:
    text = OTHERS[kind]()
    assert QuickScorer.of_lightgbm(text) is None
    np.testing.assert_array_equal(lightgbm_predictor(text.encode())(FEATURES), walked(text, FEATURES))


REFUSED = {
    "categories": lambda: grown(np.abs(FEATURES * 3).astype(int).astype(float), categories=[0, 2]),
    "linear leaves": lambda: grown(linear_tree=True),
    "another aim": lambda: grown(objective="regression"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_trees_that_no_recipe_grows_are_refused(kind: str) -> None:
    text = REFUSED[kind]()
    assert QuickScorer.of_lightgbm(text) is None
    with pytest.raises(ValueError, match=r"categories|binary"):
        lightgbm_predictor(text.encode())


def test_trees_of_several_classes_are_left_to_lightgbm() -> None:
    assert (
        QuickScorer.of_lightgbm(
            grown(labels=LABELS + (FEATURES[:, 3] > 1), objective="multiclass", num_class=3)
        )
        is None
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\nend of trees", ""),
        ("\nTree=7\n", "\n"),
        ("left_child=1 ", "left_child=0 "),
        ("left_child=1 ", "left_child=2 "),
        ("left_child=1 ", "left_child=1 1 "),
        ("split_feature=", "split_feature=6 "),
        ("num_leaves=16", "num_leaves=15"),
        ("leaf_value=", "leaf_value=nan "),
        ("sigmoid:1", "sigmoid:x"),
        ("max_feature_idx=5", "max_feature_idx=0"),
    ],
)
def test_a_text_that_is_not_whole_is_none_of_its_own(old: str, new: str) -> None:
    text = grown()
    assert old in text
    assert QuickScorer.of_lightgbm(text.replace(old, new, 1)) is None


def test_what_lightgbm_cannot_read_is_refused() -> None:
    with raised(ValueError, messages.NO_WHOLE_LIGHTGBM_MODEL):
        lightgbm_predictor(b"no trees")


def test_another_number_of_features_is_refused() -> None:
    with raised(ValueError, "5 features, but the trees were grown on 6"):
        lightgbm_predictor(grown().encode())(FEATURES[:, :5])


def test_parts_of_the_windows_are_put_together_in_order() -> None:
    texts = [grown(seed=seed, feature_fraction=0.5) for seed in (1, 2, 3)]
    windows = RNG.standard_normal((5000, 6)).astype(np.float32)
    expected = np.mean([walked(text, windows) for text in texts], axis=0)
    predictors = [lightgbm_predictor(text.encode()) for text in texts]
    np.testing.assert_array_equal(mean_vote(predictors, windows), expected)
    assert mean_vote(predictors, windows[:0]).shape == (0,)
