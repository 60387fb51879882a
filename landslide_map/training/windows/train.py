"""Training of a bundle of networks and boosters on labelled windows, fold by fold, resumable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np
import numpy.typing as npt
import pandas as pd

from landslide_map.array_types import Bools, Floats, Labels, Rows
from landslide_map.bands import CHANNELS
from landslide_map.datasets.folds import grouped_folds, overlap_notices, shuffled_folds
from landslide_map.datasets.joined import READING
from landslide_map.datasets.labelled_windows import checked_labels
from landslide_map.datasets.window_arrays import Windows, checked_chunks
from landslide_map.errors import InputError, Notice, UsageError
from landslide_map.features.ready_windows import eighteen_channels
from landslide_map.features.window_statistics import array_statistics
from landslide_map.models.bundle.folder import check_free, save_bundle
from landslide_map.models.bundle.options import with_fields
from landslide_map.models.networks.runtime import Runtime
from landslide_map.models.statistics.published_boosters import published_features
from landslide_map.options import Device, Precision
from landslide_map.runtime.notices import Notices
from landslide_map.runtime.package_versions import package_version
from landslide_map.runtime.progress import Report, counter, silent
from landslide_map.training.statistics.recipe import recipe_content
from landslide_map.training.windows.bundle import Trained, bundle_contents, bundle_document
from landslide_map.training.windows.pretrained import starting_weights
from landslide_map.training.windows.recipe import Division, WindowRecipe, parse_window_recipe
from landslide_map.training.windows.run import (
    TrainingRun,
    collected_votes,
    train_boosters,
    train_networks,
    tried_precision,
)
from landslide_map.training.windows.workspace import Workspace


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """Options of the training beside the recipe."""

    members: Sequence[str] | None = None
    """Train only these members."""
    division: Division | None = None
    """Division into folds instead of the recipe's: ``grouped`` keeps groups whole, for unbiased estimates
    elsewhere."""
    seed: int | None = None
    """Seed instead of the recipe's."""
    weights: str | PathLike[str] | None = None
    """Folder with pretrained encoders, as :func:`~.pretrained.starting_weights` reads it."""
    from_scratch: bool = False
    """Start every encoder from random numbers."""
    device: Device = "auto"
    """Device that trains."""
    precision: Precision = "float32"
    """Precision of training: ``bfloat16`` and ``float16`` train in mixed precision, once they have been
    compared with float32 (W613)."""


class TrainingFields(TypedDict, total=False):
    """Fields of :class:`TrainingOptions`, as keywords of a call."""

    members: Sequence[str] | None
    division: Division | None
    seed: int | None
    weights: str | PathLike[str] | None
    from_scratch: bool
    device: Device
    precision: Precision


@dataclass(frozen=True, slots=True)
class TrainedWindows:
    """Result of :func:`train`."""

    out: Path
    document: dict[str, Any]
    """Content of ``bundle.json``, without the files."""
    votes: pd.DataFrame
    """One row per window: ``id, label, fold`` and ``p_<member>``, out of fold."""
    notices: tuple[Notice, ...]


