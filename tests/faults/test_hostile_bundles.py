"""Bundles with right hashes and wrong contents: refused with a code before native code sees them."""

from __future__ import annotations

import io
import json
import random
import re
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from landslide_map.errors import BundleError, LandslideMapError
from landslide_map.models.bundle.load import load_bundle
from landslide_map.models.bundle.verify import verify_members
from landslide_map.models.networks.spec import NetworkSpec
from landslide_map.models.statistics.boosters import (
    lightgbm_predictor,
    slow_lightgbm_predictor,
    xgboost_predictor,
)
from landslide_map.models.statistics.checked_lightgbm import checked_lightgbm
from landslide_map.models.statistics.checked_xgboost import checked_xgboost
from landslide_map.models.statistics.ubjson import read_ubjson, write_ubjson
from tests.support import messages
from tests.support.labelled import made_up_statistics, tiny_bundle
from tests.support.raised import raised

XGBOOST, LIGHTGBM, PERCEPTRON = (
    "both.xgboost.fold0.ubj",
    "both.lightgbm.fold0.txt",
    "both.perceptron.fold0.npz",
)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "good"
    tiny_bundle(folder)
    return folder


def forged(good: Path, folder: Path, name: str, content: bytes) -> Path:
    """Return a copy of a bundle with another file of the right hash."""
    shutil.copytree(good, folder)
    (folder / name).write_bytes(content)
    document = json.loads((folder / "bundle.json").read_text())
    document["files"][name] = {"sha256": sha256(content).hexdigest(), "bytes": len(content)}
    (folder / "bundle.json").write_text(json.dumps(document))
    return folder


def refused(folder: Path) -> str:
    """Return the code that verify and a vote refuse a bundle with."""
    with pytest.raises(BundleError) as verified:
        verify_members(load_bundle(folder))
    with pytest.raises(BundleError) as voted:
        load_bundle(folder).vote(made_up_statistics(5)[0])
    assert voted.value.code == verified.value.code
    return voted.value.code


def trees_of(document: dict[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = document["learner"]["gradient_booster"]["model"]["trees"][0]
    return tree


def put(name: str, node: int, value: float) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        array = np.array(trees_of(document)[name])
        array[node] = value
        trees_of(document)[name] = array

    return change


def say(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        *above, last = path.split(".")
        for key in above:
            document = document[key]
        document[last] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        put("left_children", 0, 10**6),
        put("right_children", 0, -5),
        put("left_children", 0, 0),
        put("left_children", 1, 1),
        put("split_indices", 0, 10**6),
        put("split_conditions", 0, np.nan),
        put("split_conditions", -1, np.inf),
        put("parents", 1, 2),
        put("split_type", 0, 1),
        put("default_left", 0, 7),
        say("learner.learner_model_param.num_feature", "7"),
        say("learner.learner_model_param.num_feature", "9" * 4000),
        say("learner.learner_model_param.base_score", "nan"),
        say("learner.objective.name", "multi:softprob"),
        say("learner.gradient_booster.name", "dart"),
        say("learner.gradient_booster.model.trees", []),
        say("learner.gradient_booster.model.tree_info", [7]),
        say("learner", {}),
        say("learner.gradient_booster.model", "no"),
    ],
)
def test_trees_of_xgboost_are_checked(
    change: Callable[[dict[str, Any]], None], good: Path, tmp_path: Path
) -> None:
    document = read_ubjson((good / XGBOOST).read_bytes())
    change(document)
    assert refused(forged(good, tmp_path / "bundle", XGBOOST, write_ubjson(document))) == "E506"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"split_feature=\d+", "split_feature=100000"),
        (r"left_child=-?\d+", "left_child=0"),
        (r"right_child=-?\d+", "right_child=99"),
        (r"threshold=[^ ]+", "threshold=nan"),
        (r"leaf_value=[^ ]+", "leaf_value=inf"),
        (r"num_leaves=\d+", "num_leaves=1000000000"),
        (r"max_feature_idx=\d+", "max_feature_idx=3"),
        (r"sigmoid:1", "sigmoid:nan"),
        (r"sigmoid:1", "sigmoid:-1"),
        (r"decision_type=\d+", "decision_type=1"),
        (r"objective=binary", "objective=regression"),
        (r"end of trees", "end"),
        (r"is_linear=0", "is_linear=1"),
    ],
)
def test_trees_of_lightgbm_are_checked(old: str, new: str, good: Path, tmp_path: Path) -> None:
    text = (good / LIGHTGBM).read_text()
    changed = re.sub(old, new, text, count=1)
    assert changed != text
    assert refused(forged(good, tmp_path / "bundle", LIGHTGBM, changed.encode())) == "E506"


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a["weights0"].__setitem__((0, 0, 0), np.nan),
        lambda a: a["knots"].__setitem__((0, 0), np.inf),
        lambda a: a["knots"].__setitem__((0, 0), 1e30),
        lambda a: a.update(scores=a["scores"][:-1]),
        lambda a: a.update(weights0=a["weights0"][:, :3]),
        lambda a: a.update(bias0=a["bias0"][0]),
        lambda a: a.update(weights1=np.concatenate([a["weights1"]] * 2, axis=2)),
        lambda a: a.update(more=np.zeros(3)),
        lambda a: a.pop("bias1"),
        lambda a: a.update(knots=np.array(["x"])),
    ],
)
def test_networks_on_statistics_are_checked(
    change: Callable[[dict[str, Any]], object], good: Path, tmp_path: Path
) -> None:
    with np.load(good / PERCEPTRON) as archive:
        arrays = {name: np.array(archive[name]) for name in archive}
    change(arrays)
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    assert refused(forged(good, tmp_path / "bundle", PERCEPTRON, out.getvalue())) == "E506"


