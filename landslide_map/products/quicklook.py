"""``quicklook.png``: image after the event with outlines, scale bar, north arrow and dates, for e-mail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pyogrio
from affine import Affine
from PIL import Image, ImageDraw, ImageFont
from rasterio.features import geometry_mask
from shapely.geometry.base import BaseGeometry

from landslide_map import products
from landslide_map.bands import ORBITS
from landslide_map.products import columns as names
from landslide_map.products.imagery import read_small, scaled
from landslide_map.products.outline_classes import OutlineClass, classes_of, present_classes
from landslide_map.products.scale_bar import round_length

LONGEST: Final = 1000
"""Longest side of the map, pixels."""
_FINE: Final = 2
"""Drawn so many times larger and averaged: Pillow's lines have no soft edges."""
_COMPRESSION: Final = 4
"""Level of zlib: a third of the time of 6, its default, for files 2 to 5 % larger."""
_MARGIN, _HEADER = 24, 102
_INK, _GREY = (25, 25, 25), (95, 95, 95)


def write_quicklook(
    folder: Path,
    path: Path,
    *,
    threshold: float,
    tags: Mapping[str, str],
    title: str,
    outlines: Path | None = None,
) -> None:
    """Write the picture of a result.

    Parameters
    ----------
    folder : Path
        With ``landslides.gpkg``, and images if there are any; ``class.tif`` gives the shape otherwise.
    path : Path
        The PNG to write.
    threshold : float
        Lowest threshold of the run.
    tags : mapping of str to str
        About the run; dates are shown.
    title : str
        First line.
    outlines : Path, optional
        GeoPackage to draw instead of ``landslides.gpkg`` in `folder`.
    """
    layers = outlines or folder / products.LANDSLIDES
    found = pyogrio.read_dataframe(layers, layer=names.LANDSLIDES)
    analysed = pyogrio.read_dataframe(layers, layer=names.ANALYSED)
    pixels, transform = background(folder, LONGEST)
    classes = present_classes(found, classes_of(found.columns, threshold))
    picture = map_picture(pixels, transform, found, analysed, classes)
    pixel_m = abs(transform.a) * pixels.shape[2] / picture.width
    sheet = _sheet(picture, pixel_m, classes, found, [title, *date_lines(tags)])
    sheet.save(path, compress_level=_COMPRESSION)


def background(folder: Path, longest: int) -> tuple[Any, Affine]:
    """Return the image to draw on, ``(3, rows, columns)``, and its transform: any there is, else grey."""
    for name, image in products.IMAGES.items():
        if image.side == "after" and (folder / name).exists():
            return read_small(folder / name, longest)
    pixels, transform = read_small(folder / products.CLASSES, longest)
    return np.full((3, *pixels.shape[1:]), 225, np.uint8), transform


def date_lines(tags: Mapping[str, str]) -> list[str]:
    """Return dates and source in three short lines."""
    first = [
        f"{label} {tags[key][:10]}"
        for key, label in {"event_time": "event", "s2_post": "Sentinel-2 after"}.items()
        if tags.get(key)
    ]
    radar = [
        f"{orbit} {tags[f'{orbit}_pre'][:10]} to {tags[f'{orbit}_post'][:10]}"
        for orbit in ORBITS
        if tags.get(f"{orbit}_pre") and tags.get(f"{orbit}_post")
    ]
    return [
        " · ".join(first),
        f"Sentinel-1 {', '.join(radar)}" if radar else "no dates of Sentinel-1",
        f"{tags.get('software', '')}, bundle {tags.get('bundle', '')}",
    ]


