"""Markdown report of a map against an inventory, at object level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from landslide_map.evaluation.report.markdown import number, table


def object_text(result: Mapping[str, Any]) -> str:
    """Return the report of a result of :func:`~landslide_map.evaluation.inventory_match.evaluate_map`."""
    lines = [
        "# Evaluation at object level",
        "",
        f"Map: {result['map']}. Inventory: {result['inventory_file']}. Every figure is at {result['unit']}.",
        "",
        *(f"- {notice}" for notice in result["notices"]),
        *([""] if result["notices"] else []),
        f"The layer `landslides` of this map holds {result['outlines']}.",
        "",
        *_layer(result),
        "![Hit rate by size](hit_rate.png)",
        "",
        "![Known and mapped landslides](outlines.png)",
        "",
    ]
    if "windows" in result:
        lines += ["# The same for the layer `windows`", "", *_layer(result["windows"])]
    return "\n".join(lines) + "\n"


def _layer(result: Mapping[str, Any]) -> list[str]:
    return [
        *_found(result),
        *_by_size(result),
        *_area(result["area"]),
        *_tolerance(result["tolerance"]),
        *_position(result),
    ]


def _found(result: Mapping[str, Any]) -> list[str]:
    bodies = result["bodies"]
    rows = [
        [words, *(str(result[side][key]) for key in ("landslides", "left_out", good)), number(result[share])]
        for words, side, good, share in (
            ("inventory: hit", "inventory", "hit", "hit_rate"),
            ("map: touching a landslide", "mapped", "right", "touching"),
        )
    ]
    return [
        "## Landslides (object level)",
        "",
        *table(["", "landslides", "left out", "right", "share"], rows),
        "A landslide of the inventory is hit where mapped ones share area with it; a mapped one touches "
        "where it shares area with the inventory, however little: see the area below. Left out: more than "
        "half outside the area that was compared.",
        "",
        f"Of {bodies['landslides']} landslides of {bodies['from_m2']:,.0f} m2 and more, {bodies['held']} lie "
        f"a third or more inside mapped ones ({number(bodies['held_rate'])}).",
        "",
    ]


def _by_size(result: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            own["name"],
            *(str(own[key]) for key in ("landslides", "hit")),
            number(own["hit_rate"]),
            str(own["held"]),
            number(own["held_rate"]),
        ]
        for own in result["size_classes"]
    ]
    return [
        "## By size (object level)",
        "",
        *table(["area on the ground", "landslides", "hit", "hit rate", "a third inside", "share"], rows),
    ]


def _area(area: Mapping[str, Any]) -> list[str]:
    rows = [
        [words, f"{area[key] / 1e6:.4f}"]
        for key, words in (
            ("analysed_m2", "compared"),
            ("inventory_m2", "landslides of the inventory"),
            ("mapped_m2", "mapped landslides"),
            ("shared_m2", "shared"),
        )
    ]
    return [
        "## Area (object level)",
        "",
        *table(["", "km2"], rows),
        f"Of the inventory's area {number(area['recall'])} is mapped, of the mapped area "
        f"{number(area['precision'])} is landslide, intersection over union {number(area['iou'])}. "
        f"The map calls {number(area['mapped_share'])} of the compared area landslide: a map drawn "
        "at random would find about that share of the inventory's area.",
        "",
    ]


def _tolerance(rows: Sequence[Mapping[str, float | None]]) -> list[str]:
    cells = [
        [f"{own['tolerance_m']:g} m", *(number(own[key]) for key in ("precision", "recall", "f1", "iou"))]
        for own in rows
    ]
    return [
        "## Area with a tolerance (object level)",
        "",
        *table(["tolerance", "precision", "recall", "F1", "intersection over union"], cells),
        "With a tolerance, mapped area that close to a landslide of the inventory is right, and landslide "
        "that close to mapped area is found.",
        "",
    ]


def _position(result: Mapping[str, Any]) -> list[str]:
    distances, borders, ratio = (
        result[key] for key in ("centroid_distance_m", "border_distance_m", "area_ratio")
    )
    rows = [
        [words, str(distances[key]["pairs"]), *_metres(distances[key])]
        for key, words in (
            ("known", "known landslide, and the mapped one that shares most area with it"),
            ("mapped", "mapped landslide, and all that it shares with known ones"),
        )
    ]
    return [
        "## Position (object level)",
        "",
        *table(["distance of centroids", "pairs", "median", "mean", "90 % within"], rows),
        "Borders of landslides that share area lie "
        + " / ".join(_metres(borders))
        + " apart (median, mean, 90 % within). A mapped landslide has "
        + " / ".join(number(ratio[key]) for key in ("p10", "median", "p90"))
        + " times the area of those of the inventory that it touches (10 %, median, 90 %).",
        "",
    ]


def _metres(own: Mapping[str, Any]) -> list[str]:
    return ["-" if own[key] is None else f"{own[key]:.0f} m" for key in ("median", "mean", "p90")]
