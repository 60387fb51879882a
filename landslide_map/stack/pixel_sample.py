"""Sample of pixels at even steps in each direction, taken while a scene is read once.

The distribution of a scene's values is known only from its pixels, and these are never in memory together.
The sample starts at the corner of each block, so it is the same for every cut of the work.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from landslide_map.array_types import Floats32
from landslide_map.stack.block_collector import with_blocks_seen

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
        """Return a lazy stack with the same pixels, of which samples are kept (:func:`with_blocks_seen`)."""

        def keep(planes: Mapping[str, Floats32], block_row: int, left: int) -> None:
            for name in self._bands & planes.keys():
                sample = planes[name][:: self._step, :: self._step].astype(np.float32).ravel()
                self._kept[block_row, left, name] = sample

        return with_blocks_seen(stack, keep)

    def taken(self, block_row: int) -> Sampled:
        """Return the sample of a row of blocks that was read, and forget it and all above."""
        found: dict[str, list[npt.NDArray[np.float32]]] = {}
        there = list(self._kept)  # a copy: rows further down may be read meanwhile
        for key in sorted(key for key in there if key[0] <= block_row):
            values = self._kept.pop(key)
            if key[0] == block_row:
                found.setdefault(key[2], []).append(values)
        return {name: np.concatenate(parts) for name, parts in sorted(found.items())}
