"""Elevation inside objects, gathered block by block from an elevation model."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from landslide_map.delineation.features import ellipse
from landslide_map.delineation.objects import Objects
from landslide_map.grid import Block
from landslide_map.runtime.jit import compiled


class ObjectHeights:
    """Least and greatest elevation of every object, metres, and towards which end it falls.

    Parameters
    ----------
    objects : Objects
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        count = len(objects.features)
        self.least = np.full(count, np.nan)
        self.most = np.full(count, np.nan)
        self._sums = np.zeros((count, 4))
        size = np.maximum(objects.shape[:, 0], 1)
        self._middle = objects.shape[:, 1:3] / size[:, np.newaxis]
        angle = ellipse(objects.shape)[2]
        self._axis = np.column_stack([np.cos(angle), np.sin(angle)])

    def add(self, elevation: npt.NDArray[np.float32], block: Block) -> None:
        """Take the elevation (m, NaN = missing) of one block, ``(row, col)``."""
        runs = self._objects
        inside = runs.runs_in(block)
        _add(
            elevation,
            block.row,
            block.col,
            runs.run_row[inside],
            runs.run_first[inside],
            runs.run_stop[inside],
            runs.run_object[inside],
            self._middle,
            self._axis,
            self.least,
            self.most,
            self._sums,
        )

    @property
    def downslope(self) -> npt.NDArray[np.float64]:
        """Bearing towards which the long axis of every object falls, degrees clockwise from grid north.

        NaN where there is no elevation, or no fall.
        """
        count, height, along, both = self._sums.T
        rise = count * both - height * along
        down = np.where(rise[:, np.newaxis] > 0, -self._axis, self._axis)
        bearing = np.degrees(np.arctan2(down[:, 1], -down[:, 0])) % 360
        return np.where((count > 1) & (rise != 0), bearing, np.nan)


@compiled
def _add(
    elevation: npt.NDArray[np.float32],
    top: int,
    left: int,
    rows: npt.NDArray[np.int64],
    firsts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    owners: npt.NDArray[np.int64],
    middle: npt.NDArray[np.float64],
    axis: npt.NDArray[np.float64],
    least: npt.NDArray[np.float64],
    most: npt.NDArray[np.float64],
    sums: npt.NDArray[np.float64],
) -> None:
    for n in range(rows.size):
        own = owners[n]
        for c in range(max(firsts[n], left), min(stops[n], left + elevation.shape[1])):
            z = np.float64(elevation[rows[n] - top, c - left])
            if np.isnan(z):
                continue
            if not least[own] <= z:
                least[own] = z
            if not most[own] >= z:
                most[own] = z
            along = (rows[n] - middle[own, 0]) * axis[own, 0] + (c - middle[own, 1]) * axis[own, 1]
            sums[own, 0] += 1
            sums[own, 1] += z
            sums[own, 2] += along
            sums[own, 3] += z * along
