"""Small 8-bit images for eyes: true colour, false colour and radar change, as cloud-optimised GeoTIFFs.

The stretch is fixed, so that images of two dates and of neighbouring scenes compare.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from rasterio.enums import Resampling
from rasterio.windows import Window
from scipy import ndimage

from landslide_map import products
from landslide_map.bands import DN_OFFSET, DN_PER_REFLECTANCE, POLARISATIONS, acquisition
from landslide_map.grid import Block, Grid
from landslide_map.products import cog
from landslide_map.runtime import timings

Rgb = npt.NDArray[np.uint8]
Read = Callable[[str, Block], npt.NDArray[np.float32]]
"""Reads an acquisition by name in a block: training DN or dB, NaN = missing."""
ReadBefore = Callable[[Block], Mapping[str, npt.NDArray[np.float32]]]
"""Reads the optical bands before the event in a block, by name: training DN, NaN = missing."""
_THREADS: Final = 2
_TABLE: Final = 8192
"""Training DN from which everything is white."""
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
    products.IMAGE_BEFORE: ("red", "green", "blue"),
    "image_before_false_colour.tif": ("nir", "red", "green"),
}
"""File -> bands of the optical image after or before the event shown as red, green, blue."""
_TRACKS: Final = {
    "image_change_descending.tif": "descending",
    "image_change_ascending.tif": "ascending",
}


def write_images(
    folder: Path,
    grid: Grid,
    present: Iterable[str],
    read: Read,
    *,
    read_before: ReadBefore | None = None,
    tags: Mapping[str, str] = MappingProxyType({}),
    blocks: Iterable[Block] | None = None,
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
    read_before : callable, optional
        ``read_before(block)`` returns the optical bands before the event by name, if there are any.
    tags : mapping of str to str
        About the map.
    blocks : iterable of Block, optional
        Of the grid; its own by default.

    Raises
    ------
    ResourceError
        E601: a file cannot be written.
    """
    here = set(present)
    earlier = set(read_before(Block(0, 0, 1, 1))) if read_before else set()
    optical = {
        name: bands
        for name, bands in _COLOURS.items()
        if (earlier if _is_before(name) else here).issuperset(bands)
    }
    radar = {
        name: orbit
        for name, orbit in _TRACKS.items()
        if here.issuperset(acquisition(orbit, side, pol) for side in ("pre", "post") for pol in POLARISATIONS)
    }
    files = (*optical, *radar)
    if not files:
        return ()
    plain = {name: folder / f".{name}.plain.tif" for name in files}
    coarse = _halved(grid)
    try:
        with cog.small_cache(), rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
            targets = {
                name: cog.plain(path, coarse if name in radar else grid, 3, "uint8", None)
                for name, path in plain.items()
            }
            try:
                for name, target in targets.items():
                    cog.tag(target, {**tags, "image": products.IMAGES[name].title})
                pictures = partial(_pictures, optical, radar, read, read_before, grid)
                _write_blocks(targets, set(radar), pictures, list(blocks or grid.blocks()))
            finally:
                for target in targets.values():
                    target.close()
            with ThreadPoolExecutor(_THREADS) as pool:
                for done in [pool.submit(_finish, plain[name], folder / name) for name in files]:
                    done.result()
    finally:
        for path in plain.values():
            path.unlink(missing_ok=True)
    return files


def _write_blocks(
    targets: Mapping[str, Any],
    halved: Collection[str],
    pictures: Callable[[Block], Mapping[str, Rgb]],
    blocks: Sequence[Block],
) -> None:
    """Make the pictures of all blocks in threads, and write them one by one, in order."""
    with ThreadPoolExecutor(_THREADS) as pool:
        waiting: deque[Any] = deque()
        for block in [*blocks, None]:
            if block is not None:
                waiting.append((block, pool.submit(pictures, block)))
            while waiting and (block is None or len(waiting) > _THREADS):
                place, made = waiting.popleft()
                for name, picture in made.result().items():
                    window = _window(place, 2 if name in halved else 1)
                    targets[name].write(picture, window=window)
                    targets[name].write_mask((picture != 0).all(axis=0), window=window)


def _pictures(
    optical: Mapping[str, tuple[str, ...]],
    radar: Mapping[str, str],
    read: Read,
    read_before: ReadBefore | None,
    grid: Grid,
    block: Block,
) -> dict[str, Rgb]:
    """Return the pictures of one block by file name."""
    with timings.work("images"):
        wanted = {band for name, bands in optical.items() if not _is_before(name) for band in bands}
        after = {band: stretch(read(band, block), _BRIGHTEST[band]) for band in sorted(wanted)}
        earlier = read_before(block) if read_before and any(map(_is_before, optical)) else {}
        before = {band: stretch(values, _BRIGHTEST[band]) for band, values in earlier.items()}
        made = {}
        for name, bands in optical.items():
            shades = before if _is_before(name) else after
            made[name] = _clear_together(np.stack([shades[band] for band in bands]))
        for name, orbit in radar.items():
            wider, inside = _with_margin(block, grid)
            change = [
                read(acquisition(orbit, "post", pol), wider) - read(acquisition(orbit, "pre", pol), wider)
                for pol in POLARISATIONS
            ]
            made[name] = change_colours(_smoothed(np.mean(change, axis=0))[inside])
        return made


def _is_before(name: str) -> bool:
    return products.IMAGES[name].side == "before"


