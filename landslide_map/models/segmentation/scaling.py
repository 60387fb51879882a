"""Scaling of channels for pixel members: channel statistics, published divisors, six-channel input."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from landslide_map.models.segmentation.spec import ChannelScaling

L4S_DIVISOR: Final = (
    1111.81236406,
    824.63171476,
    663.41636217,
    445.17289745,
    645.8582926,
    1547.73508126,
    1960.44401001,
    1941.32229668,
    674.07572865,
    9.04787384,
    1113.98338755,
    519.90397929,
    20.29228266,
    772.83144788,
)
"""Number by which each Landslide4Sense band was divided: B1 to B8, B9 to B12, slope (deg), elevation (m)."""
_TINY: Final = 1e-7


def channel_statistics(
    images: Iterable[npt.NDArray[Any]],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return mean and standard deviation (divisor n) of each channel over all finite pixels.

    Parameters
    ----------
    images : iterable of arrays
        ``(y, x, channel)`` each, of any size; NaN and infinity are missing.
    """
    count: Any = 0.0
    mean: Any = 0.0
    squares: Any = 0.0
    for image in images:
        flat = np.asarray(image, dtype=np.float64).reshape(-1, image.shape[-1])
        valid = np.isfinite(flat)
        n = valid.sum(axis=0).astype(np.float64)
        own_mean = np.where(valid, flat, 0.0).sum(axis=0) / np.maximum(n, 1)
        own_squares = (np.where(valid, flat - own_mean, 0.0) ** 2).sum(axis=0)
        total = count + n
        shift = own_mean - mean
        # Parallel form of the variance (Chan et al. 1979): no cancellation for far-off means.
        mean = mean + shift * n / np.maximum(total, 1)
        squares = squares + own_squares + shift**2 * count * n / np.maximum(total, 1)
        count = total
    if np.ndim(count) == 0:
        raise ValueError("statistics need at least one image")
    some = count > 0
    return np.where(some, mean, np.nan), np.sqrt(np.where(some, squares / np.maximum(count, 1), np.nan))


def scale(pixels: npt.NDArray[Any], scaling: ChannelScaling) -> npt.NDArray[np.float32]:
    """Return the numbers that a network reads.

    Parameters
    ----------
    pixels : array
        ``(n, channel, y, x)`` in the channels' units; NaN and infinity are missing.
    scaling : ChannelScaling

    Returns
    -------
    array of float32
        ``(n, plane, y, x)``, finite; contiguous.
    """
    x = np.asarray(pixels, dtype=np.float64)
    if scaling.kind == "standard":
        x = (x - _along(scaling.mean)) / _along(scaling.std)
    filled = np.where(np.isfinite(x), x, scaling.missing)
    if scaling.kind == "six-channel":
        filled = six_channels(filled)
    return np.ascontiguousarray(filled, dtype=np.float32)


def scaled_already(pixels: npt.NDArray[Any], scaling: ChannelScaling) -> npt.NDArray[np.float32]:
    """Return planes that hold a network's numbers already, missing pixels filled."""
    x = np.asarray(pixels, dtype=np.float32)
    return np.ascontiguousarray(np.where(np.isfinite(x), x, np.float32(scaling.missing)))


def six_channels(bands: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return red, green, blue, NDVI, slope and elevation as the six-channel U-Net reads them.

    Each patch is scaled alone: ``1 - 2 x / max``, with the maximum of the three visible bands together,
    of slope and of elevation.

    Parameters
    ----------
    bands : array
        ``(n, 6, y, x)``: B2, B3, B4, B8, slope and elevation in the units of the Landslide4Sense files.
    """
    blue, green, red, nir, slope, elevation = np.moveaxis(np.asarray(bands, dtype=np.float64), 1, 0)
    visible = np.max([blue, green, red], axis=(0, 2, 3))[:, None, None] / 2
    ndvi = (nir - red) / (nir + red + _TINY)
    ground = [1 - band / (band.max(axis=(1, 2), keepdims=True) / 2 + _TINY) for band in (slope, elevation)]
    # A patch that is 0 in all visible bands (no data) has no maximum to be scaled by.
    shares = [np.divide(band, visible, np.zeros_like(band), where=visible > 0) for band in (red, green, blue)]
    return np.stack([*(1 - share for share in shares), ndvi, *ground], axis=1)


def _along(numbers: tuple[float, ...]) -> npt.NDArray[np.float64]:
    return np.array(numbers, dtype=np.float64)[:, None, None]
