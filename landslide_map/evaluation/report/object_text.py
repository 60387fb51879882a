"""The report of a map against an inventory, at object level, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from landslide_map.evaluation.report.markdown import number, table


def object_text(result: Mapping[str, Any]) -> str:
    """Return the report of what :func:`~landslide_map.evaluation.inventory_match.evaluate_map` found."""
    lines = [
        "# Evaluation at object level",
        "",
        f"Map: {result['map']}. Inventory: {result['inventory_file']}. Every figure is at {result['unit']}.",
        "",
        *(f"- {notice}" for notice in result["notices"]),
        *([""] if result["notices"] else []),
        *_found(result),
        *_by_size(result),
        *_area(result["area"]),
        *_position(result["centroid_distance_m"]),
    ]
    return "\n".join(lines) + "\n"


def _found(result: Mapping[str, Any]) -> list[str]:
    rows = [
        [words, *(str(result[side][key]) for key in ("landslides", "left_out", good)), number(result[share])]
        for words, side, good, share in (
            ("inventory: hit", "inventory", "hit", "hit_rate"),
            ("map: on a landslide", "mapped", "right", "precision"),
        )
    ]
    return [
        "## Landslides (object level)",
        "",
        *table(["", "landslides", "left out", "right", "share"], rows),
        "A landslide of the inventory is hit where mapped landslides share area with it; a mapped "
        "one is right where it shares area with the inventory. Left out: more than half outside the "
        "area that was compared.",
        "",
    ]


def _by_size(result: Mapping[str, Any]) -> list[str]:
    rows = [
        [own["name"], str(own["landslides"]), str(own["hit"]), number(own["hit_rate"])]
        for own in result["size_classes"]
    ]
    return [
        "## By size (object level)",
        "",
        *table(["area on the ground", "landslides", "hit", "hit rate"], rows),
        "![Hit rate by size](hit_rate.png)",
        "",
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


def _position(distances: Mapping[str, Any]) -> list[str]:
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
    ]


def _metres(own: Mapping[str, Any]) -> list[str]:
    return ["-" if own[key] is None else f"{own[key]:.0f} m" for key in ("median", "mean", "p90")]
