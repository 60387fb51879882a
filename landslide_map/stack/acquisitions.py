"""One acquisition in one block of the grid: files in any units and projection, NaN = missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from typing import Any, Final

import numpy as np

from landslide_map.array_types import Floats32
from landslide_map.bands import DN_OFFSET, OPTICAL, ORBITS, POLARISATIONS, acquisition
from landslide_map.grid import Block, Grid
from landslide_map.inputs.scene_inputs import (
    HiddenGround,
    OpticalImage,
    RadarComposite,
    RadarImage,
    RadarTrack,
    SceneInputs,
)
from landslide_map.inputs.sentinel1.backscatter import FLOOR_DB, mask_db, to_db, to_power
from landslide_map.inputs.sentinel2.before import SCL_HIDDEN
from landslide_map.options import BackscatterUnits
from landslide_map.raster.band import RasterBand
from landslide_map.raster.coordinates import keeps_looks
from landslide_map.raster.handles import OpenFiles
from landslide_map.raster.resample import read_block
from landslide_map.runtime.jit import compiled
from landslide_map.stack.snow_cloud import snow_or_cloud_pixels

RADAR: Final = {
    acquisition(orbit, side, pol): (orbit, side, pol)
    for orbit in ORBITS
    for side in ("pre", "post")
    for pol in POLARISATIONS
}
"""Radar acquisition -> orbit, side and polarisation."""


def read_acquisition(
    inputs: SceneInputs, name: str, block: Block, files: OpenFiles | None = None
) -> Floats32:
    """Read one acquisition in one block of the grid.

    Parameters
    ----------
    inputs : SceneInputs
        What the readers found.
    name : str
        One of :data:`bands.ACQUISITIONS`.
    block : Block
        Pixels of ``inputs.grid``.
    files : OpenFiles, optional
        Files that stay open for neighbouring blocks.

    Returns
    -------
    ndarray, (block.height, block.width), float32
        Training DN or dB, NaN = missing; all NaN if the scene lacks the sensor.

    Raises
    ------
    InputError
        E101 if a file cannot be read.
    """
    if not present(inputs, name):
        return np.full((block.height, block.width), np.nan, np.float32)
    place = _Place(inputs.grid, block, files)
    if name in OPTICAL:
        assert inputs.optical is not None
        return _read_optical(inputs.optical, name, place)
    orbit, side, pol = RADAR[name]
    track = inputs.tracks[orbit]
    if track.composite is not None:
        return _read_composite(track.composite, side, pol, place)
    images = track.pre if side == "pre" else track.post
    dates = [_read_image(image, pol, place) for image in images]
    return dates[0] if len(dates) == 1 else np.asarray(median_of_valid(np.stack(dates)))


def present(inputs: SceneInputs, name: str) -> bool:
    """Whether the scene has the sensor that measures this acquisition."""
    if name in OPTICAL:
        return inputs.optical is not None and name in inputs.optical.bands
    orbit, side, _ = RADAR[name]
    track: RadarTrack | None = inputs.tracks.get(orbit)
    return track is not None and bool(track.composite or (track.pre if side == "pre" else track.post))


@dataclass(frozen=True, slots=True)
class _Place:
    """Block of the grid to read, and the open files."""

    grid: Grid
    block: Block
    files: OpenFiles | None

    def read(self, band: RasterBand, **how: Any) -> Floats32:
        return read_block(band, self.grid, self.block, files=self.files, **how)


def _read_optical(image: OpticalImage, name: str, place: _Place) -> Floats32:
    """One optical band as training DN, interpolated in DN."""
    scale, offset = np.float32(image.scale), np.float32(image.offset)
    values = place.read(image.bands[name])
    # Products with the offset cannot hold less than 1 (0 is "no data"). Products without it can, in deep
    # shade, and the models' ratios have a pole there.
    dn: Floats32 = np.maximum(values * scale + offset, np.float32(1))
    return dn


def read_ndvi_before(
    images: Sequence[OpticalImage], grid: Grid, block: Block, files: OpenFiles | None = None
) -> Floats32:
    """Read the NDVI of reflectance before the event in one block: of the latest image that is clear there.

    Returns
    -------
    ndarray, (block.height, block.width), float32
        NaN where no image is clear.
    """
    place = _Place(grid, block, files)
    found = np.full((block.height, block.width), np.nan, np.float32)
    for image in images:
        if not np.isnan(found).any():
            break
        bands, hidden = _read_with_hidden(image, place)
        red, nir = (np.maximum(bands[name] - np.float32(DN_OFFSET), np.float32(1)) for name in ("red", "nir"))
        ndvi = np.where(hidden, np.float32(np.nan), (nir - red) / (nir + red))
        found = np.where(np.isnan(found), ndvi, found)
    return found


def read_optical_before(
    images: Sequence[OpticalImage], grid: Grid, block: Block, files: OpenFiles | None = None
) -> dict[str, Floats32]:
    """Read the bands before the event in one block, for display: of the latest image clear at a pixel.

    Returns
    -------
    dict of str to (block.height, block.width) float32
        Training DN of the bands that all images have. Of the latest image where none is clear; NaN where no
        image has a value.
    """
    place = _Place(grid, block, files)
    names = [name for name in OPTICAL if all(name in image.bands for image in images)]
    shape = (len(names), block.height, block.width)
    clear, any_image = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    for image in images:
        bands, hidden = _read_with_hidden(image, place)
        values = np.stack([bands[name] for name in names]) if names else clear
        there = np.isfinite(values).all(axis=0)
        any_image = np.where(np.isnan(any_image).any(axis=0) & there, values, any_image)
        clear = np.where(np.isnan(clear).any(axis=0) & there & ~hidden, values, clear)
        if not np.isnan(clear).any():
            break
    shown = np.where(np.isnan(clear), any_image, clear)
    return dict(zip(names, shown, strict=True))


def read_greenest_before(
    images: Sequence[OpticalImage], grid: Grid, block: Block, files: OpenFiles | None = None
) -> dict[str, Floats32]:
    """Read the bands before the event in one block: of the clear image with the highest NDVI at a pixel.

    Returns
    -------
    dict of str to (block.height, block.width) float32
        Training DN of the bands that all images have; NaN where no image is clear.
    """
    place = _Place(grid, block, files)
    names = [name for name in OPTICAL if all(name in image.bands for image in images)]
    greenest = np.full((block.height, block.width), -np.inf, np.float32)
    found = {name: np.full((block.height, block.width), np.nan, np.float32) for name in names}
    for image in images:
        bands, hidden = _read_with_hidden(image, place)
        green = ndvi(bands["red"], bands["nir"])
        better = ~hidden & (green > greenest)  # never where it is missing
        greenest = np.where(better, green, greenest)
        found = {name: np.where(better, bands[name], found[name]) for name in names}
    return found


def ndvi(red: Floats32, nir: Floats32) -> Floats32:
    """Return the NDVI of reflectance from training DN; NaN where both bands reflect nothing."""
    red, nir = red - np.float32(DN_OFFSET), nir - np.float32(DN_OFFSET)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats32 = np.where(nir + red > 0, (nir - red) / (nir + red), np.nan).astype(np.float32)
    return found


def _read_with_hidden(image: OpticalImage, place: _Place) -> tuple[dict[str, Floats32], Any]:
    """Return the bands of an image as training DN, and where snow or cloud hides the ground."""
    bands = {name: _read_optical(image, name, place) for name in image.bands}
    shape = (place.block.height, place.block.width)
    hidden = snow_or_cloud_pixels(bands) == 1 if len(bands) == len(OPTICAL) else np.zeros(shape, bool)
    if image.scene_classification is not None:
        hidden |= np.isin(place.read(image.scene_classification, nearest=True), SCL_HIDDEN)
    return bands, hidden


def _read_image(image: RadarImage, pol: str, place: _Place) -> Floats32:
    """One radar acquisition in dB: slices of its datatake, the first valid one in every pixel."""
    slices = zip_longest(image.bands[pol], image.hidden[: len(image.bands[pol])])
    first, *others = slices
    mosaic = _read_slice(*first, image.units, place)
    for band, hidden in others:
        missing = np.isnan(mosaic)
        if not missing.any():
            break
        mosaic[missing] = _read_slice(band, hidden, image.units, place)[missing]
    return mosaic


def _read_slice(
    band: RasterBand, hidden: HiddenGround | None, units: BackscatterUnits, place: _Place
) -> Floats32:
    """Backscatter of one slice, without layover and shadow where its product has a mask."""
    decibels = _read_backscatter(band, units, place)
    if hidden is not None:
        seen = place.read(hidden.mask, nearest=True)
        decibels[np.isin(seen, np.asarray(hidden.codes, np.float32))] = np.nan
    return decibels


def _read_backscatter(band: RasterBand, units: BackscatterUnits, place: _Place) -> Floats32:
    """Backscatter in dB, the nearest pixel where pixels are alike; else interpolated as power."""
    copied = place.grid.aligned_with(band.grid)
    nearest = not copied and keeps_looks(band.grid, place.grid)
    if units == "db" and (copied or nearest):
        stored = place.read(band, decode=mask_db, trim=True, nearest=nearest)
        return np.maximum(stored, np.float32(FLOOR_DB))
    return to_db(place.read(band, decode=partial(to_power, units=units), trim=True, nearest=nearest))


def _read_composite(composite: RadarComposite, side: str, pol: str, place: _Place) -> Floats32:
    """Post-event backscatter of a composite, or the pre-event one that its difference implies."""
    post = _read_backscatter(composite.bands[f"post_{pol}"], "db", place)
    if side == "post":
        return post
    # The difference is a ratio of two powers, not a power: it is interpolated as it is, in dB.
    change = composite.bands[f"diff_{pol}"]
    nearest = not place.grid.aligned_with(change.grid) and keeps_looks(change.grid, place.grid)
    return post - place.read(change, decode=mask_db, trim=True, nearest=nearest)


def median_of_valid(dates: Floats32) -> Floats32:
    """Return the median over the first axis of the values that are not NaN; NaN where there is none."""
    out = np.empty(dates.shape[1:], np.float32)
    _fill_medians(dates, np.empty(len(dates), np.float32), out)
    return out


@compiled
def _fill_medians(dates: Floats32, valid: Floats32, out: Floats32) -> None:
    count, height, width = dates.shape
    for r in range(height):
        for c in range(width):
            n = 0
            for k in range(count):
                value = dates[k, r, c]
                if not np.isnan(value):
                    # Insertion sort: a pixel has a handful of dates.
                    place = n
                    while place > 0 and valid[place - 1] > value:
                        valid[place] = valid[place - 1]
                        place -= 1
                    valid[place] = value
                    n += 1
            if n == 0:
                out[r, c] = np.nan
            else:
                out[r, c] = (np.float64(valid[(n - 1) // 2]) + np.float64(valid[n // 2])) / 2
