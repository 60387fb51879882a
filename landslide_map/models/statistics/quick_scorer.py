"""Boosted trees without branches: one bit per leaf, cleared by every split that a window does not take.

After QuickScorer (Lucchese and others, SIGIR 2015, https://doi.org/10.1145/2766462.2767733), with windows in
the inner loop, which LLVM vectorises: some 25 times as fast as LightGBM, which walks from split to split
(``python -m benchmarks.votes``). The bits are the same, as votes are summed in the same order.
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
"""Windows at a time: what they need of a tree stays in the fastest cache."""
_ALL: Final = np.uint32(0xFFFFFFFF)
_DE_BRUIJN: Final = np.uint32(0x077CB531)
"""Its 32 five-bit parts all differ: times a power of two, the upper five bits tell which one it was."""
_SLOTS: Final = [((int(_DE_BRUIJN) << leaf) & int(_ALL)) >> 27 for leaf in range(LEAVES)]
"""Where the vote of each leaf is, counted from the left: what its bit alone becomes in :func:`_score`."""
_TREE: Final = re.compile(r"^Tree=\d+$", re.MULTILINE)
_ZERO: Final = float(np.float32(1e-35))
"""Up to here LightGBM takes a value for 0."""
_DEFAULT_LEFT: Final = 2
"""Bit of a split's ``decision_type`` that says nothing where no value counts as missing."""


