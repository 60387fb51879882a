"""Acquisitions and channels of a scene, by name, lazily, NaN = missing.

:func:`~landslide_map.stack.acquisitions.read_acquisition` is the first step for one block, without dask; the
lazy arrays call it once per acquisition and block, so that a consumer that takes blocks in order reads every
file once.
"""

# mypy: untyped-calls-exclude=dask

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, Final, TypeAlias
from uuid import uuid4

import dask.array as da
import numpy as np
import xarray as xr

from landslide_map.array_types import Floats32
from landslide_map.bands import (
    ACQUISITIONS,
    GROUPS,
    HIDING_CLASSES,
    INDEX_PAIRS,
    NDVI_BEFORE,
    OPTICAL,
    ORBITS,
    POLARISATIONS,
    SHOWN_BEFORE,
    SLOPE,
    SNOW_OR_CLOUD,
    STEEP,
    WATER_CLASS,
    acquisition,
    backscatter,
    difference,
)
from landslide_map.grid import BLOCK, Block
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.inputs.water import read_water
from landslide_map.raster.handles import OpenFiles
from landslide_map.raster.resample import read_block
from landslide_map.runtime import timings
from landslide_map.stack.acquisitions import read_acquisition, read_ndvi_before, read_optical_before
from landslide_map.stack.indices import normalised_difference
from landslide_map.stack.slope import slope_block, steep_block
from landslide_map.stack.snow_cloud import SCL_HIDING, SCL_NOTHING, SCL_WATER, snow_or_cloud_pixels

Chunks: TypeAlias = int | tuple[int | tuple[int, ...], int | tuple[int, ...]]
"""Edge of square chunks, or the edges along rows and along columns; pixels."""

_POST: Final = {
    name(orbit, pol): acquisition(orbit, "post", pol)
    for orbit in ORBITS
    for pol in POLARISATIONS
    for name in (backscatter, difference)
}
_PRE: Final = {
    difference(orbit, pol): acquisition(orbit, "pre", pol) for orbit in ORBITS for pol in POLARISATIONS
}


def _of_orbit(orbit: str) -> tuple[str, ...]:
    return tuple(acquisition(orbit, side, pol) for side in ("pre", "post") for pol in POLARISATIONS)


_TOGETHER: Final = {
    "optical": (*GROUPS["optical"], SNOW_OR_CLOUD),
    **{orbit: (*GROUPS[orbit], *_of_orbit(orbit)) for orbit in ORBITS},
    "before": (NDVI_BEFORE, *SHOWN_BEFORE.values()),
    "classes": (WATER_CLASS, *HIDING_CLASSES),
    "terrain": (STEEP, SLOPE),
}
"""Sensor -> acquisitions and channels from its measurements, quality channels among them."""
_MADE_OF: Final[Mapping[str, tuple[str, ...]]] = {
    **{name: (name,) for name in ACQUISITIONS},
    **INDEX_PAIRS,
    **{name: (post, _PRE[name]) if name in _PRE else (post,) for name, post in _POST.items()},
    SNOW_OR_CLOUD: OPTICAL,
    NDVI_BEFORE: (),
    **dict.fromkeys(SHOWN_BEFORE.values(), ()),
    **dict.fromkeys((WATER_CLASS, *HIDING_CLASSES), ()),
    STEEP: (),
    SLOPE: (),
}
"""Acquisition or channel -> its acquisitions."""
_AFTER_OF: Final = {before: name for name, before in SHOWN_BEFORE.items()}
_OF_TERRAIN: Final = {STEEP: steep_block, SLOPE: slope_block}


