"""Training of small networks on window statistics, in numpy: the default recipe needs no torch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import expit, ndtri

from landslide_map.array_types import Floats32
from landslide_map.models.statistics.perceptron import Perceptron, normal_scores

Share = Annotated[float, Field(ge=0, lt=1)]


class PerceptronSettings(BaseModel):
    """Settings of the networks of one fold and of their training."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    networks: int = Field(default=4, ge=1)
    """Networks per fold, alike but for their random start and batches; their probabilities are averaged."""
    hidden: tuple[int, ...] = (256, 128)
    epochs: int = Field(default=40, ge=1)
    batch: int = Field(default=256, ge=2)
    learning_rate: float = Field(default=2e-3, gt=0)
    """Rate at the start; it falls to 0 along half a cosine."""
    weight_decay: float = Field(default=0.05, ge=0)
    """Decoupled, as in AdamW (Loshchilov and Hutter 2019)."""
    dropout: Share = 0.3
    input_dropout: Share = 0.1
    knots: int = Field(default=41, ge=2)
    """Quantiles that describe the distribution of each feature."""
    positive_weight: float = Field(default=1.0, gt=0)
    activation: Literal["silu"] = "silu"


def fit_perceptron(
    features: Floats32, labels: npt.NDArray[np.integer], settings: PerceptronSettings, seed: int
) -> Perceptron:
    """Train the networks of one fold.

    Parameters
    ----------
    features : ndarray, (window, feature), float32, finite
    labels : ndarray, (window,), 0 or 1
    settings : PerceptronSettings
    seed : int
        The same seed gives the same networks.
    """
    generator = np.random.default_rng(seed)
    shares = (np.arange(settings.knots) + 0.5) / settings.knots
    scores = ndtri(shares).astype(np.float32)
    knots = np.ascontiguousarray(np.quantile(features, shares, axis=0).T, dtype=np.float32)
    inputs = normal_scores(features, knots, scores)
    widths = (inputs.shape[1], *settings.hidden, 1)
    trainer = _Trainer(widths, settings, generator)
    steps = settings.epochs * max(1, len(inputs) // settings.batch)
    for step, rows in enumerate(_batches(len(inputs), settings, generator)):
        rate = settings.learning_rate * 0.5 * (1 + np.cos(np.pi * step / steps))
        trainer.step(inputs[rows], labels[rows].astype(np.float32), float(rate))
    return Perceptron(knots, scores, tuple(_halved(w) for w in trainer.weights), tuple(trainer.biases))


def _halved(weights: Floats32) -> Floats32:
    """Round to half precision now, so that out-of-fold votes come from the very numbers that are stored."""
    return weights.astype(np.float16).astype(np.float32)


def _batches(
    count: int, settings: PerceptronSettings, generator: np.random.Generator
) -> Iterator[npt.NDArray[np.intp]]:
    """Yield row numbers ``(network, batch)``; each network meets the windows in its own order."""
    size = min(settings.batch, count)
    for _ in range(settings.epochs):
        order = np.stack([generator.permutation(count) for _ in range(settings.networks)])
        for start in range(0, count - size + 1, size):
            yield order[:, start : start + size]


class _Trainer:
    """Weights, their Adam moments, and one step of gradient descent for all networks at once."""

    def __init__(
        self, widths: tuple[int, ...], settings: PerceptronSettings, generator: np.random.Generator
    ) -> None:
        self.settings, self.generator, self.steps = settings, generator, 0
        shapes = list(pairwise(widths))
        # He's initialisation; the last layer starts small, so that training starts from even odds.
        gains = [np.sqrt(2 / inputs) * (0.1 if outputs == 1 else 1) for inputs, outputs in shapes]
        self.weights: list[Floats32] = [
            (gain * generator.standard_normal((settings.networks, *shape))).astype(np.float32)
            for gain, shape in zip(gains, shapes, strict=True)
        ]
        self.biases: list[Floats32] = [
            np.zeros((settings.networks, 1, outputs), dtype=np.float32) for _, outputs in shapes
        ]
        self.moments = [
            (np.zeros_like(values), np.zeros_like(values)) for values in (*self.weights, *self.biases)
        ]

    def step(self, inputs: Floats32, labels: Floats32, rate: float) -> None:
        """Move all weights once; `inputs` ``(network, batch, feature)``, `labels` ``(network, batch)``."""
        layers, slopes = self._forward(inputs)
        logits = layers[-1][:, :, 0]
        pull = np.where(labels > 0, self.settings.positive_weight, 1).astype(np.float32)
        delta = (pull * (expit(logits) - labels) / labels.shape[1])[:, :, np.newaxis].astype(np.float32)
        weight_gradients: list[Floats32] = []
        bias_gradients: list[Floats32] = []
        for depth in reversed(range(len(self.weights))):
            weight_gradients.insert(0, np.matmul(layers[depth].transpose(0, 2, 1), delta))
            bias_gradients.insert(0, delta.sum(axis=1, keepdims=True))
            if depth:
                delta = np.matmul(delta, self.weights[depth].transpose(0, 2, 1)) * slopes[depth - 1]
        self._descend([*weight_gradients, *bias_gradients], rate)

    def _forward(self, inputs: Floats32) -> tuple[list[Floats32], list[Floats32]]:
        """Return the inputs of each layer (and the logits), and the slopes of the hidden activations."""
        layers, slopes = [inputs * self._mask(inputs.shape, self.settings.input_dropout)], []
        last = len(self.weights) - 1
        for depth, (weights, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            sums = layers[-1] @ weights + bias
            if depth < last:
                gate = expit(sums)
                mask = self._mask(sums.shape, self.settings.dropout)
                slopes.append(gate * (1 + sums * (1 - gate)) * mask)  # derivative of SiLU
                sums = sums * gate * mask
            layers.append(sums)
        return layers, slopes

    def _mask(self, shape: tuple[int, ...], share: float) -> Floats32:
        """Return 0 for dropped units, and for the others the factor that keeps the mean."""
        kept = self.generator.random(shape, dtype=np.float32) >= share
        return kept.astype(np.float32) / np.float32(1 - share)

    def _descend(self, gradients: list[Floats32], rate: float) -> None:
        """AdamW with its usual constants; biases do not decay."""
        self.steps += 1
        shrink = 1 - rate * self.settings.weight_decay
        for values in self.weights:
            values *= shrink
        scale = rate * np.sqrt(1 - 0.999**self.steps) / (1 - 0.9**self.steps)
        for values, gradient, (mean, square) in zip(
            (*self.weights, *self.biases), gradients, self.moments, strict=True
        ):
            mean += 0.1 * (gradient - mean)
            square += 0.001 * (gradient * gradient - square)
            values -= np.float32(scale) * mean / (np.sqrt(square) + np.float32(1e-8))
