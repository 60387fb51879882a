"""Noise along the edge of a swath: values of ground-range products there that are no backscatter.

Products hold a fringe of noise where the swath ends, unless it was removed. It lies far below the backscatter
that other dates show there, and its difference looks like a change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation, generate_binary_structure

from landslide_map.errors import Notice
from landslide_map.inputs.sentinel1.units import Pixels

CELL: Final = 8
"""Edge of squares, pixels: the median of a square has no speckle."""
NOISE_DB: Final = -30.0
"""VV of noise, below that of calm water."""
BELOW_DB: Final = 10.0
"""Least difference to other dates, dB; landslides and floods change less."""
REACH: Final = 10
"""Squares from the edge that a fringe reaches: 0.8 km."""
FEWEST: Final = 3

Medians = npt.NDArray[np.float64]


def border_noise_notices(images: Sequence[tuple[str, Pixels]], across: int | None) -> list[Notice]:
    """Warn (W351) of images with noise along the edge of their valid pixels.

    Parameters
    ----------
    images : sequence of (str, ndarray)
        Name and VV, dB, NaN = no data, of images on one grid: the same places of each.
    across : int, optional
        None where the pixels are the whole image. Else they are squares of it, one below the other,
        row by row, so many in a row.

    Returns
    -------
    list of Notice
        One for each image.
    """
    if len(images) < 2 or min(images[0][1].shape) < CELL:
        return []
    medians = [_medians(pixels) for _, pixels in images]
    notices = []
    for number, (name, _) in enumerate(images):
        own, others = medians[number], medians[:number] + medians[number + 1 :]
        shown = _median_of(others)
        noise = (own < NOISE_DB) & (shown - own > BELOW_DB) & _near_edge(own, across)
        if noise.sum() < FEWEST:
            continue
        level = float(np.median(own[noise]))
        notices.append(
            Notice(
                "W351",
                f"{name}: along the edge of its pixels VV falls to {level:.0f} dB, where other dates show "
                f"{float(np.median(shown[noise])):.0f} dB: noise, no backscatter. Windows there may be taken "
                "for a change; remove the border noise (SNAP: Remove GRD Border Noise), or cut the edge off",
            )
        )
    return notices


def _medians(pixels: Pixels) -> Medians:
    """Return the median of each square, NaN where less than half of it has data."""
    rows, cols = (size // CELL for size in pixels.shape)
    cut = pixels[: rows * CELL, : cols * CELL].reshape(rows, CELL, cols, CELL).swapaxes(1, 2)
    squares = cut.reshape(rows, cols, CELL * CELL)
    seen = np.isfinite(squares).sum(axis=2) >= CELL * CELL / 2
    out = np.full((rows, cols), np.nan)
    out[seen] = np.nanmedian(squares[seen], axis=1)
    return out


def _median_of(dates: Sequence[Medians]) -> Medians:
    """Return the median over dates, minus infinity where none has data."""
    stacked = np.stack(dates)
    there = np.isfinite(stacked).any(axis=0)
    out = np.full(there.shape, -np.inf)
    out[there] = np.nanmedian(stacked[:, there], axis=0)
    return out


def _near_edge(medians: Medians, across: int | None) -> npt.NDArray[np.bool_]:
    """Return which squares lie near missing ones or an end of the image; of squares, those beside such."""
    missing = np.isnan(medians)
    if across is None:
        return _around(missing, REACH)
    edge = medians.shape[1]
    grouped = missing.reshape(-1, across, edge, edge)
    near = _around(np.asarray(grouped.any(axis=(2, 3))), 1)
    return np.broadcast_to(near[:, :, None, None], grouped.shape).reshape(missing.shape)


def _around(missing: npt.NDArray[np.bool_], reach: int) -> npt.NDArray[np.bool_]:
    around = np.pad(missing, 1, constant_values=True)
    near = binary_dilation(around, generate_binary_structure(2, 2), iterations=reach)
    return np.asarray(near[1:-1, 1:-1])
