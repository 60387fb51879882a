"""Nodata rule of a band: one for runs, checks and coverage."""

from __future__ import annotations

import math
import re
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.io import DatasetReader
from rasterio.windows import Window

from landslide_map.raster.band import RasterBand
from landslide_map.runtime.read_limit import timed_read

NAMES: Final = frozenset(
    {"alpha", "alphaband", "alphachannel", "datamask", "validmask", "validdata", "fillmask"}
)
"""Descriptions of bands that are 0 where there is no data. Of a band called "mask" one cannot know: it may be
the mask of clouds."""


def read_valid(
    dataset: DatasetReader,
    band: RasterBand,
    window: Window | None = None,
    shape: tuple[int, int] | None = None,
) -> npt.NDArray[np.floating[Any]]:
    """Return pixels of a band, NaN where there is no data.

    Parameters
    ----------
    dataset : DatasetReader
        The file of `band`.
    window : Window, optional
        Part of the band; by default all of it.
    shape : tuple of int, optional
        The ``(rows, columns)`` to return, by nearest pixels; by default each pixel once.

    Returns
    -------
    ndarray, (rows, columns)
        float32, or float64 where the file holds it. NaN where the file has NaN, and where the value is one of
        `band.nodata` or outside `band.limits`. NaN too where the mask or alpha band of the file is 0.
    """
    how: dict[str, Any] = {"window": window}
    if shape is not None:
        how |= {"out_shape": shape, "resampling": Resampling.nearest}
    with timed_read(band.path):
        pixels = without_nodata(dataset.read(band.index, **how), band)
        if band.mask is not None:
            seen = dataset.read_masks(band.index, **how) if band.mask == 0 else dataset.read(band.mask, **how)
            pixels[seen == 0] = np.nan
    return pixels


def without_nodata(stored: npt.NDArray[Any], band: RasterBand) -> npt.NDArray[np.floating[Any]]:
    """Return stored values of a band as floating point, NaN where they are no data.

    Nodata values and limits are compared in the type of the file. A tag of -3.4028234663852886e38 is stored
    rounded to float32, and a large integer is not rounded before it is compared.
    """
    low, high = band.limits
    integer = not np.issubdtype(stored.dtype, np.floating)
    missing = np.zeros(stored.shape, bool)
    with np.errstate(over="ignore"):
        for value in band.nodata:
            if not integer or _fits(value, stored.dtype):
                missing |= stored == stored.dtype.type(value)
    if integer:
        ends = np.iinfo(stored.dtype)
        if low > ends.min:
            missing |= stored < min(math.ceil(low), ends.max)
        if high < ends.max:
            missing |= stored > max(math.floor(high), ends.min)
    pixels = stored.astype(np.float32) if integer or stored.dtype.itemsize < 4 else stored
    if not integer:
        missing |= ~((pixels >= low) & (pixels <= high))  # NaN is neither
    pixels[missing] = np.nan
    return pixels


def mask_of(dataset: DatasetReader, index: int, measured: frozenset[int]) -> int | None:
    """Return the source of a band's valid pixels beside its values; see :attr:`RasterBand.mask`.

    Parameters
    ----------
    dataset : DatasetReader
    index : int
        One-based band number.
    measured : frozenset of int
        Bands that hold measurements. One of them is no alpha band, whatever the file says: some programs
        call the fourth band of any image so.

    Notes
    -----
    GDAL offers an alpha band as a mask only in files of two or four bands; the colour interpretation shows
    it in all.
    """
    flags = dataset.mask_flag_enums[index - 1]
    if MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags:
        return 0
    return next((i for i in alpha_bands(dataset) if i not in measured and i != index), None)


def alpha_bands(dataset: DatasetReader) -> list[int]:
    """Return the numbers of the bands that the file calls alpha: by colour, or by a name of :data:`NAMES`."""
    names = [re.sub(r"[^a-z]", "", (text or "").lower()) for text in dataset.descriptions]
    described = zip(dataset.colorinterp, names, strict=True)
    return [
        i for i, (colour, name) in enumerate(described, 1) if colour == ColorInterp.alpha or name in NAMES
    ]


def _fits(value: float, dtype: np.dtype[Any]) -> bool:
    ends = np.iinfo(dtype)
    return float(value).is_integer() and ends.min <= value <= ends.max
