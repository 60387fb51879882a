"""From labelled windows to a bundle of networks and boosters, fold by fold, surviving kills."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from landslide_map.bands import CHANNELS, INDEX_PAIRS, MODEL_BANDS
from landslide_map.errors import InputError, Notice, UsageError
from landslide_map.features import array_statistics
from landslide_map.labelled_windows import checked_labels
from landslide_map.models.boosters import PREDICTORS
from landslide_map.models.bundle import check_free, save_bundle
from landslide_map.models.network_member import Runtime
from landslide_map.models.networks import planes, scale
from landslide_map.models.placement import Device, Precision
from landslide_map.models.published_boosters import published_features
from landslide_map.progress import Report, silent
from landslide_map.scoring import checked_chunks, eighteen_channels
from landslide_map.training.fit_network import Epoch, FoldJob, Machine, fit_fold
from landslide_map.training.fit_published import ENDING, fit_published
from landslide_map.training.folds import grouped_folds, overlapping_windows, shuffled_folds
from landslide_map.training.pace import Pace
from landslide_map.training.recipe import recipe_content
from landslide_map.training.starting_weights import starting_weights
from landslide_map.training.window_bundle import Trained, bundle_contents, bundle_document
from landslide_map.training.window_recipe import Division, WindowRecipe, parse_window_recipe
from landslide_map.training.workspace import Workspace
from landslide_map.window_files import WINDOW_SHAPE, Windows

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int8]
Rows = npt.NDArray[np.intp]
Say = Callable[[str], None]

_HELD_OUT_COST: Final = 1 / 3
"""Judging a window costs about a third of learning from it."""
_PREPARED_AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True)
class TrainedWindows:
    """What :func:`train` made."""

    out: Path
    document: dict[str, Any]
    """Of ``bundle.json``, without the files."""
    votes: pd.DataFrame
    """One row per window: ``id, label, fold`` and ``p_<member>``, out of fold."""
    notices: tuple[Notice, ...]


@dataclass(frozen=True)
class _Run:
    """One training run: what is to be done with which windows."""

    recipe: WindowRecipe
    windows: Windows
    labels: Labels
    folds: Sequence[Rows]
    missing: Bools
    """``(window, band)``; the band is NaN in the whole window."""
    features: Floats
    """``(window, 126)``, if there are boosters."""
    workspace: Workspace
    say: Say
    report: Report

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


def train(
    windows: Windows | npt.NDArray[np.floating],
    labels: npt.ArrayLike,
    out: str | PathLike[str],
    *,
    recipe: str | WindowRecipe = "nasios-9",
    members: Sequence[str] | None = None,
    division: Division | None = None,
    groups: Sequence[str] | None = None,
    origin: pd.DataFrame | None = None,
    seed: int | None = None,
    weights: str | PathLike[str] | None = None,
    from_scratch: bool = False,
    device: Device = "auto",
    precision: Precision = "float32",
    provenance: Mapping[str, Any] | None = None,
    restart: bool = False,
    overwrite: bool = False,
    say: Say = lambda text: None,  # noqa: ARG005
    report: Report = silent,
) -> TrainedWindows:
    """Train the members of a recipe on labelled windows and write a bundle.

    Finished folds and the last epoch of an unfinished one are kept in ``<out>.training``: the same call goes
    on there after a kill, and ends with the weights it would have had.

    Parameters
    ----------
    windows : ndarray, (window, 64, 64, 12), or Windows
        Model bands in the order and units of ``bands.MODEL_BANDS``. A band that is NaN in the whole window is
        missing there: members that need it neither learn from the window nor judge it.
    labels : array_like, (window,), 0 or 1
    out : path
        Folder of the new bundle.
    recipe : str or WindowRecipe
        Name of a recipe of the package, path of a YAML file, or the recipe itself.
    members : sequence of str, optional
        Train only these.
    division : str, optional
        Instead of the recipe's: ``grouped`` keeps `groups` whole, for honest estimates elsewhere.
    groups : sequence of str, optional
        Spatial group of each window.
    origin : DataFrame, optional
        ``scene, row, col`` of each window's first pixel; tells overlapping windows.
    seed : int, optional
        Instead of the recipe's.
    weights : path, optional
        Folder with pretrained encoders, as :func:`~.starting_weights.starting_weights` reads it.
    from_scratch : bool
        Start every encoder from random numbers.
    device, precision : str
        As in scoring; ``bfloat16`` and ``float16`` train in mixed precision.
    provenance : mapping, optional
        Where the windows come from, kept in the bundle.
    restart, overwrite : bool
        Throw away the work of an unfinished run; replace an existing bundle.
    say : callable
        Told, in words, what was decided, every epoch's loss and F1, and how long it will take.
    report : Report

    Raises
    ------
    InputError
        E122 labels, E140 shapes, E141 pixels, E142 IDs, E146 groups.
    UsageError
        E401 `out` holds something, E402 a call that cannot be, E510 recipe, E531 an unfinished run of another
        configuration.
    BundleError
        E530 `weights` lacks an encoder.
    ResourceError
        E601 disk, E610 no CUDA device, E611 its memory, E620 no pretrained weights in reach, E621 diverged.
    """
    out = Path(out)
    check_free(out, overwrite=overwrite)
    recipe = _chosen(recipe, members, seed, from_scratch)
    machine_device = Runtime(device).torch_device()
    source = windows if isinstance(windows, Windows) else Windows.of_array(windows)
    known = checked_labels(labels, "the labels")
    if len(known) != len(source.ids):
        raise InputError("E142", f"{len(known)} labels for {len(source.ids)} windows; expected one for each.")
    division = division or recipe.division
    folds = _divided(recipe, division, known, groups)
    notices = _overlaps(origin, folds, division)
    missing, features, digest = _survey(source, bool(recipe.boosters), report)
    learned_before = _pretrained(recipe)
    start = starting_weights(learned_before, weights) if learned_before else {}
    identity = sha256("\n".join(f"{i},{k}" for i, k in zip(source.ids, known, strict=True)).encode())
    configuration = {
        "recipe": recipe.model_dump(mode="json"),
        "division": division,
        "folds": sha256(repr([rows.tolist() for rows in folds]).encode()).hexdigest(),
        "windows": digest,
        "labels": identity.hexdigest(),
        "precision": precision,
    }
    workspace = Workspace.open(out, configuration, restart=restart)
    run = _Run(recipe, source, known, folds, missing, features, workspace, say, report)
    _check_classes(run)
    _train_networks(run, start, machine_device, precision, notices)
    _train_boosters(run)
    votes = _collected(run)
    trained = Trained(recipe, division, known, tuple(folds), votes, workspace)
    table = trained.table(source.ids)
    document = bundle_document(
        trained,
        provenance={
            **(provenance or {}),
            "windows_sha256": digest,
            "configuration_sha256": workspace.identity,
            "precision": precision,
            "encoders_start": _start_in_words(recipe, weights),
            "notices": [str(notice) for notice in notices],
        },
        packages={name: version(name) for name in ("torch", "timm", "lightgbm", "xgboost", "numpy")},
    )
    save_bundle(out, document, bundle_contents(trained, document, table), overwrite=overwrite)
    workspace.remove()
    return TrainedWindows(out, document, table, tuple(notices))


def _chosen(
    recipe: str | WindowRecipe, members: Sequence[str] | None, seed: int | None, from_scratch: bool
) -> WindowRecipe:
    if not isinstance(recipe, WindowRecipe):
        path, content = recipe_content(recipe)
        recipe = parse_window_recipe(content, path)
    if members is not None:
        recipe = recipe.reduced(tuple(members))
    changes: dict[str, Any] = {} if seed is None else {"seed": seed}
    if from_scratch:
        networks = recipe.model_dump()["networks"]
        changes["networks"] = {name: own | {"pretrained": False} for name, own in networks.items()}
    return WindowRecipe.model_validate(recipe.model_dump() | changes) if changes else recipe


def _divided(
    recipe: WindowRecipe, division: Division, labels: Labels, groups: Sequence[str] | None
) -> list[Rows]:
    if division == "shuffled":
        return shuffled_folds(len(labels), recipe.folds, recipe.seed)
    if groups is None:
        raise UsageError(
            "E402",
            "spatially grouped folds were asked for, but the windows have no groups. Give Train.csv a column "
            "`group`, as `landslide-map windows` writes it.",
        )
    if len(groups) != len(labels):
        raise InputError("E142", f"{len(groups)} groups for {len(labels)} windows; expected one for each.")
    return grouped_folds(groups, labels, recipe.folds, recipe.seed)


def _overlaps(origin: pd.DataFrame | None, folds: Sequence[Rows], division: Division) -> list[Notice]:
    if origin is None:
        return []
    count = overlapping_windows(origin, folds, WINDOW_SHAPE[0])
    if not count:
        return []
    cure = (
        "Windows beside the border of two groups do; cut them with a stride of 64 px."
        if division == "grouped"
        else "Use spatially grouped folds, or cut windows with a stride of 64 px."
    )
    return [
        Notice(
            "W530",
            f"{count} of {len(origin)} windows share pixels with a window of another fold: out-of-fold "
            f"figures will be better than the truth. {cure}",
        )
    ]


def _survey(source: Windows, with_features: bool, report: Report) -> tuple[Bools, Floats, str]:
    """Check every window; return missing bands, the boosters' features and a hash of the pixels."""
    digest = sha256()
    missing, features = [], [np.empty((0, 0))]
    done = 0
    report("reading windows", 0, len(source.ids))
    for ids, chunk in checked_chunks(source):
        digest.update(np.ascontiguousarray(chunk, dtype="<f8").tobytes())
        missing.append(np.isnan(chunk[:, 0, 0]))
        if with_features:
            statistics = array_statistics(eighteen_channels(chunk), CHANNELS, median=True)
            features.append(published_features(statistics))
        done += len(ids)
        report("reading windows", done, len(source.ids))
    return np.concatenate(missing), np.concatenate(features[1:] or features), digest.hexdigest()


