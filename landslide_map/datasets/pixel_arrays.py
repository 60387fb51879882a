"""Arrays of channels for pixel members: ``.npy``, Landslide4Sense ``.h5`` or GeoTIFF, layout checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NoReturn

import numpy as np
import numpy.typing as npt

from landslide_map.errors import InputError
from landslide_map.raster.dataset import open_unplaced
from landslide_map.untrusted.arrays import open_npy, refuse_larger
from landslide_map.untrusted.hdf5 import read_h5

Layout = Literal["auto", "channels-first", "channels-last"]
LARGEST_FILE: Final = 2**30
"""Bytes of the largest file that is read at once; larger ``.npy`` files are read in parts."""


@dataclass(frozen=True, slots=True)
class PixelArrays:
    """Images of equal size with named channels, read some at a time."""

    array: npt.NDArray[Any]
    """``(n, channel, y, x)``, or ``(n, y, x, channel)`` where `last`; perhaps still on disk."""
    bands: tuple[str, ...]
    """Names of the channels."""
    last: bool
    where: str

    def __len__(self) -> int:
        return len(self.array)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of an image."""
        y, x = self.array.shape[1:3] if self.last else self.array.shape[2:4]
        return int(y), int(x)

    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Return images `start` to ``stop - 1`` as ``(n, channel, y, x)``."""
        part = np.asarray(self.array[start:stop])
        return np.moveaxis(part, -1, 1) if self.last else part


def open_arrays(path: Path, choices: Sequence[tuple[str, ...]], *, layout: Layout = "auto") -> PixelArrays:
    """Return the images of a file.

    Parameters
    ----------
    path : path
        ``.npy`` of shape ``(n, channel, y, x)``, ``(n, y, x, channel)`` or one such image; ``.h5`` with
        dataset ``img``; GeoTIFF.
    choices : sequence of tuples of str
        Lists of channel names that the images may hold; the number of channels decides.
    layout : str
        Where the channels are, if the shape leaves it open.

    Raises
    ------
    InputError
        E180 missing, unreadable or of another shape, E185 larger than 1 GB, E186 an .h5 that is not plain.
    """
    if not path.is_file():
        raise InputError("E180", f"{path}: no such file; expected an .npy, .h5 or .tif file of channels.")
    suffix = path.suffix.lower()
    if suffix == ".npy":
        array = open_npy(path, "E180")
    elif suffix in (".h5", ".hdf5"):
        array = read_h5(path, "img", LARGEST_FILE)
    elif suffix in (".tif", ".tiff"):
        array = _load_tif(path)
    else:
        raise InputError("E180", f"{path}: of type {suffix or 'none'}; expected .npy, .h5 or .tif.")
    return of_array(array, choices, layout=layout, where=str(path))


def of_array(
    array: npt.NDArray[Any],
    choices: Sequence[tuple[str, ...]],
    *,
    layout: Layout = "auto",
    where: str = "the array",
) -> PixelArrays:
    """Return the images of an array; see :func:`open_arrays`."""
    if array.dtype.kind not in "fiu":
        raise InputError("E180", f"{where}: values of type {array.dtype}; expected real numbers.")
    images = array[None] if array.ndim == 3 else array
    counts = {len(names): names for names in reversed(choices)}
    if images.ndim != 4 or 0 in images.shape:
        _wrong_shape(where, array.shape, counts)
    first, last = images.shape[1] in counts, images.shape[3] in counts
    if layout != "auto":
        first, last = first and layout == "channels-first", last and layout == "channels-last"
    if first and last:
        raise InputError(
            "E180",
            f"{where}: shape {array.shape} may have its channels first or last; say which with --layout.",
        )
    if not first and not last:
        _wrong_shape(where, array.shape, counts)
    return PixelArrays(images, counts[images.shape[3 if last else 1]], last, where)


def as_mask(values: npt.NDArray[Any], shape: tuple[int, ...], where: str) -> npt.NDArray[np.bool_]:
    """Return a mask as booleans.

    Raises
    ------
    InputError
        E182 if it holds other values than 0 and 1, E183 if its shape is not `shape`.
    """
    squeezed = values.reshape([n for n in values.shape if n != 1]) if values.ndim > len(shape) else values
    if squeezed.shape != tuple(shape):
        raise InputError(
            "E183", f"{where}: a mask of shape {values.shape}; expected {tuple(shape)}, as the image has."
        )
    others = squeezed[(squeezed != 0) & (squeezed != 1)]
    if others.size:
        raise InputError(
            "E182",
            f"{where}: {others.size} pixels of the mask are neither 0 nor 1, e.g. {others[0]:g}. Write 1 for "
            "landslide and 0 elsewhere.",
        )
    return np.asarray(squeezed == 1)


def check_any_positive(masks: Iterable[npt.NDArray[Any]], where: str) -> None:
    """Refuse masks without a single landslide pixel (E184)."""
    if not any(bool(mask.any()) for mask in masks):
        raise InputError(
            "E184", f"{where}: no pixel of any mask is a landslide; figures and training need some."
        )


def _load_tif(path: Path) -> npt.NDArray[Any]:
    from rasterio.errors import RasterioError

    _check_size(path)
    try:
        with open_unplaced(path) as raster:
            refuse_larger(path, "the raster", raster.count * raster.height * raster.width * 4, LARGEST_FILE)
            pixels = raster.read(masked=True)
    except (RasterioError, OSError) as error:
        raise InputError("E180", f"{path}: cannot be read as a raster ({str(error)[:200]}).") from error
    if pixels.mask is np.ma.nomask or not pixels.mask.any():
        return np.asarray(pixels.data)
    return np.asarray(pixels.astype(np.float32).filled(np.nan))


def _check_size(path: Path) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError("E180", f"{path}: cannot be read ({error}).") from error
    refuse_larger(path, "the file", size, LARGEST_FILE)


def _wrong_shape(where: str, shape: tuple[int, ...], counts: dict[int, tuple[str, ...]]) -> NoReturn:
    wanted = " or ".join(str(n) for n in sorted(counts))
    listed = ", ".join(counts[min(counts)])
    raise InputError(
        "E180",
        f"{where}: shape {shape}; expected (n, channels, rows, columns) or (n, rows, columns, channels) with "
        f"{wanted} channels, e.g. {listed}.",
    )
