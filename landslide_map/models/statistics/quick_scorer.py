"""Boosted trees without branches: one bit per leaf, cleared by every split that a window does not take.

After QuickScorer (Lucchese and others, SIGIR 2015, https://doi.org/10.1145/2766462.2767733), with windows in
the inner loop, which LLVM vectorises. It is some 25 times as fast as LightGBM, which walks from split to
split (``python -m benchmarks.votes``). The bits are the same, as votes are summed in the same order and type.
If all trees of a run vote here, it imports neither LightGBM nor XGBoost. XGBoost imports scikit-learn: that
alone takes as long as the prediction of a small scene.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from landslide_map.runtime.jit import compiled

LEAVES: Final = 32
"""The most leaves of a tree: as many bits are in a mask."""
_ROWS: Final = 128
"""Windows at a time: their part of a tree stays in the fastest cache."""
_ALL: Final = np.uint32(0xFFFFFFFF)
_DE_BRUIJN: Final = np.uint32(0x077CB531)
"""Its 32 five-bit parts all differ: times a power of two, the upper five bits identify which one it was."""
_SLOTS: Final = [((int(_DE_BRUIJN) << leaf) & int(_ALL)) >> 27 for leaf in range(LEAVES)]
"""Position of the vote of each leaf, counted from the left: the result of its bit in :func:`_score`."""
_TREE: Final = re.compile(r"^Tree=\d+$", re.MULTILINE)
_ZERO: Final = float(np.float32(1e-35))
"""Up to here LightGBM takes a value for 0."""
_LEAST: Final = np.float32(-88.7)
"""XGBoost takes a smaller sum of votes for this one: its exponential is still finite."""
_DEFAULT_LEFT: Final = 2
"""Bit of a split's ``decision_type`` that says nothing where no value counts as missing."""

_Tree = tuple[list[int], list[float], list[int], npt.NDArray[np.float64]]
"""Features, thresholds and masks of the splits, and votes by slot."""


