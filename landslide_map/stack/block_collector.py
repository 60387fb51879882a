"""Collector of by-products of the blocks of a lazy stack, each read once for another purpose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from landslide_map.array_types import Floats32
from landslide_map.grid import BLOCK

Planes = dict[str, npt.NDArray[np.uint8]]
Make = Callable[[Mapping[str, Floats32]], Planes]
"""Makes 8-bit planes of some bands of one block, ``(row, col)`` each: all that these bands are enough for."""
See = Callable[[Mapping[str, Floats32], int, int], None]
"""Gets the bands of one block, its row of blocks and its first column."""


def with_blocks_seen(stack: xr.DataArray, see: See) -> xr.DataArray:
    """Return a lazy stack with the same pixels; `see` is called whenever a chunk is computed.

    Parameters
    ----------
    stack : xr.DataArray, (band, y, x)
        Chunks hold all bands of a sensor and are the blocks of the grid. The part of a cut block below the
        cut is passed over: another reader sees its row of blocks.
    see : callable
        As :data:`See`.
    """
    names = [str(name) for name in stack["band"].values]

    def seen(chunk: npt.NDArray[Any], block_info: Any) -> npt.NDArray[Any]:
        (first, _), (top, _), (left, _) = block_info[0]["array-location"]
        if top % BLOCK == 0:
            see(dict(zip(names[first:], chunk, strict=False)), top // BLOCK, left)
        return chunk

    data = stack.data
    name = f"seen-{id(see):x}-{data.name}"
    return stack.copy(data=data.map_blocks(seen, name=name, dtype=data.dtype, meta=data._meta))


class BlockCollector:
    """Planes made of the blocks that were computed, until their row of blocks is taken.

    Parameters
    ----------
    make : callable
        Given the bands of one chunk, those of one sensor.
    """

    def __init__(self, make: Make) -> None:
        self._make = make
        self._blocks: dict[tuple[int, int], Planes] = {}

    def of(self, stack: xr.DataArray) -> xr.DataArray:
        """Return a lazy stack with the same pixels; the planes of every block computed are kept.

        Absent bands, one NaN for a block, have none. See :func:`with_blocks_seen`.
        """

        def keep(planes: Mapping[str, Floats32], block_row: int, left: int) -> None:
            if not all(plane.strides == (0, 0) for plane in planes.values()):
                self._blocks.setdefault((block_row, left), {}).update(self._make(planes))

        return with_blocks_seen(stack, keep)

    def taken(self, block_row: int) -> list[Planes]:
        """Return the planes of a row of blocks, from left to right; drop them and all above."""
        there = sorted(key for key in list(self._blocks) if key[0] <= block_row)
        found = [self._blocks.pop(key) for key in there]
        return [planes for key, planes in zip(there, found, strict=True) if key[0] == block_row]
