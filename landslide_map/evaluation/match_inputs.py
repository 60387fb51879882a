"""Readers of a finished map and of an inventory, for their comparison."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyogrio
import pyproj
import shapely

from landslide_map.array_types import Shapes
from landslide_map.errors import InputError, Notice
from landslide_map.products import LANDSLIDES
from landslide_map.products.columns import ANALYSED
from landslide_map.products.columns import LANDSLIDES as LANDSLIDE_LAYER
from landslide_map.vector.dataset import UNREADABLE, readable
from landslide_map.vector.inventory import read_polygons
from landslide_map.vector.reproject import projected

WINDOWS: Final = "windows"
"""Layer of windows above the threshold, where ``landslides`` holds objects."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """Outlines of a finished map."""

    outlines: dict[str, Shapes]
    """Outlines by kind: ``objects`` or ``windows``, as the layer of landslides; with objects ``windows``."""
    analysed: shapely.Geometry
    crs: pyproj.CRS


def read_map(folder: Path) -> Mapped:
    """Return the outlines of a finished map, and the area that it analysed; E160."""
    path = folder / LANDSLIDES if folder.is_dir() else folder
    if not path.is_file():
        raise InputError(
            "E160", f"{path}: no such file; expected the folder of a finished run, with {LANDSLIDES}."
        )
    try:
        with readable(path) as local:
            layers = {name for name, _ in pyogrio.list_layers(local)}
            mapped = pyogrio.read_dataframe(local, layer=LANDSLIDE_LAYER, columns=[])
            windows = pyogrio.read_dataframe(local, layer=WINDOWS, columns=[]) if WINDOWS in layers else None
            analysed = pyogrio.read_dataframe(local, layer=ANALYSED, columns=["status"])
    except UNREADABLE as error:
        raise InputError(
            "E160",
            f"{path}: is no map of landslide-map, with layers {LANDSLIDE_LAYER} and {ANALYSED} ({error}).",
        ) from error
    held = analysed[analysed["status"] == "analysed"].geometry.to_numpy()
    if not len(held):
        raise InputError("E160", f"{path}: nothing was analysed in this run, so there is nothing to compare.")
    own = mapped.geometry.to_numpy()
    both = {"windows": own} if windows is None else {"objects": own, "windows": windows.geometry.to_numpy()}
    return Mapped(both, shapely.union_all(held), pyproj.CRS(analysed.crs))


def read_known(
    path: Path, layer: str | None, id_column: str | None, each_part: bool, crs: pyproj.CRS
) -> tuple[Shapes, list[Notice]]:
    """Return the landslides of an inventory in `crs`, and notices; E150 to E152.

    Features with the same value of `id_column` are one landslide; with `each_part` every part is one.
    """
    table, notices = read_polygons(path, layer, [] if id_column is None else [id_column])
    if id_column is not None:
        if missing := int(table[id_column].isna().sum()):
            raise InputError("E150", f"{path}: {missing} polygons have no value in column {id_column!r}.")
        table = table.dissolve(by=id_column)
    if each_part:
        table = table.explode(index_parts=False)
    placed = projected(table.geometry, crs)
    placed = placed[np.isfinite(placed.bounds).all(axis=1)]  # without what the map's projection cannot hold
    polygons = np.array([_polygonal(shape) for shape in placed.make_valid()], dtype=object)
    polygons = polygons[shapely.area(polygons) > 0]
    if not len(polygons):
        raise InputError("E150", f"{path}: none of its {len(table)} polygons has an area in {crs.name}.")
    return polygons, notices


def _polygonal(shape: Any) -> Any:
    """Return the polygons of a shape: repairing an outline may leave lines and points beside them."""
    if shape.geom_type in ("Polygon", "MultiPolygon"):
        return shape
    parts = shapely.get_parts(shape)
    return shapely.union_all([part for part in parts if part.geom_type in ("Polygon", "MultiPolygon")])
