"""Raster of one band without GDAL: the part of rasterio's ``DatasetReader`` that readers here use."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, Interleaving, MaskFlags, Resampling
from rasterio.windows import Window

from landslide_map.array_types import Rows


class OneBand(ABC):
    """One band of pixels that a subclass computes or reads; it sets the attributes that are its own."""

    name: str
    driver: str
    width: int
    height: int
    shape: tuple[int, int]
    crs: CRS | None = None
    transform = Affine(1, 0, 0, 0, 1, 0)
    count = 1
    gcps: tuple[list[Any], None] = ([], None)
    descriptions: tuple[str, ...] = ("",)
    scales = (1.0,)
    offsets = (0.0,)
    units = (None,)
    dtypes: tuple[str, ...] = ("float32",)
    nodatavals: tuple[float | None, ...] = (None,)
    block_shapes: tuple[tuple[int, ...], ...] = ((512, 512),)
    colorinterp = (ColorInterp.gray,)
    mask_flag_enums = ([MaskFlags.all_valid],)
    interleaving = Interleaving.band
    files: tuple[str, ...] = ()

    @abstractmethod
    def pixels(self, rows: Rows, cols: Rows) -> npt.NDArray[Any]:
        """Return the pixels at increasing rows and columns, ``(row, column)``."""

    @abstractmethod
    def close(self) -> None:
        """Close the files that the pixels come from."""

    def read(
        self,
        index: int,
        window: Window | None = None,
        out_shape: tuple[int, int] | None = None,
        resampling: Resampling = Resampling.nearest,
    ) -> npt.NDArray[Any]:
        """Return the pixels of a window, or so many of them by nearest pixels."""
        del index, resampling  # one band, nearest pixels
        window = window or Window(0, 0, self.width, self.height)
        rows, cols = (
            ((np.arange(count) + 0.5) * length / count + start).astype(np.intp)
            for count, length, start in zip(
                out_shape or (round(window.height), round(window.width)),
                (window.height, window.width),
                (window.row_off, window.col_off),
                strict=True,
            )
        )
        return self.pixels(rows, cols)

    def overviews(self, index: int) -> list[int]:
        """Return no level."""
        del index
        return []

    def tags(self, *_: Any, **__: Any) -> dict[str, str]:
        """Return none."""
        return {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
