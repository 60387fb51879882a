"""Units of elevation: feet, decimetres, and rasters of slope or shade that are no elevation.

Slopes decide which ground is flat. Heights in feet make ground three times as steep, slopes taken for
heights make it flat, and both maps are plausible.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pyproj import CRS
from rasterio.io import DatasetReader

from landslide_map.errors import InputError, Notice

Heights = npt.NDArray[np.floating[Any]]

METRES: Final = {"", "m", "metre", "metres", "meter", "meters"}
NO_HEIGHTS: Final = re.compile(
    r"(^|[^a-z])(slope|aspect|hill_?shade|shaded|roughness|curvature|tri|tpi)([^a-z]|$)"
)
COMMON_M: Final = 30.0
"""Distance at which slopes are compared, for pixels of any size."""
STEEP_DEG: Final = 55.0
"""Slope that one pixel in ten exceeds nowhere over a scene: 17 to 34 degrees in mountains and hills seen
here."""
HIGHEST, LOW = 90.0, 10.0
"""Slopes lie between 0 and this, and one in a hundred is below that."""
SPREAD, ROUGH = 15.0, 0.25
"""Least span of values for the check of roughness, and the share of all differences that neighbours reach.
That share is 0.05 to 0.14 in four elevation models with such a span, and 0.27 to 1.1 in slopes."""


def check_declared_units(path: str | Path, dataset: DatasetReader) -> None:
    """Refuse (E381) elevation that its file calls another quantity or other units than metres."""
    unit = (dataset.units[0] or "").strip()
    found = ""
    if unit.lower() not in METRES:
        found = f"its band is in {unit!r}"
    elif (factor := _vertical_factor(dataset)) != 1.0:
        found = f"its reference system counts heights in units of {factor:.4g} m"
    elif dataset.scales[0] != 1.0:
        found = (
            f"its tag says that heights are the numbers times {dataset.scales[0]:g}, and tags are not applied"
        )
    elif np.dtype(dataset.dtypes[0]) == np.uint8:
        found = "its numbers have 8 bits, as a hillshade or picture"
    if found:
        raise InputError(
            "E381",
            f"{path}: {found}; expected elevation in metres. Write it so (gdal_calc.py --calc), or "
            "correct dem "
            "in scene.yaml",
        )


def _vertical_factor(dataset: DatasetReader) -> float:
    """Return how many metres the unit of heights is, by the reference system; 1 where it says nothing."""
    parts = CRS.from_wkt(dataset.crs.to_wkt()).sub_crs_list if dataset.crs else []
    return next((float(p.axis_info[0].unit_conversion_factor) for p in parts if p.is_vertical), 1.0)


def unit_notices(path: str, parts: Sequence[Heights], pixel_m: tuple[float, float]) -> list[Notice]:
    """Warn (W381) where numbers can hardly be elevation in metres.

    Parameters
    ----------
    path : str
        For messages; its name may contain the unit.
    parts : sequence of ndarray, (row, col)
        Pieces of the raster, NaN = no data.
    pixel_m : tuple of float
        Height and width of a pixel, metres.
    """
    finding = ""
    if name := NO_HEIGHTS.search(Path(path).stem.lower()):
        finding = f"its name says {name[2]}"
    elif (steep := _steepness(parts, pixel_m)) > STEEP_DEG:
        finding = (
            f"a tenth of the ground would be steeper than {steep:.0f} degrees, so heights are perhaps in "
            "feet, "
            "decimetres or centimetres"
        )
    elif _is_slope(parts):
        finding = "its numbers are as rough as slopes in degrees are"
    if not finding:
        return []
    return [
        Notice("W381", f"{path}: {finding}; expected elevation in metres, as slopes are computed from it")
    ]


def _steepness(parts: Sequence[Heights], pixel_m: tuple[float, float]) -> float:
    """Return the slope that a tenth of the pixels exceeds, degrees."""
    slopes = []
    for z in parts:
        rows, cols = (max(1, round(COMMON_M / pixel)) for pixel in pixel_m)
        height, width = z.shape[0] // rows, z.shape[1] // cols
        if min(height, width) < 2:
            continue
        mean = z[: height * rows, : width * cols].reshape(height, rows, width, cols).mean(axis=(1, 3))
        down, right = np.gradient(mean, pixel_m[0] * rows, pixel_m[1] * cols)
        slopes.append(np.hypot(down, right).ravel())
    seen = np.concatenate(slopes) if slopes else np.empty(0)
    seen = seen[np.isfinite(seen)]
    return float(np.degrees(np.arctan(np.quantile(seen, 0.9)))) if seen.size else 0.0


def _is_slope(parts: Sequence[Heights]) -> bool:
    """Return whether numbers lie where slopes do, and differ from pixel to pixel as these do."""
    values = np.concatenate([z[np.isfinite(z)] for z in parts])
    if not values.size or values.min() < 0 or values.max() > HIGHEST:
        return False
    low, high = np.quantile(values, (0.01, 0.99))
    steps = np.concatenate([np.diff(z, axis=0).ravel() for z in parts])
    steps = steps[np.isfinite(steps)]
    return bool(high - low > SPREAD and low < LOW and steps.size and steps.std() > ROUGH * values.std())
