"""Tiles with masks, cut from a scene and an inventory, to train pixel members with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any, Final

import numpy as np
from rasterio.features import rasterize

from landslide_map._version import __version__
from landslide_map.datasets.pixel_data import TILES
from landslide_map.errors import InputError, Notice
from landslide_map.grid import Block
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.models.segmentation.channels import PIXEL_CHANNELS
from landslide_map.raster.handles import OpenFiles
from landslide_map.runtime import progress as reporting
from landslide_map.runtime.own_files import Kind, sealed, tree_records
from landslide_map.runtime.transaction import outputs, refuse_unfit
from landslide_map.scene.model import load_scene
from landslide_map.stack.pixel_channels import check_available, read_pixel_channels
from landslide_map.vector.inventory import read_inventory

STAGE: Final = reporting.Stage("cut tiles", "tiles")
CUT_TILES: Final = Kind(TILES, holds="tiles", exclusive=True)
LEAST_VALID: Final = 0.5
"""Share of valid pixels from which a tile is kept."""


@dataclass(frozen=True, slots=True)
class CutTiles:
    """Counts of a scene's tiles."""

    out: Path
    tiles: int
    landslide_pixels: int
    notices: tuple[Notice, ...]


def cut_tiles(
    scene: Path,
    labels: Path,
    out: Path,
    channels: Sequence[str],
    *,
    size: int = 128,
    name: str | None = None,
    overwrite: bool = False,
    progress: reporting.Report = reporting.silent,
) -> CutTiles:
    """Write tiles side by side with the mask of an inventory: ``img/<ID>.npy``, ``mask/<ID>.npy``, a record.

    A pixel is a landslide if its centre lies in a polygon. The inventory must be complete: all other pixels
    count as free of landslides. The last row and column of tiles overlap their neighbours.

    Parameters
    ----------
    scene, labels : path
        A ``scene.yaml`` and a vector file of polygons.
    out : path
        Folder to write.
    channels : sequence of str
        Names in :data:`~landslide_map.models.segmentation.channels.PIXEL_CHANNELS`.
    size : int
        Edge of a tile, pixels.
    name : str, optional
        Of the scene, by default of its folder; tiles of one scene stay together when data is divided.
    overwrite : bool
    progress : callable

    Raises
    ------
    InputError
        E154 if no tile is valid, E187 if the scene lacks an input; those of scene and inventory.
    """
    if unknown := [own for own in channels if own not in PIXEL_CHANNELS]:
        raise InputError("E187", f"no channel {unknown[0]!r}; channels are {', '.join(PIXEL_CHANNELS)}.")
    refuse_unfit(out, CUT_TILES, overwrite=overwrite)
    inputs = open_inputs(load_scene(scene))
    check_available(inputs, channels, "to be trained")
    grid = inputs.grid
    if min(grid.shape) < size:
        raise InputError("E130", f"{scene}: the grid has {grid.shape} pixels, fewer than a tile of {size}.")
    shapes, notices = read_inventory(labels, grid)
    mask = rasterize(list(shapes), out_shape=grid.shape, transform=grid.transform).astype(np.uint8)
    corners = [(top, left) for top in _starts(grid.height, size) for left in _starts(grid.width, size)]
    title, files = name or scene.absolute().parent.name, OpenFiles()
    kept = positive = 0
    with outputs(out, CUT_TILES, overwrite=overwrite) as staging:
        for folder in ("img", "mask"):
            (staging / folder).mkdir()
        for done, (top, left) in enumerate(corners):
            progress(STAGE, done, len(corners))
            pixels = read_pixel_channels(inputs, channels, Block(top, left, size, size), files)
            if np.isfinite(pixels).mean() < LEAST_VALID:
                continue
            own = mask[top : top + size, left : left + size]
            np.save(staging / "img" / f"{title}_{top:05d}_{left:05d}.npy", pixels)
            np.save(staging / "mask" / f"{title}_{top:05d}_{left:05d}.npy", own)
            kept, positive = kept + 1, positive + int(own.sum())
        if not kept:
            raise InputError("E154", f"{scene}: no tile has valid pixels in half of its channels.")
        progress(STAGE, len(corners), len(corners))
        record = _record(scene, labels, title, channels, size, grid)
        document = sealed({**record, "outputs": tree_records(staging)})
        (staging / TILES).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return CutTiles(out, kept, positive, (*inputs.notices, *notices))


def _starts(length: int, size: int) -> list[int]:
    return sorted({*range(0, length - size + 1, size), length - size})


def _record(
    scene: Path, labels: Path, title: str, channels: Sequence[str], size: int, grid: Any
) -> dict[str, Any]:
    with labels.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    return {
        "software": f"landslide-map {__version__}",
        "scene": title,
        "channels": list(channels),
        "size": size,
        "crs": grid.crs.to_string(),
        "transform": list(grid.transform)[:6],
        "inventory": {"name": labels.name, "sha256": digest},
        "scene_file": scene.name,
    }
