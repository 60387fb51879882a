"""XGBoost models from elsewhere: every tree checked, and written again, before the library reads them.

XGBoost does not check the numbers in a file. A child beyond the nodes, or a circle of nodes, ends in a crash
or never.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from landslide_map.models.statistics.ubjson import read_ubjson, write_ubjson

_MOST_NODES: Final = 2**20
_MOST_TREES: Final = 100_000
_MOST_FEATURES: Final = 100_000
_LARGEST: Final = 1e15
"""Greatest value of a leaf: thousands of them still have a sum."""
_NO_PARENT: Final = 2**31 - 1
_FLOATS: Final = ("base_weights", "loss_changes", "split_conditions", "sum_hessian")
_INDICES: Final = ("left_children", "right_children", "parents", "split_indices")
_CATEGORIES: Final = ("categories", "categories_nodes", "categories_segments", "categories_sizes")


def checked_xgboost(content: bytes) -> bytes:
    """Return a model for two classes, made of checked trees alone: the bytes of :func:`checked_document`."""
    return write_ubjson(checked_document(content))


def checked_document(content: bytes) -> dict[str, Any]:
    """Return the document of a model for two classes, made of checked trees alone.

    Parameters
    ----------
    content : bytes
        As XGBoost 1.7 or later writes it in UBJ format, for the objective ``binary:logistic``.

    Raises
    ------
    ValueError
        If the library could not predict every window with it: it says what is wrong.
    """
    try:
        return _document(read_ubjson(content))
    except (KeyError, TypeError, AttributeError, OverflowError, UnicodeDecodeError) as error:
        raise ValueError(f"it is no XGBoost model of boosted trees ({error!r})") from None


def _document(document: dict[str, Any]) -> dict[str, Any]:
    learner = document["learner"]
    booster = learner["gradient_booster"]
    if booster["name"] != "gbtree":
        raise ValueError(f"booster {booster['name'][:40]!r}; expected gbtree")
    about = learner["learner_model_param"]
    features = _count(about["num_feature"], _MOST_FEATURES)
    if learner["objective"]["name"] != "binary:logistic":
        raise ValueError(f"objective {learner['objective']['name'][:40]!r}; expected binary:logistic")
    return {
        "learner": {
            "attributes": {},
            "feature_names": _names(learner.get("feature_names", []), features),
            "feature_types": [],
            "gradient_booster": {"model": _model(booster["model"], features), "name": "gbtree"},
            "learner_model_param": {
                "base_score": _base_score(about["base_score"]),
                "boost_from_average": "1",
                "num_class": "0",
                "num_feature": str(features),
                "num_target": "1",
            },
            "objective": {"name": "binary:logistic", "reg_loss_param": {"scale_pos_weight": "1"}},
        },
        "version": [int(part) for part in _integers(document["version"], 3)],
    }


def _model(model: dict[str, Any], features: int) -> dict[str, Any]:
    trees = model["trees"]
    if not isinstance(trees, list) or not 1 <= len(trees) <= _MOST_TREES:
        raise ValueError("it has no list of trees")
    if _integers(model["tree_info"], len(trees)).any():
        raise ValueError("its trees are of several classes")
    if _count(model["gbtree_model_param"]["num_parallel_tree"], 1000) != 1:
        raise ValueError("it has parallel trees")
    # The numbers of trees after each round, which the library uses as indices, are computed again.
    return {
        "cats": {
            "enc": [],
            "feature_segments": np.empty(0, np.int32),
            "sorted_idx": np.empty(0, np.int32),
        },
        "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": str(len(trees))},
        "iteration_indptr": list(range(len(trees) + 1)),
        "tree_info": [0] * len(trees),
        "trees": [_tree(tree, number, features) for number, tree in enumerate(trees)],
    }


def _tree(tree: dict[str, Any], number: int, features: int) -> dict[str, Any]:
    about = tree["tree_param"]
    nodes = _count(about["num_nodes"], _MOST_NODES)
    if _count(about["num_feature"], _MOST_FEATURES) != features:
        raise ValueError(f"tree {number} is of other features than the model")
    if about.get("size_leaf_vector", "0") not in {"0", "1"}:
        raise ValueError(f"tree {number} has leaves of several values")
    held: dict[str, npt.NDArray[Any]] = {
        name: _integers(tree[name], nodes).astype(np.int32) for name in _INDICES
    }
    held |= {name: _numbers(tree[name], nodes) for name in _FLOATS}
    left = _integers(tree["default_left"], nodes).astype(np.uint8)
    if (left > 1).any() or _integers(tree.get("split_type", np.zeros(nodes)), nodes).any():
        raise ValueError(f"tree {number} has splits of another kind")
    if any(len(tree.get(name, ())) for name in _CATEGORIES):
        raise ValueError(f"tree {number} splits by categories")
    _check_shape(held, number, features)
    return {
        "base_weights": held["base_weights"],
        "categories": np.empty(0, np.int32),
        "categories_nodes": np.empty(0, np.int32),
        "categories_segments": np.empty(0, np.int64),
        "categories_sizes": np.empty(0, np.int64),
        "default_left": left,
        "id": number,
        **{name: held[name] for name in ("left_children", "loss_changes", "parents", "right_children")},
        "split_conditions": held["split_conditions"],
        "split_indices": held["split_indices"],
        "split_type": np.zeros(nodes, np.uint8),
        "sum_hessian": held["sum_hessian"],
        "tree_param": {
            "num_deleted": "0",  # those are nodes that none leads to
            "num_feature": str(features),
            "num_nodes": str(nodes),
            "size_leaf_vector": "1",
        },
    }


def _check_shape(held: dict[str, npt.NDArray[Any]], number: int, features: int) -> None:
    """Refuse nodes that are no tree: every child is inside, and of one parent.

    The root has none. So no way from it leads to a node twice.
    """
    left, right, parents = held["left_children"], held["right_children"], held["parents"]
    inner = left >= 0
    above = np.flatnonzero(inner)
    lefts, rights = left[above], right[above]
    if (
        min(left.min(), right.min()) < -1
        or np.any(inner != (right >= 0))
        or (len(above) and min(lefts.min(), rights.min()) < 1)
        or (len(above) and max(lefts.max(), rights.max()) >= len(left))
        or np.any(lefts == rights)
        or np.any(parents[lefts] != above)
        or np.any(parents[rights] != above)
        or parents[0] != _NO_PARENT
    ):
        raise ValueError(f"tree {number} is no tree: a child is missing, or has several parents")
    split_on = held["split_indices"][above]
    if len(above) and not 0 <= split_on.min() <= split_on.max() < features:
        raise ValueError(f"tree {number} splits on a feature that there is not")
    held["split_indices"] = np.where(inner, held["split_indices"], 0).astype(np.int32, copy=False)


def _integers(values: Any, count: int) -> npt.NDArray[np.int64]:
    array = np.asarray(values)
    if array.shape != (count,) or (count and array.dtype.kind not in "iub"):
        raise ValueError(f"an array of {array.shape} {array.dtype}; expected {count} whole numbers")
    return array.astype(np.int64)


def _numbers(values: Any, count: int) -> npt.NDArray[np.float32]:
    array = np.asarray(values)
    if array.shape != (count,) or array.dtype.kind not in "iuf":
        raise ValueError(f"an array of {array.shape} {array.dtype}; expected {count} numbers")
    if array.dtype != np.float32:
        with np.errstate(over="ignore"):
            array = array.astype(np.float32)
    if not (np.abs(array) < _LARGEST).all():
        raise ValueError("a number that is not finite, or very large")
    return array


def _count(text: Any, most: int) -> int:
    if (
        not isinstance(text, str)
        or not re.fullmatch(r"\d{1,9}", text, re.ASCII)
        or not 1 <= int(text) <= most
    ):
        raise ValueError(f"a number of {str(text)[:40]!r}; expected 1 to {most}")
    return int(text)


def _base_score(text: str) -> str:
    found = re.fullmatch(r"\[?([-+.\dEe]{1,40})\]?", text, re.ASCII)
    if found is None or not 0 < float(found[1]) < 1:
        raise ValueError(f"base_score {text[:40]!r}; expected a probability")
    return text


def _names(values: Iterable[Any], features: int) -> list[str]:
    names = list(values)
    if names and (len(names) != features or not all(isinstance(name, str) for name in names)):
        raise ValueError(f"{len(names)} names of {features} features")
    return names
