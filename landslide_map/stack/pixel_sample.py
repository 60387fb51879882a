"""Sample of pixels at even steps in each direction, taken while a scene is read once.

The distribution of a scene's values is known only from its pixels, and these are never in memory together.
The sample starts at the corner of each block, so it is the same for every cut of the work.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from landslide_map.grid import BLOCK

LONGEST: Final = 32
"""Between the pixels of a large grid: 118,000 of a full tile; a divisor of ``BLOCK``."""
ENOUGH: Final = 2**14
"""Pixels that a smaller grid is sampled for: the middle half of differences is then known to 0.03 dB."""

Sampled = dict[str, npt.NDArray[np.float32]]
"""Band -> ``(pixel,)`` in any fixed order, NaN = missing."""


def sampling_step(shape: tuple[int, int]) -> int:
    """Return the longest step, a power of two, with enough pixels of a grid of `shape`; 1 in the smallest.

    Examples
    --------
    >>> sampling_step((10980, 10980)), sampling_step((704, 704)), sampling_step((64, 64))
    (32, 4, 1)
    """
    step = LONGEST
    while step > 1 and (shape[0] // step) * (shape[1] // step) < ENOUGH:
        step //= 2
    return step


class PixelSample:
    """Sampled pixels so far, by rows of blocks.

    Parameters
    ----------
    bands : collection of str
        Those that are sampled; the others pass by.
    step : int
        Between sampled pixels, see :func:`sampling_step`.
    """

    def __init__(self, bands: Collection[str], step: int = LONGEST) -> None:
        self._step = step
        self._bands = frozenset(bands)
        self._kept: dict[tuple[int, int, str], npt.NDArray[np.float32]] = {}

    def of(self, stack: xr.DataArray) -> xr.DataArray:
        """Return a lazy stack with the same pixels, of which a sample is kept whenever a chunk is computed.

        Parameters
        ----------
        stack : xr.DataArray, (band, y, x)
            Chunks are the blocks of the grid. The part of a cut block below the cut is left out: the reader
            of the whole row samples it.
        """
        names = [str(name) for name in stack["band"].values]

        def keep(chunk: npt.NDArray[Any], block_info: Any) -> npt.NDArray[Any]:
            (first, _), (top, _), (left, _) = block_info[0]["array-location"]
            if top % BLOCK == 0:
                for name, plane in zip(names[first:], chunk, strict=False):
                    if name in self._bands:
                        sample = plane[:: self._step, :: self._step].astype(np.float32).ravel()
                        self._kept[top // BLOCK, left, name] = sample
            return chunk

        data = stack.data
        name = f"sampled-{data.name}"
        return stack.copy(data=data.map_blocks(keep, name=name, dtype=data.dtype, meta=data._meta))

    def taken(self, block_row: int) -> Sampled:
        """Return the sample of a row of blocks that was read, and forget it and all above."""
        found: dict[str, list[npt.NDArray[np.float32]]] = {}
        there = list(self._kept)  # a copy: rows further down may be read meanwhile
        for key in sorted(key for key in there if key[0] <= block_row):
            values = self._kept.pop(key)
            if key[0] == block_row:
                found.setdefault(key[2], []).append(values)
        return {name: np.concatenate(parts) for name, parts in sorted(found.items())}
