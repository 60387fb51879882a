"""Coverage of the grid by valid pixels of a source, from a thin sample of points."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from rasterio.windows import Window

from landslide_map.bands import ORBITS
from landslide_map.errors import InputError, Notice
from landslide_map.grid import Grid
from landslide_map.inputs.scene_inputs import OpticalImage, RadarTrack
from landslide_map.raster.band import RasterBand
from landslide_map.raster.coordinates import source_coordinates
from landslide_map.raster.sampling import decimated, has_levels, valid_at
from landslide_map.runtime.threads import in_threads

POINTS: Final = 64
"""Points of the grid tested along each axis."""
STEP: Final = 9
"""Every ninth point is tested first: 17 km apart on a Sentinel-2 tile."""
WHOLE: Final = 0.99
"""Least share of the grid from which a source counts as covering it."""

Covered = npt.NDArray[np.bool_]
"""``(POINTS, POINTS)``, over the grid: where there is a valid pixel."""
Positions = npt.NDArray[np.float64]
"""Rows or columns of points in a source, pixels."""


def covered(band: RasterBand, grid: Grid) -> Covered | None:
    """Return at which points of the grid `band` has a value; None where it lies beside the grid.

    Where a file has the resolution levels of JPEG 2000, all points are read from one of them. Elsewhere
    the points between four others that agree are taken to agree with them, unless none of all has a value.
    """
    at_row, at_col, inside = _points(band, grid)
    if not inside.any():
        return None
    if has_levels(band):
        found = np.zeros_like(inside)
        found[inside] = _seen_in_level(band, at_row[inside], at_col[inside])
        return found
    return _sampled_step_by_step(band, at_row, at_col, inside)


def _points(band: RasterBand, grid: Grid) -> tuple[Positions, Positions, Covered]:
    """Return where the points of the grid are in `band`, rows and columns, and whether that is inside."""
    rows, cols = (
        (np.arange(POINTS, dtype=np.float64) + 0.5) * size / POINTS for size in (grid.height, grid.width)
    )
    at_row, at_col = source_coordinates(band.grid, grid, *np.meshgrid(rows, cols, indexing="ij"))
    with np.errstate(invalid="ignore"):
        inside = (at_row >= 0) & (at_row < band.grid.height) & (at_col >= 0) & (at_col < band.grid.width)
    return at_row, at_col, inside


def _seen_in_level(band: RasterBand, at_row: Positions, at_col: Positions) -> Covered:
    top, bottom = int(at_row.min()), int(at_row.max()) + 1
    left, right = int(at_col.min()), int(at_col.max()) + 1
    window = Window(left, top, right - left, bottom - top)
    shape = min(window.height, 4 * POINTS), min(window.width, 4 * POINTS)
    thinned = decimated(band, shape, window)
    seen = thinned[
        ((at_row - top) * shape[0] / window.height).astype(np.intp),
        ((at_col - left) * shape[1] / window.width).astype(np.intp),
    ]
    return np.asarray(np.isfinite(seen))


def _sampled_step_by_step(band: RasterBand, at_row: Positions, at_col: Positions, inside: Covered) -> Covered:
    found = np.zeros_like(inside)

    def sample(points: Covered) -> None:
        found[points] = valid_at(band, at_row[points].astype(np.intp), at_col[points].astype(np.intp))

    nodes = np.zeros_like(inside)
    nodes[::STEP, ::STEP] = True
    sample(inside & nodes)
    corners = sliding_window_view(found[::STEP, ::STEP], (2, 2))
    some, every = (np.asarray(join(corners, axis=(2, 3))) for join in (np.any, np.all))
    cell = np.minimum(np.arange(POINTS) // STEP, len(some) - 1)
    between = np.ix_(cell, cell)
    found |= inside & every[between]
    unsure = (some & ~every)[between] if some.any() else inside
    sample(inside & unsure & ~nodes)
    return found


def coverage_notices(
    grid: Grid, optical: OpticalImage | None, tracks: dict[str, RadarTrack], dem: RasterBand | None
) -> list[Notice]:
    """Return a notice (W360) for each sensor that is missing or covers the grid in part.

    Raises
    ------
    InputError
        E105 where an image lies beside the grid, E106 where it has no valid pixel on it.
    """
    notices: list[Notice] = []
    if optical is None:
        notices.append(Notice("W360", "no Sentinel-2 image; only members that do without optical bands vote"))
    else:
        _check_same_area(grid, optical, tracks)
        notices += _partly("the Sentinel-2 image", _some(tuple(optical.bands.values())[:1], grid))
    for orbit in ORBITS:
        if orbit not in tracks:
            notices.append(
                Notice("W360", f"no {orbit} Sentinel-1 track; only members that do without it vote")
            )
        else:
            notices += _partly(f"the {orbit} track", _track(tracks[orbit], grid))
    if dem is not None:
        notices += _partly("the DEM", _some((dem,), grid))
    return notices


def _check_same_area(grid: Grid, optical: OpticalImage, tracks: dict[str, RadarTrack]) -> None:
    """Blame (E105) the Sentinel-2 image where the grid is its own and no radar image touches it."""
    image = next(iter(optical.bands.values()))
    radar = [band for track in tracks.values() for band in track.raster_bands]
    if grid.bounds != image.grid.bounds or not radar or any(_points(band, grid)[2].any() for band in radar):
        return
    names = list(dict.fromkeys(Path(band.path).name for band in radar))
    raise InputError(
        "E105",
        f"{Path(image.path).name}: the Sentinel-2 image lies at {_extent(grid)}, and none of the "
        f"{len(names)} Sentinel-1 files touches it ({names[0]}: {_extent(radar[0].grid)}). The images are of "
        "different areas: correct s2.post or s1 in scene.yaml",
    )


def _track(track: RadarTrack, grid: Grid) -> Covered:
    if track.composite is not None:
        return _some((track.composite.bands["diff_vv"],), grid)
    masks = in_threads(lambda image: _some(image.bands["vv"], grid), (*track.pre, *track.post))
    sides = masks[: len(track.pre)], masks[len(track.pre) :]
    return np.asarray(np.stack([_union(side) for side in sides if side]).all(axis=0))


def _some(slices: tuple[RasterBand, ...], grid: Grid) -> Covered:
    """Return where any of the slices of one image has a value; refuse if nowhere."""
    names = ", ".join(Path(band.path).name for band in slices)
    masks = [mask for mask in (covered(band, grid) for band in slices) if mask is not None]
    if not masks:
        raise InputError(
            "E105",
            f"{names}: lies at {_extent(slices[0].grid)}, beside the target grid ({_extent(grid)}); "
            "leave it out, or correct the grid in scene.yaml",
        )
    found = _union(masks)
    if not found.any():
        raise InputError("E106", f"{names}: has no valid pixel on the target grid ({_extent(grid)})")
    return found


def _union(masks: list[Covered]) -> Covered:
    return np.asarray(np.stack(masks).any(axis=0))


def _partly(name: str, found: Covered) -> list[Notice]:
    share = float(found.mean())
    return [Notice("W360", f"{name} covers {share:.1%} of the grid")] if share < WHOLE else []


def _extent(grid: Grid) -> str:
    left, bottom, right, top = grid.bounds
    epsg = grid.crs.to_epsg()
    return (
        f"{left:.10g}..{right:.10g}, {bottom:.10g}..{top:.10g} in {f'EPSG:{epsg}' if epsg else 'its own CRS'}"
    )
