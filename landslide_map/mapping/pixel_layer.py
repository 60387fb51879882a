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

from landslide_map.delineation.regions import region_means
from landslide_map.errors import Notice
from landslide_map.grid import BLOCK
from landslide_map.inference.pixels import members_of
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.mapping import map_pixels
from landslide_map.models.bundle.load import Bundle
from landslide_map.models.segmentation.fusion import Fusion
from landslide_map.models.segmentation.member import SegmentationMember, batch_of
from landslide_map.models.segmentation.tiling import tile_starts
from landslide_map.products import PIXEL_PROBABILITY
from landslide_map.products.objects import ObjectMap
from landslide_map.products.pixel_outlines import FUSION_TAG, MEMBERS_TAG
from landslide_map.products.rasters import strips_of
from landslide_map.runtime import progress as reporting
from landslide_map.runtime.notices import Notices
from landslide_map.stack.pixel_channels import unavailable

_SAID_FROM_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class PixelLayer:
    """Result of the pixel members of a bundle for a map."""

    members: tuple[str, ...] = ()
    """None where the bundle has none, or the scene lacks a channel."""
    fusion: Fusion | None = None
    """Rule that joins their probability with that of outlines, where the bundle has one."""

    @property
    def tags(self) -> dict[str, str]:
        """Tags with the members, and the rule for outlines."""
        if not self.members:
            return {}
        found = {MEMBERS_TAG: ", ".join(self.members)}
        return found if self.fusion is None else found | {FUSION_TAG: self.fusion.model_dump_json()}


def write_pixel_layer(
    staging: Path,
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
    staging : path
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
        notices.about_inputs.append(Notice("W553", f"pixel members were left out: {said}."))
        return PixelLayer()
    wanted = None if near is None else map_pixels.near_shapes(near(), inputs.grid)
    _forecast(inputs, members, wanted, notices.announce)
    path = staging / PIXEL_PROBABILITY
    map_pixels.write_pixels(inputs, members, wanted, path, BLOCK, tags=tags, progress=progress)
    return PixelLayer(tuple(own.name for own in members), bundle.pixel_scenarios[0].fusion)


def with_pixels(objects: ObjectMap, layer: PixelLayer, staging: Path) -> ObjectMap:
    """Return the objects with the mean probability of the pixel members, where they computed."""
    if not layer.members:
        return objects
    return objects.with_pixels(region_means(strips_of(staging / PIXEL_PROBABILITY), objects.objects))


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
