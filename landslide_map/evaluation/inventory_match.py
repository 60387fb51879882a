"""Mapped landslides against an inventory of polygons: object-level figures.

Contact is easily had: a window of 640 m touches many slides, and a map that calls everything hits everything.
So beside contact stand the bodies that lie a third inside, the agreement of areas with and without a
tolerance, the distance of borders, and the share of the area that is mapped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyproj
import shapely

from landslide_map.array_types import Bools, Floats, Rows, Shapes
from landslide_map.errors import InputError, Notice
from landslide_map.evaluation.match_inputs import read_known, read_map
from landslide_map.evaluation.outline_agreement import (
    A_THIRD,
    BODY_M2,
    area_agreement,
    area_ratio,
    border_distance,
    inside_shares,
    summary,
)
from landslide_map.evaluation.overlaps import MIN_SHARED_M2, Clipped, clipped, overlapping_pairs
from landslide_map.vector.areas import areal_scales
from landslide_map.vector.inventory import read_polygons
from landslide_map.vector.reproject import projected

LEVEL: Final = "object level"
UNIT: Final = "object level (one known, one mapped landslide); never comparable with window-level figures"
SIZE_EDGES: Final = (1e3, 1e4, 1e5, 1e6)
"""Limits of the size classes, m2 on the ground; a limit belongs to the class above it."""


@dataclass(frozen=True, slots=True)
class Match:
    """Mapped and known landslides within the compared area, and their figures."""

    figures: dict[str, Any]
    """Figures, as :func:`compare` and :func:`evaluate_map` return them."""
    known: Shapes
    """Parts inside the area, of all that have one there."""
    inside: Floats
    """Share of each known part that is mapped."""
    mapped: Shapes
    right: Bools
    """Whether each mapped part shares ground with a known one."""
    area: shapely.Geometry
    """Area that was compared."""
    notices: tuple[Notice, ...] = ()
    """Doubts about the inventory."""


def evaluate_map(
    results: str | PathLike[str],
    inventory: str | PathLike[str],
    *,
    layer: str | None = None,
    id_column: str | None = None,
    each_part: bool = False,
    area: str | PathLike[str] | None = None,
) -> dict[str, Any]:
    """Compare the result of a run with an inventory; parameters and errors as of :func:`match_map`."""
    return match_map(
        results, inventory, layer=layer, id_column=id_column, each_part=each_part, area=area
    ).figures


def match_map(
    results: str | PathLike[str],
    inventory: str | PathLike[str],
    *,
    layer: str | None = None,
    id_column: str | None = None,
    each_part: bool = False,
    area: str | PathLike[str] | None = None,
) -> Match:
    """Compare the result of a run with an inventory.

    Parameters
    ----------
    results : path
        Folder of a run, with ``landslides.gpkg``.
    inventory : path
        Vector file of landslide polygons, in any CRS.
    layer : str, optional
        Of an inventory with several layers.
    id_column : str, optional
        Features with the same value there are one landslide; else each feature is one.
    each_part : bool
        Every part of a multipolygon is a landslide of its own.
    area : path, optional
        Polygons in which the inventory is complete; nothing outside is compared.

    Returns
    -------
    Match
        Its figures are those of :func:`compare` for the layer ``landslides``, the files compared, and
        ``notices``. ``outlines`` says what that layer holds: ``objects`` or ``windows``. Where the map has
        objects, ``windows`` has the figures of its layer of windows.

    Raises
    ------
    InputError
        E150 to E152 an inventory that cannot be read, E153 no landslide of it in the area compared, E160 no
        map in the folder.
    """
    found = read_map(Path(results))
    analysed, crs = found.analysed, found.crs
    known, notices = read_known(Path(inventory), layer, id_column, each_part, crs)
    if area is not None:
        limits, limit_notices = read_polygons(area)
        notices += limit_notices
        analysed = shapely.intersection(
            analysed, shapely.union_all(projected(limits.geometry, crs).to_numpy())
        )
    matches = {name: match(shapes, known, analysed, crs) for name, shapes in found.outlines.items()}
    outlines, best = next(iter(matches.items()))
    compared = best.figures
    if not compared["inventory"]["landslides"]:
        raise InputError(
            "E153",
            f"{inventory}: none of its {len(known)} landslides lies mostly in the area that was analysed"
            f"{' and in ' + str(area) if area is not None else ''}. Map and inventory have nothing in "
            f"common to compare ({_extent(known, 'inventory')}, {_extent(np.array([analysed]), 'area')}; "
            f"{crs.name}).",
        )
    if left_out := compared["inventory"]["left_out"]:
        notices.append(
            Notice(
                "W151",
                f"{inventory}: {left_out} of {len(known)} landslides lie mostly outside the area compared; "
                "the figures are of the others",
            )
        )
    figures = compared | {
        "map": str(results),
        "inventory_file": str(inventory),
        "outlines": outlines,
        "notices": [str(notice) for notice in notices],
    }
    if len(matches) > 1:
        figures["windows"] = matches["windows"].figures
    return replace(best, figures=figures, notices=tuple(notices))


def compare(
    mapped: Shapes,
    known: Shapes,
    area: shapely.Geometry,
    crs: pyproj.CRS,
    size_edges: Sequence[float] = SIZE_EDGES,
) -> dict[str, Any]:
    """Return the figures of :func:`match`."""
    return match(mapped, known, area, crs, size_edges).figures


def match(
    mapped: Shapes,
    known: Shapes,
    area: shapely.Geometry,
    crs: pyproj.CRS,
    size_edges: Sequence[float] = SIZE_EDGES,
) -> Match:
    """Compare mapped with known landslides inside an area.

    Parameters
    ----------
    mapped, known : ndarray of shapely polygons
        Landslides of the map, and of the inventory.
    area : shapely geometry
        The area compared: both are cut to it. A landslide with less than half of its area inside is not
        counted, though its part inside still makes the other side right.
    crs : pyproj.CRS
        Projected, metres, of all three.
    size_edges : sequence of float
        Limits of the size classes, m2.

    Returns
    -------
    Match
        Its figures: ``inventory`` and ``mapped``: counts. ``hit_rate``: share of the counted known landslides
        that share at least 1 m2 with mapped ones. ``touching``: share of the counted mapped landslides that
        share as much with known ones. ``bodies``: counted known landslides of at least 2,000 m2, and how many
        of them lie a third or more inside mapped ones (``held``). ``size_classes``: hit and held by the whole
        area of the known landslide. ``tolerance``: as of
        :func:`~landslide_map.evaluation.outline_agreement.area_agreement`. ``border_distance_m`` and
        ``area_ratio``: as of the functions of that name there. ``centroid_distance_m`` has two parts.
        ``known``: of each hit landslide and the mapped one that shares most area with it. ``mapped``: of each
        right mapped landslide and all that it shares with known ones. ``area``: of the unions recall,
        precision, intersection over union, and the share of the compared area that is mapped. Areas are on
        the ellipsoid, by the areal scale at the centre of `area`; distances are on the grid. A figure that is
        not defined is None.
    """
    scale = 1.0 if area.is_empty else float(areal_scales([area], crs)[0])
    truth, found = clipped(known, area), clipped(mapped, area)
    pair_known, pair_mapped, shared = overlapping_pairs(truth.parts, found.parts, MIN_SHARED_M2 * scale)
    hit = np.isin(np.arange(len(truth.parts)), pair_known)
    right = np.isin(np.arange(len(found.parts)), pair_mapped)
    inside = inside_shares(truth.parts, found.parts)
    sizes, counted = truth.sizes[truth.counted] / scale, truth.counted
    held = inside[counted] >= A_THIRD
    figures = {
        "level": LEVEL,
        "unit": UNIT,
        "hit_rate": _share(hit[counted]),
        "touching": _share(right[found.counted]),
        "bodies": _bodies(sizes, held),
        "inventory": _counts(truth, hit, "hit"),
        "mapped": _counts(found, right, "right"),
        "size_classes": _by_size(sizes, hit[counted], held, size_edges),
        "tolerance": area_agreement(truth.parts, found.parts),
        "border_distance_m": border_distance(truth.parts, found.parts),
        "area_ratio": area_ratio(truth.parts, found.parts),
        "centroid_distance_m": {
            "level": LEVEL,
            "known": _from_known(truth, found, pair_known, pair_mapped, shared),
            "mapped": _from_mapped(truth, found, pair_known, pair_mapped),
        },
        "area": _areas(truth.parts, found.parts, area, scale),
    }
    return Match(figures, truth.parts, inside, found.parts, right, area)


def _bodies(sizes: Floats, held: Bools) -> dict[str, Any]:
    large = sizes >= BODY_M2
    return {
        "level": LEVEL,
        "from_m2": BODY_M2,
        "landslides": int(large.sum()),
        "held": int(held[large].sum()),
        "held_rate": _share(held[large]),
    }


def _counts(own: Clipped, good: Bools, word: str) -> dict[str, int]:
    return {
        "landslides": int(own.counted.sum()),
        word: int(good[own.counted].sum()),
        "left_out": own.left_out,
    }


def _by_size(sizes: Floats, hit: Bools, held: Bools, edges: Sequence[float]) -> list[dict[str, Any]]:
    limits = [0.0, *edges, np.inf]
    classes = []
    for low, high in pairwise(limits):
        inside = (sizes >= low) & (sizes < high)
        classes.append(
            {
                "level": LEVEL,
                "name": _class_name(low, high),
                "from_m2": low,
                "to_m2": None if np.isinf(high) else high,
                "landslides": int(inside.sum()),
                "hit": int(hit[inside].sum()),
                "hit_rate": _share(hit[inside]),
                "held": int(held[inside].sum()),
                "held_rate": _share(held[inside]),
            }
        )
    return classes


def _class_name(low: float, high: float) -> str:
    if low == 0:
        return f"under {high:,.0f} m2"
    return f"{low:,.0f} m2 and more" if np.isinf(high) else f"{low:,.0f} to {high:,.0f} m2"


def _from_known(truth: Clipped, found: Clipped, a: Rows, b: Rows, shared: Floats) -> dict[str, Any]:
    order = np.lexsort((b, -shared, a))
    _, first = np.unique(a[order], return_index=True)
    best = order[first]  # of each known landslide the mapped one that shares most with it
    best = best[truth.counted[a[best]]]
    return summary(
        shapely.distance(shapely.centroid(truth.parts[a[best]]), shapely.centroid(found.parts[b[best]]))
    )


def _from_mapped(truth: Clipped, found: Clipped, a: Rows, b: Rows) -> dict[str, Any]:
    apart = [
        shapely.distance(
            shapely.centroid(found.parts[i]),
            shapely.centroid(shapely.intersection(shapely.union_all(truth.parts[a[b == i]]), found.parts[i])),
        )
        for i in np.unique(b)
        if found.counted[i]
    ]
    return summary(np.array(apart))


def _areas(known: Shapes, mapped: Shapes, area: shapely.Geometry, scale: float) -> dict[str, Any]:
    truth, found = shapely.union_all(known), shapely.union_all(mapped)
    shared = shapely.area(shapely.intersection(truth, found)) / scale
    a, b, all_ = (float(shapely.area(shape)) / scale for shape in (truth, found, area))
    return {
        "level": LEVEL,
        "analysed_m2": all_,
        "inventory_m2": a,
        "mapped_m2": b,
        "shared_m2": float(shared),
        "recall": _ratio(shared, a),
        "precision": _ratio(shared, b),
        "iou": _ratio(shared, a + b - shared),
        "mapped_share": _ratio(b, all_),
        "inventory_share": _ratio(a, all_),
    }


def _extent(shapes: Shapes, word: str) -> str:
    west, south, east, north = shapely.total_bounds(shapes)
    return f"{word} at x {west:.0f} to {east:.0f}, y {south:.0f} to {north:.0f}"


def _share(good: Bools) -> float | None:
    return float(good.mean()) if good.size else None


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None
