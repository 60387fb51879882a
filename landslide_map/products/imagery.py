"""Small 8-bit images for eyes: true colour, false colour and radar change, as cloud-optimised GeoTIFFs.

The stretch is fixed, so that images of two dates and of neighbouring scenes compare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from rasterio.enums import Resampling
from rasterio.windows import Window
from scipy import ndimage

from landslide_map import products
from landslide_map.bands import POLARISATIONS, acquisition
from landslide_map.grid import Block, Grid
from landslide_map.products import cog
from landslide_map.runtime import timings

Rgb = npt.NDArray[np.uint8]
Read = Callable[[str, Block], npt.NDArray[np.float32]]
"""Reads an acquisition by name in a block: training DN or dB, NaN = missing."""
_OFFSET_DN: Final = 1000.0
"""Training DN of zero reflectance."""
_BRIGHTEST: Final = {"red": 0.30, "green": 0.30, "blue": 0.30, "nir": 0.55}
"""Reflectance that becomes white."""
_GAMMA: Final = 1.8
"""Brightens forests, whose visible reflectance is 0.02 to 0.06."""
_CHANGE_DB: Final = 4.0
"""Change of backscatter with the strongest colour."""
_SMOOTHED: Final = 5
"""Edge of the square whose mean change is shown, pixels."""
_LESS, _SAME, _MORE = (33, 102, 172), (245, 245, 245), (178, 24, 43)
"""Colours of less, the same and more backscatter after the event: blue, white, red."""
_COLOURS: Final = {
    products.IMAGE_AFTER: ("red", "green", "blue"),
    "image_after_false_colour.tif": ("nir", "red", "green"),
}
"""File -> bands of the optical image after the event shown as red, green, blue."""
_TRACKS: Final = {
    "image_change_descending.tif": "descending",
    "image_change_ascending.tif": "ascending",
}


def write_images(
    folder: Path, grid: Grid, present: Iterable[str], read: Read, blocks: Iterable[Block] | None = None
) -> tuple[str, ...]:
    """Write every image that the acquisitions allow, block by block; return the file names.

    Parameters
    ----------
    folder : Path
        Where the files go.
    grid : Grid
        Of the acquisitions.
    present : iterable of str
        Names of the acquisitions that there are (:data:`bands.ACQUISITIONS`).
    read : callable
        ``read(name, block)`` returns an acquisition, ``(rows, columns)`` float32.
    blocks : iterable of Block, optional
        Of the grid; its own by default.

    Raises
    ------
    ResourceError
        E601: a file cannot be written.
    """
    here = set(present)
    optical = {name: bands for name, bands in _COLOURS.items() if here.issuperset(bands)}
    radar = {
        name: orbit
        for name, orbit in _TRACKS.items()
        if here.issuperset(acquisition(orbit, side, pol) for side in ("pre", "post") for pol in POLARISATIONS)
    }
    files = (*optical, *radar)
    if not files:
        return ()
    plain = {name: folder / f".{name}.plain.tif" for name in files}
    try:
        with cog.small_cache():
            targets = {name: cog.plain(path, grid, 3, "uint8", 0) for name, path in plain.items()}
            try:
                for block in blocks or grid.blocks():
                    _write_block(targets, optical, radar, read, block, grid)
            finally:
                for target in targets.values():
                    target.close()
            with ThreadPoolExecutor(2) as pool:
                for done in [pool.submit(_finish, plain[name], folder / name) for name in files]:
                    done.result()
    finally:
        for path in plain.values():
            path.unlink(missing_ok=True)
    return files


def _write_block(
    targets: Mapping[str, Any],
    optical: Mapping[str, tuple[str, ...]],
    radar: Mapping[str, str],
    read: Read,
    block: Block,
    grid: Grid,
) -> None:
    window = Window(block.col, block.row, block.width, block.height)
    with timings.work("images"):
        wanted = {band for bands in optical.values() for band in bands}
        stretched = {band: stretch(read(band, block), _BRIGHTEST[band]) for band in sorted(wanted)}
        for name, bands in optical.items():
            targets[name].write(_clear_together(np.stack([stretched[band] for band in bands])), window=window)
        for name, orbit in radar.items():
            wider, inside = _with_margin(block, grid)
            change = [
                read(acquisition(orbit, "post", pol), wider) - read(acquisition(orbit, "pre", pol), wider)
                for pol in POLARISATIONS
            ]
            targets[name].write(change_colours(np.mean(change, axis=0))[inside], window=window)


def _with_margin(block: Block, grid: Grid) -> tuple[Block, tuple[slice, slice, slice]]:
    """Return a block with the margin that smoothing needs, and where `block` lies inside."""
    margin = _SMOOTHED // 2
    top, left = max(block.row - margin, 0), max(block.col - margin, 0)
    bottom = min(block.row + block.height + margin, grid.height)
    right = min(block.col + block.width + margin, grid.width)
    row, col = block.row - top, block.col - left
    inside = (slice(None), slice(row, row + block.height), slice(col, col + block.width))
    return Block(top, left, bottom - top, right - left), inside


def stretch(dn: npt.NDArray[np.float32], brightest: float) -> Rgb:
    """Return training DN as 8 bits, 1 to 255; 0 where there is no value.

    Examples
    --------
    >>> stretch(np.float32([[1000, 4000, np.nan]]), 0.3).tolist()
    [[1, 255, 0]]
    """
    reflectance = (dn - _OFFSET_DN) / 10000
    with np.errstate(invalid="ignore"):
        shade = 1 + 254 * np.clip(reflectance / brightest, 0, 1) ** (1 / _GAMMA)
    return np.where(np.isnan(dn), 0, np.round(shade)).astype(np.uint8)


def change_colours(change: npt.NDArray[np.float32]) -> Rgb:
    """Return a change of backscatter (dB, ``(rows, columns)``) as ``(3, rows, columns)`` colours.

    Means of 5 x 5 pixels: speckle hides the change of a single one.
    """
    valid = np.isfinite(change)
    weight = ndimage.uniform_filter(valid.astype(np.float32), _SMOOTHED, mode="nearest")
    smooth = ndimage.uniform_filter(np.where(valid, change, 0).astype(np.float32), _SMOOTHED, mode="nearest")
    share = np.clip(smooth / np.maximum(weight, 1e-6) / _CHANGE_DB, -1, 1)
    ends = np.where(share[None] < 0, np.reshape(_LESS, (3, 1, 1)), np.reshape(_MORE, (3, 1, 1)))
    same = np.reshape(_SAME, (3, 1, 1))
    colours = np.round(same + (ends - same) * np.abs(share)[None])
    return np.where(valid[None], np.maximum(colours, 1), 0).astype(np.uint8)


def _clear_together(image: Rgb) -> Rgb:
    """Return an image that is 0 in all bands where it is in one: a pixel is there or not."""
    return np.where((image == 0).any(axis=0)[None], 0, image).astype(np.uint8)


def _finish(plain: Path, path: Path) -> None:
    with cog.explained(path):
        cog.finish(plain, path, overviews="AVERAGE", predictor=True)


def read_small(path: Path, longest: int) -> tuple[Rgb, Affine]:
    """Return an image of at most `longest` pixels a side, ``(bands, rows, columns)``, and its transform."""
    with rasterio.open(path) as source:
        factor = max(1.0, max(source.shape) / longest)
        shape = (source.count, round(source.height / factor), round(source.width / factor))
        pixels: Rgb = source.read(out_shape=shape, resampling=Resampling.average)
        return pixels, scaled(source.transform, source.width / shape[2], source.height / shape[1])


def scaled(transform: Affine, x: float, y: float | None = None) -> Affine:
    """Return the transform of pixels that are `x` times as wide and `y` times as high."""
    y = x if y is None else y
    t = transform  # by hand: affine 3 deprecates ``*``, affine 2 has no ``@``
    return Affine(t.a * x, t.b * y, t.c, t.d * x, t.e * y, t.f)
