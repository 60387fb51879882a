"""One training run: every fold of every member that is not finished yet, networks first."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from landslide_map.array_types import Bools, Floats, Labels, Rows
from landslide_map.bands import INDEX_PAIRS, MODEL_BANDS
from landslide_map.datasets.window_arrays import WINDOW_SHAPE, Windows
from landslide_map.errors import Notice
from landslide_map.models.networks.preprocessing import planes, scale
from landslide_map.models.statistics.boosters import ENDING, PREDICTORS
from landslide_map.options import Precision
from landslide_map.runtime.notices import Notices
from landslide_map.runtime.progress import Report, Stage
from landslide_map.training.windows.boosters import fit_published
from landslide_map.training.windows.network import (
    Epoch,
    Examples,
    FoldJob,
    Machine,
    fit_fold,
    precision_fault,
)
from landslide_map.training.windows.recipe import WindowRecipe
from landslide_map.training.windows.time_left import Pace
from landslide_map.training.windows.workspace import Workspace

_log = logging.getLogger(__name__)

BOOSTERS: Final = Stage("training boosters", "models")
_HELD_OUT_COST: Final = 1 / 3
"""Predicting a window costs about a third of learning from it."""
_PREPARED_AT_ONCE: Final = 64


@dataclass(frozen=True)
class TrainingRun:
    """Work of a training, and its windows."""

    recipe: WindowRecipe
    windows: Windows
    labels: Labels
    folds: Sequence[Rows]
    missing: Bools
    """``(window, band)``; the band is NaN in the whole window."""
    features: Floats
    """``(window, 126)``, if there are boosters."""
    workspace: Workspace
    progress: Report

    def usable(self, member: str) -> Bools:
        """Return the windows that have every band that a member reads."""
        bands = {band for name in self.recipe.channels(member) for band in INDEX_PAIRS.get(name, (name,))}
        columns = [MODEL_BANDS.index(name) for name in bands]
        complete: Bools = self.missing[:, columns].sum(axis=1) == 0
        return complete

    def rows(self, member: str, fold: int) -> tuple[Rows, Rows]:
        """Return the windows that a member learns from in a fold, and those it is tested on."""
        usable = self.usable(member)
        inside = np.isin(np.arange(len(usable)), self.folds[fold])
        return np.flatnonzero(usable & ~inside), np.flatnonzero(usable & inside)

    def pending(self, members: Iterable[str]) -> list[tuple[str, int]]:
        """Return member and fold of unfinished work."""
        every = [(name, fold) for name in members for fold in range(len(self.folds))]
        return [(name, fold) for name, fold in every if self.workspace.finished(f"{name}_fold{fold}") is None]


def tried_precision(
    recipe: WindowRecipe, device: torch.device, precision: Precision, notices: Notices
) -> Precision:
    """Return the precision that a recipe's networks can be trained in on a device; `notices` are added to."""
    for name in recipe.networks:
        if fault := precision_fault(recipe.spec(name), device, precision):
            notices.about_run.append(
                Notice(
                    "W613",
                    f"{name} cannot be computed in {precision} on this {device.type}: {fault}. All networks "
                    "are trained in float32 instead",
                )
            )
            return "float32"
    return precision


