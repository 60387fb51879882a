"""Probability of every pixel of a scene by the pixel members of a bundle, everywhere or near outlines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from rasterio.features import rasterize
from rasterio.windows import Window

from landslide_map._version import __version__
from landslide_map.array_types import Floats32
from landslide_map.errors import InputError, Notice, OutputExistsError
from landslide_map.grid import BLOCK, Block, Grid
from landslide_map.inference.pixels import members_of
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.models.bundle.load import load_bundle
from landslide_map.models.segmentation.ensemble import is_landslide, mean_probability
from landslide_map.models.segmentation.member import SegmentationMember
from landslide_map.models.segmentation.tiled import predict_block
from landslide_map.options import Precision
from landslide_map.products import CANDIDATES, LANDSLIDES, cog
from landslide_map.raster.handles import OpenFiles
from landslide_map.runtime import progress as reporting
from landslide_map.runtime.atomic import folder_beside
from landslide_map.scene.model import load_scene
from landslide_map.stack.pixel_channels import check_available, read_pixel_channels
from landslide_map.vector.inventory import read_polygons
from landslide_map.vector.reproject import projected

STAGE: Final = reporting.Stage("map pixels", "blocks")
MARGIN_PX: Final = 32
"""Distance around outlines within which pixels are computed."""


@dataclass(frozen=True, slots=True)
class PixelMap:
    """Result of :func:`map_pixels`."""

    out: Path
    members: tuple[str, ...]
    computed: int
    """Pixels with a probability."""
    landslides: int
    """Pixels above the threshold."""
    notices: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class PixelMapOptions:
    """Members, extent and device."""

    near: Path | None = None
    """Vector file or folder of results: pixels farther than 32 px from its polygons are left out."""
    scenario: str | None = None
    member: str | None = None
    device: str = "cpu"
    precision: Precision = "float32"
    block: int = BLOCK
    """Edge of the blocks that are held in memory, pixels; the bits of a pixel do not depend on it."""


def map_pixels(
    scene: Path,
    bundle: Path,
    out: Path,
    options: PixelMapOptions | None = None,
    *,
    overwrite: bool = False,
    progress: reporting.Report = reporting.silent,
) -> PixelMap:
    """Write the probability of pixels as one cloud-optimised GeoTIFF, float32, NaN where not computed.

    A pixel without any valid channel has no probability.

    Raises
    ------
    InputError
        E187 if the scene lacks an input of a member; those of the scene and of `near`.
    BundleError
        E554 without pixel members; those of :func:`.load_bundle`.
    OutputExistsError
        E401 if `out` exists.
    """
    options = options or PixelMapOptions()
    if out.exists() and not overwrite:
        raise OutputExistsError("E401", f"{out}: exists already; replace it with --overwrite.")
    ready = load_bundle(bundle, pixel_members_suffice=True)
    chosen = members_of(ready, options.scenario, options.member)
    members = [replace(own, precision=options.precision) for own in chosen]
    inputs = open_inputs(load_scene(scene))
    for own in members:
        check_available(inputs, own.channels, own.name)
    wanted = None
    if options.near is not None:
        path = options.near / LANDSLIDES if options.near.is_dir() else options.near
        wanted = near_outlines(path, inputs.grid)
    counts = write_pixels(
        inputs, members, wanted, out, options.block, device=options.device, progress=progress
    )
    return PixelMap(out, tuple(own.name for own in members), *counts, inputs.notices)


def write_pixels(
    inputs: SceneInputs,
    members: Sequence[SegmentationMember],
    wanted: npt.NDArray[np.bool_] | None,
    out: Path,
    block: int,
    *,
    device: str = "cpu",
    tags: Mapping[str, str] = MappingProxyType({}),
    progress: reporting.Report = reporting.silent,
) -> tuple[int, int]:
    """Write the mean probability of pixel members; return how many pixels are computed and are landslides.

    Parameters
    ----------
    inputs : SceneInputs
    members : sequence of SegmentationMember
    wanted : array of bool, optional
        ``(y, x)`` of the grid; by default all pixels.
    out : path
        Appears complete, or not at all.
    block : int
        Edge of the blocks that are held in memory, pixels.
    device : str
    tags : mapping of str to str
        About the run, beside the members' names.
    progress : callable
    """
    with folder_beside(out) as staging:
        about = {
            "software": f"landslide-map {__version__}",
            **tags,
            "members": ", ".join(own.name for own in members),
        }
        with (
            cog.explained(out),
            cog.plain(staging / "blocks.tif", inputs.grid, 1, "float32", np.nan) as target,
        ):
            target.set_band_description(1, "landslide probability, pixel level")
            cog.tag(target, about)
            counts = _write(inputs, members, wanted, target, block, device, progress)
        with cog.explained(out), cog.small_cache():
            cog.finish(staging / "blocks.tif", staging / "cog.tif", overviews="AVERAGE", predictor=True)
            (staging / "cog.tif").replace(out)
    return counts


def near_outlines(path: Path, grid: Grid) -> npt.NDArray[np.bool_]:
    """Return the pixels ``(y, x)`` within `MARGIN_PX` of the polygons of a file; none if a map has none."""
    try:
        table, _ = read_polygons(path)
    except InputError as error:
        if error.code == "E150" and path.name in (LANDSLIDES, CANDIDATES) and path.is_file():
            return np.zeros(grid.shape, np.bool_)  # a finished map without a landslide
        raise
    return near_shapes(projected(table.geometry, grid.crs), grid)


def near_shapes(shapes: gpd.GeoSeries, grid: Grid) -> npt.NDArray[np.bool_]:
    """Return the pixels ``(y, x)`` within `MARGIN_PX` of polygons in the CRS of the grid."""
    grown = shapely.buffer(shapes.to_numpy(), MARGIN_PX * grid.transform.a)
    if not len(grown):
        return np.zeros(grid.shape, np.bool_)
    return np.asarray(
        rasterize(list(grown), out_shape=grid.shape, transform=grid.transform, all_touched=True), np.bool_
    )


def _write(
    inputs: SceneInputs,
    members: Sequence[SegmentationMember],
    wanted: npt.NDArray[np.bool_] | None,
    target: Any,
    edge: int,
    device: str,
    progress: reporting.Report,
) -> tuple[int, int]:
    grid, files = inputs.grid, OpenFiles()
    blocks = list(grid.blocks(edge))
    computed = landslides = 0
    for done, block in enumerate(blocks):
        progress(STAGE, done, len(blocks))
        here = None
        if wanted is not None:
            here = wanted[block.row : block.row + block.height, block.col : block.col + block.width]
        values = predict(inputs, members, block, here, device, files)
        target.write(values, 1, window=Window(block.col, block.row, block.width, block.height))
        computed += int(np.isfinite(values).sum())
        landslides += int(is_landslide(values).sum())
    progress(STAGE, len(blocks), len(blocks))
    return computed, landslides


def predict(
    inputs: SceneInputs,
    members: Sequence[SegmentationMember],
    block: Block,
    wanted: npt.NDArray[np.bool_] | None = None,
    device: str = "cpu",
    files: OpenFiles | None = None,
) -> Floats32:
    """Return the mean probability ``(y, x)`` of pixel members in one block, NaN where not wanted or missing.

    Parameters
    ----------
    inputs : SceneInputs
    members : sequence of SegmentationMember
    block : Block
        Pixels of ``inputs.grid``; the bits of a pixel do not depend on it.
    wanted : array of bool, optional
        ``(y, x)`` of the block.
    device : str
    files : OpenFiles, optional
    """
    shape = (block.height, block.width)
    if wanted is not None and not wanted.any():
        return np.full(shape, np.nan, np.float32)
    each = [_by_member(inputs, own, block, wanted, device, files) for own in members]
    return mean_probability(each).astype(np.float32)


def _by_member(
    inputs: SceneInputs,
    own: SegmentationMember,
    block: Block,
    wanted: npt.NDArray[np.bool_] | None,
    device: str,
    files: OpenFiles | None,
) -> Floats32:
    rows, columns = inputs.grid.shape
    tile = own.spec.tile
    top, left = max(block.row - tile, 0), max(block.col - tile, 0)
    bottom = min(block.row + block.height + tile, rows)
    right = min(block.col + block.width + tile, columns)
    pixels = read_pixel_channels(inputs, own.channels, Block(top, left, bottom - top, right - left), files)
    place = (block.row, block.col, block.row + block.height, block.col + block.width)
    found = predict_block(
        own, partial(_part, pixels, top, left), (rows, columns), place, device=device, wanted=wanted
    )
    inner = pixels[:, place[0] - top : place[2] - top, place[1] - left : place[3] - left]
    return np.where(np.isfinite(inner).any(axis=0), found, np.float32(np.nan))


def _part(pixels: Floats32, top: int, left: int, y0: int, x0: int, y1: int, x1: int) -> npt.NDArray[Any]:
    return pixels[:, y0 - top : y1 - top, x0 - left : x1 - left]
