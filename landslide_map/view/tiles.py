"""Tiles of a result's rasters for the page: squares of its grid, coarser by powers of two."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.windows import Window

from landslide_map import products
from landslide_map.errors import InputError, UsageError
from landslide_map.grid import Grid
from landslide_map.products.rasters import CLASS_COLOURS, NOT_LANDSLIDE
from landslide_map.raster.dataset import open_dataset

EDGE: Final = 256
"""Edge of a tile, pixels."""
_RAMP: Final = np.array(
    [[255, 255, 178, 0], [254, 217, 118, 110], [253, 141, 60, 190], [227, 26, 28, 220], [128, 0, 38, 235]],
    np.float64,
)
"""Red, green, blue, alpha of probabilities 0, 0.25, 0.5, 0.75 and 1 (after ColorBrewer YlOrRd)."""
Rgba = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Layer:
    """A raster that the page can draw."""

    file: str
    title: str
    overlay: bool
    """Whether it is drawn above an image, clear where there is nothing to say."""


LAYERS: Final[Mapping[str, Layer]] = {
    Path(layer.file).stem: layer
    for layer in (
        *(Layer(file, image.title, False) for file, image in products.IMAGES.items()),
        Layer(products.OUTLINE_PROBABILITY, "Probability of outlines", True),
        Layer(products.PROBABILITY, "Probability of windows", True),
        Layer(products.PIXEL_PROBABILITY, "Probability of pixel members", True),
        Layer(products.CLASSES, "Ground not analysed", True),
    )
}
"""Name in the address -> layer; nothing else of a folder is ever read."""


def levels(grid: Grid) -> int:
    """Return how many times the grid is halved until it fits one tile."""
    return max(0, int(np.ceil(np.log2(max(grid.width, grid.height) / EDGE))))


def tile(folder: Path, grid: Grid, name: str, place: tuple[int, int, int]) -> bytes:
    """Return a tile as PNG.

    Parameters
    ----------
    folder : Path
        Of the result.
    grid : Grid
        That all layers are shown on.
    name : str
        Key of :data:`LAYERS`.
    place : tuple of int
        Level (a pixel of the tile is ``2**level`` of the grid), row and column of the tile.

    Raises
    ------
    UsageError
        E451: there is no such layer or tile.
    InputError
        E101: the raster cannot be read; E113: it leads elsewhere.
    """
    level, row, col = place
    size = EDGE << level if level <= levels(grid) else 0
    if name not in LAYERS or not size or row * size >= grid.height or col * size >= grid.width:
        raise UsageError("E451", f"there is no tile {name} {level}/{row}/{col}.")
    path = folder / LAYERS[name].file
    if not path.is_file():
        raise UsageError("E451", f"the result has no {LAYERS[name].file}.")
    try:
        with open_dataset(path) as source:
            return png(_square(source, grid, row * size, col * size, size))
    except RasterioError as error:
        raise InputError("E101", f"{path} cannot be read ({error}).") from error


def png(pixels: Rgba) -> bytes:
    """Return ``(4, rows, columns)`` 8-bit pixels as PNG."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(np.moveaxis(pixels, 0, 2))).save(file, "PNG", compress_level=1)
    return file.getvalue()


def probability_colours(values: npt.NDArray[Any]) -> Rgba:
    """Return probabilities as colours ``(4, rows, columns)``, clear where there is none.

    Examples
    --------
    >>> probability_colours(np.array([[1.0, np.nan]]))[:, 0].T.tolist()
    [[128, 0, 38, 235], [0, 0, 0, 0]]
    """
    places = np.nan_to_num(np.clip(values, 0, 1)) * (len(_RAMP) - 1)
    made = np.stack([np.interp(places, np.arange(len(_RAMP)), band) for band in _RAMP.T])
    return np.where(np.isfinite(values)[None], np.rint(made), 0).astype(np.uint8)


def _class_colours(values: npt.NDArray[Any]) -> Rgba:
    """Return classes as colours: only ground that was not analysed."""
    table = np.zeros((256, 4), np.uint8)
    for value, (*colour, alpha) in CLASS_COLOURS.items():
        if int(value) > max(NOT_LANDSLIDE, 1):
            table[int(value)] = (*colour, min(alpha, 210))
    return np.moveaxis(table[values.astype(np.uint8)], -1, 0)


def _square(source: Any, grid: Grid, top: int, left: int, size: int) -> Rgba:
    """Return a square of a raster in pixels of the grid, clear outside the raster."""
    picture = source.count >= 3
    out = np.zeros((4, EDGE, EDGE), np.uint8)
    bottom, right = min(top + size, grid.height), min(left + size, grid.width)
    rows, cols = (max(1, round((end - start) / size * EDGE)) for start, end in ((top, bottom), (left, right)))
    factor = grid.transform.a / source.transform.a  # radar pictures have pixels of twice the size
    window = Window(left * factor, top * factor, (right - left) * factor, (bottom - top) * factor)
    # Whole pixels shrink to their mean, classes to one of them.
    resampling = Resampling.average if size > EDGE else Resampling.nearest
    read: dict[str, Any] = {"window": window, "resampling": resampling}
    if picture:
        out[:3, :rows, :cols] = source.read((1, 2, 3), out_shape=(3, rows, cols), **read)
        out[3, :rows, :cols] = source.dataset_mask(
            out_shape=(rows, cols), window=window, resampling=Resampling.nearest
        )
    elif source.dtypes[0] == "uint8":
        read["resampling"] = Resampling.nearest
        out[:, :rows, :cols] = _class_colours(source.read(1, out_shape=(rows, cols), **read))
    else:
        values = source.read(1, out_shape=(rows, cols), masked=True, **read).filled(np.nan)
        out[:, :rows, :cols] = probability_colours(values)
    return out
