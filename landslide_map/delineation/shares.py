"""Shares of cloud, snow and shadow in objects, summed block by block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from landslide_map.delineation.regions import Regions
from landslide_map.grid import Block


class ObjectShares:
    """Share of every object in which each of some channels is 1, of its pixels that have a value.

    Parameters
    ----------
    objects : Regions
    names : sequence of str
        Of the channels.
    """

    def __init__(self, objects: Regions, names: Sequence[str]) -> None:
        self._objects = objects
        self._names = tuple(names)
        self._sums = np.zeros((len(names), 2, len(objects.shape)))

    def add(self, planes: npt.NDArray[np.float32], block: Block) -> None:
        """Take the channels of one block, ``(channel, row, col)``, 0, 1 or NaN = missing."""
        runs = self._objects
        inside = runs.runs_in(block)
        row = runs.run_row[inside] - block.row
        first = np.clip(runs.run_first[inside] - block.col, 0, block.width)
        stop = np.clip(runs.run_stop[inside] - block.col, 0, block.width)
        count = self._sums.shape[-1]
        for sums, plane in zip(self._sums, planes, strict=True):
            for total, values in zip(sums, (np.isfinite(plane), plane == 1), strict=True):
                along = np.zeros((block.height, block.width + 1), np.int32)
                np.cumsum(values, axis=1, out=along[:, 1:])
                total += np.bincount(
                    runs.run_object[inside], along[row, stop] - along[row, first], minlength=count
                )

    @property
    def shares(self) -> Mapping[str, npt.NDArray[np.float64]]:
        """Channel -> ``(object,)``, NaN where no pixel of the object has a value."""
        known, found = self._sums[:, 0], self._sums[:, 1]
        with np.errstate(invalid="ignore"):
            return dict(zip(self._names, found / known, strict=True))
