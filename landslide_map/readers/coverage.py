"""How much of the grid a source covers with valid pixels, from a thin look at points of the grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from landslide_map.bands import ORBITS
from landslide_map.errors import InputError, Notice
from landslide_map.grid import Grid
from landslide_map.lattice import source_coordinates
from landslide_map.readers.raster import decimated
from landslide_map.sources import OpticalImage, RadarImage, RadarTrack, RasterBand

POINTS = 64
"""Points of the grid asked along each axis."""
WHOLE = 0.99
"""From this share on, a source counts as covering the grid."""

Covered = npt.NDArray[np.bool_]
"""``(POINTS, POINTS)``, over the grid: where there is a valid pixel."""


def covered(band: RasterBand, grid: Grid) -> Covered | None:
    """Return at which points of the grid `band` has a value; None where it lies beside the grid."""
    rows, cols = (
        (np.arange(POINTS, dtype=np.float64) + 0.5) * size / POINTS for size in (grid.height, grid.width)
    )
    at_row, at_col = source_coordinates(band.grid, grid, *np.meshgrid(rows, cols, indexing="ij"))
    with np.errstate(invalid="ignore"):
        inside = (at_row >= 0) & (at_row < band.grid.height) & (at_col >= 0) & (at_col < band.grid.width)
    if not inside.any():
        return None
    top, bottom = int(at_row[inside].min()), int(at_row[inside].max()) + 1
    left, right = int(at_col[inside].min()), int(at_col[inside].max()) + 1
    window = Window(left, top, right - left, bottom - top)
    shape = min(window.height, 4 * POINTS), min(window.width, 4 * POINTS)
    look = np.isfinite(decimated(band, shape, window))
    found = np.zeros_like(inside)
    found[inside] = look[
        ((at_row[inside] - top) * shape[0] / window.height).astype(np.intp),
        ((at_col[inside] - left) * shape[1] / window.width).astype(np.intp),
    ]
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
    notices = []
    if optical is None:
        notices.append(Notice("W360", "no Sentinel-2 image; only members that do without optical bands vote"))
    else:
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


def _track(track: RadarTrack, grid: Grid) -> Covered:
    if track.composite is not None:
        return _some((track.composite.bands["diff_vv"],), grid)
    sides = [_side(images, grid) for images in (track.pre, track.post) if images]
    return np.asarray(np.stack(sides).all(axis=0))


def _side(images: tuple[RadarImage, ...], grid: Grid) -> Covered:
    return _union([_some(image.bands["vv"], grid) for image in images])


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
