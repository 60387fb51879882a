"""Layers of windows at a larger stride, from the windows that a run stored."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import xarray as xr

from landslide_map.errors import InputError, UsageError
from landslide_map.grid import Grid
from landslide_map.products import CLASSES
from landslide_map.products import WINDOWS as WINDOWS_FILE
from landslide_map.products.columns import ANALYSED, WINDOWS
from landslide_map.products.painting import least_over, mean_over, window_mosaic
from landslide_map.products.polygons import analysed_areas, landslides
from landslide_map.products.rasters import classify
from landslide_map.raster.dataset import open_dataset
from landslide_map.runtime.own_files import file_record
from landslide_map.window_record import WindowRecord
from landslide_map.windows import LEAST_STRIDE, SIZE, WindowPlan, plan_windows


def coarser_layers(
    results: Path, parent: Mapping[str, Any], tags: Mapping[str, str], like: gpd.GeoDataFrame, stride: int
) -> dict[str, gpd.GeoDataFrame]:
    """Return the layers ``windows`` and ``analysed`` that a run at a larger stride would have written.

    A window says the same at any stride: those of the larger one are taken from the windows stored.

    Parameters
    ----------
    results : Path
        Folder of the run.
    parent : mapping
        Its manifest.
    tags : mapping of str to str
        About the run, as its GeoPackages hold them.
    like : GeoDataFrame
        The layer ``windows`` of the run; its dates are those of the new one.
    stride : int
        Pixels; a multiple of the run's, at most 64.

    Raises
    ------
    UsageError
        E433, no such stride can be had of these windows.
    InputError
        E175, a file of the run was changed since.
    """
    stored = int(parent["configuration"]["stride"])
    if stride % stored or not stored <= stride <= SIZE:
        raise UsageError(
            "E433",
            f"{results} holds windows at a stride of {stored} pixels. {stride} cannot be made of them, but "
            f"{', '.join(map(str, range(stored, SIZE + 1, stored)))} can. For another stride map the scene "
            f"again: landslide-map run SCENE --stride {min(max(stride, LEAST_STRIDE), SIZE)}.",
        )
    for name in (WINDOWS_FILE, CLASSES):
        if not (results / name).exists() or file_record(results / name) != parent["outputs"].get(name):
            raise InputError(
                "E175", f"{results / name} was changed since the run that made it. Map the scene again."
            )
    with open_dataset(results / CLASSES) as source:
        grid = Grid(source.crs, source.transform, source.width, source.height)
    plan = plan_windows(grid.shape, stride)
    record = _stored_record(results / WINDOWS_FILE, plan, tuple(tags["bundle_scenarios"].split("; ")))
    probability, codes = mean_over(record.probability, plan), least_over(record.codes, plan)
    classes = classify(probability, mean_over(record.threshold, plan), codes)
    dates = {
        str(name): datetime.fromisoformat(tags[name]) if name in tags else None
        for name in like.columns
        if like[name].dtype.kind == "M"
    }
    least = float(parent["configuration"]["output"]["min_area_m2"])
    mosaic = window_mosaic(plan)
    return {
        WINDOWS: landslides(classes, probability, mosaic, record, plan, grid, dates, least),
        ANALYSED: analysed_areas(codes, mosaic, record.scenarios, grid),
    }


def _stored_record(path: Path, plan: WindowPlan, scenarios: tuple[str, ...]) -> WindowRecord:
    """Return the stored numbers of the windows of a plan, without those of members."""
    with xr.open_dataset(path, engine="scipy") as stored:
        rows = np.searchsorted(stored["row_start"].values, plan.row_starts)
        cols = np.searchsorted(stored["col_start"].values, plan.col_starts)
        chosen: dict[str, Any] = {
            name: stored[name].values[np.ix_(rows, cols)].astype(number.dtype)
            for name, number in WindowRecord.NUMBERS.items()
            if number.each is None and name in stored
        }
    return WindowRecord(**chosen, scenarios=scenarios)