def _check_classes(run: _Run) -> None:
    """Refuse, before any training, a fold in which some member would see one class only."""
    for member in run.recipe.members:
        for fold in range(len(run.folds)):
            learned, held_out = run.rows(member, fold)
            found = run.labels[learned].tolist()
            if len(set(found)) < 2 or not len(held_out):
                raise InputError(
                    "E122",
                    f"member {member}, fold {fold}: {len(learned)} windows to learn from, {sum(found)} of "
                    f"them landslides, and {len(held_out)} to test on; it needs both classes, and some to "
                    "test on. Label more windows, or use members that need fewer bands.",
                )


def _pretrained(recipe: WindowRecipe) -> list[str]:
    return [
        encoder
        for name, network in recipe.networks.items()
        if network.pretrained
        for encoder in recipe.spec(name).encoders
    ]


def _start_in_words(recipe: WindowRecipe, weights: str | PathLike[str] | None) -> str:
    if not _pretrained(recipe):
        return "random numbers"
    return "pretrained, from timm's hub" if weights is None else "pretrained, from files"


def _train_networks(
    run: _Run,
    start: Mapping[str, Mapping[str, Any]],
    device: torch.device,
    precision: str,
    notices: list[Notice],
) -> None:
    pending = [
        (name, fold)
        for name in run.recipe.networks
        for fold in range(len(run.folds))
        if run.workspace.finished(f"{name}_fold{fold}") is None
    ]
    skipped = len(run.recipe.networks) * len(run.folds) - len(pending)
    if skipped:
        run.say(f"{skipped} folds of networks were finished before; {len(pending)} are to be trained")
    costs = _costs(run.recipe)
    total = sum(_work(run, name, fold) * costs[name] for name, fold in pending)
    pace = Pace(costs, total, run.say, run.report)

    def told(epoch: Epoch) -> None:
        pace.done += len(run.rows(epoch.member, epoch.fold)[1]) * _HELD_OUT_COST * costs[epoch.member]
        run.say(
            f"{epoch.member} fold {epoch.fold + 1} of {len(run.folds)}, "
            f"epoch {epoch.epoch} of {epoch.epochs}: "
            f"loss {epoch.loss:.3f}, F1 {epoch.f1:.3f}, held out {epoch.f1_held_out:.3f} "
            f"({epoch.seconds:.1f} s; {pace.remaining()} to go)"
        )

    def halved(member: str, batch: int) -> None:
        notices.append(
            Notice("W531", f"{member}: the graphics card's memory allowed batches of {batch} windows only.")
        )
        run.say(str(notices[-1]))

    machine = Machine(device, precision, pace.stepped, told, halved)
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
        fit_fold(job, prepared[1], labels, *run.rows(name, fold), machine, run.workspace)


