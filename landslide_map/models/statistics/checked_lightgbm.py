"""LightGBM models from elsewhere: every tree checked, and written again, before the library reads them.

LightGBM does not check the numbers in a file. A child or a feature beyond the end, or a circle of splits,
ends in a crash or never.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Final

from landslide_map.models.statistics.quick_scorer import leaves_under

_MOST_LEAVES: Final = 2**17
_MOST_TREES: Final = 100_000
_MOST_FEATURES: Final = 100_000
_LARGEST: Final = 1e15
_MISSING: Final = 14
"""Bits of a split's ``decision_type`` that say where missing values go; the lowest one says categories."""
_WHOLE: Final = ("split_feature", "decision_type", "left_child", "right_child")
_OF_SPLITS: Final = ("split_gain", "internal_value", "internal_weight", "internal_count")
_OF_LEAVES: Final = ("leaf_weight", "leaf_count")
"""Not needed to predict; feature importance reads the gains."""
_TREE: Final = re.compile(r"^Tree=\d+$", re.MULTILINE)
_NUMBER: Final = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?", re.ASCII)


def checked_lightgbm(text: str) -> str:
    """Return a model for two classes in LightGBM's text format, made of checked trees alone.

    Raises
    ------
    ValueError
        If the library could not predict every window with it: it says what is wrong.
    """
    before, end, _ = text.partition("\nend of trees")
    head, *parts = _TREE.split(before)
    if not end or not 1 <= len(parts) <= _MOST_TREES:
        raise ValueError("it is no whole LightGBM model in text format")
    try:
        about = fields(head)
        features = _whole(about["max_feature_idx"], 0, _MOST_FEATURES - 1) + 1
        trees = [f"Tree={n}\n{_tree(fields(part), n, features)}\n\n" for n, part in enumerate(parts)]
        return "\n".join(_head(about, head, features, trees)) + "\n\n" + "".join(trees) + "end of trees\n"
    except KeyError as error:
        raise ValueError(f"it lacks {error}") from None


def fields(text: str) -> dict[str, str]:
    """Return the lines ``key=value`` of a text; ValueError where a key occurs twice."""
    pairs = [line.split("=", 1) for line in text.splitlines() if "=" in line]
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _head(about: Mapping[str, str], head: str, features: int, trees: Sequence[str]) -> list[str]:
    aim = re.fullmatch(r"binary sigmoid:(\S+)", about["objective"])
    if aim is None or not 0 < _number(aim[1]) < _LARGEST:
        raise ValueError(f"objective {about['objective'][:40]!r}; expected binary")
    if (about.get("num_class", "1"), about.get("num_tree_per_iteration", "1")) != ("1", "1"):
        raise ValueError("its trees are of several classes")
    names = about.get("feature_names", "").split()
    if len(names) != features:
        names = [f"Column_{i}" for i in range(features)]
    return [
        "tree",
        "version=v4",
        "num_class=1",
        "num_tree_per_iteration=1",
        "label_index=0",
        f"max_feature_idx={features - 1}",
        f"objective=binary sigmoid:{aim[1]}",
        *(["average_output"] if re.search("^average_output$", head, re.MULTILINE) else []),
        "feature_names=" + " ".join(names),
        "feature_infos=" + " ".join(["none"] * features),
        "tree_sizes=" + " ".join(str(len(tree.encode())) for tree in trees),
    ]


def _tree(tree: Mapping[str, str], number: int, features: int) -> str:
    leaves = _whole(tree["num_leaves"], 1, _MOST_LEAVES)
    if tree.get("num_cat", "0") != "0" or tree.get("is_linear", "0") != "0":
        raise ValueError(f"tree {number} splits by categories, or has linear leaves")
    whole = {
        name: [_whole(word, -(2**31), 2**31 - 1) for word in tree.get(name, "").split()] for name in _WHOLE
    }
    thresholds, votes = tree.get("threshold", "").split(), tree["leaf_value"].split()
    if len(votes) != leaves or {len(thresholds), *map(len, whole.values())} != {leaves - 1}:
        raise ValueError(f"tree {number} has other numbers of splits or leaves than it says")
    for word in votes:
        _number(word)
    for word in thresholds:
        _number(word, most=math.inf)
    if not all(0 <= feature < features for feature in whole["split_feature"]):
        raise ValueError(f"tree {number} splits on a feature that there is not")
    if any(kind & ~_MISSING or kind & 12 == 12 for kind in whole["decision_type"]):
        raise ValueError(f"tree {number} has splits of another kind")
    try:
        leaves_under(whole["left_child"], whole["right_child"])
    except ValueError:
        raise ValueError(f"tree {number} is no tree: a child is missing, or has several parents") from None
    lines = {"num_leaves": str(leaves), "num_cat": "0"}
    lines |= {"threshold": " ".join(thresholds), "leaf_value": " ".join(votes)}
    lines |= {name: " ".join(map(str, values)) for name, values in whole.items()}
    for name, count in (*((n, leaves - 1) for n in _OF_SPLITS), *((n, leaves) for n in _OF_LEAVES)):
        words = tree.get(name, "").split()
        if len(words) == count and all(_NUMBER.fullmatch(word) for word in words):
            lines[name] = " ".join(words)
    shrinkage = tree.get("shrinkage", "1")
    _number(shrinkage)
    lines |= {"is_linear": "0", "shrinkage": shrinkage}
    return "\n".join(f"{key}={value}" for key, value in lines.items()) + "\n"


def _whole(word: str, least: int, most: int) -> int:
    if not re.fullmatch(r"-?\d{1,10}", word, re.ASCII) or not least <= int(word) <= most:
        raise ValueError(f"a number of {word[:40]!r}; expected {least} to {most}")
    return int(word)


def _number(word: str, most: float = _LARGEST) -> float:
    found = float(word) if _NUMBER.fullmatch(word) else math.nan
    if not math.isfinite(found) or abs(found) > most:
        raise ValueError(f"a number of {word[:40]!r}, which is not finite or very large")
    return found
