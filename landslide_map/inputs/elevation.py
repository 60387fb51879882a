"""Elevation model of a scene: its band, fill that no tag declares, and the notices on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window
from scipy.ndimage import binary_opening, distance_transform_cdt, uniform_filter1d

from landslide_map.errors import InputError, Notice
from landslide_map.grid import Grid
from landslide_map.inputs.elevation_units import check_declared_units, unit_notices
from landslide_map.inputs.sentinel1.consistency import resolution_m
from landslide_map.raster.band import RasterBand
from landslide_map.raster.coordinates import window_over
from landslide_map.raster.geoid import is_ellipsoidal
from landslide_map.raster.heights import GROUND_M
from landslide_map.raster.nodata import alpha_bands, read_valid
from landslide_map.raster.open import open_band, opened

Heights = npt.NDArray[np.floating[Any]]

WHOLE, STRIP, STRIPS = 2_500_000, 64, 12
"""Pixels up to which all are read; of more, the width and number of strips along each axis."""
CANDIDATES, LEVEL, ALL = 3, 0.005, 0.99
"""Number of most frequent level heights that are checked, their least share, and the share of what is no
ground."""
STRAIGHT, STEP_M = 32, 5.0
"""Pixels of a straight edge along a row or column, and the step there; shores of lakes have neither."""
NEAR, FAR, CLIFF_M, AT_ONCE, FEWEST = 3, 9, 30.0, 0.7, 30
"""Pixels from level ground at which heights are compared. Ground rises 30 m within 3 pixels, and hardly more
within 9, where it was cut off; a slope has a third of the rise there (tests/unit/test_slope.py)."""
COARSEST_DEM_M: Final = 100.0
"""SRTM's 90 m still show slopes. Of nine windows of hills with 150 m of relief none is flat at 10 m. One is
flat where heights are means over 90 m, five over 250 m, eight over 1000 m (tests/unit/test_slope.py)."""


def open_elevation(path: str | Path) -> RasterBand:
    """Open elevation; a picture of it (hillshade, colours) has three bands."""
    with opened(path) as dataset:
        count = dataset.count - len(alpha_bands(dataset))
        if count == 1:
            check_declared_units(path, dataset)
    if count != 1:
        raise InputError(
            "E101", f"{path}: has {count} bands; expected one, elevation in metres; correct dem in scene.yaml"
        )
    return replace(open_band(path), limits=GROUND_M)


def without_fill(dem: RasterBand, grid: Grid) -> tuple[RasterBand, list[Notice]]:
    """Find a height that is fill, as 0 where a tile of a mosaic was missing: taken as ground it is flat.

    Water is level, too, but ground rises from its shore, and shores are not straight.

    Parameters
    ----------
    dem : RasterBand
    grid : Grid
        Where elevation is needed.

    Returns
    -------
    RasterBand
        `dem`, with the fill among its nodata values.
    list of Notice
        W350 for each value; W381 where the numbers can hardly be metres.
    """
    window = window_over(dem.grid, grid)
    if window is None:
        return dem, []
    with opened(dem.path) as dataset:
        parts = [read_valid(dataset, dem, strip) for strip in _strips(window)]
    seen = sum(int(np.isfinite(part).sum()) for part in parts)
    level = _level(parts, seen)
    if level and level[0][1] > ALL:
        message = (
            f"all of the elevation is exactly {level[0][0]:g} m; no slope can be computed, all counts as flat"
        )
        return dem, [
            Notice("W350", f"{dem.path}: {message}. Get another DEM, or leave dem out of scene.yaml")
        ]
    found = [(value, share) for value, share in level if _is_cut_out(parts, value)]
    ground = [np.where(np.isin(part, [value for value, _ in found]), np.nan, part) for part in parts]
    notices = [
        Notice(
            "W350",
            f"{dem.path}: {share:.0%} of the pixels hold exactly {value:g} m, cut out by straight edges or "
            "cliffs: fill, not ground. It is taken as no data, so windows there are not flat; get the rest "
            "of the DEM",
        )
        for value, share in found
    ]
    notices += unit_notices(dem.path, ground, _pixel_m(dem.grid))
    return replace(dem, nodata=(*dem.nodata, *(value for value, _ in found))), notices


def _pixel_m(grid: Grid) -> tuple[float, float]:
    """Return height and width of a pixel in metres, roughly where the grid is in degrees."""
    height = resolution_m(grid)
    narrow = math.cos(math.radians((grid.bounds[1] + grid.bounds[3]) / 2)) if grid.crs.is_geographic else 1.0
    return height, height * abs(grid.transform.a / grid.transform.e) * narrow


def _strips(window: Window) -> list[Window]:
    """Return strips along both axes of a window, which straight edges cross; all of a small window."""
    height, width = int(window.height), int(window.width)
    if height * width <= WHOLE:
        return [window]
    tops, lefts = (
        np.unique(np.linspace(0, max(size - STRIP, 0), STRIPS).astype(int)).tolist()
        for size in (height, width)
    )
    across = [Window(window.col_off, window.row_off + top, width, min(STRIP, height)) for top in tops]
    down = [Window(window.col_off + left, window.row_off, min(STRIP, width), height) for left in lefts]
    return across + down


def _level(parts: Sequence[Heights], seen: int) -> list[tuple[float, float]]:
    """Return the heights that level ground has most often, and their share of the pixels seen."""
    level = [z[:-1, :-1][(z[:-1, :-1] == z[1:, :-1]) & (z[:-1, :-1] == z[:-1, 1:])] for z in parts]
    values, counts = np.unique(np.concatenate(level), return_counts=True)
    order = np.argsort(counts)[::-1][:CANDIDATES]
    shares = [(float(values[i]), float(sum((z == values[i]).sum() for z in parts) / seen)) for i in order]
    return [(value, share) for value, share in shares if share > LEVEL]


def _is_cut_out(parts: Sequence[Heights], value: float) -> bool:
    """Return whether level ground at a height ends along straight lines, or at cliffs all around."""
    near: list[Heights] = []
    far: list[Heights] = []
    for z in parts:
        level = binary_opening(z == value, np.ones((5, 5), bool))
        if not level.any():
            continue
        if any(_has_straight_edge(*turned) for turned in ((z, level), (z.T, level.T))):
            return True
        distance = distance_transform_cdt(~level, "chessboard")
        rise = np.abs(z - value)
        near.append(rise[(distance == NEAR) & np.isfinite(z)])
        far.append(rise[(distance == FAR) & np.isfinite(z)])
    steps = [np.concatenate(each) if each else np.empty(0) for each in (near, far)]
    if min(step.size for step in steps) < FEWEST:
        return False
    step, later = (float(np.median(each)) for each in steps)
    return step > CLIFF_M and step > AT_ONCE * later


def _has_straight_edge(z: Heights, level: npt.NDArray[np.bool_]) -> bool:
    """Return whether level ground ends at one column along :data:`STRAIGHT` rows, in a step."""
    if len(z) < STRAIGHT:
        return False
    rise = np.abs(np.diff(z, axis=1)) > STEP_M
    for inside in (level[:, :-1] & ~level[:, 1:], ~level[:, :-1] & level[:, 1:]):
        run = uniform_filter1d((inside & rise).astype(np.float32), STRAIGHT, axis=0, mode="constant")
        if run.max() > 0.9:
            return True
    return False


def elevation_notices(dem: RasterBand) -> list[Notice]:
    """Warn (W380) of elevation too coarse for slopes; report (I381) heights above the ellipsoid."""
    pixel = resolution_m(dem.grid)
    notices = []
    with opened(dem.path) as dataset:
        ellipsoidal = is_ellipsoidal(dataset.crs)
    if ellipsoidal:
        message = (
            "its heights are above the ellipsoid, up to 110 m from those above the sea, by its reference"
        )
        used = "slopes are the same; pixel members that read elevation were trained on heights above the sea"
        notices.append(Notice("I381", f"{dem.path}: {message} system; {used}"))
    if pixel <= COARSEST_DEM_M:
        return notices
    return [
        *notices,
        Notice(
            "W380",
            f"{dem.path}: pixels of {pixel:.0f} m smooth slopes away, so that steep ground is taken for flat "
            "and not analysed. Give a DEM of 30 m, such as Copernicus GLO-30, or none",
        ),
    ]
