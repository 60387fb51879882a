"""Inventory of landslide polygons, and the share of each window that they cover."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pyogrio
import shapely

from landslide_map.array_types import Floats, Shapes
from landslide_map.errors import InputError, Notice
from landslide_map.grid import Grid
from landslide_map.vector.dataset import UNREADABLE, readable
from landslide_map.vector.layers import check_coordinates, spatial_layers, unclosed_rings
from landslide_map.vector.reproject import no_degrees, projected
from landslide_map.windows import WindowPlan

_POLYGONS: Final = {"Polygon", "MultiPolygon"}
_RELEASE: Final = "Export it as GeoPackage with a projection, e.g. from QGIS."


def read_inventory(
    path: str | PathLike[str], grid: Grid, layer: str | None = None
) -> tuple[Shapes, list[Notice]]:
    """Read polygons and bring them onto a grid.

    Parameters
    ----------
    path : path
        Any vector file that GDAL reads.
    grid : Grid
        Where they are wanted.
    layer : str, optional
        Of a file with several; by default the first that has shapes.

    Returns
    -------
    shapes : ndarray of shapely polygons
        Those that touch the grid, in its CRS, disjoint: where polygons overlap they are one.
    notices : list of Notice
        W150 broken outlines that were repaired, W151 polygons outside the grid.

    Raises
    ------
    InputError
        E150 missing, unreadable or empty, E151 without CRS or not in the degrees that it declares. E152 other
        shapes than polygons, E153 no polygon on the grid.
    """
    held, notices = read_polygons(path, layer)
    placed = projected(held.geometry, grid.crs)
    inside = placed[placed.intersects(shapely.box(*grid.bounds))]
    if inside.empty:
        west, south, east, north = placed.total_bounds
        raise InputError(
            "E153",
            f"{path}: none of its {len(held)} polygons is on the scene's grid. They lie at x {west:.0f} to "
            f"{east:.0f}, y {south:.0f} to {north:.0f}. The grid lies at x {grid.bounds[0]:.0f} to "
            f"{grid.bounds[2]:.0f}, y {grid.bounds[1]:.0f} to {grid.bounds[3]:.0f} ({grid.crs}). Check that "
            "inventory and scene are of one place, and that the inventory states its CRS rightly.",
        )
    if outside := len(held) - len(inside):
        notices.append(Notice("W151", f"{path}: {outside} of {len(held)} polygons lie outside the grid."))
    merged = shapely.get_parts(shapely.union_all(inside.to_numpy()))
    merged = merged[shapely.area(merged) > 0]
    if not len(merged):
        raise InputError("E150", f"{path}: none of its {len(held)} polygons has an area on the scene's grid.")
    return merged, notices


def read_polygons(
    path: str | PathLike[str], layer: str | None = None, columns: Sequence[str] = ()
) -> tuple[gpd.GeoDataFrame, list[Notice]]:
    """Read the polygons of a vector file, valid and in its own CRS.

    Parameters
    ----------
    path, layer
        As above.
    columns : sequence of str
        Attributes to read with the shapes.

    Returns
    -------
    table : GeoDataFrame
        One row for each feature with a shape.
    notices : list of Notice
        W150 broken outlines that were repaired.

    Raises
    ------
    InputError
        E150 missing, unreadable, empty or without the columns, E151 without CRS or not in the degrees it
        promises, E152 other shapes than polygons.
    """
    path = Path(path)
    table = _read(path, layer, columns)
    if table.crs is None:
        raise InputError("E151", f"{path}: has no coordinate reference system. {_RELEASE}")
    held = table[~(table.geometry.isna() | table.geometry.is_empty)]
    if held.empty:
        raise InputError("E150", f"{path}: holds no polygon ({len(table)} features without a shape).")
    if contradiction := no_degrees(held.geometry):
        raise InputError("E151", f"{path}: {contradiction}.")
    kinds = set(held.geometry.geom_type)
    if wrong := sorted(kinds - _POLYGONS):
        count = int((~held.geometry.geom_type.isin(_POLYGONS)).sum())
        raise InputError(
            "E152",
            f"{path}: {count} of {len(held)} shapes are of type {', '.join(wrong)}; expected polygons, the "
            "outlines of landslides: how much of a window they cover decides its label.",
        )
    notices = []
    broken = int((~held.geometry.is_valid).sum())
    if broken:
        notices.append(Notice("W150", f"{path}: {broken} outlines cross themselves; they were repaired."))
    return held.set_geometry(held.geometry.make_valid()), notices


def covered_fraction(shapes: Sequence[Any] | Shapes, plan: WindowPlan, grid: Grid) -> Floats:
    """Return the share of each window's area that disjoint polygons cover, ``(window,)``, exactly."""
    size = plan.size
    left = grid.transform.c + plan.col_starts * grid.transform.a
    top = grid.transform.f + plan.row_starts * grid.transform.e
    west, north = np.meshgrid(left, top)
    east, south = west + size * grid.transform.a, north + size * grid.transform.e
    windows = shapely.box(west.ravel(), south.ravel(), east.ravel(), north.ravel())
    shapes = np.asarray(shapes, dtype=object)
    window, shape = shapely.STRtree(shapes).query(windows, predicate="intersects")
    areas = shapely.area(shapely.intersection(windows[window], shapes[shape]))
    covered = np.bincount(window, weights=areas, minlength=plan.count)
    share: Floats = np.minimum(covered / shapely.area(windows), 1.0)
    return share


def _read(path: Path, layer: str | None, columns: Sequence[str]) -> gpd.GeoDataFrame:
    if not path.exists():
        raise InputError("E150", f"{path}: no such file; expected an inventory of polygons.")
    try:
        with readable(path) as local, unclosed_rings(), np.errstate(invalid="ignore"):
            first = layer or next(iter(spatial_layers(local)), None)
            table = pyogrio.read_dataframe(local, layer=first, columns=list(columns))
            if isinstance(table, gpd.GeoDataFrame):
                check_coordinates(table.geometry.to_numpy())
    except InputError:
        raise
    except (*UNREADABLE, ValueError, shapely.errors.ShapelyError) as error:
        raise InputError("E150", f"{path}: cannot be read as a vector file ({error}).") from error
    if not isinstance(table, gpd.GeoDataFrame):
        raise InputError("E150", f"{path}: is a table without shapes; expected polygons.")
    if missing := [name for name in columns if name not in table.columns]:
        raise InputError("E150", f"{path}: has no column {missing[0]!r}.")
    return table