def _costs(recipe: WindowRecipe) -> dict[str, float]:
    """Work of one window, relative to each other; equal where a recipe does not say."""
    known = [network.gflop for network in recipe.networks.values()]
    return {n: own.gflop if own.gflop and all(known) else 1.0 for n, own in recipe.networks.items()}


def _work(run: _Run, name: str, fold: int) -> float:
    learned, held_out = run.rows(name, fold)
    return run.recipe.networks[name].epochs * (len(learned) + len(held_out) * _HELD_OUT_COST)


def _prepared(run: _Run, name: str) -> Tensor:
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


def _train_boosters(run: _Run) -> None:
    pending = [
        (name, fold)
        for name in run.recipe.boosters
        for fold in range(len(run.folds))
        if run.workspace.finished(f"{name}_fold{fold}") is None
    ]
    if not pending:
        return
    run.report("training boosters", 0, len(pending))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = {pool.submit(_train_booster, run, name, fold): (name, fold) for name, fold in pending}
        for done, future in enumerate(as_completed(waiting), start=1):
            future.result()
            run.report("training boosters", done, len(pending))


def _train_booster(run: _Run, name: str, fold: int) -> None:
    recipe = run.recipe.boosters[name]
    learned, held_out = run.rows(name, fold)
    content = fit_published(recipe, run.features[learned], run.labels[learned])
    features: npt.NDArray[Any] = run.features[held_out]
    votes = PREDICTORS[recipe.library](content)(features)
    write = partial(_write_bytes, content)
    run.workspace.finish(f"{name}_fold{fold}", write, ENDING[recipe.library], votes, {})


def _write_bytes(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def _collected(run: _Run) -> dict[str, Floats]:
    """Return every member's out-of-fold votes, NaN where it could not judge; ``(window,)``."""
    votes = {name: np.full(len(run.labels), np.nan) for name in run.recipe.members}
    for name, said in votes.items():
        for fold in range(len(run.folds)):
            said[run.rows(name, fold)[1]] = run.workspace.votes(f"{name}_fold{fold}")
    return votes
