"""Collector of evidence layers, from blocks that a run reads anyway."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from landslide_map.array_types import Floats32
from landslide_map.bands import (
    DIFFERENCES,
    NDVI_BEFORE,
    OPTICAL,
    SHADOW_CLASS,
    SLOPE,
    SNOW_OR_CLOUD,
    WATER_CLASS,
)
from landslide_map.delineation.bareness import may_count_brightness
from landslide_map.delineation.codes import (
    FIRST,
    NDVI,
    SHADED,
    SLOPE_STEP,
    Codes,
    change_codes,
    coded,
    ndvi_codes,
    optical_codes,
)
from landslide_map.delineation.pixels import Strip, strip_of
from landslide_map.delineation.shade import take_off_shadow
from landslide_map.grid import BLOCK
from landslide_map.runtime import timings
from landslide_map.stack.block_collector import BlockCollector

CHANNELS = (*OPTICAL, SNOW_OR_CLOUD, *DIFFERENCES, NDVI_BEFORE, SLOPE, WATER_CLASS, SHADOW_CLASS)
"""Channels of a stack that evidence is made of, where they are there."""


class LayerCollector:
    """Codes of the blocks that were computed, until their row of blocks is taken."""

    def __init__(self) -> None:
        self._blocks = BlockCollector(codes_of)
        self.of = self._blocks.of

    def taken(self, block_row: int, height: int) -> Strip | None:
        """Return the kept pixels of a row of blocks, and drop these and all above.

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
        blocks = self._blocks.taken(block_row)
        if not blocks or NDVI not in blocks[0]:
            return None
        with timings.work("outline"):
            layers = {name: np.concatenate([block[name] for block in blocks], axis=1) for name in blocks[0]}
            if may_count_brightness(tuple(layers)):  # without radar a lit shadow could pass for a scar
                take_off_shadow(layers)
            top = block_row * BLOCK
            return strip_of(layers, top, open_above=top > 0, open_below=top + BLOCK < height)


@timings.work("outline")
def codes_of(planes: Mapping[str, Floats32]) -> dict[str, Codes]:
    """Return the layers that can be made of some bands of one block, ``(row, col)`` each."""
    found: dict[str, Codes] = {}
    if {*OPTICAL, SNOW_OR_CLOUD} <= set(planes):
        found |= optical_codes(planes, planes[SNOW_OR_CLOUD])
    found |= {name: change_codes(planes[name]) for name in DIFFERENCES if name in planes}
    if NDVI_BEFORE in planes:
        found[NDVI_BEFORE] = ndvi_codes(planes[NDVI_BEFORE])
    if SLOPE in planes:
        found[SLOPE] = coded(planes[SLOPE], 0.0, SLOPE_STEP)
    if WATER_CLASS in planes:
        found[WATER_CLASS] = coded(planes[WATER_CLASS], 0.0, 1.0)
        if SHADOW_CLASS in planes:
            found[WATER_CLASS][(planes[SHADOW_CLASS] == 1) & (found[WATER_CLASS] == FIRST)] = SHADED
    return found
