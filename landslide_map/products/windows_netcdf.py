"""``windows.nc``: the record of every window.

netCDF 3 with CF attributes, so that any netCDF reader opens it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr
from dask import config, threaded
from xarray.backends.common import ArrayWriter

from landslide_map.grid import Grid
from landslide_map.window_record import WindowRecord
from landslide_map.windows import WindowPlan

_COORDINATES: Final = ("y", "x", "row_start", "col_start", "member", "group", "spatial_ref")
"""Coordinates, in the order of the file."""


def windows_dataset(
    record: WindowRecord, plan: WindowPlan, grid: Grid, attributes: Mapping[str, str]
) -> xr.Dataset:
    """Return the record as a CF-like Dataset over (row, col) of the windows.

    Parameters
    ----------
    record : WindowRecord
        Of all windows of `plan`, ``plan.grid_shape``.
    plan : WindowPlan
    grid : Grid
        Where the pixels lie; `y` and `x` are the centres of the windows in its CRS.
    attributes : mapping of str to str
        Global attributes: bundle, version, times.

    Returns
    -------
    Dataset
        As from :meth:`.WindowRecord.to_dataset`, with coordinates of the windows.
    """
    dataset = record.to_dataset()
    for variable in dataset.data_vars.values():
        variable.attrs["grid_mapping"] = "spatial_ref"
    about = {
        "Conventions": "CF-1.8",
        "title": "Landslide probability of every window",
        "window_size_px": np.int32(plan.size),
        "window_size_m": float(plan.size * abs(grid.transform.a)),
        **attributes,
    }
    variables = {str(name): own.variable for name, own in dataset.data_vars.items()}
    coordinates = {**_coordinates(plan, grid), "member": dataset["member"], "group": dataset["group"]}
    return xr.Dataset(variables, {name: coordinates[name] for name in _COORDINATES}, about)


def write_windows(path: Path, dataset: xr.Dataset) -> None:
    """Write `dataset` as netCDF 3.

    By the parts of ``Dataset.to_netcdf``, which looks for a scheduler in ``dask.distributed``: importing that
    takes a twentieth of a small run.
    """
    floats = [name for name, variable in dataset.variables.items() if variable.dtype.kind == "f"]
    encoding = {name: {"_FillValue": None if name in ("x", "y") else np.nan} for name in floats}
    writer = ArrayWriter()  # type: ignore[no-untyped-call]
    store = xr.backends.ScipyDataStore(str(path), mode="w", format="NETCDF3_64BIT", lock=False)
    with closing(store), config.set(scheduler=threaded.get):
        dataset.dump_to_store(store, writer=writer, encoding=encoding)
        writer.sync()  # type: ignore[no-untyped-call]


def _coordinates(plan: WindowPlan, grid: Grid) -> dict[str, Any]:
    """Return where the windows lie."""
    transform, centre = grid.transform, plan.size / 2
    rows, cols = plan.row_starts + centre, plan.col_starts + centre
    return {
        "y": ("row", transform.f + rows * transform.e, _axis("y", "northing")),
        "x": ("col", transform.c + cols * transform.a, _axis("x", "easting")),
        "row_start": (
            "row",
            plan.row_starts.astype(np.int32),
            {"long_name": "first pixel row of the window"},
        ),
        "col_start": (
            "col",
            plan.col_starts.astype(np.int32),
            {"long_name": "first pixel column of the window"},
        ),
        "spatial_ref": ((), np.int32(0), {"crs_wkt": grid.crs.to_wkt(), "spatial_ref": grid.crs.to_wkt()}),
    }


def _axis(name: str, title: str) -> dict[str, str]:
    return {
        "standard_name": f"projection_{name}_coordinate",
        "long_name": f"{title} of the centre of the window",
        "units": "m",
    }
