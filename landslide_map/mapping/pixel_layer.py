"""The pixel members' probability beside a map: near its candidates or everywhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.windows import Window

from landslide_map.delineation.objects import Objects
from landslide_map.errors import Notice
from landslide_map.grid import BLOCK
from landslide_map.inference.pixels import members_of
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.mapping import map_pixels
from landslide_map.models.bundle.load import Bundle
from landslide_map.models.segmentation.member import SegmentationMember, batch_of
from landslide_map.models.segmentation.tiling import tile_starts
from landslide_map.products import PIXEL_PROBABILITY
from landslide_map.products.objects import ObjectMap
from landslide_map.runtime import progress as reporting
from landslide_map.runtime.notices import Notices
from landslide_map.stack.pixel_channels import unavailable

_SAID_FROM_S: Final = 30.0
TAG: Final = "pixel_members"
"""Name of the tag with the members; the outlines' attribute is :data:`.objects.PIXEL_COLUMN`."""


@dataclass(frozen=True, slots=True)
class PixelLayer:
    """What the pixel members of a bundle gave a map."""

    members: tuple[str, ...] = ()
    """None where the bundle has none, or the scene lacks a channel."""

    @property
    def tags(self) -> dict[str, str]:
        """Tags that say which members computed, and what for."""
        if not self.members:
            return {}
        return {TAG: f"{', '.join(self.members)}: mean over an outline, not part of its probability"}


def write_pixel_layer(
    stage: Path,
    inputs: SceneInputs,
    bundle: Bundle,
    near: Callable[[], gpd.GeoSeries] | None,
    *,
    tags: Mapping[str, str],
    notices: Notices,
    progress: reporting.Report = reporting.silent,
) -> PixelLayer:
    """Write ``pixel_probability.tif`` if the bundle has pixel members that the scene can supply.

    Parameters
    ----------
    stage : path
        Folder for the file.
    inputs : SceneInputs
    bundle : Bundle
        The members of its first pixel scenario are averaged.
    near : callable, optional
        Returns outlines in the CRS of the grid: pixels farther than 32 px from them are left out. None: every
        pixel is computed.
    tags : mapping of str to str
        About the map.
    notices : Notices
        Gets W553 if the scene lacks a channel: nothing is computed then. Announces the duration if it is long
        (I611).
    progress : callable
    """
    if not bundle.pixel_members:
        return PixelLayer()
    members = members_of(bundle, None, None)
    if lacking := unavailable(inputs, list(dict.fromkeys(n for own in members for n in own.channels))):
        said = (
            f"{len(lacking)} channel(s) are lacking, first {lacking[0]}; {PIXEL_PROBABILITY} is not written"
        )
        notices.about_scene.append(Notice("W553", f"pixel members were left out: {said}."))
        return PixelLayer()
    wanted = None if near is None else map_pixels.near_shapes(near(), inputs.grid)
    _forecast(inputs, members, wanted, notices.announce)
    path = stage / PIXEL_PROBABILITY
    map_pixels.write_pixels(inputs, members, wanted, path, BLOCK, tags=tags, progress=progress)
    return PixelLayer(tuple(own.name for own in members))


def with_pixels(objects: ObjectMap, layer: PixelLayer, stage: Path) -> ObjectMap:
    """Return the objects with what the pixel members say of each, where they computed."""
    if not layer.members:
        return objects
    return objects.with_pixels(object_means(stage / PIXEL_PROBABILITY, objects.objects))


def object_means(path: Path, objects: Objects) -> npt.NDArray[np.float64]:
    """Return the mean over the pixels of each object, ``(object,)``, NaN where none has a value.

    Parameters
    ----------
    path : Path
        A raster of the grid of the objects.
    objects : Objects
    """
    count = len(objects.features)
    total, valid = np.zeros(count), np.zeros(count)
    with rasterio.open(path) as source:
        for top in range(0, source.height, BLOCK):
            here = (objects.run_row >= top) & (objects.run_row < top + BLOCK)
            if not here.any():
                continue
            window = Window(0, top, source.width, min(BLOCK, source.height - top))
            values = source.read(1, window=window).astype(np.float64)
            there = np.isfinite(values)
            rows, first, stop = objects.run_row[here] - top, objects.run_first[here], objects.run_stop[here]
            for sums, each in ((total, np.where(there, values, 0)), (valid, there)):
                along = np.pad(np.cumsum(each, axis=1, dtype=np.float64), ((0, 0), (1, 0)))
                np.add.at(sums, objects.run_object[here], along[rows, stop] - along[rows, first])
    means: npt.NDArray[np.float64] = np.divide(total, valid, out=np.full(count, np.nan), where=valid > 0)
    return means


def _forecast(
    inputs: SceneInputs,
    members: list[SegmentationMember],
    wanted: npt.NDArray[np.bool_] | None,
    announce: Callable[[Notice], object],
) -> None:
    """Announce the duration, from the time of one batch of each member."""
    total, count = 0.0, 0
    for own in members:
        tile, overlap = own.spec.tile, own.spec.overlap
        tiles = sum(
            wanted is None or bool(wanted[max(top, 0) : top + tile, max(left, 0) : left + tile].any())
            for top in tile_starts(0, inputs.grid.height, tile, overlap)
            for left in tile_starts(0, inputs.grid.width, tile, overlap)
        )
        if not tiles:
            continue
        batch = np.zeros((batch_of(tile), len(own.channels), tile, tile), np.float32)
        own.predict(batch)
        began = time.monotonic()
        own.predict(batch)
        total += (time.monotonic() - began) * tiles / len(batch)
        count += tiles
    if total > _SAID_FROM_S:
        announce(Notice("I611", f"pixel members compute {count} tiles, about {total / 60:.0f} min here."))
