"""Windows and weights that a seed makes again: what the golden logits were computed from.

A window is a level, coarse squares of 8 x 8 pixels and pixel noise around each band's training mean. A weight
is normal noise, seeded by its key, and sized by what the key's last word says the tensor is.
"""

from __future__ import annotations

import zlib
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from landslide_map.bands import MODEL_BANDS, OPTICAL, TRAINING_MOMENTS


def synthetic_windows(seed: int, count: int) -> npt.NDArray[np.float64]:
    """Return windows ``(count, 64, 64, 12)`` in model bands; optical DNs are whole numbers of 1 to 20000."""
    rng = np.random.default_rng([seed, 4096])
    windows = np.empty((count, 64, 64, len(MODEL_BANDS)))
    for i, band in enumerate(MODEL_BANDS):
        mean, std = TRAINING_MOMENTS[band]
        level = rng.normal(mean, 0.5 * std, size=(count, 1, 1))
        squares = rng.normal(0, 0.4 * std, size=(count, 8, 8))
        noise = rng.normal(0, 0.3 * std, size=(count, 64, 64))
        windows[..., i] = level + np.kron(squares, np.ones((1, 8, 8))) + noise
    optical = windows[..., : len(OPTICAL)]
    windows[..., : len(OPTICAL)] = np.rint(np.clip(optical, 1, 20000))
    return windows


def filled(state: dict[str, torch.Tensor], seed: int) -> dict[str, torch.Tensor]:
    """Return `state` with the values of every floating-point tensor replaced; counters stay."""
    return {
        key: torch.from_numpy(_values(key, tuple(old.shape), seed)) if old.is_floating_point() else old
        for key, old in state.items()
    }


def _values(key: str, shape: tuple[int, ...], seed: int) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng([seed, zlib.crc32(key.encode())])
    noise: npt.NDArray[Any] = np.asarray(rng.standard_normal(shape), dtype=np.float32)
    word = key.split(".")[-1]
    if word == "running_var":
        noise = 1 + 0.1 * np.abs(noise)
    elif word == "running_mean":
        noise = 0.05 * noise
    elif "embed" in word or "token" in word:
        noise = 0.02 * noise
    elif len(shape) > 1:
        noise = noise / np.sqrt(prod(shape[1:]))
    elif word == "bias":
        noise = 0.02 * noise
    else:
        noise = 1 + 0.05 * noise
    return noise.astype(np.float32)
