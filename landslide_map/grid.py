"""Target grid: the one 10 m grid of a scene, and its blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, floor
from typing import Final

import numpy as np
import numpy.typing as npt
from affine import Affine
from rasterio.crs import CRS

RESOLUTION_M = 10.0
BLOCK = 1024
"""Edge of the fixed blocks of a grid, pixels: the tile size of Sentinel-2 JPEG 2000."""


NOISE: Final = 1e-3
"""Pixels by which lattices that coincide may differ: coordinates are written rounded."""


@dataclass(frozen=True, slots=True)
class Block:
    """A rectangle of grid pixels, ``[row, row + height) x [col, col + width)``."""

    row: int
    col: int
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Grid:
    """A north-up projected pixel grid; `transform` maps pixel corners to `crs`."""

    crs: CRS
    transform: Affine
    width: int
    height: int

    @property
    def shape(self) -> tuple[int, int]:
        """``(rows, columns)``."""
        return self.height, self.width

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """``(left, bottom, right, top)`` in `crs` units."""
        t = self.transform  # by hand: affine 3 deprecates ``*``, affine 2 has no ``@``
        return t.c, t.f + self.height * t.e, t.c + self.width * t.a, t.f

    @property
    def x(self) -> npt.NDArray[np.float64]:
        """Pixel-centre eastings, ``(width,)``."""
        return self.transform.c + (np.arange(self.width, dtype=np.float64) + 0.5) * self.transform.a

    @property
    def y(self) -> npt.NDArray[np.float64]:
        """Pixel-centre northings, ``(height,)``, decreasing."""
        return self.transform.f + (np.arange(self.height, dtype=np.float64) + 0.5) * self.transform.e

    def blocks(self, size: int = BLOCK) -> Iterator[Block]:
        """Yield blocks counted from the origin of the grid, row by row."""
        for row in range(0, self.height, size):
            for col in range(0, self.width, size):
                yield Block(row, col, min(size, self.height - row), min(size, self.width - col))

    def aligned_with(self, other: Grid) -> bool:
        """Whether `other`'s pixels lie on this grid's, up to a shift by whole pixels (and :data:`NOISE`)."""
        if self.crs != other.crs:
            return False
        a, b = self.transform, other.transform
        if max(abs(a.a - b.a), abs(a.e - b.e)) * max(other.shape) > NOISE * abs(a.a):
            return False
        shifts = ((b.c - a.c) / a.a, (b.f - a.f) / a.e)
        return all(abs(shift - round(shift)) < NOISE for shift in shifts)

    @classmethod
    def covering(cls, crs: CRS, bounds: tuple[float, float, float, float]) -> Grid:
        """Return the smallest grid on multiples of 10 m that contains `bounds`."""
        left, bottom, right, top = bounds
        resolution = RESOLUTION_M
        # Bounds that are multiples already must not gain a row through rounding noise.
        x0, x1 = floor(left / resolution + 1e-6), ceil(right / resolution - 1e-6)
        y0, y1 = floor(bottom / resolution + 1e-6), ceil(top / resolution - 1e-6)
        transform = Affine(resolution, 0, x0 * resolution, 0, -resolution, y1 * resolution)
        return cls(crs, transform, x1 - x0, y1 - y0)
