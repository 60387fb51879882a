"""Labelled windows on disk, cut from a scene and an inventory, in the layout of the competition."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from hashlib import file_digest
from os import PathLike
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import xarray as xr

from landslide_map._version import __version__
from landslide_map.array_types import Bools, Floats, Floats32, Labels
from landslide_map.bands import MODEL_BANDS
from landslide_map.datasets.labelled_windows import FOLDERS, LABELS
from landslide_map.datasets.verdicts import Verdicts
from landslide_map.errors import InputError, Notice, UsageError
from landslide_map.features.window_statistics import PIXEL_SLAB, statistics_and_pixels
from landslide_map.grid import Grid
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.runtime import progress as reporting
from landslide_map.runtime.own_files import Kind, sealed, tree_records
from landslide_map.runtime.transaction import outputs
from landslide_map.scene.model import load_scene
from landslide_map.stack.channels import model_stack
from landslide_map.vector.inventory import covered_fraction, read_inventory
from landslide_map.windows import WindowPlan, plan_windows

STAGE: Final = reporting.Stage("cut windows", "windows")
RECORD: Final = "windows.json"
"""File with the origin of the windows, beside their labels."""
CUT_WINDOWS: Final = Kind(RECORD, holds="labelled windows", exclusive=True)
UNLABELLED: Final = -1

Between = Literal["leave-out", "positive", "negative"]


@dataclass(frozen=True, slots=True)
class LabelRule:
    """Rule for labels: the share of a window's area that the inventory covers."""

    positive: float = 0.25
    """Least share of a landslide window."""
    negative: float = 0.0
    """Greatest share of a window without landslide."""
    between: Between = "leave-out"
    """Label of the windows between the two."""

    def __post_init__(self) -> None:
        if not 0 <= self.negative < self.positive <= 1:
            raise UsageError(
                "E402",
                f"windows covered by at least {self.positive:g} would be landslides and up to "
                f"{self.negative:g} none; expected 0 <= negative < positive <= 1.",
            )

    def labels(self, covered: Floats) -> Labels:
        """Return 1, 0 or :data:`UNLABELLED` for covered shares of windows."""
        other = {"leave-out": UNLABELLED, "positive": 1, "negative": 0}[self.between]
        return np.select([covered >= self.positive, covered <= self.negative], [1, 0], other).astype(np.int8)


@dataclass(frozen=True, slots=True)
class CutWindows:
    """Counts of a scene's windows."""

    out: Path
    windows: int
    """Written."""
    landslides: int
    """Number of windows with label 1."""
    groups: int
    """Spatial groups they fall into."""
    unlabelled: int
    """Left out: too little or too much of them is covered, or they lie outside the mapped area."""
    incomplete: int
    """Left out because pixels are missing."""
    notices: tuple[Notice, ...]


def cut_windows(
    scene: str | PathLike[str],
    labels: str | PathLike[str] | Verdicts,
    out: str | PathLike[str],
    *,
    layer: str | None = None,
    area: str | PathLike[str] | None = None,
    stride: int = 64,
    rule: LabelRule | None = None,
    allow_missing: bool = False,
    group_km: float = 5.0,
    name: str | None = None,
    overwrite: bool = False,
    progress: reporting.Report = reporting.silent,
) -> CutWindows:
    """Cut every window of a scene with a label from an inventory.

    Writes ``Train.csv`` (``ID, label, group, scene, row, col, x, y, covered``), one float32
    ``train_data/train_data/<ID>.npy`` of shape ``(64, 64, 12)`` for each window (``bands.MODEL_BANDS``), and
    ``windows.json``. They appear together.

    Parameters
    ----------
    scene : path
        A ``scene.yaml``.
    labels : path
        Landslide outlines: a vector file of polygons in any CRS. Windows that they do not touch count as free
        of landslides, so the inventory must be complete where windows are cut; see `area`. Or the verdicts on
        a map. Then a window without landslide counts where an outline was rejected and nothing is undecided.
        Inside `area` it also counts where the map has no outline.
    out : path
        Folder to write.
    layer : str, optional
        Of `labels`; by default the first.
    area : path, optional
        Polygons of where the inventory is complete; windows not wholly inside are left out.
    stride : int
        Step between windows, pixels. Below 64 windows overlap: train with spatial groups then.
    rule : LabelRule, optional
    allow_missing : bool
        Whether to keep windows in which some band is incomplete; all of that band is NaN there.
    group_km : float
        Edge of the square blocks of map that the column ``group`` names.
    name : str, optional
        Beginning of the IDs, and the column ``scene``; by default of the event, or the scene's folder.
    overwrite : bool
        Replace windows that were cut before.
    progress : callable

    Raises
    ------
    InputError
        E150 to E153 for the inventory, E154 if no window is left; and those of the scene.
    OutputExistsError
        E401 if `out` holds something else, or windows and `overwrite` is false. E404 if something there is
        not of windows that were cut, or was changed since.
    """
    rule = rule or LabelRule()
    out, scene = Path(out), Path(scene)
    with outputs(out, CUT_WINDOWS, overwrite=overwrite) as staging:
        settings = load_scene(scene, stride=stride)
        inputs = open_inputs(settings)
        grid, plan = inputs.grid, plan_windows(inputs.grid.shape, stride)
        mapped = (
            None if area is None else covered_fraction(read_inventory(area, grid)[0], plan, grid) >= 1 - 1e-9
        )
        table = _window_table(plan, grid, _clean(name or settings.event.name or scene.absolute().parent.name))
        table["covered"], table["label"], notices = _labels(labels, layer, rule, mapped, (plan, grid))
        table["group"] = _groups(table, grid, group_km)
        folder = staging / FOLDERS[0]
        folder.mkdir(parents=True)
        complete = np.zeros(plan.count, dtype=np.bool_)
        wanted = (table["label"] != UNLABELLED).to_numpy()
        start = 0
        progress(STAGE, 0, plan.count)
        described = statistics_and_pixels(
            model_stack(inputs, MODEL_BANDS), plan, MODEL_BANDS, slab=PIXEL_SLAB
        )
        for _, statistics, pixels in described:
            rows = np.arange(start, start + len(pixels))
            complete[rows] = _write(
                pixels[:], statistics, table.iloc[rows], wanted[rows], allow_missing, folder
            )
            start += len(pixels)
            progress(STAGE, start, plan.count)
        kept = table[wanted & complete]
        _check_labels(kept, int(wanted.sum()), scene)
        columns = ["ID", "label", "group", "scene", "row", "col", "x", "y", "covered"]
        kept[columns].to_csv(staging / LABELS, index=False)
        record = {"event": settings.event.name} | _record(
            scene,
            labels.source if isinstance(labels, Verdicts) else Path(labels),
            grid,
            stride,
            rule,
            group_km,
        )
        document = sealed({**record, "outputs": tree_records(staging)})
        (staging / RECORD).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return CutWindows(
        out=out,
        windows=len(kept),
        landslides=int(kept["label"].sum()),
        groups=kept["group"].nunique(),
        unlabelled=int((~wanted).sum()),
        incomplete=int((wanted & ~complete).sum()),
        notices=(*inputs.notices, *notices),
    )


