"""Picture of footprints: the area, and the chosen images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import shapely

from landslide_map.runtime.atomic import whole_file
from landslide_map.search.selection import Selection

_COLOURS = {"descending": "tab:blue", "ascending": "tab:orange", "optical": "tab:green"}


def draw(selection: Selection, path: Path) -> None:
    """Write a PNG: the area in red, footprints of images and passes in the colours of the legend."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 7), layout="constrained")
    axes = figure.add_subplot()
    labels: set[str] = set()
    for side, ranked in selection.images:
        _outline(axes, ranked.image.footprint, _COLOURS["optical"], side, f"Sentinel-2 {side}", labels)
    for track, side, one in selection.passes:
        union = shapely.union_all([piece.footprint for piece in one.slices])
        _outline(axes, union, _COLOURS[track.state], side, f"Sentinel-1 {track.name} {side}", labels)
    for part in shapely.get_parts(selection.area.shape):
        axes.fill(*part.exterior.xy, facecolor="red", alpha=0.25, edgecolor="red", label=None)
    axes.set_xlabel("longitude, degrees")
    axes.set_ylabel("latitude, degrees")
    axes.set_title(f"Images for the event of {selection.event.time:%Y-%m-%d %H:%M} UTC; the area is red")
    if labels:
        axes.legend(loc="upper right", fontsize="small")
    with whole_file(path) as partial:
        figure.savefig(partial, format="png", dpi=120)


def _outline(axes: Any, shape: Any, colour: str, side: str, label: str, labels: set[str]) -> None:
    for part in shapely.get_parts(shape):
        axes.plot(
            *part.exterior.xy,
            color=colour,
            linestyle="-" if side == "post" else "--",
            label=None if label in labels else label,
        )
        labels.add(label)
