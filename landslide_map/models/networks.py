"""What surrounds a network when it votes: scaling, indices, enlargement, flips, folds.

Everything that differs from a plain forward pass is here, once, for scoring, mapping and training.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from landslide_map.bands import CHANNELS, INDEX_PAIRS, MODEL_BANDS, TRAINING_MOMENTS, TRAINING_QUANTILES
from landslide_map.models.network_spec import IndexStage, NetworkSpec, Scaling

FLIPS: Final[tuple[tuple[int, ...], ...]] = ((), (2,), (3,), (2, 3))
"""Axes of ``(n, channel, y, x)`` that are reversed: not at all, rows, columns, both."""
Precision = Literal["float32", "bfloat16", "float16"]


def scale(
    windows: npt.NDArray[np.floating], scaling: Scaling, indices: IndexStage = "after"
) -> npt.NDArray[np.float32]:
    """Return all 18 channels as the networks want them.

    Parameters
    ----------
    windows : ndarray, (n, y, x, 12)
        Model bands in the order of ``bands.MODEL_BANDS`` and their units; NaN = missing. A missing pixel
        becomes its band's training median.
    scaling, indices
        As in :class:`~landslide_map.models.network_spec.NetworkSpec`. Bands are scaled in float64 and then
        rounded, indices of scaled bands are computed in float32, as in the published procedure: where a
        denominator is close to 0 the result depends on it.

    Returns
    -------
    ndarray, (n, 18, y, x), float32
    """
    raw = np.moveaxis(np.asarray(windows, dtype=np.float64), -1, 1)
    medians = np.array([TRAINING_QUANTILES[name][1] for name in MODEL_BANDS])[:, None, None]
    raw = np.where(np.isnan(raw), medians, raw)
    centre, spread = (np.array(values)[:, None, None] for values in zip(*_constants(scaling), strict=True))
    scaled = ((raw - centre) / spread).astype(np.float32)
    base = scaled if indices == "after" else raw
    out = np.empty((len(raw), len(CHANNELS), *raw.shape[2:]), dtype=np.float32)
    out[:, : len(MODEL_BANDS)] = scaled
    for channel, (a, b) in enumerate(INDEX_PAIRS.values(), start=len(MODEL_BANDS)):
        first, second = base[:, MODEL_BANDS.index(a)], base[:, MODEL_BANDS.index(b)]
        out[:, channel] = (first - second) / (first + second + 1e-10) + 0.5
    return out


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
        From :func:`~landslide_map.models.network_heads.build_network`.
    images : Tensor, (n, planes, image_size, image_size)
    flips
        Axes to reverse for each pass; ``((),)`` is the plain procedure.
    """
    total = torch.zeros(len(images), device=images.device)
    for axes in flips:
        flipped = images.flip(axes) if axes else images
        total += network(flipped)[:, 0].float()
    return total / len(flips)