@dataclass(frozen=True)
class QuickScorer:
    """Trees for two classes; all that a window's way through them depends on, split after split."""

    columns: int
    """Features of a window."""
    ends: npt.NDArray[np.uint32]
    """``(tree + 1,)``: where the splits of each tree begin, and the last one's end."""
    features: npt.NDArray[np.uint32]
    """``(split,)``: the column that is looked at."""
    thresholds: npt.NDArray[np.float64]
    """``(split,)``: a window goes to the left up to this value."""
    masks: npt.NDArray[np.uint32]
    """``(split,)``: without the leaves on the left, the first leaf of a tree in the lowest bit."""
    leaves: npt.NDArray[np.float64]
    """``(tree, LEAVES)``: what each leaf votes, in the order of :data:`_SLOTS`."""
    slope: float
    """Probability is ``1 / (1 + exp(-slope * sum of votes))``."""

    @cached_property
    def _single(self) -> npt.NDArray[np.float32]:
        """The thresholds rounded down: as no float32 lies between, they part the same windows."""
        with np.errstate(over="ignore"):  # infinity is rounded down to the greatest number
            nearest = self.thresholds.astype(np.float32)
        return np.where(nearest > self.thresholds, np.nextafter(nearest, np.float32(-np.inf)), nearest)

    def probability(self, features: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Return the probability of class 1, ``(window,)``, of ``(window, feature)`` in float32 or float64.

        NaN counts as 0, as in LightGBM where no value was missing in training. ValueError for another number
        of features.
        """
        if features.shape[1] != self.columns:
            raise ValueError(f"{features.shape[1]} features, but the trees were grown on {self.columns}")
        single = features.dtype == np.float32
        values = np.ascontiguousarray(features, dtype=np.float32 if single else np.float64)
        thresholds = self._single if single else self.thresholds
        total = np.zeros(len(values))
        _score(values, self.ends, self.features, thresholds, self.masks, self.leaves, total)
        probability: npt.NDArray[np.float64] = _probability(total, self.slope)
        return probability

    @classmethod
    def of_lightgbm(cls, text: str) -> QuickScorer | None:
        """Return the trees of a model in LightGBM's text format; None for any that they cannot stand for.

        Those are trees of more than :data:`LEAVES` leaves, with linear leaves or categories, grown on missing
        values, for other aims than two classes, and a text that is not whole: LightGBM itself can predict it.
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
        features, thresholds, masks, leaves = zip(*grown, strict=True)
        return cls(
            columns=columns,
            ends=np.cumsum([0, *map(len, features)]).astype(np.uint32),
            features=np.concatenate(features).astype(np.uint32),
            thresholds=np.concatenate(thresholds).astype(np.float64),
            masks=np.concatenate(masks).astype(np.uint32),
            leaves=np.stack(leaves),
            slope=slope,
        )


def _fields(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _grown(
    tree: Mapping[str, str], columns: int
) -> tuple[list[int], list[float], list[int], npt.NDArray[np.float64]]:
    """Return features, thresholds and masks of a tree's splits, and its votes; ValueError if it cannot be."""
    votes, thresholds = (
        [float(word) for word in tree.get(name, "").split()] for name in ("leaf_value", "threshold")
    )
    features, kinds, left, right = (
        [int(word) for word in tree.get(name, "").split()]
        for name in ("split_feature", "decision_type", "left_child", "right_child")
    )
    if (
        not 1 <= len(votes) <= LEAVES
        or int(tree["num_leaves"]) != len(votes)
        or {len(part) for part in (features, thresholds, kinds, left, right)} != {len(votes) - 1}
        or tree.get("is_linear", "0") != "0"
        or any(kind & ~_DEFAULT_LEFT for kind in kinds)
        or not all(map(math.isfinite, [*votes, *thresholds]))
        or not all(0 <= feature < columns for feature in features)
    ):
        raise ValueError("trees of another kind")
    first, count = leaves_under(left, right)
    masks = [int(_ALL) & ~(((1 << count[child]) - 1) << first[child]) for child in left]
    by_slot = np.zeros(LEAVES)
    for leaf, vote in enumerate(votes):
        by_slot[_SLOTS[first[~leaf]]] = vote
    return features, thresholds, masks, by_slot


def leaves_under(left: Sequence[int], right: Sequence[int]) -> tuple[dict[int, int], dict[int, int]]:
    """Return the first leaf under each split or leaf, counted from the left, and how many there are.

    Splits have numbers from 0, the root; leaves -1, -2 ... ValueError where these are no children of a tree.
    """
    splits = len(left)
    children = list(zip(left, right, strict=True))
    each_once = sorted([*left, *right]) == [*range(-splits - 1, 0), *range(1, splits)]
    downwards = all(child < 0 or child > split for split, pair in enumerate(children) for child in pair)
    if splits and not (each_once and downwards):
        raise ValueError("no tree")
    count = dict.fromkeys(range(-splits - 1, 0), 1)
    for split in reversed(range(splits)):
        count[split] = count[left[split]] + count[right[split]]
    first = {0 if splits else -1: 0}
    for split in range(splits):
        first[left[split]] = first[split]
        first[right[split]] = first[split] + count[left[split]]
    return first, count


@compiled
def _score(
    values: Any, ends: Any, features: Any, thresholds: Any, masks: Any, leaves: Any, total: Any
) -> None:
    """Add to `total`, ``(window,)``, what every tree votes; see :class:`QuickScorer`.

    No branches in the loops over windows, which are always as many, so that LLVM vectorises them.
    """
    columns = np.zeros((values.shape[1], _ROWS), values.dtype)
    left, sums = np.empty(_ROWS, np.uint32), np.empty(_ROWS)
    for begin in range(0, len(values), _ROWS):
        rows = min(_ROWS, len(values) - begin)
        for r in range(rows):
            for i in range(values.shape[1]):
                value = values[begin + r, i]
                columns[i, r] = value if abs(value) > _ZERO else 0  # so is NaN
        sums[:] = 0
        for tree in range(len(leaves)):
            left[:] = _ALL
            for split in range(ends[tree], ends[tree + 1]):
                column, threshold, mask = columns[features[split]], thresholds[split], masks[split]
                for r in range(_ROWS):
                    left[r] &= mask if column[r] > threshold else _ALL
            votes = leaves[tree]
            for r in range(_ROWS):  # of the leaves left, the first one's bit alone
                bit = np.uint32(left[r] & np.uint32(~left[r] + np.uint32(1)))
                sums[r] += votes[np.uint32(bit * _DE_BRUIJN) >> np.uint32(27)]
        total[begin : begin + rows] += sums[:rows]


@compiled
def _probability(total: Any, slope: float) -> Any:
    """Return the logistic function of sums of votes, by the C library's `exp`, as LightGBM does."""
    out = np.empty(len(total))
    for r in range(len(total)):
        out[r] = 1 / (1 + math.exp(-slope * total[r]))
    return out
