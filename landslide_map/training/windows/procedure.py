"""Published learning procedure, piece by piece: loss, schedule, augmentation."""

from __future__ import annotations

from math import cos, pi
from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from landslide_map.training.windows.recipe import Augmentation

_SMALL: Final = 1e-7


def learning_rate(start: float, epoch: int, epochs: int) -> float:
    """Return the rate of an epoch counted from 0: a half cosine from `start` towards 0."""
    return start / 2 * (1 + cos(pi * epoch / epochs))


def loss(logits: Tensor, labels: Tensor, kind: str) -> Tensor:
    """Return the loss of a batch.

    Parameters
    ----------
    logits, labels : Tensor, (n,)
    kind : str
        ``bce``, or ``bce + soft f1``, which adds 1 - soft F1: the F1 of the batch with probabilities in the
        place of decisions, ``(2 tp + 1e-7) / (2 tp + fp + fn + 1e-7)``.
    """
    cross_entropy = binary_cross_entropy_with_logits(logits, labels)
    if kind == "bce":
        return cross_entropy
    probability = torch.sigmoid(logits)
    tp = (probability * labels).sum()
    fp = (probability * (1 - labels)).sum()
    fn = ((1 - probability) * labels).sum()
    return cross_entropy + 1 - (2 * tp + _SMALL) / (2 * tp + fp + fn + _SMALL)


def augmented(windows: Tensor, how: Augmentation, chance: torch.Generator) -> Tensor:
    """Return windows turned and mirrored at random, each on its own.

    Parameters
    ----------
    windows : Tensor, (n, plane, y, x), on the CPU
    how : Augmentation
        Probabilities. A rotation is by 0 to 3 quarter turns, as the published procedure's library draws it.
    chance : Generator
    """
    count = len(windows)
    turned = torch.rand(count, generator=chance) < how.rotation
    turns = torch.randint(0, 4, (count,), generator=chance) * turned
    out = torch.stack([torch.rot90(w, int(k), (1, 2)) for w, k in zip(windows, turns, strict=True)])
    for axis, probability in ((2, how.row_flip), (3, how.column_flip)):
        flipped = torch.rand(count, generator=chance) < probability
        out[flipped] = out[flipped].flip(axis)
    return out
