"""Small fully connected networks on window statistics, evaluated with numpy alone."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Final

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from landslide_map.models.statistics.normal_scores import normal_scores

_ROWS: Final = 512
"""Windows at a time: what a layer makes of them stays in the processor's cache."""
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
        """Return what :meth:`to_bytes` wrote; ``ValueError`` where it is not that."""
        with np.load(BytesIO(content), allow_pickle=False) as archive:
            if missing := [name for name in _FIELDS if name not in archive]:
                raise ValueError(f"no array {missing[0]} in the archive")
            depth = sum(name.startswith("weights") for name in archive)
            arrays = {name: archive[name].astype(np.float32) for name in archive}
        return cls(
            arrays["knots"],
            arrays["scores"],
            tuple(arrays[f"weights{i}"] for i in range(depth)),
            tuple(arrays[f"bias{i}"] for i in range(depth)),
        )


@cache
def _thread_pools() -> ThreadpoolController:
    return ThreadpoolController()


def one_blas_thread() -> AbstractContextManager[object]:
    """Let matrix products inside use one thread each.

    Many small products are faster side by side than one after the other on all threads, which spin while they
    wait (here 3.5 times the processor time), and their rounding then does not depend on the number of cores.
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
