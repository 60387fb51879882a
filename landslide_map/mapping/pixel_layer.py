"""The pixel members' probability beside a map: near its outlines, before the files appear."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from landslide_map.errors import Notice
from landslide_map.grid import BLOCK
from landslide_map.inference.pixels import members_of
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.mapping import map_pixels
from landslide_map.models.bundle.load import Bundle
from landslide_map.models.segmentation.member import BATCH, SegmentationMember
from landslide_map.models.segmentation.tiling import tile_starts
from landslide_map.products import CANDIDATES, LANDSLIDES, PIXEL_PROBABILITY
from landslide_map.runtime import progress as reporting
from landslide_map.stack.pixel_channels import unavailable

_SAID_FROM_S: Final = 30.0


def write_pixel_layer(
    stage: Path,
    inputs: SceneInputs,
    bundle: Bundle,
    *,
    tags: Mapping[str, str],
    progress: reporting.Report = reporting.silent,
    announce: Callable[[Notice], object] = lambda _: None,
) -> tuple[Notice, ...]:
    """Write ``pixel_probability.tif`` if the bundle has pixel members that the scene can supply.

    Parameters
    ----------
    stage : path
        Folder with the outlines of the map.
    inputs : SceneInputs
    bundle : Bundle
        The members of its first pixel scenario are averaged.
    tags : mapping of str to str
        About the map.
    progress, announce : callable
        `announce` is called with the expected duration if that is long (I611).

    Returns
    -------
    tuple of Notice
        W553 if the scene lacks a channel, and nothing was computed.
    """
    if not bundle.pixel_members:
        return ()
    members = members_of(bundle, None, None)
    if lacking := unavailable(inputs, list(dict.fromkeys(n for own in members for n in own.channels))):
        said = (
            f"{len(lacking)} channel(s) are lacking, first {lacking[0]}; {PIXEL_PROBABILITY} is not written"
        )
        return (Notice("W553", f"pixel members were left out: {said}."),)
    outlines = stage / CANDIDATES if (stage / CANDIDATES).is_file() else stage / LANDSLIDES
    wanted = map_pixels.near_outlines(outlines, inputs.grid)
    _forecast(inputs, members, wanted, announce)
    path = stage / PIXEL_PROBABILITY
    map_pixels.write_pixels(inputs, members, wanted, path, BLOCK, tags=tags, progress=progress)
    return ()


def _forecast(
    inputs: SceneInputs,
    members: list[SegmentationMember],
    wanted: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    announce: Callable[[Notice], object],
) -> None:
    """Announce the duration, from the time of one batch of each member."""
    total, count = 0.0, 0
    for own in members:
        tile, overlap = own.spec.tile, own.spec.overlap
        tiles = sum(
            bool(wanted[max(top, 0) : top + tile, max(left, 0) : left + tile].any())
            for top in tile_starts(0, inputs.grid.height, tile, overlap)
            for left in tile_starts(0, inputs.grid.width, tile, overlap)
        )
        if not tiles:
            continue
        batch = np.zeros((BATCH, len(own.channels), tile, tile), np.float32)
        own.predict(batch)
        began = time.monotonic()
        own.predict(batch)
        total += (time.monotonic() - began) * tiles / BATCH
        count += tiles
    if total > _SAID_FROM_S:
        announce(Notice("I611", f"pixel members compute {count} tiles, about {total / 60:.0f} min here."))
