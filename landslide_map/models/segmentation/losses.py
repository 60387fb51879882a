"""Losses of the two published segmentation systems: logits and 0/1 labels -> one number to minimise.

References
----------
Ganerod et al., arXiv 2310.05959 (``bce``, ``dice``, ``focal``, ``jaccard``, ``lovasz``);
Burange et al., arXiv 2507.01123 (``l4s``); Berman et al. 2018 (Lovasz hinge).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

_EPSILON: Final = 1e-7
_SMOOTH: Final = 1e-6
_IGNORED: Final = -100
_L4S_CROSS_ENTROPY: Final = 5.0
"""Factor on the whole cross entropy, not on the positive class: ``BCELoss(weight=5)``."""


def bce(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross entropy over pixels; pixels labelled -100 add 0 to the sum."""
    each = binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="none")
    return (each * (labels != _IGNORED)).mean()


def dice(logits: Tensor, labels: Tensor) -> Tensor:
    """Return 1 - Dice over the batch; 0 for a batch without a positive pixel."""
    probability, truth = torch.sigmoid(logits), labels.to(logits.dtype)
    overlap = (probability * truth).sum()
    total = (probability + truth).sum().clamp_min(_EPSILON)
    return _if_any(truth, 1 - 2 * overlap / total)


def jaccard(logits: Tensor, labels: Tensor) -> Tensor:
    """Return 1 - intersection over union of the batch; 0 for a batch without a positive pixel."""
    probability, truth = torch.sigmoid(logits), labels.to(logits.dtype)
    overlap = (probability * truth).sum()
    union = ((probability + truth).sum() - overlap).clamp_min(_EPSILON)
    return _if_any(truth, 1 - overlap / union)


def focal(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean focal loss, gamma 2, without class weights."""
    each = binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="none")
    return ((1 - torch.exp(-each)) ** 2 * each).mean()


def lovasz(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the Lovasz hinge of the whole batch."""
    x, truth = logits.flatten(), labels.flatten().to(logits.dtype)
    error, order = torch.sort(1 - x * (2 * truth - 1), descending=True, stable=True)
    ordered = truth[order]
    positives = ordered.sum()
    index = 1 - (positives - ordered.cumsum(0)) / (positives + (1 - ordered).cumsum(0))
    gradient = torch.cat([index[:1], index[1:] - index[:-1]])
    return torch.dot(torch.relu(error), gradient)


def l4s(logits: Tensor, labels: Tensor) -> Tensor:
    """Return half of five times the cross entropy plus half of 1 - Dice.

    The published code takes the cross entropy of float32 probabilities, which saturate where a logit is
    beyond +-16.6; this is the stable form on logits.
    """
    truth = labels.to(logits.dtype)
    probability = torch.sigmoid(logits)
    overlap = (probability * truth).sum()
    total = (probability + truth).sum()
    dice_loss = 1 - (2 * overlap + _SMOOTH) / (total + _SMOOTH)
    return 0.5 * _L4S_CROSS_ENTROPY * binary_cross_entropy_with_logits(logits, truth) + 0.5 * dice_loss


LOSSES: Final[Mapping[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "bce": bce,
    "dice": dice,
    "focal": focal,
    "jaccard": jaccard,
    "lovasz": lovasz,
    "l4s": l4s,
}
"""Name -> loss of logits and labels, both ``(n, 1, y, x)``."""


def _if_any(truth: Tensor, loss: Tensor) -> Tensor:
    return loss * (truth.sum() > 0)
