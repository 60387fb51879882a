"""Pixels for display: 8-bit shades and codes of radar change, and a row of blocks of them as small files.

The stretch is fixed, so that images of two dates and of neighbouring scenes compare.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
from affine import Affine
from rasterio.io import MemoryFile
from rasterio.windows import Window

from landslide_map.array_types import Floats32
from landslide_map.bands import (
    DN_OFFSET,
    DN_PER_REFLECTANCE,
    OPTICAL,
    ORBITS,
    POLARISATIONS,
    SHOWN_BEFORE,
    acquisition,
)
from landslide_map.bands import difference as difference_of
from landslide_map.grid import BLOCK, Grid
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.runtime import timings
from landslide_map.runtime.jit import compiled
from landslide_map.stack.acquisitions import present

Bytes = npt.NDArray[np.uint8]

AFTER, BEFORE = "after", "before"
"""Strips of the shades after and before the event; the others are called by their orbit."""
MASK: Final = "mask"
"""Band of shades: 255 where every one has a value."""
_SHADES: Final = {AFTER: dict(zip(OPTICAL, OPTICAL, strict=True)), BEFORE: SHOWN_BEFORE}
"""Strip -> optical band -> channel."""
HALF: Final = 2
"""Pixels of the grid along a pixel of radar change."""
BYTES_PER_PIXEL: Final = math.ceil(sum(map(len, _SHADES.values())) + len(ORBITS) / HALF**2)
"""Bytes kept of a pixel of the grid: shades after and before, and changes of each orbit."""
CHANGE_STEP_DB: Final = 0.1
NO_CHANGE: Final = 128
"""Code of no change of backscatter; 0 is missing."""
_TABLE: Final = 8192
"""Training DN from which everything is white."""
_BRIGHTEST: Final = {"red": 0.30, "green": 0.30, "blue": 0.30, "nir": 0.55}
"""Reflectance that becomes white."""
_GAMMA: Final = 1.8
"""Brightens forests, of visible reflectance 0.02 to 0.06."""
_TILE: Final = 512


def display_channels(inputs: SceneInputs) -> frozenset[str]:
    """Return the channels of a stack that images of a scene are made of."""
    found = {name for name in OPTICAL if present(inputs, name)}
    if inputs.optical_before:
        found |= {
            channel
            for name, channel in SHOWN_BEFORE.items()
            if all(name in image.bands for image in inputs.optical_before)
        }
    for orbit in ORBITS:
        for pol in POLARISATIONS:
            if all(present(inputs, acquisition(orbit, side, pol)) for side in ("pre", "post")):
                found.add(difference_of(orbit, pol))
    return frozenset(found)


@timings.work("images")
def display_planes(channels: Collection[str], planes: Mapping[str, Floats32]) -> dict[str, Bytes]:
    """Return the shades of optical bands and, by orbit, the codes of change of one block.

    Parameters
    ----------
    channels : collection of str
        As of :func:`display_channels`.
    planes : mapping of str to float32, (row, col)
        Channels of one block: training DN, and post - pre in dB; NaN = missing.

    Returns
    -------
    dict of str to uint8
        Optical channel -> :func:`shades`, ``(row, col)``. Orbit -> :func:`change_codes`.
    """
    planes = {name: plane for name, plane in planes.items() if name in channels}
    found = {
        channel: shades(planes[channel], _BRIGHTEST[name])
        for own in _SHADES.values()
        for name, channel in own.items()
        if channel in planes
    }
    for orbit in ORBITS:
        changes = [difference_of(orbit, pol) for pol in POLARISATIONS]
        if all(name in planes for name in changes):
            found[orbit] = change_codes(*(planes[name] for name in changes))
    return found


def shades(dn: Floats32, brightest: float) -> Bytes:
    """Return training DN as 8 bits, 1 to 255; 0 where there is no value.

    Examples
    --------
    >>> shades(np.float32([[1000, 4000, np.nan]]), 0.3).tolist()
    [[1, 255, 0]]
    """
    found = np.zeros(dn.shape, np.uint8)
    _look_up(np.ascontiguousarray(dn), _shade_table(brightest), found)
    return found


@cache
def _shade_table(brightest: float) -> Bytes:
    """Return the 8 bits of every training DN below :data:`_TABLE`; a power for each pixel takes longer."""
    reflectance = (np.arange(_TABLE) - DN_OFFSET) / DN_PER_REFLECTANCE
    shade = 1 + 254 * np.clip(reflectance / brightest, 0, 1) ** (1 / _GAMMA)
    table: Bytes = np.round(shade).astype(np.uint8)
    return table


@compiled
def _look_up(dn: Floats32, table: Bytes, found: Bytes) -> None:
    last = np.float32(table.size - 1)
    for r in range(dn.shape[0]):
        for c in range(dn.shape[1]):
            value = dn[r, c]
            if value >= 0:
                found[r, c] = table[int(min(value, last) + np.float32(0.5))]
            elif value < 0:
                found[r, c] = table[0]


def change_codes(vv: Floats32, vh: Floats32) -> Bytes:
    """Return the mean change of two polarisations over each 2 x 2 pixels, in steps of 0.1 dB.

    Parameters
    ----------
    vv, vh : float32, (row, col)
        dB; NaN = missing.

    Returns
    -------
    uint8, (ceil(row / 2), ceil(col / 2))
        128 is no change; 0 where neither pixel has both polarisations.
    """
    found = np.zeros((-(-vv.shape[0] // HALF), -(-vv.shape[1] // HALF)), np.uint8)
    _fill_change_codes(vv, vh, found)
    return found


@compiled
def _fill_change_codes(vv: Floats32, vh: Floats32, found: Bytes) -> None:
    rows, cols = vv.shape
    for i in range(found.shape[0]):
        for j in range(found.shape[1]):
            total, count = 0.0, 0
            for r in range(HALF * i, min(HALF * i + HALF, rows)):
                for c in range(HALF * j, min(HALF * j + HALF, cols)):
                    both = np.float64(vv[r, c]) + np.float64(vh[r, c])
                    if not np.isnan(both):
                        total += both
                        count += 1
            if count:
                code = np.rint(total / (2 * count) / CHANGE_STEP_DB) + NO_CHANGE
                found[i, j] = int(min(max(code, 1.0), 255.0))


@timings.work("images")
def display_strips(blocks: Sequence[Mapping[str, Bytes]], grid: Grid, block_row: int) -> dict[str, bytes]:
    """Return a row of blocks, left to right, as small GeoTIFFs: shades after and before, and each orbit.

    Parameters
    ----------
    blocks : sequence of mapping
        As of :func:`display_planes`.
    grid : Grid
        Of the scene.
    block_row : int
        Number of the row of blocks.
    """
    if not blocks:
        return {}
    top = block_row * BLOCK
    height = min(BLOCK, grid.height - top)
    found = {}
    for strip, own in _SHADES.items():
        optical = [name for name, channel in own.items() if channel in blocks[0]]
        if optical:
            stacked = [_with_mask([block[own[name]] for name in optical]) for block in blocks]
            found[strip] = _tiff(stacked, (*optical, MASK), grid, (top, height), 1)
    for orbit in ORBITS:
        if orbit in blocks[0]:
            found[orbit] = _tiff(
                [block[orbit][None] for block in blocks], (orbit,), grid, (top, height), HALF
            )
    return found


def _with_mask(shown: Sequence[Bytes]) -> Bytes:
    there = np.logical_and.reduce([plane > 0 for plane in shown])
    return np.stack([*shown, np.where(there, np.uint8(255), np.uint8(0))])


def _tiff(
    blocks: Sequence[Bytes], names: Sequence[str], grid: Grid, rows: tuple[int, int], step: int
) -> bytes:
    """Return a GeoTIFF of ``(band, row, col)`` blocks side by side, of pixels of `step` of the grid."""
    (top, height), place = rows, grid.transform
    profile = {
        "driver": "GTiff",
        "width": -(-grid.width // step),
        "height": -(-height // step),
        "count": len(names),
        "dtype": "uint8",
        "crs": grid.crs,
        "transform": Affine(place.a * step, 0, place.c, 0, place.e * step, place.f + top * place.e),
        "tiled": True,
        "blockxsize": _TILE,
        "blockysize": _TILE,
        "interleave": "band",
        "compress": "zstd",
        "zstd_level": 1,
    }
    with MemoryFile() as memory:
        with memory.open(**profile) as target:
            left = 0
            for block in blocks:
                target.write(block, window=Window(left, 0, block.shape[2], block.shape[1]))
                left += block.shape[2]
            for number, name in enumerate(names, 1):
                target.set_band_description(number, name)
        content: bytes = memory.read()
        return content