def _window(block: Block, step: int) -> Window:
    """Return where a block lies in an image of which a pixel is `step` pixels of the grid."""
    return Window(block.col // step, block.row // step, -(-block.width // step), -(-block.height // step))


def _halved(grid: Grid) -> Grid:
    """Return a grid of pixels of twice the size that covers another one."""
    return Grid(grid.crs, scaled(grid.transform, 2), -(-grid.width // 2), -(-grid.height // 2))


def _with_margin(block: Block, grid: Grid) -> tuple[Block, tuple[slice, slice]]:
    """Return a block with the margin that smoothing needs, and where `block` lies inside."""
    margin = _SMOOTHED // 2
    top, left = max(block.row - margin, 0), max(block.col - margin, 0)
    bottom = min(block.row + block.height + margin, grid.height)
    right = min(block.col + block.width + margin, grid.width)
    row, col = block.row - top, block.col - left
    inside = (slice(row, row + block.height), slice(col, col + block.width))
    return Block(top, left, bottom - top, right - left), inside


def stretch(dn: npt.NDArray[np.float32], brightest: float) -> Rgb:
    """Return training DN as 8 bits, 1 to 255; 0 where there is no value.

    Examples
    --------
    >>> stretch(np.float32([[1000, 4000, np.nan]]), 0.3).tolist()
    [[1, 255, 0]]
    """
    numbers = np.nan_to_num(np.rint(dn), nan=_TABLE - 1).clip(0, _TABLE - 1).astype(np.intp)
    return np.where(np.isnan(dn), np.uint8(0), _shades(brightest)[numbers])


@cache
def _shades(brightest: float) -> Rgb:
    """Return the 8 bits of every training DN below :data:`_TABLE`; a power for each pixel takes longer."""
    reflectance = (np.arange(_TABLE) - DN_OFFSET) / DN_PER_REFLECTANCE
    shade = 1 + 254 * np.clip(reflectance / brightest, 0, 1) ** (1 / _GAMMA)
    table: Rgb = np.round(shade).astype(np.uint8)
    return table


def change_colours(change: npt.NDArray[np.float32]) -> Rgb:
    """Return smoothed changes of backscatter (dB) as colours of pixels of twice the size.

    Parameters
    ----------
    change : (row, col)
        NaN = missing.

    Returns
    -------
    uint8, (3, ceil(row / 2), ceil(col / 2))
        The mean of each 2 x 2 pixels, from blue (less) by white to red (more); 0 where all are missing.
    """
    rows, cols = change.shape
    padded = np.pad(change, ((0, rows % 2), (0, cols % 2)), constant_values=np.nan)
    four = np.stack([padded[r::2, c::2] for r in (0, 1) for c in (0, 1)])
    valid = np.isfinite(four)
    count = valid.sum(axis=0)
    mean = np.where(valid, four, 0).sum(axis=0) / np.maximum(count, 1)
    index = 1 + np.rint((np.clip(mean / _CHANGE_DB, -1, 1) + 1) * 127)
    index = np.where(count > 0, index, 0).astype(np.intp)
    return np.ascontiguousarray(_change_palette()[:, index])


@cache
def _change_palette() -> Rgb:
    """Return the colours ``(3, 256)``: 0 is no value, then 255 steps from less to more."""
    share = np.linspace(-1, 1, 255)
    ends = np.where(share < 0, np.reshape(_LESS, (3, 1)), np.reshape(_MORE, (3, 1)))
    same = np.reshape(_SAME, (3, 1))
    palette = np.zeros((3, 256), np.uint8)
    palette[:, 1:] = np.maximum(np.round(same + (ends - same) * np.abs(share)), 1)
    return palette


def _smoothed(change: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return means over squares of :data:`_SMOOTHED` pixels: speckle hides the change of a single one."""
    valid = np.isfinite(change)
    weight = ndimage.uniform_filter(valid.astype(np.float32), _SMOOTHED, mode="nearest")
    total = ndimage.uniform_filter(np.where(valid, change, 0).astype(np.float32), _SMOOTHED, mode="nearest")
    return np.where(valid, total / np.maximum(weight, 1e-6), np.nan).astype(np.float32)


def _clear_together(image: Rgb) -> Rgb:
    """Return an image that is 0 in all bands where it is in one: a pixel is there or not."""
    return np.where((image == 0).any(axis=0)[None], 0, image).astype(np.uint8)


def _finish(plain: Path, path: Path) -> None:
    with cog.explained(path):
        cog.finish_picture(plain, path)


def read_small(path: Path, longest: int) -> tuple[Rgb, Affine]:
    """Return an image of at most `longest` pixels a side, ``(bands, rows, columns)``, and its transform.

    Pixels without a value are 0 in all bands, no others.
    """
    with rasterio.open(path) as source:
        factor = max(1.0, max(source.shape) / longest)
        shape = (source.count, round(source.height / factor), round(source.width / factor))
        pixels: Rgb = source.read(out_shape=shape, resampling=Resampling.average)
        if source.count == 3:
            there = source.dataset_mask(out_shape=shape[1:]) > 0
            pixels = np.where(there[None], np.maximum(pixels, 1), 0).astype(np.uint8)
        return pixels, scaled(source.transform, source.width / shape[2], source.height / shape[1])


def scaled(transform: Affine, x: float, y: float | None = None) -> Affine:
    """Return the transform of pixels that are `x` times as wide and `y` times as high."""
    y = x if y is None else y
    t = transform  # by hand: affine 3 deprecates ``*``, affine 2 has no ``@``
    return Affine(t.a * x, t.b * y, t.c, t.d * x, t.e * y, t.f)