def lazy_channels(inputs: SceneInputs, names: Collection[str], chunks: Chunks = BLOCK) -> xr.DataArray:
    """Return some acquisitions and channels of a scene, those of one sensor side by side and read together.

    One task reads one block of a sensor, and nothing outlives it but what was requested.

    Parameters
    ----------
    inputs : SceneInputs
        What the readers found. Nothing is read until the result is computed.
    names : collection of str
        Of :data:`bands.ACQUISITIONS`, :data:`bands.CHANNELS` and the quality channels of
        :mod:`~landslide_map.bands`.
    chunks : int or (rows, columns)
        Of the dask array, pixels; the pixels are the same for any. All channels of a sensor are one chunk.

    Returns
    -------
    DataArray, (band, y, x), float32
        Optical in training DN, radar in dB, NaN = missing, in an order of its own: sensor after sensor. Of an
        absent sensor one NaN, broadcast.

    Raises
    ------
    InputError
        When computed: E101 if a file cannot be read.
    """
    grid, files = inputs.grid, OpenFiles()
    here = {*inputs.sensors, *(["terrain"] if inputs.dem else [])}
    here |= {"before"} if inputs.optical_before else set()
    here |= {"classes"} if water_known(inputs) else set()
    wanted = {sensor: [name for name in own if name in names] for sensor, own in _TOGETHER.items()}
    rows, cols = da.core.normalize_chunks(chunks, grid.shape)
    layers = [
        _lazy(partial(read_channels, inputs, own, files=files), (rows, cols), sensor, len(own))
        if sensor in here
        else da.full((len(own), *grid.shape), np.nan, dtype=np.float32, chunks=(len(own), rows, cols))
        for sensor, own in wanted.items()
        if own
    ]
    return xr.DataArray(
        da.concatenate(layers),
        dims=("band", "y", "x"),
        coords={"band": [name for own in wanted.values() for name in own], "y": grid.y, "x": grid.x},
    )


def read_channels(
    inputs: SceneInputs, names: Sequence[str], block: Block, files: OpenFiles | None = None
) -> Floats32:
    """Read one block of some channels, each acquisition that they are made of once.

    Parameters
    ----------
    inputs : SceneInputs
        What the readers found.
    names : sequence of str
        As of :func:`lazy_channels`, in any order.
    block, files
        As of :func:`read_acquisition`.

    Returns
    -------
    ndarray, (name, block.height, block.width), float32
        NaN = missing.
    """
    needed = dict.fromkeys(source for name in names for source in _MADE_OF[name])
    acquired = {source: read_acquisition(inputs, source, block, files=files) for source in needed}
    before: dict[str, Floats32] = {}
    if not _AFTER_OF.keys().isdisjoint(names):
        before = read_optical_before(inputs.optical_before, inputs.grid, block, files)
    of_classes = set(names) & set(_TOGETHER["classes"])
    classes = _read_classes(inputs, block, files) if of_classes else None
    made = np.empty((len(names), block.height, block.width), np.float32)
    for plane, name in zip(made, names, strict=True):
        if name in _OF_TERRAIN:
            made_of = _OF_TERRAIN[name]
            plane[:] = np.nan if inputs.dem is None else made_of(inputs.dem, inputs.grid, block, files)
        elif name == NDVI_BEFORE:
            plane[:] = read_ndvi_before(inputs.optical_before, inputs.grid, block, files)
        elif name in _AFTER_OF:
            plane[:] = before.get(_AFTER_OF[name], np.nan)
        elif name == WATER_CLASS:
            plane[:] = _water(inputs, classes, block, files)
        elif name in SCL_HIDING:
            plane[:] = np.nan if classes is None else _one_of(classes, SCL_HIDING[name])
        elif name == SNOW_OR_CLOUD:
            plane[:] = _read_quality(inputs, acquired, block, files)
        else:
            plane[:] = make_channel(name, acquired)
    return made


def make_channel(name: str, acquired: Mapping[str, Floats32]) -> Floats32:
    """Return an acquisition or one of :data:`bands.CHANNELS`, from acquisitions by name."""
    if name in ACQUISITIONS:
        return acquired[name]
    if name in INDEX_PAIRS:
        a, b = INDEX_PAIRS[name]
        return _combine(normalised_difference, acquired[a], acquired[b])
    post = acquired[_POST[name]]
    return _combine(np.subtract, post, acquired[_PRE[name]]) if name in _PRE else post


def _combine(formula: Callable[[Floats32, Floats32], Floats32], a: Floats32, b: Floats32) -> Floats32:
    """Apply `formula` to two bands; a missing band stays one NaN."""
    for band in (a, b):
        if band.strides == (0, 0) and np.isnan(band[0, 0]):
            return band  # one NaN broadcast to a block: nothing to compute, here or later
    with timings.work("channels"):
        return formula(a, b)


