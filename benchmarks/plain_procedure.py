"""The published procedure: every window scaled and enlarged alone, then timm's networks, flip after flip.

OpenCV enlarges, as published, where it is installed; else torch does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from landslide_map.array_types import Floats, Floats32
from landslide_map.bands import CHANNELS, INDEX_PAIRS, MODEL_BANDS, TRAINING_MOMENTS, TRAINING_QUANTILES
from landslide_map.models.networks.preprocessing import enlarge
from landslide_map.models.networks.spec import NetworkSpec
from landslide_map.models.networks.speedups.exact_float32 import true_float32

try:
    import cv2
except ModuleNotFoundError:
    cv2 = None

ENLARGED_BY = "torch" if cv2 is None else f"OpenCV {cv2.__version__}"


def plain_image(window: Floats, spec: NetworkSpec) -> Floats32:
    """Return one window ``(64, 64, 12)`` as the plain procedure makes it, ``(plane, 256, 256)``."""
    bands: dict[str, npt.NDArray[Any]] = {}
    for i, name in enumerate(MODEL_BANDS):
        low, median, high = TRAINING_QUANTILES[name]
        centre, spread = TRAINING_MOMENTS[name] if spec.scaling == "standard" else (median, high - low)
        bands[name] = ((window[..., i] - centre) / spread).astype(np.float32)
    for name, (a, b) in INDEX_PAIRS.items():
        bands[name] = (bands[a] - bands[b]) / (bands[a] + bands[b] + 1e-10) + 0.5
    assert list(bands) == list(CHANNELS)
    planes = np.stack([bands[name] for group in spec.groups for name in group], axis=-1)
    size = (spec.image_size, spec.image_size)
    if cv2 is None:
        return enlarge(torch.from_numpy(planes).permute(2, 0, 1)[None], size[0])[0].numpy()
    return np.moveaxis(cv2.resize(planes, size, interpolation=cv2.INTER_LINEAR), -1, 0)


def plain(network: torch.nn.Module, windows: Floats, spec: NetworkSpec, batch: int, device: str) -> Floats:
    """Return the probability of every window by the plain procedure."""
    found = []
    with torch.no_grad(), true_float32():
        for start in range(0, len(windows), batch):
            made = [plain_image(window, spec) for window in windows[start : start + batch]]
            images = torch.stack([torch.from_numpy(image) for image in made])
            flips = (images, images.flip(2), images.flip(3), images.flip(2, 3))
            mean = sum(network(flipped.to(device))[:, 0] for flipped in flips) / len(flips)
            found.append(torch.sigmoid(torch.as_tensor(mean)).cpu().numpy())
    return np.concatenate(found).astype(np.float64)
