"""Bareness of a pixel against its surroundings: candidates are cut from it.

Among green plants that is how far NDVI lies below. Where plants are dry, leafless or sparse NDVI hardly
changes, and brightness in the visible does. Shade darkens the near infrared more than the visible, which the
sky lights too: so visible less :data:`SKY` of near infrared, as logarithms, hardly changes with it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from landslide_map.bands import DIFFERENCES, OPTICAL
from landslide_map.delineation.codes import LOG_STEP, NDVI, NDVI_LEAST, NDVI_STEP, Codes
from landslide_map.runtime.jit import compiled

THOUSAND: Final = 1000
"""Bareness is counted in thousandths of NDVI."""
INDEX_LAYERS: Final = (NDVI, *OPTICAL)
"""Layers it is made of."""
SKY: Final = 0.65
BRIGHT: Final = 0.6
"""NDVI that a unit of the logarithm counts for."""
GREEN, DRY = 0.62, 0.50
"""NDVI of surroundings from which brightness begins to count downwards, and where it counts alone."""
LEAFY: Final = 0.66
"""No brightness counts above this NDVI of the pixel itself."""
_NDVI: Final = NDVI_STEP * THOUSAND
_BRIGHT: Final = BRIGHT * LOG_STEP * THOUSAND
_GREEN_CODE: Final = (GREEN - NDVI_LEAST) / NDVI_STEP + 2
_DRY_CODE: Final = (DRY - NDVI_LEAST) / NDVI_STEP + 2
_LEAFY_CODE: Final = int((LEAFY - NDVI_LEAST) / NDVI_STEP + 2)


def may_count_brightness(layers: tuple[str, ...]) -> bool:
    """Return whether brightness may count: it does at pixels where a change of backscatter is known.

    With the image alone bright fields would pass for scars.
    """
    return any(name in layers for name in DIFFERENCES)


def bareness(
    codes: Codes, near: npt.NDArray[np.float32], bright: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int32]:
    """Return the bareness of pixels, thousandths of NDVI, ``(pixel,)``.

    Parameters
    ----------
    codes : uint8, (pixel, layer)
        Layers :data:`INDEX_LAYERS`.
    near : float32, (pixel, layer)
        Their surroundings.
    bright : bool, (pixel,)
        Whether brightness counts where the surroundings are not green.
    """
    found = np.empty(len(codes), np.int32)
    _fill_bareness(codes, near, bright, found)
    return found


@compiled
def _fill_bareness(
    codes: Codes,
    near: npt.NDArray[np.float32],
    bright: npt.NDArray[np.bool_],
    found: npt.NDArray[np.int32],
) -> None:
    for k in range(found.size):
        drop = np.float32(near[k, 0] - codes[k, 0]) * np.float32(_NDVI)
        if bright[k] and codes[k, 0] <= _LEAFY_CODE and near[k, 0] < np.float32(_GREEN_CODE):
            part = (np.float32(_GREEN_CODE) - near[k, 0]) / np.float32(_GREEN_CODE - _DRY_CODE)
            if part > np.float32(1):
                part = np.float32(1)
            visible = np.float32(0)
            for layer in range(1, 4):
                visible += codes[k, layer] - near[k, layer]
            rise = visible / np.float32(3) - np.float32(SKY) * (codes[k, 4] - near[k, 4])
            drop += part * (rise * np.float32(_BRIGHT) - drop)
        found[k] = np.int32(np.rint(drop))


def may_be_bare(
    codes: tuple[Codes, ...], near: npt.NDArray[np.float32], cell: int, least: float, bright: bool
) -> npt.NDArray[np.bool_]:
    """Return which pixels have the bareness `least`, as far as the cells around decide it.

    Parameters
    ----------
    codes : tuple of uint8, (row, col)
        Layers :data:`INDEX_LAYERS`; pixels without NDVI are left out.
    near : float32, (layer, cell row, cell col)
        Their surroundings.
    cell : int
        Edge of a cell, pixels.
    least : float
        Thousandths of NDVI.
    bright : bool
        Whether brightness may count.
    """
    keep = np.zeros(codes[0].shape, np.bool_)
    ndvi, red, green, blue, nir = codes
    most, darkest = _limits(near, least, bright)
    _fill_may_be_bare(ndvi, red, green, blue, nir, most, darkest, cell, keep)
    return keep


@compiled
def _fill_may_be_bare(
    ndvi: Codes,
    red: Codes,
    green: Codes,
    blue: Codes,
    nir: Codes,
    most: npt.NDArray[np.float32],
    darkest: npt.NDArray[np.float32],
    cell: int,
    keep: npt.NDArray[np.bool_],
) -> None:
    for r in range(keep.shape[0]):
        for c in range(keep.shape[1]):
            own, i, j = ndvi[r, c], r // cell, c // cell
            if own < 2:
                continue
            if own <= most[i, j]:
                keep[r, c] = True
            elif own <= _LEAFY_CODE and darkest[i, j] < np.float32(np.inf):
                visible = np.float32(red[r, c]) + np.float32(green[r, c]) + np.float32(blue[r, c])
                rise = visible / np.float32(3) - np.float32(SKY) * nir[r, c]
                keep[r, c] = rise >= darkest[i, j]


def _limits(
    near: npt.NDArray[np.float32], least: float, bright: bool
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the most NDVI and the least brightness of bare pixels in each cell; infinite for none."""
    ndvi, red, green, blue, nir = near
    visible = (red + green + blue) / np.float32(3) - np.float32(SKY) * nir
    most = ndimage.maximum_filter(ndvi, 3, mode="nearest") - np.float32(least / _NDVI)
    dry = ndimage.minimum_filter(ndvi, 3, mode="nearest") < np.float32(_GREEN_CODE)
    # Less a hundredth, for what interpolation rounds.
    darkest = ndimage.minimum_filter(visible, 3, mode="nearest") + np.float32(least / _BRIGHT - 0.01)
    return most, np.where(dry & bright, darkest, np.float32(np.inf))
