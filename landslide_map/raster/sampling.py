"""A look at some of the pixels of a band: enough to judge it, without decoding all of it.

Decoding a full tile costs as much as mapping it, so a check reads overviews where a file has them and
well-spread patches where it has none. Which pixels are seen depends on shapes only: the same on every run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from rasterio.enums import Resampling
from rasterio.windows import Window
from scipy.ndimage import binary_dilation

from landslide_map.raster.band import RasterBand
from landslide_map.raster.open import opened
from landslide_map.runtime.threads import in_threads

LOOK_PIXELS: Final = 1_000_000
"""A check looks at no more than about this many pixels of a band."""
PLACES: Final = 12
"""Patches along each axis of a raster: 9 km apart on a Sentinel-2 tile."""
PATCH: Final = 64
"""Edge of the patches of :func:`look_together`, pixels."""
MIXED: Final = 2
"""So far from missing pixels those of overviews may be mixed with them: the reach of a wavelet, in pixels."""

Pixels = npt.NDArray[np.float32]


def look_together(bands: Mapping[str, RasterBand]) -> dict[str, Pixels]:
    """Return pixels of bands that share their ground, of each the same places.

    Parameters
    ----------
    bands : mapping of str to RasterBand
        The first decides which places; others may have another resolution.

    Returns
    -------
    dict of ndarray, one shape, float32
        Stored values, NaN where there is no data. All pixels of a small band; otherwise patches at full
        resolution (:func:`patches`), or every n-th pixel where all files have overviews or resolution levels,
        or where no patch has a pixel that all bands have. Overviews mix the ground at the edge of a swath
        with the nothing beyond; such pixels are left out, unless there are no others.

    Raises
    ------
    InputError
        E101 where the pixels cannot be read.
    """
    first = next(iter(bands.values())).grid.shape
    look = partial(decimated, shape=look_shape(first))
    thinned = first[0] * first[1] > LOOK_PIXELS
    if thinned and not all(map(has_levels, bands.values())):
        seen = in_threads(partial(_patchwork, shape=first), bands.values())
        if np.isfinite(sum(seen)).any():
            return dict(zip(bands, seen, strict=True))
    seen = in_threads(look, bands.values())
    if thinned and np.isfinite(sum(inner := _without_edges(seen))).any():
        seen = inner
    return dict(zip(bands, seen, strict=True))


def decimated(band: RasterBand, shape: tuple[int, int] | None = None, window: Window | None = None) -> Pixels:
    """Return a thinned look at a band, ``(rows, columns)`` float32, NaN where there is no data.

    Overviews and JPEG 2000 resolution levels are used where the file has them, so that the cost is
    bounded; without them every n-th pixel is taken. All bands of one grid get the same shape.

    Parameters
    ----------
    shape : tuple of int, optional
        The ``(rows, columns)`` to return, to lay bands of different resolution over each other.
    window : rasterio.windows.Window, optional
        Part of the band to look at; by default all of it.

    Raises
    ------
    InputError
        E101 where the pixels cannot be read.
    """
    full = shape or look_shape(band.grid.shape)
    with opened(band.path) as dataset:
        stored = dataset.read(band.index, window=window, out_shape=full, resampling=Resampling.nearest)
    return _without_nodata(stored, band.nodata)


def look_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """Return the shape of the thinned look at a band of `shape`.

    >>> look_shape((200, 100)), look_shape((10980, 10980))
    ((200, 100), (999, 999))
    """
    step = math.ceil(math.sqrt(shape[0] * shape[1] / LOOK_PIXELS))
    return math.ceil(shape[0] / step), math.ceil(shape[1] / step)


def patches(shape: tuple[int, int], edge: int) -> list[Window]:
    """Return patches spread over a raster from end to end, :data:`PLACES` along each axis.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the raster, `edge` or more.
    edge : int
        Of a patch, pixels. They begin at multiples of it, so that none crosses a border of the blocks in
        which files are compressed, if `edge` divides these: a power of two does.

    Examples
    --------
    >>> len(patches((10980, 10980), 64)), patches((10980, 10980), 64)[-1]
    (144, Window(col_off=10880, row_off=10880, width=64, height=64))
    """
    rows, cols = (
        np.unique(np.linspace(0, length - edge, PLACES).astype(int) // edge * edge).tolist()
        for length in shape
    )
    return [Window(col, row, edge, edge) for row in rows for col in cols]


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
            stored = dataset.read(band.index, window=window)[rows[here] - top, cols[here] - left]
            found[here] = np.isfinite(_without_nodata(stored, band.nodata))
    return found


def has_levels(band: RasterBand) -> bool:
    """Return whether the file holds the band at lower resolutions, too: overviews, JPEG 2000 levels."""
    with opened(band.path) as dataset:
        return bool(dataset.overviews(band.index))


def _without_edges(seen: list[Pixels]) -> list[Pixels]:
    """Return looks at bands without the pixels within :data:`MIXED` of one that no band has."""
    nothing = np.all([np.isnan(pixels) for pixels in seen], axis=0)
    edge = binary_dilation(nothing, np.ones((2 * MIXED + 1, 2 * MIXED + 1), bool))
    return [np.where(edge, np.float32(np.nan), pixels) for pixels in seen]


def _patchwork(band: RasterBand, shape: tuple[int, int]) -> Pixels:
    """Return the patches of a raster of `shape` as `band` shows them, whatever its resolution is."""
    down, across = band.grid.height / shape[0], band.grid.width / shape[1]
    edge = min(PATCH, *shape)
    with opened(band.path) as dataset:
        stored = [
            dataset.read(
                band.index,
                window=Window(p.col_off * across, p.row_off * down, edge * across, edge * down),
                out_shape=(edge, edge),
                resampling=Resampling.nearest,
            )
            for p in patches(shape, edge)
        ]
    return _without_nodata(np.concatenate(stored), band.nodata)


def _without_nodata(stored: npt.NDArray[Any], nodata: tuple[float, ...]) -> Pixels:
    """Return `stored` as float32, NaN where it is not finite or equals a value of `nodata`."""
    with np.errstate(over="ignore", invalid="ignore"):
        missing = ~np.isfinite(stored.astype(np.float64))
        for value in nodata:
            # In the type of the pixels: a tag of -3.4028234663852886e38 is stored rounded to float32.
            missing |= (
                stored == np.float64(value).astype(stored.dtype) if _fits(value, stored.dtype) else False
            )
        return np.where(missing, np.float32(np.nan), stored.astype(np.float32))


def _fits(value: float, dtype: np.dtype[Any]) -> bool:
    if not np.issubdtype(dtype, np.integer):
        return True
    limits = np.iinfo(dtype)
    return float(value).is_integer() and limits.min <= value <= limits.max
