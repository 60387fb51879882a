"""Files of an elevation model: one, a list of tiles, or those of a folder that cover the grid."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from landslide_map.errors import InputError
from landslide_map.grid import Grid
from landslide_map.raster.coordinates import window_over
from landslide_map.raster.open import open_band
from landslide_map.raster.tiles import tiles_name

_TILE: Final = re.compile(r"\.(tif|tiff|hgt|dt[012]|asc|img)$", re.IGNORECASE)
_GLO_30: Final = re.compile(
    r"Copernicus_DSM_(?:COG_)?\d\d_(?P<lat>[NS]\d\d)_\d\d_(?P<lon>[EW]\d{3})_\d\d(?P<other>_(?!DEM)\w+)?",
    re.IGNORECASE,
)
"""A tile by its south-western corner; its other files hold water, errors and sources."""
_MOST_FILES: Final = 20_000
_BAD: Final = {"E101", "E103", "E104", "E108", "E113", "E311"}


def elevation_name(paths: Sequence[Path], grid: Grid) -> str:
    """Return the one name of the files that cover the grid; their pixels may have different widths.

    Parameters
    ----------
    paths : sequence of Path
        Files, or folders with tiles.
    grid : Grid
        That of the scene.

    Raises
    ------
    InputError
        E101 where no raster of a folder covers any of the grid.
    """
    tiles: list[tuple[Path, Grid]] = []
    for path in paths:
        tiles += _covering(path, grid) if path.is_dir() else [(path, open_band(path).grid)]
    return tiles_name(tiles)


def _covering(folder: Path, grid: Grid) -> list[tuple[Path, Grid]]:
    """Return the tiles in a folder, and in its folders, that cover some of the grid."""
    seen = 0
    found: list[tuple[Path, Grid]] = []
    for path in _rasters(folder):
        seen += 1
        try:
            own = open_band(path).grid
        except InputError as error:
            if error.code in _BAD and not _GLO_30.search(path.name):
                continue  # another file of the download
            raise
        if window_over(own, grid) is not None:
            found.append((path, own))
    if not found:
        what = f"none of its {seen} rasters covers" if seen else "holds no raster that covers"
        raise InputError(
            "E101", f"{folder}: {what} any of the grid; fetch the tiles of the scene, or leave dem out"
        )
    return found


def _rasters(folder: Path) -> Iterator[Path]:
    count = 0
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            count += 1
            if count > _MOST_FILES:
                raise InputError(
                    "E101", f"{folder}: has more than {_MOST_FILES:,} files; name the tiles alone"
                )
            tile = _GLO_30.search(name)
            if _TILE.search(name) and not (tile and tile["other"]):
                yield Path(parent, name)
