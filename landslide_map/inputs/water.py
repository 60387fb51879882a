"""Water mask of a scene: polygons, or a raster in which water is above 0."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import shapely
from affine import Affine
from rasterio.features import rasterize

from landslide_map.array_types import Floats32
from landslide_map.errors import InputError, Notice
from landslide_map.grid import Block, Grid
from landslide_map.inputs.scene_inputs import WaterMask
from landslide_map.raster.coordinates import window_over
from landslide_map.raster.handles import OpenFiles
from landslide_map.raster.open import files_of, open_band
from landslide_map.raster.resample import read_block
from landslide_map.vector.dataset import NoVectorFileError, readable
from landslide_map.vector.inventory import read_polygons
from landslide_map.vector.reproject import projected

_MOST_BYTES: Final = 2 * 2**30
"""Greatest size of a file of polygons, which is read whole; the water of the whole Earth has as many."""


def open_water(path: Path, grid: Grid) -> tuple[WaterMask | None, list[Notice], tuple[Path, ...]]:
    """Open the mask that scene.yaml names.

    Returns
    -------
    WaterMask or None
        None where it lies beside the grid.
    list of Notice
        W382 where it does; W150 where outlines were repaired.
    tuple of Path
        The files read.

    Raises
    ------
    InputError
        E150 to E152 polygons that cannot be read, E112 too many; E101 to E108 as
        :func:`~landslide_map.raster.open.open_band`.
    """
    beside = Notice(
        "W382", f"{path}: the water mask lies beside the grid, and nothing is taken for water by it"
    )
    if not _is_vector(path):
        band = open_band(path)
        if window_over(band.grid, grid) is None:
            return None, [beside], files_of(band)
        return WaterMask(band=band), [], files_of(band)
    if path.is_file() and path.stat().st_size > _MOST_BYTES:
        raise InputError(
            "E112",
            f"{path}: is larger than {_MOST_BYTES >> 30} GB; cut it to the scene with ogr2ogr -clipsrc",
        )
    table, notices = read_polygons(path)
    outlines = projected(table.geometry, grid.crs.to_wkt())
    held = shapely.intersects(outlines.to_numpy(), shapely.box(*grid.bounds))
    shapes = shapely.clip_by_rect(outlines.to_numpy()[held], *shapely.box(*grid.bounds).buffer(100).bounds)
    shapes = shapes[~shapely.is_empty(shapes)]
    if not len(shapes):
        return None, [*notices, beside], (path,)
    return WaterMask(shapes=tuple(shapes)), notices, (path,)


def read_water(mask: WaterMask, grid: Grid, block: Block, files: OpenFiles | None = None) -> Floats32:
    """Return 1 for water and 0 for land in one block of the grid, NaN where the mask says nothing."""
    if mask.band is not None:
        seen = read_block(mask.band, grid, block, nearest=True, files=files)
        return np.where(np.isnan(seen), seen, (seen > 0).astype(np.float32))
    t = grid.transform
    corner = t.c + block.col * t.a, t.f + block.row * t.e
    frame = shapely.box(corner[0], corner[1] + block.height * t.e, corner[0] + block.width * t.a, corner[1])
    shapes = [shape for shape in mask.shapes if shape.intersects(frame)]
    size = (block.height, block.width)
    if not shapes:
        return np.zeros(size, np.float32)
    place = Affine(t.a, 0, corner[0], 0, t.e, corner[1])
    found: Floats32 = rasterize(shapes, size, transform=place, dtype="float32")
    return found


def _is_vector(path: Path) -> bool:
    try:
        with readable(path):
            return True
    except NoVectorFileError:
        return False