@pytest.mark.parametrize("where", ["calibration", "weights", "threshold"])
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_of_a_bundle_are_finite(where: str, value: str, good: Path, tmp_path: Path) -> None:
    shutil.copytree(good, tmp_path / "bundle")
    path = tmp_path / "bundle" / "bundle.json"
    document = json.loads(path.read_text())
    scenario = document["scenarios"][0]
    scenario[where] = {
        "calibration": {"slope": 12345},
        "weights": dict.fromkeys(scenario["weights"], 12345),
        "threshold": 12345,
    }[where]
    path.write_text(json.dumps(document).replace("12345", value))
    with pytest.raises(BundleError) as caught:
        load_bundle(tmp_path / "bundle")
    assert caught.value.code == "E505"


def test_mutations_with_right_hashes_end_in_a_vote_or_a_refusal(good: Path) -> None:
    """As native code saw them, 11 of 120 of XGBoost and 80 of 120 of LightGBM ended the process."""
    rng = random.Random(0)
    features = np.zeros((3, 200), np.float32)
    votes = 0
    for name, read in ((XGBOOST, xgboost_predictor), (LIGHTGBM, lightgbm_predictor)):
        content = (good / name).read_bytes()
        for _ in range(60):
            changed = bytearray(content)
            for _ in range(rng.choice([1, 1, 2, 8])):
                at = rng.randrange(len(changed))
                kind = rng.randrange(3)
                if kind == 0:
                    changed[at] ^= 1 << rng.randrange(8)
                elif kind == 1:
                    changed[at : at + rng.randrange(1, 8)] = rng.randbytes(rng.randrange(8))
                else:
                    changed[at] = rng.choice(b"0123456789-.")
            try:
                predict = read(bytes(changed))
                width = predict.__self__.columns if hasattr(predict, "__self__") else 64
                votes += bool(np.isfinite(predict(features[:, :width])).all())
            except (ValueError, LandslideMapError):
                pass
    assert votes


def test_what_is_written_again_predicts_the_same(good: Path) -> None:
    import lightgbm
    import xgboost

    rng = np.random.default_rng(0)
    text = (good / LIGHTGBM).read_text()
    width = lightgbm.Booster(model_str=text).num_feature()
    windows = rng.normal(size=(200, width)).astype(np.float32)
    windows[::5, ::7] = np.nan
    before = lightgbm.Booster(model_str=text).predict(windows)
    assert np.array_equal(slow_lightgbm_predictor(checked_lightgbm(text))(windows), before)
    content = (good / XGBOOST).read_bytes()
    booster = xgboost.Booster(model_file=bytearray(content))
    assert np.array_equal(xgboost_predictor(content)(windows), booster.inplace_predict(windows))
    assert checked_xgboost(checked_xgboost(content)) == checked_xgboost(content)


@pytest.mark.parametrize("settings", [{"num_leaves": 60, "min_data_in_leaf": 2}, {"boosting": "rf"}])
def test_models_of_lightgbm_itself_pass(settings: dict[str, Any]) -> None:
    """Grown on missing values and with many leaves: :class:`QuickScorer` leaves those to the library."""
    import lightgbm

    rng = np.random.default_rng(0)
    windows = rng.normal(size=(500, 9))
    windows[::3, 2] = np.nan
    labels = (windows[:, 0] + rng.normal(size=500) > 0).astype(int)
    own = {
        "objective": "binary",
        "verbosity": -1,
        "bagging_freq": 1,
        "bagging_fraction": 0.5,
        "num_threads": 1,
    }
    booster = lightgbm.train(own | settings, lightgbm.Dataset(windows, labels), num_boost_round=9)
    text = booster.model_to_string()
    votes = lightgbm_predictor(text.encode())(windows)
    assert np.array_equal(votes, booster.predict(windows))
    assert np.isfinite(votes).all()


def test_models_of_xgboost_with_pruned_nodes_pass() -> None:
    import xgboost

    rng = np.random.default_rng(0)
    windows = rng.normal(size=(500, 9)).astype(np.float32)
    labels = (windows[:, 0] + rng.normal(size=500) > 0).astype(int)
    settings = {"objective": "binary:logistic", "tree_method": "exact", "gamma": 3, "nthread": 1}
    booster = xgboost.train(settings, xgboost.DMatrix(windows, labels), num_boost_round=9)
    votes = xgboost_predictor(bytes(booster.save_raw("ubj")))(windows)
    assert np.array_equal(votes, booster.inplace_predict(windows))


def test_an_encoder_is_never_fetched() -> None:
    with raised(ValueError, messages.NO_NAME_OF_AN_ENCODER):
        NetworkSpec("single", ("hf-hub:somebody/model",), (("red",),), "standard")
