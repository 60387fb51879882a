"""Overlaps of mapped and known landslides, within the compared area."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely

from landslide_map.array_types import Bools, Floats, Rows, Shapes

MIN_SHARED_M2: Final = 1.0
"""Shapes that share less only touch: rounding of coordinates shifts borders by millimetres. Of shapes below
2 m2, which inventories have, half is enough."""
MOSTLY: Final = 0.5
"""Share of a landslide that must lie in the area compared, or it is left out."""


@dataclass(frozen=True, slots=True)
class Clipped:
    """Landslides cut to the area compared; all that share area with it."""

    parts: Shapes
    """Their parts inside."""
    counted: Bools
    """Whether at least half of each is inside."""
    sizes: Floats
    """Their whole areas on the grid, m2."""
    left_out: int
    """Landslides that are not counted."""


def clipped(shapes: Shapes, area: shapely.Geometry) -> Clipped:
    """Cut landslides to `area`; those that share no area with it are left out."""
    shapely.prepare(area)
    near = shapes[shapely.intersects(shapes, area)] if len(shapes) else shapes
    whole = shapely.area(near)
    parts = np.where(shapely.covered_by(near, area), near, shapely.intersection(near, area))
    inside = shapely.area(parts)
    held = inside > 0
    counted = inside[held] >= MOSTLY * whole[held]
    return Clipped(parts[held], counted, whole[held], len(shapes) - int(counted.sum()))


def overlapping_pairs(known: Shapes, mapped: Shapes, least: float) -> tuple[Rows, Rows, Floats]:
    """Return index pairs of shapes that share at least `least`, or half of the smaller, and how much."""
    if not len(known) or not len(mapped):
        none = np.zeros(0, dtype=np.intp)
        return none, none, np.zeros(0)
    a, b = shapely.STRtree(mapped).query(known, predicate="intersects")
    areas = shapely.area(shapely.intersection(known[a], mapped[b]))
    smaller = np.minimum(shapely.area(known[a]), shapely.area(mapped[b]))
    enough = areas >= np.minimum(least, smaller / 2)
    return a[enough], b[enough], areas[enough]
