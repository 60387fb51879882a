"""Pixels kept for outlines and images during inference, so that no pixel is read twice."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import xarray as xr

from landslide_map.delineation.collect import CHANNELS as LAYER_CHANNELS
from landslide_map.delineation.collect import LayerCollector
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.scene.model import Scene
from landslide_map.stack.block_collector import BlockCollector
from landslide_map.stack.display import display_channels, display_planes, display_strips


@dataclass(frozen=True, slots=True)
class Kept:
    """Choice of the pixels that are kept while windows are read."""

    outlines: bool = False
    """Whether pixels that may belong to a landslide are kept."""
    display: bool = False
    """All, in 8 bits, for images."""

    @classmethod
    def of_scene(cls, scene: Scene) -> Kept:
        """Return the pixels that the products of a scene need."""
        return cls(outlines=scene.output.outline != "windows", display=scene.output.images)

    def collectors(self, inputs: SceneInputs) -> Collectors:
        """Return where they are kept, for one reader."""
        return Collectors(
            inputs,
            LayerCollector() if self.outlines and inputs.optical else None,
            BlockCollector(partial(display_planes, display_channels(inputs))) if self.display else None,
        )


NOTHING: Final = Kept()


@dataclass(frozen=True)
class Collectors:
    """Store of a scene's pixels while one reader reads its rows of blocks."""

    inputs: SceneInputs
    layers: LayerCollector | None
    shown: BlockCollector | None

    @property
    def channels(self) -> set[str]:
        """Channels that must be read for them."""
        found = set(LAYER_CHANNELS) if self.layers else set()
        return found | display_channels(self.inputs) if self.shown else found

    def of(self, stack: xr.DataArray) -> xr.DataArray:
        """Return the same pixels, which are kept as they are computed."""
        for collector in (self.layers, self.shown):
            stack = stack if collector is None else collector.of(stack)
        return stack

    def taken(self, block_row: int) -> dict[str, Any]:
        """Return the kept pixels of a row of blocks, as fields of ``RowResult``."""
        grid = self.inputs.grid
        return {
            "strip": self.layers.taken(block_row, grid.height) if self.layers else None,
            "display": display_strips(self.shown.taken(block_row), grid, block_row) if self.shown else {},
        }
