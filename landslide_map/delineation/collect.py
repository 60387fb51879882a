"""Layers of evidence collected while the blocks of a scene pass by, each read once for other ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from landslide_map.bands import DIFFERENCES, NDVI_BEFORE, OPTICAL, SLOPE, SNOW_OR_CLOUD
from landslide_map.delineation.codes import (
    NDVI,
    SLOPE_STEP,
    Codes,
    change_codes,
    coded,
    ndvi_codes,
    optical_codes,
)
from landslide_map.delineation.pixels import Strip, strip_of
from landslide_map.grid import BLOCK
from landslide_map.runtime import timings

CHANNELS = (*OPTICAL, SNOW_OR_CLOUD, *DIFFERENCES, NDVI_BEFORE, SLOPE)
"""Channels of a stack that evidence is made of, where they are there."""


class LayerCollector:
    """Codes of the blocks that were computed, until their row of blocks is taken."""

    def __init__(self) -> None:
        self._blocks: dict[tuple[int, int], dict[str, Codes]] = {}

    def of(self, stack: xr.DataArray) -> xr.DataArray:
        """Return a lazy stack with the same pixels; whenever a chunk is computed, its codes are kept.

        Parameters
        ----------
        stack : xr.DataArray, (band, y, x)
            Chunks hold all bands of a sensor and are the blocks of the grid's lattice. What is left of a
            block that is cut, below the cut, is not kept: its row of blocks is collected by another reader.
        """
        names = [str(name) for name in stack["band"].values]

        def keep(chunk: npt.NDArray[Any], block_info: Any) -> npt.NDArray[Any]:
            (first, _), (top, _), (left, _) = block_info[0]["array-location"]
            if top % BLOCK == 0 and chunk.strides[1:] != (0, 0):
                planes = dict(zip(names[first:], chunk, strict=False))
                self._blocks.setdefault((top // BLOCK, left), {}).update(codes_of(planes))
            return chunk

        data = stack.data
        name = f"collected-{data.name}"
        return stack.copy(data=data.map_blocks(keep, name=name, dtype=data.dtype, meta=data._meta))

    def taken(self, block_row: int, height: int) -> Strip | None:
        """Return what is kept of a row of blocks that was read, and forget it and all above.

        Parameters
        ----------
        block_row : int
        height : int
            Rows of the grid.

        Returns
        -------
        Strip or None
            None where there is no optical image.
        """
        there = sorted(key for key in list(self._blocks) if key[0] <= block_row)
        blocks = [self._blocks.pop(key) for key in there if key[0] == block_row] if there else []
        for key in there:
            self._blocks.pop(key, None)
        if not blocks or NDVI not in blocks[0]:
            return None
        with timings.work("outline"):
            layers = {name: np.concatenate([block[name] for block in blocks], axis=1) for name in blocks[0]}
            top = block_row * BLOCK
            return strip_of(layers, top, open_above=top > 0, open_below=top + BLOCK < height)


@timings.work("outline")
def codes_of(planes: dict[str, npt.NDArray[np.float32]]) -> dict[str, Codes]:
    """Return the layers that can be made of some bands of one block, ``(row, col)`` each."""
    found: dict[str, Codes] = {}
    if {*OPTICAL, SNOW_OR_CLOUD} <= set(planes):
        found |= optical_codes(planes, planes[SNOW_OR_CLOUD])
    found |= {name: change_codes(planes[name]) for name in DIFFERENCES if name in planes}
    if NDVI_BEFORE in planes:
        found[NDVI_BEFORE] = ndvi_codes(planes[NDVI_BEFORE])
    if SLOPE in planes:
        found[SLOPE] = coded(planes[SLOPE], 0.0, SLOPE_STEP)
    return found
