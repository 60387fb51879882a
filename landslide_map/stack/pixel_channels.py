"""Channels of pixel members in one block of a scene, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from landslide_map.array_types import Floats32
from landslide_map.bands import (
    CHANNELS,
    FURTHER_BANDS,
    ORBITS,
    POLARISATIONS,
    PREFIX,
    acquisition,
    group,
)
from landslide_map.errors import InputError
from landslide_map.grid import Block
from landslide_map.inputs.further_bands import opened_angle, opened_band
from landslide_map.inputs.scene_inputs import SceneInputs, UnopenedBand
from landslide_map.models.segmentation.channels import PIXEL_CHANNELS
from landslide_map.models.segmentation.scaling import L4S_DIVISOR
from landslide_map.raster.handles import OpenFiles
from landslide_map.raster.resample import read_block
from landslide_map.stack import terrain_shape
from landslide_map.stack.acquisitions import ndvi, present, read_acquisition, read_greenest_before
from landslide_map.stack.channels import read_channels

_TERRAIN: Final = ("elevation", "slope", "aspect", "hillshade", "l4s_slope", "l4s_elevation")
_BOTH: Final = {
    f"both_{side}_{pol}": (side, pol) for side in ("pre", "post", "diff") for pol in POLARISATIONS
}
_BEFORE: Final = ("pre_blue", "pre_green", "pre_red", "pre_nir", "ndvi_pre")
_BETWEEN: Final = ("dndvi", "neg_dndvi", "rdndvi")
_VEGETATION: Final = ("ndvi_post", *_BEFORE, *_BETWEEN)
_LEVEL_1C: Final = {f"l4s_b{number:02d}": f"b{number:02d}" for number in range(1, 13)}
_INCIDENCE: Final = {
    f"{PREFIX[orbit]}_{kind}": (orbit, kind) for orbit in ORBITS for kind in ("incidence", "local_incidence")
}


def unavailable(inputs: SceneInputs, names: Sequence[str]) -> list[str]:
    """Return the channels among `names` that a scene cannot supply, with the inputs they are made of."""
    lacking = []
    for name in names:
        if name in CHANNELS:
            there = group(name) in inputs.sensors
        elif name in _TERRAIN:
            there = inputs.dem is not None
        elif name in _VEGETATION:
            there = _has_vegetation(inputs, name)
        elif name in _BOTH:
            there = bool(inputs.tracks)
        else:
            there = bool(_unopened(inputs, name))
        if not there:
            source = PIXEL_CHANNELS[name].source
            lacking.append(f"{name} (made of {', '.join(source) or 'nothing that a scene holds'})")
    return lacking


def _unopened(inputs: SceneInputs, name: str) -> tuple[UnopenedBand, ...]:
    """Return the bands of a channel that are opened when it is read; none where there are none.

    They are opened once here, so that a damaged one is refused before hours of work.
    """
    found: tuple[UnopenedBand | None, ...] = ()
    if name in FURTHER_BANDS and inputs.optical is not None:
        found = (inputs.optical.further.get(name),)
    elif name in _LEVEL_1C and inputs.optical_l1c is not None:
        found = (inputs.optical_l1c.bands.get(_LEVEL_1C[name]),)
    elif name in _INCIDENCE:
        orbit, kind = _INCIDENCE[name]
        found = getattr(inputs.tracks[orbit], kind) if orbit in inputs.tracks else ()
    bands = tuple(band for band in found if band is not None)
    for band in bands:
        opened_angle(band) if name in _INCIDENCE else opened_band(band)
    return bands


def _has_vegetation(inputs: SceneInputs, name: str) -> bool:
    """Whether a scene has the images after and before the event that a channel is made of."""
    needed = {name.removeprefix("pre_")} if name.startswith("pre_") else {"red", "nir"}
    after = inputs.optical is not None and needed <= inputs.optical.bands.keys()
    images = inputs.optical_before
    before = bool(images) and all({*needed, "red", "nir"} <= image.bands.keys() for image in images)
    return (after or name in _BEFORE) and (before or name == "ndvi_post")


def check_available(inputs: SceneInputs, names: Sequence[str], member: str) -> None:
    """Refuse a scene that cannot supply a channel of a pixel member (E187)."""
    if lacking := unavailable(inputs, names):
        raise InputError(
            "E187",
            f"the scene cannot supply {len(lacking)} of {len(names)} channels of pixel member {member}: "
            f"{'; '.join(lacking[:3])}. Add the inputs, or use another bundle.",
        )


def read_pixel_channels(
    inputs: SceneInputs, names: Sequence[str], block: Block, files: OpenFiles | None = None
) -> Floats32:
    """Return some channels in one block of the grid.

    Parameters
    ----------
    inputs : SceneInputs
    names : sequence of str
        Of :data:`.PIXEL_CHANNELS`; available, see :func:`check_available`.
    block : Block
        Pixels of ``inputs.grid``; a pixel's value does not depend on the block it is read in.
    files : OpenFiles, optional
        Files that stay open for neighbouring blocks.

    Returns
    -------
    ndarray, (name, block.height, block.width), float32
        NaN = missing.
    """
    made: dict[str, Floats32] = {}
    known = [name for name in names if name in CHANNELS]
    if known:
        made |= dict(zip(known, read_channels(inputs, known, block, files), strict=True))
    if vegetation := [name for name in names if name in _VEGETATION]:
        made |= _vegetation(inputs, vegetation, block, files)
    for name in names:
        if name in _BOTH:
            made[name] = _both(inputs, *_BOTH[name], block, files)
    if terrain := [name for name in names if name in _TERRAIN]:
        made |= _terrain(inputs, terrain, block, files)
    for name in {*names} - {*made}:
        made[name] = _read_unopened(inputs, name, block, files)
    return np.stack([made[name] for name in names])


def _read_unopened(inputs: SceneInputs, name: str, block: Block, files: OpenFiles | None) -> Floats32:
    """Return a band of 20 m or 60 m, of Level-1C, or angles: bilinear, the first band with a value."""
    out = np.full((block.height, block.width), np.nan, np.float32)
    for band in _unopened(inputs, name):
        raster, factor = opened_angle(band) if name in _INCIDENCE else (opened_band(band), 1.0)
        values = read_block(raster, inputs.grid, block, files=files) * np.float32(factor)
        out = np.where(np.isnan(out), values, out)
    if name in _INCIDENCE:
        return out
    if name in _LEVEL_1C:
        assert inputs.optical_l1c is not None
        stored = out + np.float32(inputs.optical_l1c.offset)
        return stored / np.float32(L4S_DIVISOR[int(_LEVEL_1C[name][1:]) - 1])
    assert inputs.optical is not None
    dn: Floats32 = np.maximum(
        out * np.float32(inputs.optical.scale) + np.float32(inputs.optical.offset), np.float32(1)
    )
    return dn


def _vegetation(
    inputs: SceneInputs, names: Sequence[str], block: Block, files: OpenFiles | None
) -> dict[str, Floats32]:
    """Return bands before the event, and NDVI before, after and between."""
    found: dict[str, Floats32] = {}
    if any(name not in _BEFORE for name in names):
        red, nir = (read_acquisition(inputs, name, block, files=files) for name in ("red", "nir"))
        found["ndvi_post"] = ndvi(red, nir)
    if any(name != "ndvi_post" for name in names):
        before = read_greenest_before(inputs.optical_before, inputs.grid, block, files)
        found |= {f"pre_{name}": band for name, band in before.items()}
        found["ndvi_pre"] = ndvi(before["red"], before["nir"])
    if "ndvi_post" in found and "ndvi_pre" in found:
        found["dndvi"] = found["ndvi_post"] - found["ndvi_pre"]
        found["neg_dndvi"] = -found["dndvi"]
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = found["dndvi"] / np.sqrt(np.abs(found["ndvi_pre"] + found["ndvi_post"]))
        found["rdndvi"] = np.where(np.isfinite(relative), relative, np.nan).astype(np.float32)
    return {name: found[name] for name in names}


def _both(inputs: SceneInputs, side: str, pol: str, block: Block, files: OpenFiles | None) -> Floats32:
    """Return the mean over directions of dB values, or of their differences, where they are valid."""
    each = []
    for orbit in ORBITS:
        post, pre = (acquisition(orbit, when, pol) for when in ("post", "pre"))
        wanted = [post, pre] if side == "diff" else [acquisition(orbit, side, pol)]
        if all(present(inputs, name) for name in wanted):
            read = [read_acquisition(inputs, name, block, files=files) for name in wanted]
            each.append(read[0] - read[1] if side == "diff" else read[0])
    if not each:
        return np.full((block.height, block.width), np.nan, np.float32)
    stacked = np.stack(each)
    valid = np.isfinite(stacked)
    count = valid.sum(axis=0)
    total = np.where(valid, stacked, 0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _terrain(
    inputs: SceneInputs, names: Sequence[str], block: Block, files: OpenFiles | None
) -> dict[str, Floats32]:
    assert inputs.dem is not None
    wide = Block(block.row - 1, block.col - 1, block.height + 2, block.width + 2)
    elevation = read_block(inputs.dem, inputs.grid, wide, files=files)
    east, north = terrain_shape.gradient(elevation, inputs.grid.transform.a)
    inner = elevation[1:-1, 1:-1]
    steepness = terrain_shape.slope(east, north)
    found = {
        "elevation": inner,
        "slope": steepness,
        "aspect": terrain_shape.aspect(east, north),
        "hillshade": terrain_shape.hillshade(east, north),
        "l4s_slope": steepness / np.float32(L4S_DIVISOR[-2]),
        "l4s_elevation": inner / np.float32(L4S_DIVISOR[-1]),
    }
    return {name: found[name] for name in names}
