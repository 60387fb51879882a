"""Small 8-bit images for eyes: true colour, false colour and radar change, as cloud-optimised GeoTIFFs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from rasterio.enums import Resampling
from rasterio.windows import Window
from scipy import ndimage

from landslide_map import products
from landslide_map.array_types import Floats32
from landslide_map.grid import Grid
from landslide_map.products import cog
from landslide_map.runtime import timings
from landslide_map.stack.display import AFTER, BEFORE, CHANGE_STEP_DB, HALF, MASK, NO_CHANGE

Rgb = npt.NDArray[np.uint8]
Strips = Mapping[str, Sequence[Path]]
"""Name of a strip (:func:`~landslide_map.stack.display.display_strips`) -> files, from the top downwards."""
_THREADS: Final = 2
_CHANGE_DB: Final = 4.0
"""Change of backscatter with the strongest colour."""
_SMOOTHED: Final = 3
"""Edge of the square whose mean change is shown, pixels of 20 m."""
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


def write_images(folder: Path, grid: Grid, strips: Strips, tags: Mapping[str, str]) -> tuple[str, ...]:
    """Write every image that the strips allow; return the file names.

    Parameters
    ----------
    folder : Path
        Where the files go.
    grid : Grid
        Of the scene.
    strips : mapping of str to sequence of Path
        Of all rows of blocks.
    tags : mapping of str to str
        About the map.

    Raises
    ------
    ResourceError
        E601: a file cannot be written.
    """
    bands = {name: _bands(strips.get(name)) for name in (AFTER, BEFORE)}
    optical = {
        name: side
        for name, own in _COLOURS.items()
        if bands[side := products.IMAGES[name].side].keys() >= set(own)
    }
    radar = {name: orbit for name, orbit in _TRACKS.items() if strips.get(orbit)}
    plain = {
        name: folder / f".{name}.plain{'.tif' if name in radar else '.vrt'}" for name in (*optical, *radar)
    }
    try:
        with (
            cog.small_cache(),
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            ThreadPoolExecutor(_THREADS) as pool,
        ):
            made = []
            for name in plain:
                about = {**tags, "image": products.IMAGES[name].title}
                if name in radar:
                    work = partial(_paint_radar, plain[name], grid, strips[radar[name]], about)
                else:
                    side, colours = optical[name], _COLOURS[name]
                    numbers = [bands[side][band] for band in (*colours, MASK)]
                    work = partial(_mosaic, plain[name], grid, strips[side], numbers, about)
                made.append(pool.submit(_finished, work, plain[name], folder / name))
            for done in made:
                done.result()
    finally:
        for path in plain.values():
            path.unlink(missing_ok=True)
    return tuple(plain)


def _bands(strips: Sequence[Path] | None) -> dict[str, int]:
    """Return the bands of optical strips by name, numbered from 1."""
    if not strips:
        return {}
    with rasterio.open(strips[0]) as source:
        return {name: number for number, name in enumerate(source.descriptions, 1)}


@timings.work("images")
def _finished(paint: Callable[[], None], plain: Path, path: Path) -> None:
    with cog.explained(path):
        paint()
        cog.finish_picture(plain, path)


def _mosaic(
    path: Path, grid: Grid, strips: Sequence[Path], bands: Sequence[int], tags: Mapping[str, str]
) -> None:
    """Write a virtual raster of bands of the strips, one strip below the other; the last band is a mask."""
    root = Element("VRTDataset", rasterXSize=str(grid.width), rasterYSize=str(grid.height))
    SubElement(root, "SRS").text = grid.crs.to_wkt()
    SubElement(root, "GeoTransform").text = ", ".join(map(repr, grid.transform.to_gdal()))
    metadata = SubElement(root, "Metadata")
    for key, value in cog.tags_of(tags).items():
        SubElement(metadata, "MDI", key=key).text = value
    colours = ("Red", "Green", "Blue")
    targets = [SubElement(root, "VRTRasterBand", dataType="Byte", band=str(n)) for n in (1, 2, 3)]
    for target, colour in zip(targets, colours, strict=True):
        SubElement(target, "ColorInterp").text = colour
    targets.append(SubElement(SubElement(root, "MaskBand"), "VRTRasterBand", dataType="Byte"))
    top = 0
    for strip in strips:
        with rasterio.open(strip) as source:
            height = source.height
        size = {"xOff": "0", "xSize": str(grid.width), "ySize": str(height)}
        for target, band in zip(targets, bands, strict=True):
            one = SubElement(target, "SimpleSource")
            SubElement(one, "SourceFilename", relativeToVRT="0").text = str(strip)
            SubElement(one, "SourceBand").text = str(band)
            SubElement(one, "SrcRect", {**size, "yOff": "0"})
            SubElement(one, "DstRect", {**size, "yOff": str(top)})
        top += height
    path.write_bytes(tostring(root))


def _paint_radar(path: Path, grid: Grid, strips: Sequence[Path], tags: Mapping[str, str]) -> None:
    """Write a plain GeoTIFF of the colours of change."""
    coarse = Grid(grid.crs, scaled(grid.transform, HALF), -(-grid.width // HALF), -(-grid.height // HALF))
    with cog.plain(path, coarse, 3, "uint8", None) as target:
        cog.tag(target, tags)
        for top, change in _smoothed(strips):
            picture = change_colours(change)
            window = Window(0, top, picture.shape[2], picture.shape[1])
            target.write(picture, window=window)
            target.write_mask((picture != 0).all(axis=0), window=window)


def _smoothed(strips: Sequence[Path]) -> Iterator[tuple[int, Floats32]]:
    """Yield first row and mean change (dB) over squares of :data:`_SMOOTHED` pixels, strip by strip.

    Speckle hides the change of a single pixel.
    """
    margin, top = _SMOOTHED // 2, 0
    above: Rgb | None = None
    own = _read_first(strips[0])
    for following in (*strips[1:], None):
        below = None if following is None else _read_first(following)
        near = [own] if above is None else [above[-margin:], own]
        near += [] if below is None else [below[:margin]]
        found = smoothed_change(np.concatenate(near))
        skipped = 0 if above is None else margin
        yield top, found[skipped : skipped + len(own)]
        top += len(own)
        above, own = own, below if below is not None else own


def _read_first(path: Path) -> Rgb:
    with rasterio.open(path) as source:
        codes: Rgb = source.read(1)
    return codes


def smoothed_change(codes: Rgb) -> Floats32:
    """Return means over squares of the changes (dB) that codes stand for, NaN where there is none.

    Parameters
    ----------
    codes : uint8, (row, col)
        As from :func:`~landslide_map.stack.display.change_codes`.
    """
    valid = codes > 0
    steps = np.where(valid, codes.astype(np.int32) - NO_CHANGE, 0)
    window = np.ones(_SMOOTHED, np.int32)  # whole numbers: the same bits wherever a strip begins
    total, count = steps, valid.astype(np.int32)
    for axis in (0, 1):
        total = ndimage.correlate1d(total, window, axis, mode="constant")
        count = ndimage.correlate1d(count, window, axis, mode="constant")
    mean = total.astype(np.float32) / np.maximum(count, 1).astype(np.float32) * np.float32(CHANGE_STEP_DB)
    return np.where(valid, mean, np.float32(np.nan))


def change_colours(change: Floats32) -> Rgb:
    """Return changes of backscatter (dB) as colours.

    Parameters
    ----------
    change : (row, col)
        NaN = missing.

    Returns
    -------
    uint8, (3, row, col)
        From blue (less) by white to red (more); 0 where missing.
    """
    index = 1 + np.rint((np.clip(change / np.float32(_CHANGE_DB), -1, 1) + 1) * 127)
    index = np.where(np.isnan(change), 0, index).astype(np.intp)
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
