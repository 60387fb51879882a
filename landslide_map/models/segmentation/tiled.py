"""Probabilities of one block of a raster: tiles at fixed grid coordinates, predicted and blended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from landslide_map.models.segmentation.member import SegmentationMember, batch_of
from landslide_map.models.segmentation.tiling import Reader, blended, tile_pixels, tile_starts


def predict_block(
    member: SegmentationMember,
    read: Reader,
    shape: tuple[int, int],
    block: tuple[int, int, int, int],
    *,
    device: str = "cpu",
    scaled: bool = False,
    wanted: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.float32]:
    """Return the probabilities ``(y, x)`` of a block of grid pixels.

    A pixel's bits depend on the raster alone, not on the block.

    Parameters
    ----------
    member : SegmentationMember
    read : callable
        (top, left, bottom, right) within the raster -> pixels ``(channel, y, x)``, NaN missing.
    shape : (rows, columns)
        Of the raster; its sides are reflected.
    block : (top, left, bottom, right)
        Grid pixels.
    device : str
    scaled : bool
        Whether pixels hold the network's numbers already.
    wanted : array of bool, optional
        ``(y, x)`` of the block: tiles without a wanted pixel are left out, and pixels that no tile covers are
        NaN. A pixel that is wanted has all its tiles, so its bits are the same without `wanted`.

    Returns
    -------
    array of float32
    """
    tile, overlap = member.spec.tile, member.spec.overlap

    def tiles() -> Iterator[tuple[int, int, npt.NDArray[Any]]]:
        corners = [
            (top, left)
            for top in tile_starts(block[0], block[2], tile, overlap)
            for left in tile_starts(block[1], block[3], tile, overlap)
            if wanted is None or _any_wanted(wanted, block, top, left, tile)
        ]
        batch = batch_of(tile)
        for start in range(0, len(corners), batch):
            part = corners[start : start + batch]
            pixels = [tile_pixels(read, shape, top, left, tile) for top, left in part]
            # Full batches always: a convolution's sums may run in another order for another batch size.
            pixels += pixels[:1] * (batch - len(part))
            values = member.predict(np.stack(pixels), device=device, scaled=scaled)
            for (top, left), own in zip(part, values, strict=False):
                yield top, left, own

    found = blended(block, tiles(), tile, overlap)
    return found if wanted is None else np.where(wanted, found, np.float32(np.nan))


def _any_wanted(
    wanted: npt.NDArray[np.bool_], block: tuple[int, int, int, int], top: int, left: int, tile: int
) -> bool:
    y, x = max(top - block[0], 0), max(left - block[1], 0)
    return bool(wanted[y : max(top + tile - block[0], 0), x : max(left + tile - block[1], 0)].any())