@dataclass(frozen=True)
class QuickScorer:
    """Trees for two classes; all that a window's way through them depends on, split after split."""

    columns: int
    """Features of a window."""
    ends: npt.NDArray[np.uint32]
    """``(tree + 1,)``: where the splits of each tree begin, and the last one's end."""
    features: npt.NDArray[np.uint32]
    """``(split,)``: the column that it compares."""
    thresholds: npt.NDArray[np.float64]
    """``(split,)``: a window goes to the left up to this value."""
    masks: npt.NDArray[np.uint32]
    """``(split,)``: without the leaves on the left, the first leaf of a tree in the lowest bit."""
    leaves: npt.NDArray[np.floating]
    """``(tree, LEAVES)``: votes of the leaves, in the order of :data:`_SLOTS` and the type of the sum."""
    start: float
    """The sum of votes begins here."""
    slope: float
    """Probability is ``1 / (1 + exp(-slope * sum of votes))``."""
    tiny: float
    """Values with a magnitude not above this, NaN among them, count as `instead`."""
    instead: float

    @cached_property
    def _single(self) -> npt.NDArray[np.float32]:
        """The thresholds rounded down: as no float32 lies between, they part the same windows."""
        with np.errstate(over="ignore"):  # infinity is rounded down to the greatest number
            nearest = self.thresholds.astype(np.float32)
        return np.where(nearest > self.thresholds, np.nextafter(nearest, np.float32(-np.inf)), nearest)

    def probability(self, features: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Return the probability of class 1, ``(window,)``, of ``(window, feature)`` in float32 or float64.

        NaN goes where the library sends it: LightGBM takes it for 0 where no value was missing in training,
        XGBoost learns a side. ValueError for another number of features.
        """
        if features.shape[1] != self.columns:
            raise ValueError(f"{features.shape[1]} features, but the trees were grown on {self.columns}")
        # XGBoost compares float32, whatever it is given.
        single = features.dtype == np.float32 or self.leaves.dtype == np.float32
        with np.errstate(over="ignore"):  # beyond float32 is infinity, there too
            values = np.ascontiguousarray(features, dtype=np.float32 if single else np.float64)
        thresholds = self._single if single else self.thresholds
        total = np.full(len(values), self.start, self.leaves.dtype)
        blank = self.tiny, self.instead
        columns = np.zeros((self.columns, _ROWS), values.dtype)
        buffers = columns, np.empty(_ROWS, np.uint32), np.empty(_ROWS, total.dtype)
        _score(values, self.ends, self.features, thresholds, self.masks, self.leaves, *blank, *buffers, total)
        if self.leaves.dtype == np.float32:
            np.maximum(total, _LEAST, out=total)
        _to_probability(total, total.dtype.type(self.slope))
        return total.astype(np.float64)

    @classmethod
    def of_lightgbm(cls, text: str) -> QuickScorer | None:
        """Return the trees of a model in LightGBM's text format; None for any that they cannot stand for.

        Those are trees of more than :data:`LEAVES` leaves, with linear leaves or categories, grown on missing
        values, or for other aims than two classes. A text that is not whole is another. LightGBM itself can
        predict it.
        """
        before, _, rest = text.partition("\nend of trees")
        head, *parts = _TREE.split(before)
        about, trees = _fields(head), [_fields(part) for part in parts]
        aim = re.fullmatch(r"binary sigmoid:(\S+)", about.get("objective", ""))
        if (
            not (rest and aim and trees)
            or re.search("^average_output$", head, re.MULTILINE)
            or about.get("num_tree_per_iteration") != "1"
            or len(about.get("tree_sizes", "").split()) != len(trees)
        ):
            return None
        try:
            columns = int(about["max_feature_idx"]) + 1
            slope = float(aim[1])
            grown = [_grown(tree, columns) for tree in trees]
        except (KeyError, ValueError, IndexError):
            return None
        if not (math.isfinite(slope) and slope > 0):
            return None
        return cls(*_joined(grown, columns), start=0.0, slope=slope, tiny=_ZERO, instead=0.0)

    @classmethod
    def of_xgboost(cls, document: Mapping[str, Any]) -> QuickScorer | None:
        """Return the trees of a :func:`.checked_document`; None for any that they cannot stand for.

        Those are trees of more than :data:`LEAVES` leaves, and trees that send missing values to different
        sides at different splits. XGBoost can predict them.
        """
        learner = document["learner"]
        trees = learner["gradient_booster"]["model"]["trees"]
        to_the_left = {
            bool(way) for tree in trees for way in tree["default_left"][tree["left_children"] >= 0]
        }
        if len(to_the_left) > 1:
            return None
        grown = [_grown_by_xgboost(tree) for tree in trees]
        whole = [tree for tree in grown if tree is not None]
        if len(whole) < len(trees):
            return None
        about = learner["learner_model_param"]
        parts = _joined(whole, int(about["num_feature"]))
        start = float(_margin(np.float32(about["base_score"].strip("[]"))))
        single = (*parts[:-1], parts[-1].astype(np.float32))
        return cls(
            *single, start=start, slope=1.0, tiny=-1.0, instead=-math.inf if True in to_the_left else math.inf
        )


def _joined(grown: Sequence[_Tree], columns: int) -> tuple[int, Any, Any, Any, Any, Any]:
    """Return the first fields of a :class:`QuickScorer`, of several trees."""
    features, thresholds, masks, leaves = zip(*grown, strict=True)
    return (
        columns,
        np.cumsum([0, *map(len, features)]).astype(np.uint32),
        np.concatenate(features).astype(np.uint32),
        np.concatenate(thresholds).astype(np.float64),
        np.concatenate(masks).astype(np.uint32),
        np.stack(leaves),
    )


def _fields(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _grown(tree: Mapping[str, str], columns: int) -> _Tree:
    """Return a tree of LightGBM; ValueError if it cannot be."""
    votes, thresholds = (list(map(float, tree.get(name, "").split())) for name in ("leaf_value", "threshold"))
    features, kinds, left, right = (
        list(map(int, tree.get(name, "").split()))
        for name in ("split_feature", "decision_type", "left_child", "right_child")
    )
    if (
        not 1 <= len(votes) <= LEAVES
        or int(tree["num_leaves"]) != len(votes)
        or {len(part) for part in (features, thresholds, kinds, left, right)} != {len(votes) - 1}
        or tree.get("is_linear", "0") != "0"
        or set(kinds) - {0, _DEFAULT_LEFT}
        or not all(map(math.isfinite, [*votes, *thresholds]))
        or (features and not 0 <= min(features) <= max(features) < columns)
    ):
        raise ValueError("trees of another kind")
    return _masked(features, thresholds, left, right, votes)


def _grown_by_xgboost(tree: Mapping[str, Any]) -> _Tree | None:
    """Return a tree of XGBoost; None if it has too many leaves.

    There a window goes to the left below a threshold, not at it: up to the next smaller float32. Leaves and
    splits share their numbers, and nodes that were pruned are reached by none.
    """
    left, right = tree["left_children"].tolist(), tree["right_children"].tolist()
    inner: list[int] = []
    leaves: list[int] = []
    waiting = [0]
    while waiting:
        node = waiting.pop()
        (leaves if left[node] < 0 else inner).append(node)
        if left[node] >= 0:
            waiting += [right[node], left[node]]
    if len(leaves) > LEAVES:
        return None
    number = {node: at for at, node in enumerate(inner)} | {node: ~at for at, node in enumerate(leaves)}
    values = tree["split_conditions"]
    return _masked(
        tree["split_indices"][inner].tolist(),
        np.nextafter(values[inner], np.float32(-np.inf)).tolist(),
        [number[left[node]] for node in inner],
        [number[right[node]] for node in inner],
        values[leaves].tolist(),
    )


def _masked(
    features: list[int], thresholds: list[float], left: list[int], right: list[int], votes: list[float]
) -> _Tree:
    """Return a tree, children numbered as by :func:`leaves_under`; ValueError if it is none."""
    first, count = leaves_under(left, right)
    masks = [int(_ALL) & ~(((1 << count[child]) - 1) << first[child]) for child in left]
    by_slot = np.zeros(LEAVES)
    for leaf, vote in enumerate(votes):
        by_slot[_SLOTS[first[~leaf]]] = vote
    return features, thresholds, masks, by_slot


def leaves_under(left: Sequence[int], right: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the first leaf under each split or leaf, counted from the left, and how many there are.

    Splits have numbers from 0, the root; leaves -1, -2 ...: places in both lists, from the end. ValueError
    where these are no children of a tree.
    """
    splits = len(left)
    each_once = sorted([*left, *right]) == [*range(-splits - 1, 0), *range(1, splits)]
    if splits and not (each_once and _downwards(left) and _downwards(right)):
        raise ValueError("no tree")
    count = [1] * (2 * splits + 1)
    for split in range(splits - 1, -1, -1):
        count[split] = count[left[split]] + count[right[split]]
    first = [0] * (2 * splits + 1)
    for split in range(splits):
        first[left[split]] = first[split]
        first[right[split]] = first[split] + count[left[split]]
    return first, count


def _downwards(children: Sequence[int]) -> bool:
    """Return whether every child is a leaf, or a later split than its parent."""
    return not any(0 <= child <= split for split, child in enumerate(children))


@compiled
def _score(
    values: Any,
    ends: Any,
    features: Any,
    thresholds: Any,
    masks: Any,
    leaves: Any,
    tiny: float,
    instead: float,
    columns: Any,
    left: Any,
    sums: Any,
    total: Any,
) -> None:
    """Add the votes of all trees to `total`, ``(window,)``; see :class:`QuickScorer`.

    No branches in the loops over windows, which are always as many, so that LLVM vectorises them.
    """
    for begin in range(0, len(values), _ROWS):
        rows = min(_ROWS, len(values) - begin)
        for r in range(rows):
            for i in range(values.shape[1]):
                value = values[begin + r, i]
                columns[i, r] = value if abs(value) > tiny else instead  # so is NaN
            sums[r] = total[begin + r]
        for tree in range(len(leaves)):
            for r in range(_ROWS):
                left[r] = _ALL
            for split in range(ends[tree], ends[tree + 1]):
                column, threshold, mask = columns[features[split]], thresholds[split], masks[split]
                for r in range(_ROWS):
                    left[r] &= mask if column[r] > threshold else _ALL
            votes = leaves[tree]
            for r in range(_ROWS):  # of the leaves left, the first one's bit alone
                bit = np.uint32(left[r] & np.uint32(~left[r] + np.uint32(1)))
                sums[r] += votes[np.uint32(bit * _DE_BRUIJN) >> np.uint32(27)]
        for r in range(
            rows
        ):  # not by slices: numba would compile a message for shapes that differ, for seconds
            total[begin + r] = sums[r]


@compiled
def _to_probability(total: Any, slope: float) -> None:
    """Put the logistic function in place of sums of votes, by the C library's `exp`, as both libraries do."""
    one = total.dtype.type(1)
    for r in range(len(total)):
        total[r] = one / (one + math.exp(-slope * total[r]))


@compiled
def _margin(base_score: Any) -> Any:
    """Return the sum of votes that stands for a probability in float32, by the C library's `log`."""
    one = np.float32(1)
    return -math.log(one / base_score - one)
