"""Sentinel-2 image or band that is turned over, or lies beside what Sentinel-1 shows.

Neither metadata nor values show it: the map is then of a mirrored landscape. Chips are compared with other
bands, and with VH of Sentinel-1. In four of five real pairs of both sensors a peak of 0.36 or more lies
within 2 pixels of no displacement. Of mirrored pairs no peak reaches 0.15 (docs/decisions/0041).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np
from rasterio.windows import Window

from landslide_map.errors import InputError, Notice
from landslide_map.grid import Block, Grid
from landslide_map.inputs.scene_inputs import OpticalImage, RadarImage
from landslide_map.inputs.sentinel1.backscatter import to_db, to_power
from landslide_map.inputs.sentinel1.coregistration import (
    REFUSED_PX,
    Pixels,
    Spectra,
    cross_correlation,
    displacement,
    spectra,
)
from landslide_map.raster.band import RasterBand
from landslide_map.raster.resample import read_block
from landslide_map.raster.sampling import decimated
from landslide_map.runtime.threads import in_threads

CHIP, SMALLEST = 256, 128
"""Edges of a chip, pixels; two along each axis are compared."""
BESIDE_PX: Final = 5
"""Least displacement of Sentinel-2 against Sentinel-1 that is reported: relief and smoothing shift by up to
2."""
TURNS: Final = {
    "upside down": (True, False),
    "with left and right swapped": (False, True),
    "turned by 180 degrees": (True, True),
}
"""Fault -> whether rows, and columns, run backwards."""
_RIGHT: Final = (False, False)


def turned_band_notices(name: str, bands: Mapping[str, RasterBand]) -> list[Notice]:
    """Warn (W215) of near infrared that is turned over against the visible bands.

    Green, or its excess over red and blue, resembles near infrared. In five real images one of both has a
    correlation of 0.68 or more with it.

    Parameters
    ----------
    name : str
        Product or file, for messages.
    bands : mapping of str to RasterBand
        Of ``red, green, blue, nir``, those that exist; on one grid.

    Raises
    ------
    InputError
        E209 where it is displaced.
    """
    if not {"red", "green", "blue", "nir"} <= bands.keys():
        return []
    places = _places(bands["nir"].grid)
    red, green, blue = (_read_chips(bands[band], places) for band in ("red", "green", "blue"))
    excess = [2 * g - r - b for r, g, b in zip(red, green, blue, strict=True)]
    visible = [spectra(view) for view in (green, excess)]
    for turn, how in {"": _RIGHT, **TURNS}.items():
        nir = spectra(_read_chips(bands["nir"], places, how))
        shifts = [shift for view in visible if (shift := _shift(view, nir)) is not None]
        if shifts and not turn and all(max(map(abs, shift)) >= REFUSED_PX for shift in shifts):
            rows, columns = shifts[0]
            raise InputError(
                "E209",
                f"{name}: nir lies {columns:+d} columns and {rows:+d} rows from the visible bands; the "
                "bands of an "
                "image must show the ground at the same place. Fetch them again from one source",
            )
        if any(max(map(abs, shift)) < REFUSED_PX for shift in shifts):
            message = f"{name}: nir is {turn} beside the visible bands; fetch the bands again from one source"
            return [Notice("W215", message)] if turn else []
    return []


def beside_radar_notices(image: OpticalImage, radar: Sequence[RadarImage]) -> list[Notice]:
    """Warn (W219) of an image that is turned over, or lies beside what Sentinel-1 shows.

    Parameters
    ----------
    image : OpticalImage
    radar : sequence of RadarImage
        Of which the first that shows something in common decides; those after the event show the same ground.
    """
    grid = next(iter(image.bands.values())).grid
    places = _places(grid)
    if not places or not {"red", "nir"} <= image.bands.keys():
        return []
    backscatter = [spectra(chips) for one in radar if _some(chips := _backscatter(one, grid, places))]
    for turn, how in {"": _RIGHT, **TURNS}.items():
        views = [spectra(view) for view in _views(image, places, how)] if backscatter else []
        found = [_shift(view, seen) for seen in backscatter for view in views]
        shifts = [shift for shift in found if shift is not None]
        if not shifts:
            continue
        rows, columns = min(shifts, key=lambda shift: max(map(abs, shift)))
        if turn and max(abs(rows), abs(columns)) < BESIDE_PX:
            message = f"the image is {turn}, as Sentinel-1 shows; fetch it again from its source"
            return [Notice("W219", f"{image.product}: {message}")]
        if not turn and max(abs(rows), abs(columns)) >= BESIDE_PX:
            message = (
                f"Sentinel-1 shows the same ground {columns:+d} columns and {rows:+d} rows from where the "
                "image "
                "does. One of both is displaced: see them over a map, and fetch it again"
            )
            return [Notice("W219", f"{image.product}: {message}")]
        if not turn:
            return []
    return []


def _places(grid: Grid) -> list[Window]:
    """Return two chips along each axis, a quarter of the way from the ends."""
    edge = CHIP if min(grid.shape) >= 2 * CHIP else SMALLEST
    if min(grid.shape) < 2 * edge:
        return []
    tops, lefts = (sorted({size // 4 - edge // 2, size - size // 4 - edge // 2}) for size in grid.shape)
    return [Window(left, top, edge, edge) for top in tops for left in lefts]


def _shift(one: Spectra, other: Spectra) -> tuple[int, int] | None:
    common = cross_correlation(one, other)
    return None if common is None else displacement(np.abs(common))


def _read_chips(band: RasterBand, places: Sequence[Window], how: tuple[bool, bool] = _RIGHT) -> list[Pixels]:
    """Return chips of a band as stored, of an array that is turned back."""
    rows, cols = band.grid.shape

    def read_chip(place: Window) -> Pixels:
        edge = int(place.height)
        top = rows - place.row_off - edge if how[0] else place.row_off
        left = cols - place.col_off - edge if how[1] else place.col_off
        seen = decimated(band, (edge, edge), Window(left, top, edge, edge))
        return np.ascontiguousarray(seen[:: -1 if how[0] else 1, :: -1 if how[1] else 1])

    return in_threads(read_chip, places)


def _views(image: OpticalImage, places: Sequence[Window], how: tuple[bool, bool]) -> Iterator[list[Pixels]]:
    """Yield chips of what may look like backscatter of plants: NDVI, red, near infrared."""
    red, nir = (
        [seen * np.float32(image.scale) + np.float32(image.offset) for seen in _read_chips(band, places, how)]
        for band in (image.bands["red"], image.bands["nir"])
    )
    yield [((b - a) / np.maximum(a + b, 1)).astype(np.float32) for a, b in zip(red, nir, strict=True)]
    yield red
    yield nir


def _backscatter(image: RadarImage, grid: Grid, places: Sequence[Window]) -> list[Pixels]:
    """Return chips of VH in dB on another grid, of the first slice that has a value."""

    def read_chip(place: Window) -> Pixels:
        block = Block(int(place.row_off), int(place.col_off), int(place.height), int(place.width))
        seen = np.full((block.height, block.width), np.nan, np.float32)
        for band in image.bands["vh"]:
            if not np.isnan(seen).any():
                break
            more = read_block(band, grid, block, decode=partial(to_power, units=image.units))
            seen = np.where(np.isnan(seen), to_db(more), seen)
        return seen

    return in_threads(read_chip, places)


def _some(chips: Sequence[Pixels]) -> bool:
    return any(bool(np.isfinite(chip).any()) for chip in chips)
