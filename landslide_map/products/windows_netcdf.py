"""``windows.nc``: the record of every window.

netCDF 3 with CF attributes, so that any netCDF reader opens it.
"""

# mypy: untyped-calls-exclude=dask

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.delayed import delayed

from landslide_map.grid import Grid
from landslide_map.inference.record import WindowRecord
from landslide_map.reasons import REASON_NAMES, Reason

Variable = tuple[tuple[str, ...], Any, dict[str, Any]]
"""Dimensions, values, attributes."""


def windows_dataset(record: WindowRecord, grid: Grid, attributes: Mapping[str, str]) -> xr.Dataset:
    """Return the record as a CF-like Dataset over (row, col) of the window lattice.

    Parameters
    ----------
    record : WindowRecord
        The choice made in every window.
    grid : Grid
        Where the pixels lie; `y` and `x` are the centres of the windows in its CRS.
    attributes : mapping of str to str
        Global attributes: bundle, version, times.

    Returns
    -------
    Dataset
        `probability`, `threshold`, `member_probability` (member, row, col) and `valid_fraction`
        (group, row, col) as float32 with NaN for "none"; `scenario` and `reason` as int16 with flags. Where
        members may be left unasked also `probability_low` and `probability_high`.
    """
    variables = _variables(record)
    for _, _, notes in variables.values():
        notes["grid_mapping"] = "spatial_ref"
    edge = record.size * abs(grid.transform.a)
    about = {
        "Conventions": "CF-1.8",
        "title": "Landslide probability of every window",
        "window_size_px": np.int32(record.size),
        "window_size_m": float(edge),
        **attributes,
    }
    return xr.Dataset(variables, _coordinates(record, grid), about)


def write_windows(path: Path, dataset: xr.Dataset) -> None:
    """Write `dataset` as netCDF 3."""
    floats = [name for name, variable in dataset.variables.items() if variable.dtype.kind == "f"]
    dataset.to_netcdf(
        path,
        engine="scipy",
        format="NETCDF3_64BIT",
        encoding={name: {"_FillValue": None if name in ("x", "y") else np.nan} for name in floats},
    )


def _variables(record: WindowRecord) -> dict[str, Variable]:
    """Return name -> dimensions, values and attributes of everything that was decided."""
    lattice = ("row", "col")
    shape = record.probability.shape
    variables: dict[str, Variable] = {
        "probability": (
            lattice,
            record.probability.astype(np.float32),
            {"long_name": "calibrated probability of a landslide in the window", "units": "1"},
        ),
        "threshold": (
            lattice,
            record.threshold.astype(np.float32),
            {"long_name": "probability above which the window's scenario says landslide", "units": "1"},
        ),
        "scenario": (
            lattice,
            record.scenario.astype(np.int16),
            {
                "long_name": "set of channels the window was judged by",
                **_flags({-1: "none", **dict(enumerate(record.scenarios))}),
            },
        ),
        "reason": (
            lattice,
            record.reason.astype(np.int16),
            {
                "long_name": "why the window has no probability",
                **_flags({int(r): REASON_NAMES[r] for r in Reason}),
            },
        ),
        "member_probability": (
            ("member", *lattice),
            _stacked(record.members, shape),
            {"long_name": "probability of one member of the ensemble, not calibrated", "units": "1"},
        ),
        "valid_fraction": (
            ("group", *lattice),
            _stacked(record.valid_fraction, shape),
            {"long_name": "fraction of the window's pixels that the sensor group has", "units": "1"},
        ),
    }
    for end, bound in zip(("low", "high"), record.possible or (), strict=False):
        variables[f"probability_{end}"] = (
            lattice,
            bound.astype(np.float32),
            {
                "long_name": f"{end}est probability that members left unasked could have made of it",
                "units": "1",
            },
        )
    return variables


def _coordinates(record: WindowRecord, grid: Grid) -> dict[str, Any]:
    """Return where the windows lie, and the names of members and sensor groups."""
    transform, centre = grid.transform, record.size / 2
    rows, cols = record.row_starts + centre, record.col_starts + centre
    return {
        "y": ("row", transform.f + rows * transform.e, _axis("y", "northing")),
        "x": ("col", transform.c + cols * transform.a, _axis("x", "easting")),
        "row_start": (
            "row",
            record.row_starts.astype(np.int32),
            {"long_name": "first pixel row of the window"},
        ),
        "col_start": (
            "col",
            record.col_starts.astype(np.int32),
            {"long_name": "first pixel column of the window"},
        ),
        "member": ("member", np.array(list(record.members), dtype="U")),
        "group": ("group", np.array(list(record.valid_fraction), dtype="U")),
        "spatial_ref": ((), np.int32(0), {"crs_wkt": grid.crs.to_wkt(), "spatial_ref": grid.crs.to_wkt()}),
    }


def _axis(name: str, title: str) -> dict[str, str]:
    return {
        "standard_name": f"projection_{name}_coordinate",
        "long_name": f"{title} of the centre of the window",
        "units": "m",
    }


def _flags(meanings: Mapping[int, str]) -> dict[str, Any]:
    """Return CF flag attributes; meanings are separated by blanks, so theirs become underscores."""
    words = " ".join(meaning.replace(" ", "_") for meaning in meanings.values())
    return {"flag_values": np.array(list(meanings), dtype=np.int16), "flag_meanings": words}


def _stacked(layers: Mapping[str, np.ndarray[Any, Any]], shape: tuple[int, int]) -> Any:
    """Return the layers as float32 in one array; of dask, as it need not exist before it is written."""
    if not layers:
        return np.empty((0, *shape), dtype=np.float32)
    converted = [delayed(layer.astype)(np.float32) for layer in layers.values()]
    return da.stack([da.from_delayed(layer, shape, np.float32) for layer in converted])