def map_picture(
    pixels: Any,
    transform: Affine,
    found: gpd.GeoDataFrame,
    analysed: gpd.GeoDataFrame,
    classes: Sequence[OutlineClass],
) -> Image.Image:
    """Return the image with outlines in their colours, and grey where not analysed."""
    canvas = np.moveaxis(np.where((pixels == 0).all(axis=0)[None], 235, pixels), 0, 2).astype(np.float32)
    outside = analysed[analysed["status"] != "analysed"].geometry
    if len(outside):
        hidden = geometry_mask(outside, canvas.shape[:2], transform, invert=True)
        rows, cols = np.indices(hidden.shape)
        hatched = hidden & ((rows + cols) % 12 < 2)
        canvas[hidden] = canvas[hidden] * 0.45 + 255 * 0.55
        canvas[hatched] = 120
    zoom = max(1, LONGEST // max(canvas.shape))
    size = (canvas.shape[1] * zoom, canvas.shape[0] * zoom)
    large = (size[0] * _FINE, size[1] * _FINE)
    image = Image.fromarray(canvas.astype(np.uint8)).resize(large, Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(image)
    to_pixels = ~scaled(transform, 1 / zoom / _FINE)
    members = [(one, found[one.mask(found)]) for one in reversed(classes)]  # the best on top
    for width, casing in ((5, True), (3, False)):
        for one, frame in members:
            colour = (255, 255, 255) if casing else one.rgb
            for shape in frame.geometry:
                _draw_rings(draw, shape, to_pixels, colour, width)
    return image.reduce(_FINE)


def _draw_rings(draw: Any, shape: BaseGeometry, to_pixels: Affine, colour: Any, width: int) -> None:
    for part in getattr(shape, "geoms", [shape]):
        for ring in (part.exterior, *part.interiors):
            x, y = np.asarray(ring.coords)[:, :2].T
            col = to_pixels.a * x + to_pixels.b * y + to_pixels.c
            row = to_pixels.d * x + to_pixels.e * y + to_pixels.f
            draw.line(list(zip(col.tolist(), row.tolist(), strict=True)), fill=colour, width=width)


def _sheet(
    picture: Image.Image,
    pixel_m: float,
    classes: Sequence[OutlineClass],
    found: gpd.GeoDataFrame,
    lines: Sequence[str],
) -> Image.Image:
    """Return the picture with title above, and scale bar, north arrow and legend below."""
    width = max(picture.width, 760) + 2 * _MARGIN
    footer = 74
    sheet = Image.new("RGB", (width, picture.height + _HEADER + footer + _MARGIN), "white")
    sheet.paste(picture, (_MARGIN, _HEADER))
    draw = ImageDraw.Draw(sheet)
    title, *others = lines
    draw.text((_MARGIN, 10), title, fill=_INK, font=_font(24))
    for index, text in enumerate(others):
        draw.text((_MARGIN, 42 + 18 * index), text, fill=_GREY, font=_font(14))
    top = _HEADER + picture.height + 18
    left = _scale_bar(draw, (_MARGIN, top), pixel_m, picture.width)
    arrow = ((30, 22), (38, -6), (46, 22), (38, 15))
    draw.polygon([(left + x, top + y) for x, y in arrow], _INK)
    draw.text((left + 33, top + 24), "N", fill=_INK, font=_font(15))
    x, y = float(left + 80), top - 6
    for one in classes:
        label = f"{one.label}: {int(one.mask(found).sum())}"
        wide = draw.textlength(label, font=_font(14)) + 40
        if x + wide > width - _MARGIN:
            x, y = float(left + 80), y + 24
        draw.rectangle([x, y + 3, x + 20, y + 14], outline=one.rgb, width=2)
        draw.text((x + 26, y), label, fill=_INK, font=_font(14))
        x += wide + 10
    return sheet


def _scale_bar(draw: Any, place: tuple[int, int], pixel_m: float, width: int) -> int:
    """Draw a bar of a round length of at most a fifth of the map; return where it ends, pixels."""
    metres = round_length(pixel_m * width / 5)
    length = round(metres / pixel_m)
    x, y = place
    draw.rectangle([x, y, x + length // 2, y + 8], fill=_INK)
    draw.rectangle([x, y, x + length, y + 8], outline=_INK)
    text = f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"
    draw.text((x, y + 12), text, fill=_INK, font=_font(15))
    return x + max(length, 60)


def _font(size: int) -> Any:
    return ImageFont.load_default(size)
