"""Training crops: where a crop lies around an anchor, and its flips and quarter turns."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

PROBABILITY = 0.5
"""Probability of each flip and of the quarter turn, as published."""


def crop_corner(rows: int, columns: int, size: int, row: int, column: int) -> tuple[int, int]:
    """Return the top left pixel of a crop of `size` pixels around an anchor, moved inside the image.

    Raises
    ------
    ValueError
        If the image is smaller than the crop: a crop is never padded.
    """
    if min(rows, columns) < size:
        raise ValueError(f"an image of {rows} x {columns} px is smaller than a crop of {size} px")
    top, left = max(0, row - size // 2), max(0, column - size // 2)
    return min(top, rows - size), min(left, columns - size)


def random_crop(
    image: npt.NDArray[Any], label: npt.NDArray[Any], size: int, rng: np.random.Generator
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return a crop around a random landslide pixel, or around any pixel where the label has none.

    Parameters
    ----------
    image : array
        ``(channel, y, x)``.
    label : array
        ``(y, x)``, 0 or 1.
    size : int
        Edge of the crop, pixels.
    rng : Generator

    Returns
    -------
    tuple of arrays
        ``(channel, size, size)`` and ``(size, size)``: views.
    """
    candidates = np.flatnonzero(label > 0)
    anchor = int(candidates[rng.integers(len(candidates))] if len(candidates) else rng.integers(label.size))
    rows, columns = label.shape
    top, left = crop_corner(rows, columns, size, *divmod(anchor, columns))
    window = np.s_[top : top + size, left : left + size]
    return image[(slice(None), *window)], label[window]


def augmented(
    image: npt.NDArray[Any], label: npt.NDArray[Any], rng: np.random.Generator
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return image ``(channel, y, x)`` and label ``(y, x)`` flipped and turned together at random.

    Left-right, up-down and by 90 degrees, each with probability 0.5.
    """
    for axis in (-1, -2):
        if rng.random() < PROBABILITY:
            image, label = np.flip(image, axis), np.flip(label, axis)
    if rng.random() < PROBABILITY:
        image, label = np.rot90(image, axes=(-2, -1)), np.rot90(label)
    return image, label


def jittered(image: npt.NDArray[Any], strength: float, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Return an image ``(plane, y, x)`` with a random gain and a random offset of each plane.

    The logarithm of the gain and the offset are normal; half of the variance of the offset is common to all
    planes.

    Parameters
    ----------
    image : array
        Standardised planes.
    strength : float
        Standard deviation of both.
    rng : Generator
    """
    gain = np.exp(rng.normal(0, strength, len(image)))
    offset = (rng.normal(0, strength, len(image)) + rng.normal(0, strength)) / np.sqrt(2)
    gain, offset = (values[:, None, None].astype(image.dtype) for values in (gain, offset))
    changed: npt.NDArray[Any] = image * gain + offset
    return changed
