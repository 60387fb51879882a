"""Agreement of outlines with known landslides: areas with a tolerance, bodies, borders and sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import shapely

from landslide_map.array_types import Floats, Shapes
from landslide_map.evaluation.overlaps import MIN_SHARED_M2, overlapping_pairs

TOLERANCES_M: Final = (0.0, 10.0, 20.0)
"""None, one and two pixels: masks drawn by hand are seldom better."""
BODY_M2: Final = 2000.0
"""Twenty pixels: the least landslide that an outline of 10 m pixels should hold."""
A_THIRD: Final = 1 / 3
_STEP_M: Final = 5.0
"""Between the points of a border that distances are taken at."""


def area_agreement(
    known: Shapes, mapped: Shapes, tolerances_m: Sequence[float] = TOLERANCES_M
) -> list[dict[str, float | None]]:
    """Compare the union of mapped with the union of known landslides, with tolerances.

    Parameters
    ----------
    known, mapped : ndarray of shapely polygons
        In one projected CRS, metres. Where all follow the edges of pixels, the figures are those of pixels.
    tolerances_m : sequence of float
        With a tolerance, mapped ground that close to a known landslide is right, and known ground that close
        to a mapped one is found.

    Returns
    -------
    list of dict
        Per tolerance ``tolerance_m``, ``precision``, ``recall``, ``f1`` and ``iou``. The intersection over
        union is that of precision and recall, ``f1 / (2 - f1)``, which without tolerance is the usual one.
        None where it is not defined.
    """
    truth, found = shapely.union_all(known), shapely.union_all(mapped)
    rows: list[dict[str, float | None]] = []
    for tolerance in tolerances_m:
        wide_truth, wide_found = (shapely.buffer(s, tolerance) if tolerance else s for s in (truth, found))
        precision = _ratio(shapely.area(shapely.intersection(found, wide_truth)), shapely.area(found))
        recall = _ratio(shapely.area(shapely.intersection(truth, wide_found)), shapely.area(truth))
        f1 = _f1(precision, recall)
        rows.append(
            {
                "tolerance_m": float(tolerance),
                "precision": precision,
                "recall": recall,
                "f1": f1,
                "iou": None if f1 is None else f1 / (2 - f1),
            }
        )
    return rows


def inside_shares(known: Shapes, mapped: Shapes) -> Floats:
    """Return the share of each known landslide that lies inside the union of the mapped ones."""
    inside = np.zeros(len(known))
    pieces = shapely.get_parts(shapely.union_all(mapped)) if len(mapped) else mapped
    a, _, shared = overlapping_pairs(known, pieces, 0.0)
    np.add.at(inside, a, shared)
    whole = shapely.area(known)
    return np.asarray(np.divide(inside, whole, out=np.zeros_like(inside), where=whole > 0))


def border_distance(known: Shapes, mapped: Shapes) -> dict[str, Any]:
    """Return the distance (m) between borders of landslides that share ground, both ways.

    Points every 5 m along the border of each known landslide that is hit, to the nearest border of a mapped
    one, and the other way round: ``points``, ``median``, ``mean`` and ``p90``; None where none is hit.
    """
    a, b, _ = overlapping_pairs(known, mapped, MIN_SHARED_M2)
    hit, right = known[np.unique(a)], mapped[np.unique(b)]
    if not len(hit):
        return summary(np.zeros(0), "points")
    lines = [shapely.boundary(shapes) for shapes in (hit, right)]
    both = [_to_nearest(own, other) for own, other in (lines, lines[::-1])]
    return summary(np.concatenate(both), "points")


def _to_nearest(lines: Shapes, others: Shapes) -> Floats:
    """Return the distance of points along `lines` to the nearest of `others`."""
    corners, owner = shapely.get_coordinates(shapely.get_parts(others), return_index=True)
    joined = owner[1:] == owner[:-1]
    segments = shapely.linestrings(np.stack([corners[:-1], corners[1:]], axis=1)[joined])
    points = shapely.points(shapely.get_coordinates(shapely.segmentize(lines, _STEP_M)))
    _, distance = shapely.STRtree(segments).query_nearest(points, return_distance=True, all_matches=False)
    return np.asarray(distance)


def area_ratio(known: Shapes, mapped: Shapes) -> dict[str, Any]:
    """Return how large mapped landslides are against all known ones that each touches.

    ``pairs``, ``median``, ``p10`` and ``p90`` of mapped area over known area: 1 is right, 30 a window.
    """
    a, b, _ = overlapping_pairs(known, mapped, MIN_SHARED_M2)
    touched = np.zeros(len(mapped))
    np.add.at(touched, b, shapely.area(known)[a])
    right = touched > 0
    ratios = shapely.area(mapped)[right] / touched[right]
    low, middle, high = np.quantile(ratios, (0.1, 0.5, 0.9)) if len(ratios) else (None, None, None)
    return {
        "pairs": len(ratios),
        **{
            key: None if value is None else float(value)
            for key, value in (("median", middle), ("p10", low), ("p90", high))
        },
    }


def summary(metres: Floats, counted: str = "pairs") -> dict[str, Any]:
    """Return how many distances there are, their median, mean and the one that 90 % stay below."""
    return {
        counted: len(metres),
        "median": float(np.median(metres)) if len(metres) else None,
        "mean": float(np.mean(metres)) if len(metres) else None,
        "p90": float(np.quantile(metres, 0.9)) if len(metres) else None,
    }


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None


def _f1(precision: float | None, recall: float | None) -> float | None:
    if recall is None:
        return None
    if not precision or not recall:
        return 0.0
    return 2 * precision * recall / (precision + recall)
