"""Labelled windows of one or several folders, with their location and source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from landslide_map.bands import CHANNELS
from landslide_map.datasets.cut_windows import RECORD
from landslide_map.datasets.labelled_windows import LabelledWindows, read_labelled_windows
from landslide_map.datasets.window_arrays import Windows, checked_chunks
from landslide_map.errors import InputError
from landslide_map.features.ready_windows import eighteen_channels
from landslide_map.features.window_statistics import array_statistics
from landslide_map.grid import RESOLUTION_M
from landslide_map.runtime.progress import Report, Stage, counter, silent
from landslide_map.untrusted.json_text import read_json

READING: Final = Stage("reading windows", "windows")


@dataclass(frozen=True)
class TrainingData:
    """Input of :func:`~landslide_map.training.windows.train.train`."""

    windows: Windows
    labels: npt.NDArray[np.int8]
    groups: tuple[str, ...] | None
    """Spatial group of each window; None unless every folder has it."""
    origin: pd.DataFrame | None
    """``scene, row, col`` of each window's first pixel, where every folder has it. Where all know their place
    on the map it is counted there, and ``scene`` is the projection: scenes overlap, and are mapped again."""
    provenance: dict[str, Any]


def read_training_data(folders: Sequence[Path]) -> TrainingData:
    """Read folders of labelled windows in the competition's layout as one.

    Raises
    ------
    InputError
        E122, E140, E142, E144 as
        :func:`~landslide_map.datasets.labelled_windows.read_labelled_windows`; E142 if an ID occurs in two
        folders.
    """
    parts = [read_labelled_windows(folder) for folder in folders]
    ids = [name for part in parts for name in part.windows.ids]
    if len(set(ids)) < len(ids):
        twice = pd.Series(ids)[pd.Series(ids).duplicated()].iloc[0]
        raise InputError(
            "E142",
            f"ID {twice!r} occurs in two of {', '.join(map(str, folders))}. Cut windows of each scene with "
            "another --name.",
        )
    groups = _columns(parts, ["group"])
    return TrainingData(
        windows=Windows(tuple(ids), files=tuple(path for part in parts for path in part.windows.files)),
        labels=np.concatenate([part.labels for part in parts]),
        groups=None if groups is None else tuple(groups["group"].astype(str)),
        origin=_origin(parts),
        provenance={"scenes": [text for folder in folders if (text := _described(folder)) is not None]},
    )


def complete_statistics(data: TrainingData, progress: Report = silent) -> xr.DataArray:
    """Return the statistics of windows, ``(window, channel, statistic)``, for recipes that learn from these.

    Raises
    ------
    InputError
        E141 if a window lacks a band: such recipes learn from complete windows.
    """
    parts = []
    tick = counter(progress, READING, len(data.windows.ids))
    for ids, chunk in checked_chunks(data.windows):
        if (lacking := np.isnan(chunk).any(axis=(1, 2, 3))).any():
            raise InputError(
                "E141",
                f"window {ids[int(np.argmax(lacking))]}: lacks a band, but this recipe learns from complete "
                "windows. Cut windows without --allow-missing, or use a recipe for networks.",
            )
        parts.append(array_statistics(eighteen_channels(chunk), CHANNELS))
        tick(len(ids))
    return xr.concat(parts, dim="window")


def _origin(parts: list[LabelledWindows]) -> pd.DataFrame | None:
    placed = _columns(parts, ["group", "x", "y"])
    if placed is not None:
        projection = placed["group"].astype(str).str.split(":").str[0]
        if projection.str.fullmatch(r"\d+").all():
            row, col = -placed["y"] / RESOLUTION_M, placed["x"] / RESOLUTION_M
            return pd.DataFrame({"scene": projection, "row": row, "col": col})
    return _columns(parts, ["scene", "row", "col"])


def _columns(parts: Sequence[LabelledWindows], names: list[str]) -> pd.DataFrame | None:
    tables = [part.table for part in parts if part.table is not None and set(names) <= set(part.table)]
    if len(tables) < len(parts):
        return None
    joined = pd.concat([table[names] for table in tables], ignore_index=True)
    return None if joined.isna().to_numpy().any() else joined


def _described(folder: Path) -> str | None:
    """Return one line about windows that this package cut."""
    try:
        record = read_json(folder / RECORD)
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict) or not all(
        isinstance(record.get(k, {}), dict) for k in ("rule", "inventory")
    ):
        return None
    rule = record.get("rule", {})
    return (
        f"{record.get('event') or record.get('scene')}: stride {record.get('stride')} px, landslide from "
        f"{rule.get('positive')} of the window covered by {record.get('inventory', {}).get('name')}"
    )
