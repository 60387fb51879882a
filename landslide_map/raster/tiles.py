"""Elevation tiles of different pixel widths as one raster, on the lattice of the finest.

Copernicus GLO-30 has wider pixels from 50, 60, 70 and 80 degrees of latitude on. Tiles on one lattice are
joined first (a sheet); the value of a pixel is interpolated in the sheet that holds it. It does not depend on
the part that is read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.io import DatasetReader
from rasterio.windows import Window

from landslide_map.array_types import Floats, Floats32, Indices, Rows
from landslide_map.errors import InputError
from landslide_map.grid import Grid
from landslide_map.raster.band import RasterBand
from landslide_map.raster.heights import height_band
from landslide_map.raster.joined import joined_name, same_pixels, whole_pixels
from landslide_map.raster.nodata import read_valid
from landslide_map.raster.one_band import OneBand

TILES: Final = "TILES:"
_SHEET: Final = re.compile(r"\{([^{}]+)\}")


def tiles_name(tiles: Sequence[tuple[str | Path, Grid]]) -> str:
    """Return the one name of elevation tiles: as of :func:`joined_name` where they are on one lattice.

    Parameters
    ----------
    tiles : sequence of (path, Grid)
        The first lies on top where tiles of one lattice overlap.
    """
    sheets: list[list[tuple[str | Path, Grid]]] = []
    for tile in tiles:
        same = next((sheet for sheet in sheets if _one_lattice(sheet[0][1], tile[1])), None)
        if same is None:
            sheets.append([tile])
        else:
            same.append(tile)
    names = [joined_name([path for path, _ in sheet]) for sheet in sheets]
    if len(names) == 1:
        return names[0]
    if braced := next((name for name in names if "{" in name or "}" in name), None):
        raise InputError("E101", f"{braced}: has a curly bracket in its name; rename the file")
    return TILES + "".join(f"{{{name}}}" for name in names)


def tile_sheets(name: str | Path) -> tuple[str, ...]:
    """Return the sheets that :func:`tiles_name` made a name of; none for any other name."""
    return tuple(_SHEET.findall(str(name))) if str(name).startswith(TILES) else ()


def _one_lattice(a: Grid, b: Grid) -> bool:
    same = a.crs == b.crs and same_pixels(a.transform, b.transform)
    return same and whole_pixels(a.transform, b.transform) is not None


@dataclass(frozen=True, slots=True)
class _Sheet:
    """Tiles of one lattice."""

    dataset: DatasetReader
    band: RasterBand

    @property
    def grid(self) -> Grid:
        return self.band.grid

    def fill(self, out: Floats32, x: Floats, y: Floats) -> None:
        """Write the heights at ``(y, x)`` where `out` has none and the sheet has some, by bilinear weights.

        Within half a pixel of the edge of the sheet the slope of its outermost pixels goes on.
        """
        t, (height, width) = self.grid.transform, self.grid.shape
        rows, down = _between((y - t.f) / t.e - 0.5, height)
        cols, across = _between((x - t.c) / t.a - 0.5, width)
        if not (rows.size and cols.size):
            return
        i, j = (np.flatnonzero(np.isfinite(weight)) for weight in (down, across))
        if not (i.size and j.size):
            return
        top, left = int(rows[i].min()), int(cols[j].min())
        window = Window(left, top, int(cols[j].max()) + 2 - left, int(rows[i].max()) + 2 - top)
        z = read_valid(self.dataset, self.band, window).astype(np.float64)
        r, c = (rows[i] - top)[:, np.newaxis], (cols[j] - left)[np.newaxis]
        v, u = down[i][:, np.newaxis], across[j][np.newaxis]
        found = (1 - v) * ((1 - u) * z[r, c] + u * z[r, c + 1]) + v * (
            (1 - u) * z[r + 1, c] + u * z[r + 1, c + 1]
        )
        part = out[np.ix_(i, j)]
        out[np.ix_(i, j)] = np.where(np.isnan(part), found.astype(np.float32), part)


def _between(at: Floats, count: int) -> tuple[Indices, Floats]:
    """Return the pixel before each place and the weight of the one behind it, NaN outside of the sheet."""
    first = np.clip(np.floor(at), 0, max(count - 2, 0)).astype(np.intp)
    inside = (at >= -0.5) & (at < count - 0.5) & (count > 1)
    return first, np.where(inside, at - first, np.nan)


class TileRaster(OneBand):
    """Sheets of tiles as one band."""

    driver = "TILES"

    def __init__(self, name: str, open_raster: Callable[[str], DatasetReader]) -> None:
        self.name = name
        opened = [(sheet, open_raster(sheet)) for sheet in tile_sheets(name)]
        self._sheets = [_Sheet(dataset, height_band(sheet, dataset)) for sheet, dataset in opened]
        grids = [sheet.grid for sheet in self._sheets]
        self.crs: CRS = self._sheets[0].dataset.crs
        if other := next(
            (s for s in self._sheets if s.dataset.crs != self.crs or s.dataset.count != 1), None
        ):
            raise InputError(
                "E109",
                f"{other.band.path}: has another projection or more bands than the other tiles of the dem; "
                "bring all into one with gdalwarp",
            )
        self._sheets.sort(key=lambda sheet: sheet.grid.transform.a)
        finest = self._sheets[0].grid.transform
        left, bottom, right, top = (
            end(grid.bounds[i] for grid in grids) for i, end in enumerate((min, min, max, max))
        )
        first_col, first_row = (math.floor(at + 1e-6) for at in ~finest @ (left, top))
        self.transform = finest @ Affine.translation(first_col, first_row)
        last_col, last_row = (math.ceil(at - 1e-6) for at in ~finest @ (right, bottom))
        self.width, self.height = last_col - first_col, last_row - first_row
        self.shape = (self.height, self.width)

    def pixels(self, rows: Rows, cols: Rows) -> Floats32:
        """Return heights, NaN where no tile has any."""
        t = self.transform
        out = np.full((rows.size, cols.size), np.nan, np.float32)
        x, y = t.c + (cols.astype(np.float64) + 0.5) * t.a, t.f + (rows.astype(np.float64) + 0.5) * t.e
        for sheet in self._sheets:
            sheet.fill(out, x, y)
        return out

    def close(self) -> None:
        """Close all tiles."""
        for sheet in self._sheets:
            sheet.dataset.close()