def _labels(
    labels: str | PathLike[str] | Verdicts,
    layer: str | None,
    rule: LabelRule,
    mapped: Bools | None,
    where: tuple[WindowPlan, Grid],
) -> tuple[Floats, Labels, list[Notice]]:
    """Return covered share and label of every window, and notices; `mapped` says where nothing is missing."""
    plan, grid = where
    if isinstance(labels, Verdicts):
        covered, found, touched = labels.label(plan, grid, rule.positive, rule.negative)
        if mapped is not None:
            found = np.where(mapped & ~touched, 0, found).astype(np.int8)
        return covered, found, []
    shapes, notices = read_inventory(labels, grid, layer)
    covered = covered_fraction(shapes, plan, grid)
    found = rule.labels(covered)
    if mapped is not None:
        found = np.where(mapped, found, UNLABELLED).astype(np.int8)
    return covered, found, notices


def _window_table(plan: WindowPlan, grid: Grid, name: str) -> pd.DataFrame:
    """One row per window: ID, where it begins on the grid and where its centre is on the map."""
    col, row = np.meshgrid(plan.col_starts, plan.row_starts)
    table = pd.DataFrame({"scene": name, "row": row.ravel(), "col": col.ravel()})
    table["ID"] = [f"{name}_{r:05d}_{c:05d}" for r, c in zip(table["row"], table["col"], strict=True)]
    table["x"] = grid.transform.c + (table["col"] + plan.size / 2) * grid.transform.a
    table["y"] = grid.transform.f + (table["row"] + plan.size / 2) * grid.transform.e
    return table


def _groups(table: pd.DataFrame, grid: Grid, group_km: float) -> pd.Series:
    """Name the block of map that each window's centre is in: the same for every scene in that projection."""
    edge = 1000 * group_km
    epsg = grid.crs.to_epsg() or "local"
    column, row = ((table[axis] // edge).astype(int).astype(str) for axis in ("x", "y"))
    return f"{epsg}:{group_km:g}km:" + column + ":" + row


def _write(
    pixels: Floats32,
    statistics: xr.DataArray,
    table: pd.DataFrame,
    wanted: Bools,
    allow_missing: bool,
    folder: Path,
) -> Bools:
    """Write the windows that are wanted and complete (enough); return which are."""
    valid = statistics.sel(statistic="valid_fraction").values == 1
    # A band without any spread is a fill value, not a measurement.
    valid &= statistics.sel(statistic="std").fillna(0).values > 0
    usable: Bools = valid.any(axis=1) if allow_missing else valid.all(axis=1)
    for i in np.flatnonzero(wanted & usable):
        window = np.where(valid[i], pixels[i], np.float32(np.nan))
        np.save(folder / f"{table['ID'].iloc[i]}.npy", window, allow_pickle=False)
    return usable


def _check_labels(kept: pd.DataFrame, labelled: int, scene: Path) -> None:
    if kept.empty:
        raise InputError(
            "E154",
            f"{scene}: no labelled window is complete in all 12 bands ({labelled} have a label). Check with "
            "`landslide-map check` which sensors cover the scene, or keep incomplete windows with "
            "--allow-missing.",
        )


def _clean(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "scene"


def _record(
    scene: Path, labels: Path, grid: Grid, stride: int, rule: LabelRule, group_km: float
) -> dict[str, Any]:
    with labels.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    return {
        "software": f"landslide-map {__version__}",
        "bands": list(MODEL_BANDS),
        "scene": scene.name,
        "inventory": {"name": labels.name, "sha256": digest},
        "crs": grid.crs.to_string(),
        "transform": list(grid.transform)[:6],
        "stride": stride,
        "rule": asdict(rule),
        "group_km": group_km,
    }
