"""Landslide outlines and the area analysed, as GeoDataFrames in the grid's CRS.

A landslide is one component of pixels of class 1 that touch by edge or corner. Its outline is traced
with edge contact only, which gives valid rings; parts that meet at a corner make one MultiPolygon.
Pixels touch where cells do, so all is worked out on cells; only vertices are moved to pixel corners.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyproj
import shapely
from rasterio.features import shapes
from scipy import ndimage
from shapely.geometry import MultiPolygon, shape

from landslide_map.errors import Notice
from landslide_map.grid import Grid
from landslide_map.products import CLASSES
from landslide_map.products.painting import WindowMosaic, mean_over
from landslide_map.products.rasters import LANDSLIDE
from landslide_map.reasons import REASON_NAMES, Reason
from landslide_map.vector.areas import small_areas
from landslide_map.window_record import FIRST_REASON, WindowRecord
from landslide_map.windows import WindowPlan

_CORNERS: Final = np.ones((3, 3), dtype=int)
LANDSLIDE_COLUMNS: Final = {
    "id": "int32",
    "prob_mean": "float64",
    "prob_max": "float64",
    "area_m2": "float64",
    "windows": "int32",
    "windows_above": "int32",
    "scenario": "str",
    "unlike_training": "float64",
}
"""Column -> dtype of the landslides layer, before the dates."""
ANALYSED_COLUMNS: Final = {"status": "str", "reason": "str", "scenario": "str", "area_m2": "float64"}
"""Column -> dtype of the analysed layer."""


def landslides(
    classes: npt.NDArray[np.uint8],
    probability: npt.NDArray[np.floating],
    mosaic: WindowMosaic,
    record: WindowRecord,
    plan: WindowPlan,
    grid: Grid,
    dates: Mapping[str, datetime | None],
    min_area_m2: float = 0.0,
) -> gpd.GeoDataFrame:
    """Return the landslides of a map, the most probable first.

    Parameters
    ----------
    classes : uint8, ``mosaic.shape``
        Values as in ``rasters.CLASS_NAMES``.
    probability : float, ``mosaic.shape``
        As stored; a number wherever the class is 1.
    mosaic : WindowMosaic
        Of `grid`; no window edge lies inside one.
    record : WindowRecord
        The windows behind the probabilities, as rows and columns of `plan`.
    plan : WindowPlan
    grid : Grid
        Where the pixels lie.
    dates : mapping of str to datetime or None
        Columns that every landslide carries, UTC; None where the scene has no such image.
    min_area_m2 : float
        Landslides smaller than this on the grid are left out.

    Returns
    -------
    GeoDataFrame
        MultiPolygons in ``grid.crs`` with ``LANDSLIDE_COLUMNS`` and one datetime column per date.
        Probabilities are means and maxima over the landslide's pixels, rounded to 3 decimals. `area_m2` is
        the true area on the ellipsoid: pixel area divided by the projection's areal scale at the centre of
        the landslide. It is good to 1e-4 for landslides up to 50 km across.
    """
    labels, sizes = _components(classes == LANDSLIDE, mosaic.pixels, min_area_m2 / pixel_area(grid))
    count = len(sizes)
    zones = np.arange(1, count + 1)
    probability = probability.astype(np.float64)
    mean = ndimage.sum_labels(probability * mosaic.pixels, labels, zones) / sizes
    maximum = ndimage.maximum(probability, labels, zones)
    touching = _touching_windows(labels, count, mosaic, record, plan)
    geometry = regions(labels, mosaic, grid, labels > 0)
    outlines = [geometry[label] for label in range(1, count + 1)]
    frame = gpd.GeoDataFrame(
        {
            "prob_mean": mean.round(3),
            "prob_max": maximum.round(3),
            "area_m2": small_areas(sizes * pixel_area(grid), outlines, grid_crs(grid)),
            "windows": touching["analysed"],
            "windows_above": touching["above"],
            "scenario": [record.scenarios[index] for index in touching["scenario"]],
            "unlike_training": _unlike(labels, zones, mosaic, record, plan),
            "order": -maximum,
        },
        geometry=gpd.GeoSeries(outlines, crs=grid_crs(grid)),
    )
    # Labels are numbered by first cell, so a stable sort makes the order the same on every run.
    frame = frame.sort_values(["order", "area_m2"], ascending=[True, False], kind="stable")
    frame = frame.reset_index(drop=True)
    frame["id"] = np.arange(1, count + 1)
    return typed(frame, LANDSLIDE_COLUMNS, dates)


def _unlike(
    labels: npt.NDArray[np.int32],
    zones: npt.NDArray[np.int64],
    mosaic: WindowMosaic,
    record: WindowRecord,
    plan: WindowPlan,
) -> npt.NDArray[np.float64]:
    """Return the mean `unlike_training` of the windows over each component, pixel by pixel."""
    if record.unlike_training is None:
        return np.full(len(zones), np.nan)
    values = mean_over(record.unlike_training, plan).astype(np.float64)
    pixels = np.where(np.isnan(values), 0, mosaic.pixels)
    total = ndimage.sum_labels(np.nan_to_num(values) * pixels, labels, zones)
    mean: npt.NDArray[np.float64] = (total / ndimage.sum_labels(pixels, labels, zones)).round(3)
    return mean


def analysed_areas(
    codes: npt.NDArray[np.uint8], mosaic: WindowMosaic, scenarios: tuple[str, ...], grid: Grid
) -> gpd.GeoDataFrame:
    """Return one MultiPolygon for each way in which a part of the grid was, or was not, analysed.

    Parameters
    ----------
    codes : uint8, ``mosaic.shape``
        Scenario index (below 250) or ``Reason``.
    mosaic : WindowMosaic
        Of `grid`.
    scenarios : tuple of str
        Names of the scenario indices in `codes`.
    grid : Grid
        Where the pixels lie.

    Returns
    -------
    GeoDataFrame
        Columns `status` (``analysed`` or ``not analysed``), `reason` (empty if analysed), `scenario`
        (empty if not) and `area_m2` on the ellipsoid. Together the rows cover the grid once.
    """
    parts = regions(codes, mosaic, grid)
    sizes = np.bincount(codes.ravel(), mosaic.pixels.ravel(), minlength=256)
    present = sorted(parts)
    frame = gpd.GeoDataFrame(
        {
            "status": ["not analysed" if code >= FIRST_REASON else "analysed" for code in present],
            "reason": [REASON_NAMES[Reason(code)] if code >= FIRST_REASON else "" for code in present],
            "scenario": ["" if code >= FIRST_REASON else scenarios[code] for code in present],
            "area_m2": small_areas(
                sizes[present] * pixel_area(grid), [parts[code] for code in present], grid_crs(grid)
            ),
        },
        geometry=gpd.GeoSeries([parts[code] for code in present], crs=grid_crs(grid)),
    )
    return typed(frame, ANALYSED_COLUMNS, {})


def regions(
    values: npt.NDArray[Any], mosaic: WindowMosaic, grid: Grid, mask: npt.NDArray[np.bool_] | None = None
) -> dict[int, MultiPolygon]:
    """Return the area of every integer value of cells as one valid MultiPolygon in the grid's CRS."""
    parts: dict[int, list[Any]] = {}
    for outline, value in shapes(values, mask=mask, connectivity=4):
        parts.setdefault(int(value), []).append(shape(outline))
    x = grid.transform.c + mosaic.col_edges * grid.transform.a
    y = grid.transform.f + mosaic.row_edges * grid.transform.e

    def placed(corners: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        col, row = corners.astype(np.int64).T
        return np.column_stack([x[col], y[row]])

    return {value: shapely.transform(MultiPolygon(polygons), placed) for value, polygons in parts.items()}


def left_out(
    classes: npt.NDArray[np.uint8], mosaic: WindowMosaic, grid: Grid, min_area_m2: float
) -> tuple[Notice, ...]:
    """Return a notice (I420) of the landslides that :func:`landslides` leaves out, if there are any."""
    mask = classes == LANDSLIDE
    counts = [
        len(_components(mask, mosaic.pixels, least)[1]) for least in (0.0, min_area_m2 / pixel_area(grid))
    ]
    small = counts[0] - counts[1]
    return (area_notice(small, min_area_m2, CLASSES),) if small else ()


def area_notice(small: int, min_area_m2: float, elsewhere: str) -> Notice:
    """Return the notice (I420) that some landslides have no outline, and which file has them."""
    what, has = ("area is", "it") if small == 1 else ("areas are", "them")
    message = (
        f"{small} landslide {what} smaller than output.min_area_m2 ({min_area_m2:g} m2) and left out of the "
        f"outlines; {elsewhere} has {has}"
    )
    return Notice("I420", message)


def _components(
    mask: npt.NDArray[np.bool_], pixels: npt.NDArray[np.int64], min_pixels: float
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Label the components of at least `min_pixels`, 1 to n by first cell; return labels and sizes."""
    labels, count = ndimage.label(mask, structure=_CORNERS)
    sizes = ndimage.sum_labels(pixels, labels, np.arange(count + 1)).astype(np.int64)
    keep = sizes >= min_pixels
    keep[0] = False
    renumbered = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
    return renumbered[labels], sizes[keep]


def _touching_windows(
    labels: npt.NDArray[np.int32], count: int, mosaic: WindowMosaic, record: WindowRecord, plan: WindowPlan
) -> dict[str, npt.NDArray[np.int64]]:
    """Count, per component, the windows that share a cell with it.

    Returns
    -------
    dict
        `analysed` and `above` (windows with a probability above the threshold), and `scenario`, the most
        frequent index among the windows above; each ``(count,)``.
    """
    above = np.zeros((count + 1, len(record.scenarios)), dtype=np.int64)
    analysed = np.zeros(count + 1, dtype=np.int64)
    positive = record.positive
    tops = np.searchsorted(mosaic.row_edges, plan.row_starts)
    bottoms = np.searchsorted(mosaic.row_edges, plan.row_starts + plan.size)
    for i, (top, bottom) in enumerate(zip(tops, bottoms, strict=True)):
        component, first, stop = _column_runs(labels[top:bottom], mosaic, plan)
        np.add.at(analysed, component, _between(record.scenario[i] >= 0, first, stop))
        for index in range(len(record.scenarios)):
            chosen = positive[i] & (record.scenario[i] == index)
            np.add.at(above[:, index], component, _between(chosen, first, stop))
    return {"analysed": analysed[1:], "above": above[1:].sum(axis=1), "scenario": above[1:].argmax(axis=1)}


def _column_runs(
    band: npt.NDArray[np.int32], mosaic: WindowMosaic, plan: WindowPlan
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return disjoint runs ``(component, first window, stop window)`` of one row of windows.

    Every window column that shares a cell with a component is in exactly one of the component's runs.
    """
    width = band.shape[1]
    cell = np.flatnonzero(band)
    pairs = np.unique(band.ravel()[cell].astype(np.int64) * width + cell % width)
    component, column = pairs // width, mosaic.col_edges[pairs % width]
    first = np.searchsorted(plan.col_starts, column - plan.size, side="right")
    stop = np.searchsorted(plan.col_starts, column, side="right")
    # Columns increase within a component, so `stop` does too: start where the previous run ended.
    same = component[1:] == component[:-1]
    first[1:] = np.where(same, np.maximum(first[1:], stop[:-1]), first[1:])
    return component, first, stop


def _between(
    chosen: npt.NDArray[np.bool_], first: npt.NDArray[np.int64], stop: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Count the chosen windows in each run."""
    before = np.zeros(len(chosen) + 1, dtype=np.int64)
    np.cumsum(chosen, out=before[1:])
    return before[stop] - before[first]


def pixel_area(grid: Grid) -> float:
    """Return the planar area of a pixel, square metres."""
    return abs(float(grid.transform.determinant))


def grid_crs(grid: Grid) -> pyproj.CRS:
    """Return the CRS of a grid as pyproj knows it."""
    epsg = grid.crs.to_epsg()
    return pyproj.CRS.from_epsg(epsg) if epsg else pyproj.CRS.from_wkt(grid.crs.to_wkt())


def typed(
    frame: gpd.GeoDataFrame, columns: Mapping[str, str], dates: Mapping[str, datetime | None]
) -> gpd.GeoDataFrame:
    """Return `frame` with these columns and dtypes, the same for any number of rows."""
    for name, when in dates.items():
        frame[name] = pd.Series(when, index=frame.index, dtype="datetime64[ms, UTC]")
    return frame[[*columns, *dates, "geometry"]].astype(dict(columns))
