"""8-bit images for display: true colour, false colour and radar change, as cloud-optimised GeoTIFFs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from rasterio.enums import Resampling
from rasterio.windows import Window

from landslide_map import products
from landslide_map.array_types import Floats32
from landslide_map.bands import ORBITS
from landslide_map.grid import Grid
from landslide_map.products import cog
from landslide_map.runtime import timings
from landslide_map.runtime.jit import compiled
from landslide_map.stack.display import AFTER, BEFORE, CHANGE_STEP_DB, HALF, MASK, NO_CHANGE

Rgb = npt.NDArray[np.uint8]
Strips = Mapping[str, Sequence[Path]]
"""Name of a strip (:func:`~landslide_map.stack.display.display_strips`) -> files, from the top downwards."""
_THREADS: Final = 2
_CHANGE_DB: Final = 4.0
"""Change of backscatter with the strongest colour."""
_SMOOTHED: Final = 3
"""Edge of the square of a mean change, pixels of 20 m."""
_LESS, _SAME, _MORE = (33, 102, 172), (245, 245, 245), (178, 24, 43)
"""Colours of less, the same and more backscatter after the event: blue, white, red."""
_CHANGE: Final = ("change_red", "change_green", "change_blue")
_TRUE, _FALSE = ("red", "green", "blue"), ("nir", "red", "green")
_COLOURS: Final = {
    products.IMAGE_AFTER: _TRUE,
    "image_after_false_colour.tif": _FALSE,
    products.IMAGE_BEFORE: _TRUE,
    "image_before_false_colour.tif": _FALSE,
    "image_change_descending.tif": _CHANGE,
    "image_change_ascending.tif": _CHANGE,
}
"""File -> bands shown as red, green, blue."""
_SIDES: Final = {
    products.IMAGE_AFTER: AFTER,
    "image_after_false_colour.tif": AFTER,
    products.IMAGE_BEFORE: BEFORE,
    "image_before_false_colour.tif": BEFORE,
    "image_change_descending.tif": "descending",
    "image_change_ascending.tif": "ascending",
}
"""File -> strip."""


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
    here = {name: side for name, side in _SIDES.items() if strips.get(side)}
    with (
        TemporaryDirectory(prefix=".images-", dir=folder) as aside,
        cog.small_cache(),
        ThreadPoolExecutor(_THREADS) as pool,
    ):
        made = {
            side: pool.submit(_painted if side in ORBITS else _opened, Path(aside) / side, grid, strips[side])
            for side in dict.fromkeys(here.values())
        }
        pixels = {side: done.result() for side, done in made.items()}
        shown = [name for name, side in here.items() if pixels[side].bands.keys() >= set(_COLOURS[name])]
        finished = [
            pool.submit(_finish, Path(aside) / name, folder / name, pixels[here[name]], tags)
            for name in shown
        ]
        for done in finished:
            done.result()
    return tuple(shown)


@dataclass(frozen=True)
class _Pixels:
    """Pixels that images are made of: strips one below the other, and the same in ever larger pixels."""

    grid: Grid
    strips: Sequence[Path]
    levels: Sequence[Path]
    """GeoTIFFs of half the size, a quarter and so on."""
    bands: Mapping[str, int]
    """Bands by name, numbered from 1; :data:`~landslide_map.stack.display.MASK` is one."""


@timings.work("images")
def _opened(aside: Path, grid: Grid, strips: Sequence[Path]) -> _Pixels:
    """Return the optical strips as they are, with their levels."""
    with rasterio.open(strips[0]) as source:
        names: tuple[str, ...] = source.descriptions
    with _levels(aside, grid, len(names)) as (levels, write):
        for top, pixels in _read(strips):
            write(top, pixels)
    return _Pixels(grid, strips, levels, {name: number for number, name in enumerate(names, 1)})


@timings.work("images")
def _painted(aside: Path, grid: Grid, strips: Sequence[Path]) -> _Pixels:
    """Return the colours of change of an orbit, written to one GeoTIFF."""
    coarse = Grid(grid.crs, scaled(grid.transform, HALF), -(-grid.width // HALF), -(-grid.height // HALF))
    path = aside.with_suffix(".tif")
    names = (*_CHANGE, MASK)
    with (
        cog.explained(path),
        cog.plain(path, coarse, len(names), "uint8", None) as target,
        _levels(aside, coarse, len(names)) as (levels, write),
    ):
        for top, change in _smoothed(strips):
            picture = change_colours(change)
            there = np.where((picture != 0).all(axis=0), np.uint8(255), np.uint8(0))
            pixels = np.concatenate([picture, there[None]])
            target.write(pixels, window=Window(0, top, pixels.shape[2], pixels.shape[1]))
            write(top, pixels)
    return _Pixels(coarse, [path], levels, {name: number for number, name in enumerate(names, 1)})


@contextmanager
def _levels(aside: Path, grid: Grid, count: int) -> Iterator[tuple[list[Path], Callable[[int, Rgb], None]]]:
    """Yield GeoTIFFs of ever larger pixels, down to one tile, and how to write strips from the top downwards.

    GDAL would read all pixels again for the overviews of each image, with twice the time.
    """
    paths: list[Path] = []
    with ExitStack() as opened:
        targets = []
        while max(grid.shape) > cog.TILE:
            grid = Grid(grid.crs, scaled(grid.transform, 2), -(-grid.width // 2), -(-grid.height // 2))
            paths.append(aside.with_name(f"{aside.name}-{len(paths)}.tif"))
            targets.append(opened.enter_context(cog.plain(paths[-1], grid, count, "uint8", None)))

        def write(top: int, pixels: Rgb) -> None:
            for target in targets:
                pixels, top = halved(pixels), top // 2
                target.write(pixels, window=Window(0, top, pixels.shape[2], pixels.shape[1]))

        yield paths, write


def halved(pixels: Rgb) -> Rgb:
    """Return the mean of each 2 x 2 pixels that have a value, ``(band, row, col)``; 0 where none has one."""
    bands, rows, cols = pixels.shape
    found = np.empty((bands, -(-rows // 2), -(-cols // 2)), np.uint8)
    _fill_halved(pixels, found)
    return found


@compiled
def _fill_halved(pixels: Rgb, found: Rgb) -> None:
    bands, rows, cols = pixels.shape
    for b in range(bands):
        for i in range(found.shape[1]):
            # Outside the last row or column lies the same one again, which leaves a mean as it is.
            upper, lower = pixels[b, 2 * i], pixels[b, min(2 * i + 1, rows - 1)]
            for j in range(found.shape[2]):
                left, right = 2 * j, min(2 * j + 1, cols - 1)
                p, q, r, s = (
                    np.int32(upper[left]),
                    np.int32(upper[right]),
                    np.int32(lower[left]),
                    np.int32(lower[right]),
                )
                total = p + q + r + s
                count = np.int32(p > 0) + np.int32(q > 0) + np.int32(r > 0) + np.int32(s > 0)
                if count == 4:
                    found[b, i, j] = (total + 2) >> 2
                elif count:
                    found[b, i, j] = (total + count // 2) // count
                else:
                    found[b, i, j] = 0


@timings.work("images")
def _finish(aside: Path, path: Path, pixels: _Pixels, tags: Mapping[str, str]) -> None:
    """Write one image as a COG, by way of virtual rasters of its bands."""
    bands = [pixels.bands[name] for name in (*_COLOURS[path.name], MASK)]
    about = cog.tags_of({**tags, "image": products.IMAGES[path.name].title})
    with cog.explained(path), rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        smaller = []
        for number, level in enumerate(pixels.levels):
            smaller.append(aside.with_suffix(f".{number}.vrt"))
            smaller[-1].write_bytes(_mosaic([level], bands))
        whole = aside.with_suffix(".vrt")
        whole.write_bytes(_mosaic(pixels.strips, bands, pixels.grid, about, smaller))
        cog.finish_picture(whole, path)


def _mosaic(
    strips: Sequence[Path],
    bands: Sequence[int],
    grid: Grid | None = None,
    tags: Mapping[str, str] = MappingProxyType({}),
    overviews: Sequence[Path] = (),
) -> bytes:
    """Return a virtual raster of bands of strips, one strip below the other; the last band is a mask."""
    sizes = []
    for strip in strips:
        with rasterio.open(strip) as source:
            sizes.append(source.shape)
    width, height = sizes[0][1], sum(rows for rows, _ in sizes)
    root = Element("VRTDataset", rasterXSize=str(width), rasterYSize=str(height))
    if grid is not None:
        SubElement(root, "SRS").text = grid.crs.to_wkt()
        SubElement(root, "GeoTransform").text = ", ".join(map(repr, grid.transform.to_gdal()))
    metadata = SubElement(root, "Metadata")
    for key, value in tags.items():
        SubElement(metadata, "MDI", key=key).text = value
    targets = [SubElement(root, "VRTRasterBand", dataType="Byte", band=str(n)) for n in (1, 2, 3)]
    for target, colour in zip(targets, ("Red", "Green", "Blue"), strict=True):
        SubElement(target, "ColorInterp").text = colour
    targets.append(SubElement(SubElement(root, "MaskBand"), "VRTRasterBand", dataType="Byte"))
    top = 0
    for strip, (rows, _) in zip(strips, sizes, strict=True):
        size = {"xOff": "0", "xSize": str(width), "ySize": str(rows)}
        for target, band in zip(targets, bands, strict=True):
            one = SubElement(target, "SimpleSource")
            SubElement(one, "SourceFilename", relativeToVRT="0").text = str(strip)
            SubElement(one, "SourceBand").text = str(band)
            SubElement(one, "SrcRect", {**size, "yOff": "0"})
            SubElement(one, "DstRect", {**size, "yOff": str(top)})
        top += rows
    for number, target in enumerate(targets[:3], 1):
        for overview in overviews:
            one = SubElement(target, "Overview")
            SubElement(one, "SourceFilename", relativeToVRT="0").text = str(overview)
            SubElement(one, "SourceBand").text = str(number)
    return tostring(root)


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


def _read(strips: Sequence[Path]) -> Iterator[tuple[int, Rgb]]:
    """Yield first row and pixels, ``(band, row, col)``, of each strip."""
    top = 0
    for strip in strips:
        with rasterio.open(strip) as source:
            pixels: Rgb = source.read()
        yield top, pixels
        top += pixels.shape[1]


def smoothed_change(codes: Rgb) -> Floats32:
    """Return means over squares of the changes (dB) that codes stand for, NaN where there is none.

    Parameters
    ----------
    codes : uint8, (row, col)
        As from :func:`~landslide_map.stack.display.change_codes`.
    """
    mean = np.empty(codes.shape, np.float32)
    total, count = np.empty((2, codes.shape[1]), np.int32)
    _fill_smoothed(codes, total, count, mean)
    return mean


@compiled
def _fill_smoothed(
    codes: Rgb, total: npt.NDArray[np.int32], count: npt.NDArray[np.int32], mean: Floats32
) -> None:
    rows, cols = codes.shape
    margin = _SMOOTHED // 2
    for i in range(rows):
        for j in range(cols):
            total[j], count[j] = 0, 0
        for r in range(max(i - margin, 0), min(i + margin + 1, rows)):
            for j in range(cols):
                if codes[r, j]:
                    total[j] += np.int32(codes[r, j]) - NO_CHANGE
                    count[j] += 1
        for j in range(cols):
            if codes[i, j] == 0:
                mean[i, j] = np.nan
                continue
            # Whole numbers: the same bits wherever a strip begins.
            steps, valid = np.int32(0), np.int32(0)
            for c in range(max(j - margin, 0), min(j + margin + 1, cols)):
                steps += total[c]
                valid += count[c]
            mean[i, j] = np.float32(steps) / np.float32(valid) * np.float32(CHANGE_STEP_DB)


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
    found = np.zeros((3, *change.shape), np.uint8)
    _colour(np.ascontiguousarray(change), _change_palette(), found)
    return found


@compiled
def _colour(change: Floats32, palette: Rgb, found: Rgb) -> None:
    rows, cols = change.shape
    for i in range(rows):
        for j in range(cols):
            value = change[i, j]
            if not np.isnan(value):
                share = min(max(value / np.float32(_CHANGE_DB), np.float32(-1)), np.float32(1))
                index = 1 + int(np.rint((share + np.float32(1)) * np.float32(127)))
                for band in range(3):
                    found[band, i, j] = palette[band, index]


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
