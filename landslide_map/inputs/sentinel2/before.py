"""Sentinel-2 images before the event: opened and checked as the one after it, and compared with it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from landslide_map.bands import DN_OFFSET
from landslide_map.errors import InputError, Notice
from landslide_map.grid import Grid
from landslide_map.inputs.coverage import covered
from landslide_map.inputs.scene_inputs import OpticalImage
from landslide_map.inputs.sentinel2.image import open_optical
from landslide_map.raster.sampling import sample_bands
from landslide_map.scene.model import OpticalSpec

SCL_HIDDEN: Final = (0, 1, 3, 8, 9, 10, 11)
"""Codes of the scene classification that hide the ground: no data, defective, shadow, cloud, snow."""
SCL_SNOW: Final = 11
CLOUDY: Final = 0.5
"""Share of hidden pixels from which an image is hardly worth reading."""
SNOWY: Final = 0.2
LESS_GREEN: Final = 0.15
"""Median NDVI below that after the event from which an image is of another season: leaf-off, or dry."""
PARTLY: Final = 0.5
"""Share of the grid that an image should cover."""


def open_before(
    specs: Sequence[OpticalSpec], event_time: datetime
) -> tuple[tuple[OpticalImage, ...], list[Notice], tuple[Path, ...]]:
    """Open and check the images before the event that scene.yaml names, the latest first.

    Raises
    ------
    InputError
        E210 an image is not from before the event, or its date is unknown; and all that
        :func:`~landslide_map.inputs.sentinel2.image.open_optical` raises.
    """
    opened = [open_optical(spec, event_time, before=True) for spec in specs]
    images = sorted((image for image, _, _ in opened), key=_time, reverse=True)
    notices = [notice for _, found, _ in opened for notice in found]
    files = dict.fromkeys(path for _, _, read in opened for path in read)
    return tuple(images), notices, tuple(files)


def compared(images: Sequence[OpticalImage], after: OpticalImage | None, grid: Grid) -> list[Notice]:
    """Return notices about images before the event against the one after it.

    Raises
    ------
    InputError
        E211 an image lies beside the grid: it is of another tile.
    """
    if not images:
        return []
    notices: list[Notice] = []
    green = None if after is None else _condition(after)[2]
    for image in images:
        where = covered(image.bands["red"], grid)
        if where is None or not where.any():
            raise InputError(
                "E211",
                f"{image.product}: covers nothing of the grid; expected an image of the same tile as s2.post",
            )
        if where.mean() < PARTLY:
            message = f"covers {100 * where.mean():.0f} % of the grid; vegetation before is unknown elsewhere"
            notices.append(Notice("W218", f"{image.product}: {message}"))
        hidden, snow, ndvi = _condition(image)
        if hidden > CLOUDY:
            message = (
                f"{100 * hidden:.0f} % are hidden by cloud, shadow or snow and say nothing of vegetation"
            )
            notices.append(Notice("W217", f"{image.product}: {message}"))
        dates = f"{_day(image)} before and {_day(after) if after else '-'} after the event"
        if snow > SNOWY:
            notices.append(Notice("W216", f"{image.product}: {100 * snow:.0f} % snow; {dates}"))
        elif green is not None and np.isfinite(ndvi) and ndvi < green - LESS_GREEN:
            message = f"median NDVI {ndvi:.2f} before, {green:.2f} after; another season hides what was lost"
            notices.append(Notice("W216", f"{image.product}: {message} ({dates})"))
    return notices


def _condition(image: OpticalImage) -> tuple[float, float, float]:
    """Return the shares of hidden and of snowy pixels, and the median NDVI of the others."""
    bands = {name: band for name, band in image.bands.items() if name in ("red", "nir")}
    if image.scene_classification is not None:
        bands["scl"] = image.scene_classification
    pixels = sample_bands(bands)
    there = np.isfinite(pixels["red"])
    classes = pixels.get("scl")
    hidden = np.zeros(there.shape, bool) if classes is None else np.isin(classes, SCL_HIDDEN) & there
    snow = np.zeros(there.shape, bool) if classes is None else (classes == SCL_SNOW) & there
    count = max(int(there.sum()), 1)
    clear = there & ~hidden
    ndvi = float("nan")
    if "nir" in pixels and clear.any():
        red, nir = (_reflectance(pixels[name][clear], image) for name in ("red", "nir"))
        ndvi = float(np.nanmedian((nir - red) / np.maximum(nir + red, 1.0)))
    return float(hidden.sum()) / count, float(snow.sum()) / count, ndvi


def _reflectance(stored: npt.NDArray[np.float32], image: OpticalImage) -> npt.NDArray[np.float32]:
    scaled = stored * np.float32(image.scale) + np.float32(image.offset - DN_OFFSET)
    reflectance: npt.NDArray[np.float32] = np.maximum(scaled, np.float32(1))
    return reflectance


def _time(image: OpticalImage) -> datetime:
    assert image.acquired is not None
    return image.acquired


def _day(image: OpticalImage) -> str:
    return "unknown" if image.acquired is None else f"{image.acquired:%Y-%m-%d}"
