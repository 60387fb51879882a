"""Small fully connected networks on window statistics, evaluated with numpy alone."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from landslide_map.runtime.jit import compiled
from landslide_map.untrusted.arrays import read_npz

_SCORED_ROWS: Final = 256
"""Windows at a time: one feature of so many stays in the CPU's cache."""

_ROWS: Final = 512
"""Windows at a time: the output of a layer stays in the CPU's cache."""
_MOST_BYTES: Final = 2**28
"""Greatest size of the arrays of a file; those of the default bundle have 1 MB."""
_FIELDS: Final = ("knots", "scores", "weights0", "bias0")


@dataclass(frozen=True, slots=True)
class Perceptron:
    """Several networks of one shape that share their input scaling; their probabilities are averaged.

    Each feature is first mapped to a normal score, piecewise linearly between quantiles of the
    training windows, so that no outlier of a new scene can push the networks far outside what they saw.
    """

    knots: npt.NDArray[np.float32]
    """``(feature, knot)``, increasing: training quantiles of each feature."""
    scores: npt.NDArray[np.float32]
    """``(knot,)``: the normal score of each quantile."""
    weights: tuple[npt.NDArray[np.float32], ...]
    """Per layer ``(network, inputs, outputs)``."""
    biases: tuple[npt.NDArray[np.float32], ...]
    """Per layer ``(network, 1, outputs)``."""

    def probability(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the mean over the networks, ``(window,)``, of ``(window, feature)``."""
        inputs = normal_scores(features, self.knots, self.scores)
        parts = [self._forward(inputs[start : start + _ROWS]) for start in range(0, len(inputs), _ROWS)]
        return np.concatenate([np.empty(0), *parts])

    def _forward(self, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        layer = inputs[np.newaxis]
        last = len(self.weights) - 1
        for depth, (weights, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            layer = layer @ weights
            layer += bias
            if depth < last:
                layer *= _sigmoid(layer)  # SiLU
        logits = layer[:, :, 0].astype(np.float64)
        probability: npt.NDArray[np.float64] = _sigmoid(logits).mean(axis=0)
        return probability

    def to_bytes(self) -> bytes:
        """Return the networks as an ``.npz`` archive without pickles; weights in half precision."""
        arrays = {"knots": self.knots, "scores": self.scores}
        for depth, (weights, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            arrays |= {f"weights{depth}": weights.astype(np.float16), f"bias{depth}": bias}
        buffer = BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Perceptron:
        """Return a perceptron from the bytes of :meth:`to_bytes`; ``ValueError`` for other bytes."""
        arrays = {name: array.astype(np.float32) for name, array in read_npz(content, _MOST_BYTES).items()}
        if missing := [name for name in _FIELDS if name not in arrays]:
            raise ValueError(f"no array {missing[0]} in the archive")
        depth = sum(name.startswith("weights") for name in arrays)
        if wrong := _misfit(arrays, depth):
            raise ValueError(wrong)
        return cls(
            arrays["knots"],
            arrays["scores"],
            tuple(arrays[f"weights{i}"] for i in range(depth)),
            tuple(arrays[f"bias{i}"] for i in range(depth)),
        )


def _misfit(arrays: dict[str, npt.NDArray[np.float32]], depth: int) -> str | None:
    """Return why arrays make no networks: a layer that does not fit the one before, or no finite number."""
    expected = {"knots", "scores", *(f"{kind}{i}" for kind in ("weights", "bias") for i in range(depth))}
    if set(arrays) != expected:
        return f"it holds {', '.join(sorted(arrays))[:200]}; expected {', '.join(sorted(expected))}"
    if unfinished := [name for name, array in arrays.items() if not np.isfinite(array).all()]:
        return f"{unfinished[0]} holds numbers that are not finite"
    knots, scores = arrays["knots"], arrays["scores"]
    if knots.ndim != 2 or scores.shape != knots.shape[1:] or knots.size == 0 or (np.diff(knots) < 0).any():
        return f"knots {knots.shape} and scores {scores.shape} are no quantiles that increase"
    networks, inputs = len(arrays["weights0"]), len(knots)
    for i in range(depth):
        weights, bias = arrays[f"weights{i}"], arrays[f"bias{i}"]
        if weights.ndim != 3 or weights.shape[:2] != (networks, inputs) or networks < 1:
            return f"weights{i} {weights.shape} do not take {inputs} values of {networks} networks"
        inputs = weights.shape[2]
        if bias.shape != (networks, 1, inputs):
            return f"bias{i} {bias.shape} does not fit weights{i} {weights.shape}"
    return None if inputs == 1 else f"the last layer gives {inputs} values; expected 1"


@cache
def _thread_pools() -> ThreadpoolController:
    return ThreadpoolController()


def one_blas_thread() -> AbstractContextManager[object]:
    """Let matrix products inside use one thread each.

    Many small products are faster side by side than one after the other on all threads, which spin while they
    wait (here 3.5 times the CPU time), and their rounding then does not depend on the number of cores.
    """
    limit: AbstractContextManager[object] = _thread_pools().limit(limits=1, user_api="blas")
    return limit


def _sigmoid(x: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    result: npt.NDArray[np.floating] = np.negative(x)
    with np.errstate(over="ignore"):  # exp overflows to inf, and 1 / (1 + inf) is the right 0
        np.exp(result, out=result)
    result += 1
    np.divide(1, result, out=result)
    return result


def normal_scores(
    features: npt.NDArray[np.float32], knots: npt.NDArray[np.float32], scores: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Map each feature to its normal score by linear interpolation between training quantiles.

    Parameters
    ----------
    features : ndarray, (window, feature)
    knots : ndarray, (feature, knot), never decreasing
        Where some are equal, the first one's score counts.
    scores : ndarray, (knot,)

    Returns
    -------
    ndarray, (window, feature), float32
        Values beyond the outermost quantiles get their scores; NaN stays NaN.
    """
    mapped = np.empty(features.shape, dtype=np.float32)
    # Lines are computed each time: a fortieth of the work for 2,048 windows, and nothing to keep.
    values, places = np.empty(_SCORED_ROWS, features.dtype), np.empty(_SCORED_ROWS, np.uint32)
    _interpolate(features, knots, *_lines(knots, scores), values, places, mapped)
    return mapped


def _lines(
    knots: npt.NDArray[np.float32], scores: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the score at each knot and the slope from there to the next, ``(feature, knot)`` each.

    Of equal knots only the last is looked up, and it has the score of the first.
    """
    places = np.arange(knots.shape[1])
    first = np.where(np.diff(knots, axis=1, prepend=-np.inf) > 0, places, 0)
    start = scores.astype(np.float64)[np.maximum.accumulate(first, axis=1)]
    rise, run = scores[1:] - start[:, :-1], np.diff(knots.astype(np.float64), axis=1)
    slope = np.zeros(knots.shape)
    np.divide(rise, run, out=slope[:, :-1], where=run > 0)
    return start, slope


@compiled
def _interpolate(
    features: Any, knots: Any, start: Any, slope: Any, values: Any, places: Any, out: Any
) -> None:
    """Fill `out` with the piecewise linear function of each feature, in the arithmetic of `numpy.interp`."""
    windows, count = features.shape[0], knots.shape[1]
    for begin in range(0, windows, _SCORED_ROWS):
        rows = min(_SCORED_ROWS, windows - begin)
        for i in range(features.shape[1]):
            line, least, most = knots[i], knots[i, 0], knots[i, count - 1]
            for r in range(rows):
                value = features[begin + r, i]
                values[r] = least if value < least else (most if value > most else value)
                places[r] = 0
            left = count
            while left > 1:  # the last knot that is not above the value: halve what may hold it
                half = np.uint32(left // 2)
                for r in range(rows):
                    places[r] += half if line[places[r] + half] <= values[r] else np.uint32(0)
                left -= half
            for r in range(rows):
                at = places[r]
                beyond = np.float64(values[r]) - np.float64(line[at])
                out[begin + r, i] = start[i, at] + slope[i, at] * beyond
