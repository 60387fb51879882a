"""Pictures of the report: images of the map and chips of single outlines, as data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from PIL import Image, ImageDraw
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.windows import Window
from shapely.geometry.base import BaseGeometry

from landslide_map.products.imagery import scaled


def data_uri(pixels: Any, quality: int) -> str:
    """Return ``(3, rows, columns)`` 8-bit pixels as a JPEG inside a URI; no data becomes light grey."""
    shown = np.where((pixels == 0).all(axis=0)[None], 232, pixels)
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(np.moveaxis(shown, 0, 2))).save(
        file, "JPEG", quality=quality, optimize=True, progressive=True
    )
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def chips(path: Path, shapes: Sequence[BaseGeometry]) -> list[str]:
    """Return a :func:`chip` of an image for each outline."""
    with rasterio.open(path) as source:
        return [chip(source, shape) for shape in shapes]


def chip(source: DatasetReader, shape: BaseGeometry, *, edge_px: int = 176, least_m: float = 400.0) -> str:
    """Return a square of an image around an outline, the outline drawn on it, as a URI.

    Parameters
    ----------
    source : DatasetReader
        An image in the CRS of `shape`.
    shape : geometry
        The outline.
    edge_px : int
        Edge of the square, pixels.
    least_m : float
        Least edge of the ground shown, metres.
    """
    west, south, east, north = shape.bounds
    edge_m = max(1.3 * max(east - west, north - south), least_m)
    left, top = (west + east) / 2 - edge_m / 2, (south + north) / 2 + edge_m / 2
    t = source.transform
    pixels = _square(source, (left - t.c) / t.a, (top - t.f) / t.e, edge_m / t.a, edge_px)
    transform = scaled(Affine(t.a, 0, left, 0, t.e, top), edge_m / t.a / edge_px)
    shown = np.where((pixels == 0).all(axis=0)[None], 232, pixels).astype(np.uint8)
    picture = Image.fromarray(np.ascontiguousarray(np.moveaxis(shown, 0, 2)))
    draw = ImageDraw.Draw(picture)
    for ring in rings(shape, transform):
        draw.line([*map(tuple, ring.tolist())], fill=(255, 255, 0), width=1)
    return data_uri(np.moveaxis(np.asarray(picture), 2, 0), 72)


def rings(shape: BaseGeometry, transform: Affine) -> Sequence[Any]:
    """Return the rings of an outline in pixels, each ``(corners, 2)`` as column and row."""
    to_pixels = ~transform
    found = []
    for part in getattr(shape, "geoms", [shape]):
        for ring in (part.exterior, *part.interiors):
            x, y = np.asarray(ring.coords)[:, :2].T
            found.append(np.column_stack([to_pixels.a * x + to_pixels.c, to_pixels.e * y + to_pixels.f]))
    return found


def differences(ring: Any) -> list[int]:
    """Return a ring ``(corners, 2)`` for a page: twice its first corner, then twice the steps.

    Examples
    --------
    >>> differences(np.array([[1.0, 2.0], [1.5, 2.0], [1.5, 2.1]]))
    [2, 4, 1, 0]
    """
    corners = np.round(ring * 2).astype(int)
    steps = np.diff(corners, axis=0)
    kept = np.concatenate([corners[:1], steps[np.any(steps != 0, axis=1)]])
    return [int(value) for value in kept.ravel()]


def _square(source: Any, col: float, row: float, edge: float, edge_px: int) -> Any:
    """Return a square of an image, resampled, 0 outside it; `col`, `row` and `edge` are its pixels."""
    pixels = np.zeros((3, edge_px, edge_px), np.uint8)
    left, top = max(col, 0.0), max(row, 0.0)
    right, bottom = min(col + edge, source.width), min(row + edge, source.height)
    first_x, last_x, first_y, last_y = (
        round((place - start) / edge * edge_px)
        for start, places in ((col, (left, right)), (row, (top, bottom)))
        for place in places
    )
    if last_x > first_x and last_y > first_y:
        pixels[:, first_y:last_y, first_x:last_x] = source.read(
            out_shape=(3, last_y - first_y, last_x - first_x),
            window=Window(left, top, right - left, bottom - top),
            resampling=Resampling.bilinear,
        )
    return pixels
