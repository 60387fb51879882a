"""Preprocessing around a network: scaling, indices, enlargement, flips, folds.

Everything that differs from a plain forward pass is here, once, for scoring, mapping and training.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from landslide_map.bands import CHANNELS, INDEX_PAIRS, MODEL_BANDS, TRAINING_MOMENTS, TRAINING_QUANTILES
from landslide_map.models.networks.spec import IndexStage, NetworkSpec, Scaling

FLIPS: Final[tuple[tuple[int, ...], ...]] = ((), (2,), (3,), (2, 3))
"""Axes of ``(n, channel, y, x)`` that are reversed: not at all, rows, columns, both."""


def scale(windows: Tensor, scaling: Scaling, indices: IndexStage = "after") -> Tensor:
    """Return all 18 channels as the networks want them.

    Parameters
    ----------
    windows : Tensor, (n, 12, y, x), float64
        Model bands in the order of ``bands.MODEL_BANDS`` and their units; NaN = missing. A missing pixel
        becomes its band's training median.
    scaling, indices
        As in :class:`~landslide_map.models.networks.spec.NetworkSpec`. Bands are scaled in float64 and then
        rounded, indices of scaled bands are computed in float32, as in the published procedure. Where a
        denominator is close to 0 the result depends on it.

    Returns
    -------
    Tensor, (n, 18, y, x), float32
    """
    medians = [TRAINING_QUANTILES[name][1] for name in MODEL_BANDS]
    centres, spreads = zip(*_constants(scaling), strict=True)
    raw = torch.where(windows.isnan(), _per_band(medians, windows), windows)
    scaled = ((raw - _per_band(centres, raw)) / _per_band(spreads, raw)).float()
    base = scaled if indices == "after" else raw
    bands = {name: base[:, i] for i, name in enumerate(MODEL_BANDS)}
    pairs = [(bands[a], bands[b]) for a, b in INDEX_PAIRS.values()]
    computed = [((a - b) / (a + b + 1e-10) + 0.5).float() for a, b in pairs]
    return torch.cat([scaled, torch.stack(computed, dim=1)], dim=1)


def _per_band(values: Sequence[float], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None, None]


def _constants(scaling: Scaling) -> Iterable[tuple[float, float]]:
    """Centre and spread of each model band."""
    if scaling == "standard":
        return [TRAINING_MOMENTS[name] for name in MODEL_BANDS]
    quantiles = (TRAINING_QUANTILES[name] for name in MODEL_BANDS)
    return [(median, high - low) for low, median, high in quantiles]


def planes(spec: NetworkSpec) -> list[int]:
    """Return the positions in ``bands.CHANNELS`` of a network's input planes, group after group."""
    return [CHANNELS.index(name) for name in chain(*spec.groups)]


def enlarge(images: Tensor, size: int) -> Tensor:
    """Return `images` ``(n, channel, y, x)`` resized to `size` pixels a side.

    Bilinear, half-pixel centres, no antialiasing: what OpenCV calls ``INTER_LINEAR``.
    """
    return interpolate(images, (size, size), mode="bilinear", align_corners=False)


def logits(network: nn.Module, images: Tensor, flips: Sequence[tuple[int, ...]] = FLIPS) -> Tensor:
    """Return the mean logit ``(n,)``, float32, of a network in evaluation mode over flips of `images`.

    Parameters
    ----------
    network
        From :func:`~landslide_map.models.networks.architecture.build_network`.
    images : Tensor, (n, planes, image_size, image_size)
    flips
        Axes to reverse for each image, all in one pass; ``((),)`` is the plain procedure.
    """
    flipped = torch.cat([images.flip(axes) if axes else images for axes in flips])
    found: Tensor = network(flipped)[:, 0].float()
    return found.view(len(flips), -1).mean(dim=0)
