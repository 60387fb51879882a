"""Training of a bundle on labelled window statistics: folds, members, calibration, thresholds, figures."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xarray as xr
from pydantic import ValidationError

from landslide_map._version import __version__
from landslide_map.array_types import Floats, Floats32, Labels, Rows
from landslide_map.datasets.folds import stratified_folds
from landslide_map.metrics import UNIT, scores
from landslide_map.models.bundle.load import TRAINING_WINDOWS, window_hash
from landslide_map.models.statistics.boosters import ENDING, PREDICTORS
from landslide_map.models.statistics.features import FEATURE_SET, feature_table
from landslide_map.models.statistics.perceptron import one_blas_thread
from landslide_map.models.voting.scenario import weighted_mean
from landslide_map.options import OperatingPoint
from landslide_map.runtime.package_versions import package_version
from landslide_map.runtime.progress import Report, Stage, silent
from landslide_map.training.calibrate import figures_at, fit_calibration, nested, operating_points
from landslide_map.training.model_card import CARD, write_statistics_card
from landslide_map.training.statistics.perceptron import PerceptronSettings, fit_perceptron
from landslide_map.training.statistics.recipe import ModelRecipe, Recipe, invalid_recipe, read_recipe
from landslide_map.training.statistics.trees import fit_lightgbm, fit_xgboost

STAGE: Final = Stage("training", "models")


@dataclass(frozen=True, slots=True)
class TrainedBundle:
    """Content for :func:`landslide_map.models.bundle.folder.save_bundle`."""

    document: dict[str, Any]
    contents: dict[str, bytes]
    """File name -> bytes."""
    votes: dict[str, Floats]
    """Member name -> out-of-fold votes, ``(window,)``."""
    folds: tuple[Rows, ...]


@dataclass(frozen=True, slots=True)
class _Job:
    member: str
    model: ModelRecipe
    features: Floats32
    fold: int


def train_on_statistics(
    statistics: xr.DataArray,
    labels: Labels,
    *,
    recipe: str | Recipe = "default",
    seed: int | None = None,
    ids: Iterable[str] = (),
    provenance: Mapping[str, Any] | None = None,
    progress: Report = silent,
) -> TrainedBundle:
    """Train every member of a recipe and estimate, out of fold, how good each scenario is.

    Parameters
    ----------
    statistics : xr.DataArray, (window, channel, statistic)
        Complete statistics of the labelled windows.
    labels : ndarray, (window,), 0 or 1
    recipe : str or Recipe
        Name of a recipe of the package, path of a YAML file, or the recipe itself.
    seed : int, optional
        Instead of the recipe's. The same seed, data and library versions give the same bundle on any number
        of cores. Models are trained on one thread each, several at a time.
    ids : iterable of str, optional
        Names of the windows. Their hashes are kept, so that an evaluation on the same windows is recognised.
    provenance : mapping, optional
        Where the labels come from (e.g. the table's hash), kept in the bundle.
    progress : callable
        Called with the number of models done.
    """
    recipe = recipe if isinstance(recipe, Recipe) else read_recipe(recipe)
    seed = recipe.seed if seed is None else seed
    folds = tuple(stratified_folds(labels, recipe.folds, seed))
    votes, files, contents = _train_members(statistics, labels, recipe, folds, seed, progress)
    document = {
        "name": recipe.name,
        "version": recipe.version,
        "description": recipe.description,
        "unit": UNIT,
        "licence": recipe.data.get("licence", "not stated"),
        "created_with": {
            "landslide-map": __version__,
            **{name: package_version(name) for name in ("lightgbm", "xgboost", "numpy")},
        },
        "training": {
            **recipe.data,
            **(provenance or {}),
            "windows": len(labels),
            "landslides": int(labels.sum()),
            "folds": recipe.folds,
            "seed": seed,
        },
        "members": [
            {
                "name": name,
                "kind": model.kind,
                "input": "statistics",
                "channels": channels,
                "files": files[name],
                "settings": {"features": FEATURE_SET, "training": model.settings},
                "metrics": _figures(votes[name], labels, folds),
            }
            for name, channels, model in recipe.members()
        ],
        "scenarios": list(_scenarios(recipe, votes, labels, folds)),
    }
    if names := sorted(map(window_hash, ids)):
        contents[TRAINING_WINDOWS] = ("\n".join(names) + "\n").encode()
    contents[CARD] = write_statistics_card(document).encode()
    return TrainedBundle(document, contents, votes, folds)


def _train_members(
    statistics: xr.DataArray,
    labels: Labels,
    recipe: Recipe,
    folds: Sequence[Rows],
    seed: int,
    progress: Report,
) -> tuple[dict[str, Floats], dict[str, list[str]], dict[str, bytes]]:
    """Return out-of-fold votes, file names and file contents of all members."""
    tables = {
        own.channels: feature_table(statistics, own.channels)[0] for own in recipe.channel_sets.values()
    }
    jobs = [
        _Job(name, model, tables[channels], fold)
        for name, channels, model in recipe.members()
        for fold in range(len(folds))
    ]
    votes = {name: np.full(len(labels), np.nan) for name, _, _ in recipe.members()}
    files = {
        name: [_file_name(name, model, fold) for fold in range(len(folds))]
        for name, _, model in recipe.members()
    }
    trained: dict[str, bytes] = {}
    progress(STAGE, 0, len(jobs))
    with one_blas_thread(), ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = {pool.submit(_fit_fold, job, labels, folds[job.fold], seed): job for job in jobs}
        for done, future in enumerate(as_completed(waiting), start=1):
            job = waiting[future]
            content, votes[job.member][folds[job.fold]] = future.result()
            trained[files[job.member][job.fold]] = content
            progress(STAGE, done, len(jobs))
    return votes, files, {name: trained[name] for names in files.values() for name in names}


def _fit_fold(job: _Job, labels: Labels, held_out: Rows, seed: int) -> tuple[bytes, Floats]:
    """Train on the other folds; return the model's file and its votes on `held_out`."""
    others = np.setdiff1d(np.arange(len(labels)), held_out)
    features, known = job.features[others], labels[others]
    seed = seed + 1000 * job.fold  # folds must not share their random choices
    settings = job.model.settings
    if job.model.kind == "lightgbm":
        content = fit_lightgbm(features, known, settings, seed)
    elif job.model.kind == "xgboost":
        content = fit_xgboost(features, known, settings, seed)
    else:
        content = fit_perceptron(features, known, _perceptron_settings(settings), seed).to_bytes()
    return content, PREDICTORS[job.model.kind](content)(job.features[held_out])


def _perceptron_settings(settings: dict[str, Any]) -> PerceptronSettings:
    try:
        return PerceptronSettings.model_validate(settings)
    except ValidationError as error:
        raise invalid_recipe("recipe: perceptron", error, PerceptronSettings) from None


def _file_name(member: str, model: ModelRecipe, fold: int) -> str:
    return f"{member}.fold{fold}.{ENDING[model.kind]}"


def _scenarios(
    recipe: Recipe, votes: Mapping[str, Floats], labels: Labels, folds: Sequence[Rows]
) -> Iterator[dict[str, Any]]:
    for scenario in recipe.scenarios:
        predictions = np.stack([votes[name] for name in scenario.weights], axis=1)
        joined = weighted_mean(predictions, np.array(list(scenario.weights.values())), scenario.average)
        calibration = fit_calibration(joined, labels)
        points = operating_points(calibration(joined))
        yield {
            "name": scenario.name,
            "weights": scenario.weights,
            "average": scenario.average,
            "clear_sky": scenario.clear_sky,
            "calibration": calibration.model_dump(),
            "threshold": points.get(scenario.operating_point, points["f1"]),
            "operating_points": points,
            "metrics": _figures(joined, labels, folds, scenario.operating_point)
            | {"operating_points": figures_at(points, joined, labels, folds)},
        }


def _figures(
    votes: Floats, labels: Labels, folds: Sequence[Rows], point: OperatingPoint = "f1"
) -> dict[str, Any]:
    """Figures of votes that no scored label has touched: not in training, calibration or threshold."""

    def choose(probability: Floats) -> float:
        points = operating_points(probability)
        return points.get(point, points["f1"])

    probability, threshold = nested(votes, labels, folds, choose)
    figures = scores(labels, probability, probability > threshold)
    return {
        "estimate": "out of fold; calibration and threshold from the other folds",
        **{key: round(value, 4) if isinstance(value, float) else value for key, value in figures.items()},
    }