def train(
    windows: Windows | npt.NDArray[np.floating],
    labels: npt.ArrayLike,
    out: str | PathLike[str],
    *,
    recipe: str | WindowRecipe = "nasios-9",
    options: TrainingOptions = TrainingOptions(),
    groups: Sequence[str] | None = None,
    origin: pd.DataFrame | None = None,
    provenance: Mapping[str, Any] | None = None,
    restart: bool = False,
    overwrite: bool = False,
    progress: Report = silent,
    **given: Unpack[TrainingFields],
) -> TrainedWindows:
    """Train the members of a recipe on labelled windows and write a bundle.

    Finished folds and the last epoch of an unfinished one are kept in ``<out>.training``. After a kill the
    same call resumes there, and ends with the weights of an uninterrupted run.

    Parameters
    ----------
    windows : ndarray, (window, 64, 64, 12), or Windows
        Model bands in the order and units of ``bands.MODEL_BANDS``. A band that is NaN in the whole window is
        missing there: members that need it neither learn from the window nor predict it.
    labels : array_like, (window,), 0 or 1
    out : path
        Folder of the new bundle.
    recipe : str or WindowRecipe
        Name of a recipe of the package, path of a YAML file, or the recipe itself.
    options : TrainingOptions
        Members, division into folds, seed, pretrained weights, device and precision.
    groups : sequence of str, optional
        Spatial group of each window.
    origin : DataFrame, optional
        ``scene, row, col`` of each window's first pixel; identifies overlapping windows.
    provenance : mapping, optional
        Where the windows come from, kept in the bundle.
    restart, overwrite : bool
        Throw away the work of an unfinished run; replace an existing bundle.
    progress : callable
        Called as ``progress(stage, done, total)``. Each epoch's loss and F1 and the time left are logged at
        INFO by ``landslide_map.training``.
    **given
        Fields of `options`, such as ``seed=1, device="cpu"``.

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
    options = with_fields(options, given)
    out = Path(out)
    check_free(out, overwrite=overwrite)
    recipe = _chosen(recipe, options)
    machine_device = Runtime(options.device).torch_device()
    source = windows if isinstance(windows, Windows) else Windows.of_array(windows)
    known = checked_labels(labels, "the labels")
    if len(known) != len(source.ids):
        raise InputError("E142", f"{len(known)} labels for {len(source.ids)} windows; expected one for each.")
    division = options.division or recipe.division
    folds = _divided(recipe, division, known, groups)
    cure = (
        "Windows beside the border of two groups do; cut them with a stride of 64 px."
        if division == "grouped"
        else "Use spatially grouped folds, or cut windows with a stride of 64 px."
    )
    notices = Notices(about_inputs=overlap_notices(origin, folds, cure))
    precision = tried_precision(recipe, machine_device, options.precision, notices)
    missing, features, digest = _survey(source, bool(recipe.boosters), progress)
    learned_before = _pretrained(recipe)
    start = starting_weights(learned_before, options.weights) if learned_before else {}
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
    run = TrainingRun(recipe, source, known, folds, missing, features, workspace, progress)
    _check_classes(run)
    train_networks(run, start, machine_device, precision, notices)
    train_boosters(run)
    votes = collected_votes(run)
    trained = Trained(recipe, division, known, tuple(folds), votes, workspace)
    table = trained.table(source.ids)
    document = bundle_document(
        trained,
        provenance={
            **(provenance or {}),
            "windows_sha256": digest,
            "configuration_sha256": workspace.identity,
            "precision": precision,
            "encoders_start": _start_in_words(recipe, options.weights),
            "notices": [str(notice) for notice in notices.all],
        },
        packages={name: package_version(name) for name in ("torch", "timm", "lightgbm", "xgboost", "numpy")},
    )
    save_bundle(out, document, bundle_contents(trained, document, table), overwrite=overwrite)
    workspace.remove()
    return TrainedWindows(out, document, table, notices.all)


def _chosen(recipe: str | WindowRecipe, options: TrainingOptions) -> WindowRecipe:
    if not isinstance(recipe, WindowRecipe):
        path, content = recipe_content(recipe)
        recipe = parse_window_recipe(content, path)
    if options.members is not None:
        recipe = recipe.reduced(tuple(options.members))
    changes: dict[str, Any] = {} if options.seed is None else {"seed": options.seed}
    if options.from_scratch:
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
            "spatially grouped folds were requested, but the windows have no groups. Give Train.csv a column "
            "`group`, as `landslide-map windows` writes it.",
        )
    if len(groups) != len(labels):
        raise InputError("E142", f"{len(groups)} groups for {len(labels)} windows; expected one for each.")
    return grouped_folds(groups, labels, recipe.folds, recipe.seed)


def _survey(source: Windows, with_features: bool, report: Report) -> tuple[Bools, Floats, str]:
    """Check every window; return missing bands, the boosters' features and a hash of the pixels."""
    digest = sha256()
    missing, features = [], [np.empty((0, 0))]
    tick = counter(report, READING, len(source.ids))
    for ids, chunk in checked_chunks(source):
        digest.update(np.ascontiguousarray(chunk, dtype="<f8").tobytes())
        missing.append(np.isnan(chunk[:, 0, 0]))
        if with_features:
            statistics = array_statistics(eighteen_channels(chunk), CHANNELS, median=True)
            features.append(published_features(statistics))
        tick(len(ids))
    return np.concatenate(missing), np.concatenate(features[1:] or features), digest.hexdigest()


def _check_classes(run: TrainingRun) -> None:
    """Refuse, before any training, a fold in which some member would see one class only."""
    for member in run.recipe.members:
        for fold in range(len(run.folds)):
            learned, held_out = run.rows(member, fold)
            found = run.labels[learned].tolist()
            if len(set(found)) < 2 or not len(held_out):
                raise InputError(
                    "E122",
                    f"member {member}, fold {fold}: {len(learned)} windows to learn from, {sum(found)} of "
                    f"them landslides, and {len(held_out)} to test on. It needs both classes, and some to "
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
