"""Sample of the pixels of a band, for checks without decoding all of it.

Decoding a full tile costs as much as mapping it. So a check reads well-spread windows of it, or the
resolution levels of JPEG 2000, which are made of the same code as the pixels. Overviews decide nothing: they
are copies, which may be older than the pixels, averaged, or empty. Which pixels are seen depends on shapes
only: the same on every run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from rasterio.io import DatasetReader
from rasterio.windows import Window
from scipy.ndimage import binary_dilation

from landslide_map.errors import InputError
from landslide_map.raster.band import RasterBand
from landslide_map.raster.nodata import read_valid
from landslide_map.raster.open import opened
from landslide_map.runtime.threads import in_threads

SAMPLE_PIXELS: Final = 1_000_000
"""A check reads no more than about this many pixels of a band."""
PLACES: Final = 12
"""Windows along each axis of a raster: 9 km apart on a Sentinel-2 tile."""
WINDOW_EDGE: Final = 64
"""Edge of the windows of :func:`sample_bands`, pixels."""
MOST_SEARCHED: Final = 10**10
"""Pixels of a raster that is read as a whole where no window has a value: some 80 tiles."""
MIXED: Final = 2
"""Pixels around missing ones in which a resolution level may be mixed: the reach of a wavelet."""

Pixels = npt.NDArray[np.float32]


def sample_bands(bands: Mapping[str, RasterBand]) -> dict[str, Pixels]:
    """Return a sample of the pixels of bands of the same ground, at the same places in each.

    Parameters
    ----------
    bands : mapping of str to RasterBand
        The first decides which places; others may have another resolution.

    Returns
    -------
    dict of ndarray, one shape, float32
        Stored values, NaN where there is no data. All pixels of a small band; otherwise windows at full
        resolution (:func:`sample_windows`). Every n-th pixel where all files have resolution levels, or where
        no window has a pixel that all bands have. Levels mix the ground at the edge of a swath with the
        nothing beyond; such pixels are left out, unless there are no others.

    Raises
    ------
    InputError
        E101 where the pixels cannot be read; E106 where no window of a very large raster has a value.
    """
    first = next(iter(bands.values())).grid.shape
    read = partial(decimated, shape=sample_shape(first))
    thinned = first[0] * first[1] > SAMPLE_PIXELS
    if thinned and not all(map(has_levels, bands.values())):
        seen = in_threads(partial(_read_sample_windows, shape=first), bands.values())
        if np.isfinite(sum(seen)).any():
            return dict(zip(bands, seen, strict=True))
        refuse_to_search(next(iter(bands.values())))
    seen = in_threads(read, bands.values())
    if thinned and np.isfinite(sum(inner := _without_edges(seen))).any():
        seen = inner
    return dict(zip(bands, seen, strict=True))


def refuse_to_search(band: RasterBand) -> None:
    """Refuse (E106) to read all of a very large raster because none of its windows has a value."""
    if band.grid.height * band.grid.width > MOST_SEARCHED:
        raise InputError(
            "E106",
            f"{band.path}: has {band.grid.width:,} x {band.grid.height:,} pixels and no value at any of "
            f"{PLACES * PLACES} places spread over it. Cut it to the area of interest with gdalwarp -te",
        )


def decimated(band: RasterBand, shape: tuple[int, int] | None = None, window: Window | None = None) -> Pixels:
    """Return a thinned sample of a band, ``(rows, columns)`` float32, NaN where there is no data.

    JPEG 2000 resolution levels are used where the file has them, so that the cost is bounded. Elsewhere every
    n-th pixel of the band itself is taken. All bands of one grid get the same shape.

    Parameters
    ----------
    shape : tuple of int, optional
        The ``(rows, columns)`` to return, to lay bands of different resolution over each other.
    window : rasterio.windows.Window, optional
        Part of the band to read; by default all of it.

    Raises
    ------
    InputError
        E101 where the pixels cannot be read.
    """
    full = shape or sample_shape(band.grid.shape)
    whole = window or Window(0, 0, band.grid.width, band.grid.height)
    with opened(band.path) as dataset:
        if full == (whole.height, whole.width) or _levels(dataset, band.index):
            return _float32(read_valid(dataset, band, whole, full))
        return _every_nth(dataset, band, whole, full)


def sample_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """Return the shape of the thinned sample of a band of `shape`.

    >>> sample_shape((200, 100)), sample_shape((10980, 10980))
    ((200, 100), (999, 999))
    """
    step = math.ceil(math.sqrt(shape[0] * shape[1] / SAMPLE_PIXELS))
    return math.ceil(shape[0] / step), math.ceil(shape[1] / step)


def sample_windows(shape: tuple[int, int], edge: int) -> list[Window]:
    """Return windows spread over a raster from end to end, :data:`PLACES` along each axis.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the raster, `edge` or more.
    edge : int
        Of a window, pixels. They begin at multiples of it, so that none crosses a border of the blocks in
        which files are compressed. For that `edge` must divide these: a power of two does.

    Examples
    --------
    >>> len(sample_windows((10980, 10980), 64)), sample_windows((10980, 10980), 64)[-1]
    (144, Window(col_off=10880, row_off=10880, width=64, height=64))
    """
    rows, cols = (
        np.unique(np.linspace(0, length - edge, PLACES).astype(int) // edge * edge).tolist()
        for length in shape
    )
    return [Window(col, row, edge, edge) for row in rows for col in cols]


def read_windows(dataset: DatasetReader, band: RasterBand, windows: Sequence[Window]) -> npt.NDArray[Any]:
    """Return the pixels of windows of one size, one window below the other, as :func:`read_valid` does.

    A small band is read at once: a call takes as long as reading some 10,000 pixels.
    """
    if band.grid.height * band.grid.width > SAMPLE_PIXELS:
        return np.concatenate([read_valid(dataset, band, window) for window in windows])
    whole = read_valid(dataset, band)
    return np.concatenate([whole[window.toslices()] for window in windows])


def valid_at(
    band: RasterBand, rows: npt.NDArray[np.integer], cols: npt.NDArray[np.integer]
) -> npt.NDArray[np.bool_]:
    """Return at which pixels of a band there is a value; every block of the file is decoded once at most.

    Parameters
    ----------
    rows, cols : ndarray, (point,)
        Pixels of the band.

    Raises
    ------
    InputError
        E101 where the pixels cannot be read.
    """
    found = np.zeros(len(rows), bool)
    with opened(band.path) as dataset:
        height, width = dataset.block_shapes[band.index - 1]
        across = -(-band.grid.width // width)
        block = rows // height * across + cols // width
        for number in np.unique(block):
            here = np.flatnonzero(block == number)
            top, left = rows[here].min(), cols[here].min()
            window = Window(left, top, cols[here].max() - left + 1, rows[here].max() - top + 1)
            found[here] = np.isfinite(read_valid(dataset, band, window)[rows[here] - top, cols[here] - left])
    return found


def has_levels(band: RasterBand) -> bool:
    """Return whether the file holds the resolution levels of JPEG 2000; overviews do not count."""
    with opened(band.path) as dataset:
        return _levels(dataset, band.index)


def _levels(dataset: DatasetReader, index: int) -> bool:
    jpeg_2000 = dataset.driver.startswith("JP2") or dataset.driver == "JPEG2000"
    beside = any(name.lower().endswith(".ovr") for name in dataset.files)  # read instead of the levels
    return jpeg_2000 and bool(dataset.overviews(index)) and not beside


def _every_nth(dataset: DatasetReader, band: RasterBand, whole: Window, shape: tuple[int, int]) -> Pixels:
    """Return pixels of a part of a band, spread evenly, read at full resolution strip by strip."""
    rows, cols = (
        ((np.arange(wanted) + 0.5) * size / wanted).astype(int)
        for wanted, size in zip(shape, (whole.height, whole.width), strict=True)
    )
    height = dataset.block_shapes[band.index - 1][0]
    found = np.empty(shape, np.float32)
    strip = rows // height
    for number in np.unique(strip):
        here = strip == number
        top, end = rows[here].min(), rows[here].max() + 1
        window = Window(whole.col_off, whole.row_off + top, whole.width, end - top)
        found[here] = _float32(read_valid(dataset, band, window)[np.ix_(rows[here] - top, cols)])
    return found


def _float32(pixels: npt.NDArray[np.floating[Any]]) -> Pixels:
    return pixels.astype(np.float32, copy=False)


def _without_edges(seen: list[Pixels]) -> list[Pixels]:
    """Return samples of bands without the pixels within :data:`MIXED` of one that no band has."""
    nothing = np.all([np.isnan(pixels) for pixels in seen], axis=0)
    edge = binary_dilation(nothing, np.ones((2 * MIXED + 1, 2 * MIXED + 1), bool))
    return [np.where(edge, np.float32(np.nan), pixels) for pixels in seen]


def _read_sample_windows(band: RasterBand, shape: tuple[int, int]) -> Pixels:
    """Return the windows of a raster of `shape` in the pixels of `band`, at any resolution."""
    down, across = band.grid.height / shape[0], band.grid.width / shape[1]
    edge = min(WINDOW_EDGE, *shape)
    with opened(band.path) as dataset:
        stored = [
            read_valid(
                dataset,
                band,
                Window(p.col_off * across, p.row_off * down, edge * across, edge * down),
                (edge, edge),
            )
            for p in sample_windows(shape, edge)
        ]
    return _float32(np.concatenate(stored))
