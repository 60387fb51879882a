"""Training of boosters, and their small files: text for LightGBM, UBJ for XGBoost."""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np

from landslide_map.array_types import Floats32, Labels

_UNREAD: Final = (
    "split_gain",
    "leaf_weight",
    "leaf_count",
    "internal_value",
    "internal_weight",
    "internal_count",
)
"""Lines of a LightGBM tree that prediction does not read."""


def fit_lightgbm(features: Floats32, labels: Labels, settings: dict[str, Any], seed: int) -> bytes:
    """Train one LightGBM model; `settings` are its own parameters and ``trees``."""
    booster = train_lightgbm(features, labels, settings, seed)
    return compact_lightgbm(booster.model_to_string()).encode("ascii")


def train_lightgbm(features: Floats32, labels: Labels, settings: dict[str, Any], seed: int) -> Any:
    """Return a LightGBM booster, as :func:`fit_lightgbm` before it is written short.

    One thread, so that the same seed gives the same trees on any number of cores.
    """
    import lightgbm

    parameters = {key: value for key, value in settings.items() if key != "trees"} | {
        "objective": "binary",
        "seed": seed,
        "num_threads": 1,
        "deterministic": True,
        "force_col_wise": True,
        "verbosity": -1,
    }
    data = lightgbm.Dataset(features, labels, params={"verbosity": -1})
    return lightgbm.train(parameters, data, num_boost_round=int(settings["trees"]))


def fit_xgboost(features: Floats32, labels: Labels, settings: dict[str, Any], seed: int) -> bytes:
    """Train one XGBoost model; `settings` are its own parameters and ``trees``. One thread, as above."""
    import xgboost

    parameters = {key: value for key, value in settings.items() if key != "trees"} | {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "seed": seed,
        "nthread": 1,
        "verbosity": 0,
    }
    booster = xgboost.train(
        parameters, xgboost.DMatrix(features, labels), num_boost_round=int(settings["trees"])
    )
    return bytes(booster.save_raw("ubj"))


def compact_lightgbm(text: str) -> str:
    """Return a LightGBM model with only the content for prediction, its numbers written short.

    Features are float32, so a threshold may move anywhere between two neighbouring float32 numbers without
    changing a decision. Leaf values keep eight digits: they are the model from here on, as every vote and
    every metric is computed after this step.
    """
    head, *rest = text.split("\nTree=")
    trees = [f"Tree={_compact_tree(tree)}" for tree in _until_end(rest)]
    head = re.sub(r"tree_sizes=.*", "tree_sizes=" + " ".join(str(len(tree)) for tree in trees), head)
    return head + "\n" + "".join(trees) + "end of trees\n"


def _until_end(trees: list[str]) -> list[str]:
    return [tree.split("end of trees")[0].rstrip("\n") for tree in trees]


def _compact_tree(tree: str) -> str:
    lines = []
    for line in tree.splitlines():
        key, _, values = line.partition("=")
        if key in _UNREAD:
            continue
        if key == "threshold":
            line = "threshold=" + " ".join(short_threshold(float(value)) for value in values.split())
        elif key == "leaf_value":
            line = "leaf_value=" + " ".join(f"{float(value):.8g}" for value in values.split())
        lines.append(line)
    return "\n".join(lines) + "\n\n\n"


def short_threshold(value: float) -> str:
    """Return the shortest decimal that splits float32 numbers exactly as ``x <= value`` does."""
    below = np.float32(value)
    if float(below) > value:
        below = np.nextafter(below, np.float32(-np.inf))
    above = np.nextafter(below, np.float32(np.inf))
    for digits in range(1, 18):
        short = f"{value:.{digits}g}"
        if float(below) <= float(short) < float(above):
            return short
    return repr(value)