def _read_quality(
    inputs: SceneInputs, acquired: Mapping[str, Floats32], block: Block, files: OpenFiles | None
) -> Floats32:
    classes = _read_classes(inputs, block, files)
    layers = [acquired[name] for name in OPTICAL]
    return _quality(*layers, *([] if classes is None else [classes]))


def is_classified(inputs: SceneInputs) -> bool:
    """Return whether a scene has a scene classification."""
    return inputs.optical is not None and inputs.optical.scene_classification is not None


def water_known(inputs: SceneInputs) -> bool:
    """Return whether a scene has a water mask or a scene classification."""
    return is_classified(inputs) or inputs.water is not None


def _read_classes(inputs: SceneInputs, block: Block, files: OpenFiles | None) -> Floats32 | None:
    """Return the codes of the scene classification, NaN = missing; None where there is none."""
    scl = inputs.optical.scene_classification if inputs.optical else None
    if scl is None:
        return None
    return read_block(scl, inputs.grid, block, nearest=True, files=files)


def _one_of(classes: Floats32, codes: Sequence[int]) -> Floats32:
    """Return 1 where a code is one of `codes`, 0 for others, NaN where there is none."""
    found = np.isin(classes, np.asarray(codes, np.float32)).astype(np.float32)
    found[np.isnan(classes) | (classes == SCL_NOTHING)] = np.nan
    return found


def _water(inputs: SceneInputs, classes: Floats32 | None, block: Block, files: OpenFiles | None) -> Floats32:
    """Return water by the mask or by the scene classification: either is enough."""
    found = np.full((block.height, block.width), np.nan, np.float32)
    if inputs.water is not None:
        found = read_water(inputs.water, inputs.grid, block, files)
    if classes is None:
        return found
    by_class = np.where(np.isnan(classes), classes, np.float32(classes == SCL_WATER))
    water: Floats32 = np.fmax(found, by_class)
    return water


@timings.work("channels")
def _quality(*layers: Floats32) -> Floats32:
    """One block of the quality channel; `layers` are the optical bands and, if there is one, the SCL."""
    return snow_or_cloud_pixels(dict(zip(OPTICAL, layers, strict=False)), *layers[len(OPTICAL) :])


def _lazy(
    read: Callable[[Block], Floats32], chunks: tuple[tuple[int, ...], tuple[int, ...]], name: str, bands: int
) -> da.Array:
    """Return a dask array of the whole grid; its chunks are blocks that `read` reads, bands and all."""

    def chunk(block_info: Any) -> Floats32:
        (top, bottom), (left, right) = block_info[None]["array-location"][-2:]
        with timings.work("align"):
            return read(Block(top, left, bottom - top, right - left))

    array: da.Array = da.map_blocks(
        chunk,
        chunks=((bands,), *chunks),
        dtype=np.float32,
        meta=np.empty((0, 0, 0), np.float32),
        name=f"{name}-{uuid4().hex}",
    )
    return array


def model_stack(inputs: SceneInputs, channels: Collection[str], from_row: int = 0) -> xr.DataArray:
    """Return some channels of a scene, quality channels among them, lazy, ``(band, y, x)``, in any order.

    Chunks are the blocks of the grid, cut at `from_row` too: a reader that begins there reads nothing above.
    """
    cuts = sorted({0, from_row, *range(0, inputs.grid.height, BLOCK), inputs.grid.height})
    return lazy_channels(inputs, channels, (tuple(b - a for a, b in pairwise(cuts)), BLOCK))


def outside_training_domain(inputs: SceneInputs) -> frozenset[str]:
    """Return the channels no member may use: absolute backscatter of terrain-flattened tracks.

    None where the scene lets every member vote.
    """
    if inputs.every_member:
        return frozenset()
    flattened = [orbit for orbit, track in inputs.tracks.items() if track.quantity == "gamma0_rtc"]
    return frozenset(backscatter(orbit, pol) for orbit in flattened for pol in POLARISATIONS)