def train_networks(
    run: TrainingRun,
    start: Mapping[str, Mapping[str, Any]],
    device: torch.device,
    precision: str,
    notices: Notices,
) -> None:
    """Train every unfinished fold of the networks; `notices` are added to.

    Parameters
    ----------
    run : TrainingRun
    start : mapping
        Encoder -> options for its pretrained weights.
    device, precision
        Where and how.
    """
    pending = run.pending(run.recipe.networks)
    skipped = len(run.recipe.networks) * len(run.folds) - len(pending)
    if skipped:
        _log.info(f"{skipped} folds of networks were finished before; {len(pending)} are to be trained")
    costs = _costs(run.recipe)
    total = sum(_work(run, name, fold) * costs[name] for name, fold in pending)
    pace = Pace(costs, total, run.progress)

    def report_epoch(epoch: Epoch) -> None:
        pace.done += len(run.rows(epoch.member, epoch.fold)[1]) * _HELD_OUT_COST * costs[epoch.member]
        _log.info(
            f"{epoch.member} fold {epoch.fold + 1} of {len(run.folds)}, "
            f"epoch {epoch.epoch} of {epoch.epochs}: "
            f"loss {epoch.loss:.3f}, F1 {epoch.f1:.3f}, held out {epoch.f1_held_out:.3f} "
            f"({epoch.seconds:.1f} s; {pace.remaining()} to go)"
        )

    def halved(member: str, batch: int) -> None:
        notice = Notice("W531", f"{member}: the memory of the GPU allowed batches of {batch} windows only.")
        notices.about_run.append(notice)
        _log.info(str(notice))

    machine = Machine(device, precision, pace.stepped, report_epoch, halved)
    labels = torch.from_numpy(run.labels.astype(np.float32))
    prepared: tuple[str, Tensor] | None = None
    for name, fold in pending:
        if prepared is None or prepared[0] != name:
            prepared = None  # freed before the next is made
            prepared = (name, _prepared(run, name))
        recipe = run.recipe.networks[name]
        job = FoldJob(
            name,
            fold,
            run.recipe.spec(name),
            recipe,
            run.recipe.learning,
            run.recipe.seed,
            start if recipe.pretrained else {},
        )
        fit_fold(job, Examples(prepared[1], labels, *run.rows(name, fold)), machine, run.workspace)


def _costs(recipe: WindowRecipe) -> dict[str, float]:
    """Work of one window, relative to each other; equal where a recipe gives none."""
    known = [network.gflop for network in recipe.networks.values()]
    return {n: own.gflop if own.gflop and all(known) else 1.0 for n, own in recipe.networks.items()}


def _work(run: TrainingRun, name: str, fold: int) -> float:
    learned, held_out = run.rows(name, fold)
    return run.recipe.networks[name].epochs * (len(learned) + len(held_out) * _HELD_OUT_COST)


def _prepared(run: TrainingRun, name: str) -> Tensor:
    """Return all windows as a network wants them, not yet enlarged; ``(window, plane, y, x)`` float32."""
    spec = run.recipe.spec(name)
    wanted = planes(spec)
    count = len(run.windows.ids)
    out = torch.empty(count, len(wanted), *WINDOW_SHAPE[:2])
    for start in range(0, count, _PREPARED_AT_ONCE):
        part = np.asarray(run.windows.read(start, start + _PREPARED_AT_ONCE), dtype=np.float64)
        bands = torch.from_numpy(part).permute(0, 3, 1, 2)
        out[start : start + len(part)] = scale(bands, spec.scaling, spec.indices)[:, wanted]
    return out


def train_boosters(run: TrainingRun) -> None:
    """Train every unfinished fold of the boosters, several at a time."""
    pending = run.pending(run.recipe.boosters)
    if not pending:
        return
    run.progress(BOOSTERS, 0, len(pending))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = {pool.submit(_train_booster, run, name, fold): (name, fold) for name, fold in pending}
        for done, future in enumerate(as_completed(waiting), start=1):
            future.result()
            run.progress(BOOSTERS, done, len(pending))


def _train_booster(run: TrainingRun, name: str, fold: int) -> None:
    recipe = run.recipe.boosters[name]
    learned, held_out = run.rows(name, fold)
    content = fit_published(recipe, run.features[learned], run.labels[learned])
    features: npt.NDArray[Any] = run.features[held_out]
    votes = PREDICTORS[recipe.library](content)(features)
    write = partial(_write_bytes, content)
    run.workspace.finish(f"{name}_fold{fold}", write, ENDING[recipe.library], votes, {})


def _write_bytes(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def collected_votes(run: TrainingRun) -> dict[str, Floats]:
    """Return every member's out-of-fold votes, NaN where it could not predict; ``(window,)``."""
    votes = {name: np.full(len(run.labels), np.nan) for name in run.recipe.members}
    for name, predictions in votes.items():
        for fold in range(len(run.folds)):
            predictions[run.rows(name, fold)[1]] = run.workspace.votes(f"{name}_fold{fold}")
    return votes
