"""Bundle of a training run on windows: its description, files and card."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import copyfile
from typing import Any, Final

import numpy as np
import pandas as pd

from landslide_map._version import __version__
from landslide_map.array_types import Floats, Labels, Rows
from landslide_map.metrics import UNIT, scores
from landslide_map.models.bundle.load import TRAINING_WINDOWS, window_hash
from landslide_map.models.statistics.boosters import ENDING
from landslide_map.models.voting.calibration import IDENTITY, Calibration
from landslide_map.models.voting.cascade import CASCADES, Cascade, cascades_file
from landslide_map.models.voting.scenario import Scenario, weighted_mean
from landslide_map.training.calibrate import fit_calibration, nested, operating_points
from landslide_map.training.cascade import learned_cascade
from landslide_map.training.model_card import CARD, write_window_card
from landslide_map.training.windows.recipe import Division, ScenarioRecipe, WindowRecipe
from landslide_map.training.windows.workspace import Workspace

VOTES: Final = "out-of-fold.csv"
"""File of the bundle: each member's votes on the windows that it was not trained on."""
_MIDDLE: Final = 0.5


@dataclass(frozen=True)
class Trained:
    """Members with all folds finished."""

    recipe: WindowRecipe
    division: Division
    labels: Labels
    folds: tuple[Rows, ...]
    votes: Mapping[str, Floats]
    """Member -> ``(window,)`` out of fold, NaN where it could not predict."""
    workspace: Workspace

    def table(self, ids: Sequence[str]) -> pd.DataFrame:
        """Return ``id, label, fold`` and ``p_<member>`` of every window."""
        fold = np.empty(len(self.labels), dtype=np.int64)
        for number, rows in enumerate(self.folds):
            fold[rows] = number
        table = pd.DataFrame({"id": list(ids), "label": self.labels, "fold": fold})
        return table.assign(**{f"p_{name}": predictions for name, predictions in self.votes.items()})

    def files(self, member: str) -> list[str]:
        """Return the names of a member's files, one for each fold."""
        booster = self.recipe.boosters.get(member)
        ending = ENDING[booster.library] if booster else "safetensors"
        return [f"{member}_fold{fold}.{ending}" for fold in range(len(self.folds))]


def bundle_document(
    trained: Trained, provenance: Mapping[str, Any], packages: Mapping[str, str]
) -> dict[str, Any]:
    """Return ``bundle.json`` without its files."""
    recipe = trained.recipe
    return {
        "name": recipe.name,
        "version": recipe.version,
        "description": recipe.description,
        "unit": UNIT,
        "licence": recipe.data.get("licence", "not stated"),
        "created_with": {"landslide-map": __version__, **packages},
        "training": {
            **recipe.data,
            **provenance,
            "limits": list(recipe.limits),
            "windows": len(trained.labels),
            "landslides": int(trained.labels.sum()),
            "folds": len(trained.folds),
            "division": trained.division,
            "seed": recipe.seed,
            "learning": recipe.learning.model_dump(mode="json"),
        },
        "members": [_member(trained, name) for name in recipe.members],
        "scenarios": [_scenario(trained, scenario) for scenario in recipe.scenarios],
    }


def bundle_contents(
    trained: Trained, document: Mapping[str, Any], table: pd.DataFrame
) -> dict[str, bytes | Callable[[Path], None]]:
    """Return file name -> content, or its writer, of all files but ``bundle.json``."""
    contents: dict[str, bytes | Callable[[Path], None]] = {
        name: partial(_copy, trained.workspace.folder / name)
        for member in trained.recipe.members
        for name in trained.files(member)
    }
    contents[VOTES] = table.to_csv(index=False).encode()
    contents[TRAINING_WINDOWS] = "".join(f"{window_hash(name)}\n" for name in table["id"]).encode()
    cascades = _cascades(trained, document["scenarios"])
    if cascades:
        contents[CASCADES] = cascades_file(cascades)
    contents[CARD] = write_window_card(document, cascades).encode()
    return contents


def _cascades(trained: Trained, scenarios: Sequence[Mapping[str, Any]]) -> dict[str, Cascade]:
    """Return the loss of the boosters alone, out of fold, in every scenario that has networks too."""
    found = {}
    for entry in scenarios:
        scenario = Scenario(
            entry["name"],
            entry["weights"],
            entry["threshold"],
            needs_all=entry["needs"] == "all",
            calibration=Calibration(**entry["calibration"]),
            operating_points=entry["operating_points"],
        )
        predictions = np.stack([trained.votes[name] for name in scenario.weights], axis=1)
        whole = np.isfinite(predictions).all(axis=1)
        cheap = tuple(trained.recipe.boosters)
        evidence = f"out of fold, {trained.division} folds"
        cascade = learned_cascade(
            scenario, tuple(scenario.weights), cheap, predictions[whole], evidence, trained.labels[whole]
        )
        if cascade is not None:
            found[scenario.name] = cascade
    return found


def _copy(source: Path, target: Path) -> None:
    copyfile(source, target)


def _member(trained: Trained, name: str) -> dict[str, Any]:
    recipe = trained.recipe
    network = recipe.networks.get(name)
    if network:
        settings: dict[str, Any] = {"network": recipe.spec(name).as_json()}
        settings |= network.model_dump(include={"gflop", "milliseconds"}, exclude_none=True)
        settings["training"] = network.model_dump(
            mode="json", include={"pretrained", "epochs", "batch", "learning_rate"}
        )
        kind = "network"
        settings["history"] = [
            (trained.workspace.finished(f"{name}_fold{fold}") or {}).get("epochs", [])
            for fold in range(len(trained.folds))
        ]
    else:
        booster = recipe.boosters[name]
        settings = {"training": booster.model_dump(mode="json")}
        kind = f"{booster.library}-126"
    threshold = _MIDDLE if recipe.threshold is None else recipe.threshold
    predicted = np.isfinite(trained.votes[name])
    predictions = trained.votes[name][predicted]
    figures = scores(trained.labels[predicted], predictions, predictions > threshold)
    return {
        "name": name,
        "kind": kind,
        "input": "pixels" if network else "statistics",
        "channels": recipe.channels(name),
        "files": trained.files(name),
        "settings": settings,
        "metrics": {"estimate": f"out of fold, at {threshold:g}", "windows": int(predicted.sum())}
        | _rounded(figures),
    }


def _scenario(trained: Trained, scenario: ScenarioRecipe) -> dict[str, Any]:
    """Join the members' votes as the bundle will, and say how good that is where all of them voted."""
    predictions = np.stack([trained.votes[name] for name in scenario.weights], axis=1)
    voted = np.isfinite(predictions)
    count = voted.sum(axis=1)
    predicted = count == len(scenario.weights) if scenario.needs == "all" else count > 0
    mean = weighted_mean(predictions[predicted], np.array(list(scenario.weights.values())))
    labels = trained.labels[predicted]
    wanted: Any = softened(labels)
    learned = fit_calibration(mean, wanted)
    points = operating_points(learned(mean))
    if trained.recipe.threshold is None:
        position = np.cumsum(predicted) - 1
        folds = [position[rows[predicted[rows]]] for rows in trained.folds]
        probability, threshold = nested(mean, wanted, [rows for rows in folds if len(rows)])
        estimate = "out of fold; calibration and threshold from the other folds"
        calibration, decided = learned, points["f1"]
    else:
        probability, threshold = mean, np.full(len(mean), trained.recipe.threshold)
        estimate = "out of fold, at the recipe's threshold"
        calibration, decided = IDENTITY, trained.recipe.threshold
        points = {name: learned.before(value) for name, value in points.items()}
    figures = scores(labels, probability, probability > threshold)
    return {
        "name": scenario.name,
        "weights": scenario.weights,
        "needs": scenario.needs,
        "calibration": calibration.model_dump(),
        "threshold": decided,
        "operating_points": points,
        "metrics": {"estimate": estimate, "windows": len(labels), **_rounded(figures)},
    }


def softened(labels: Labels) -> Floats:
    """Return Platt's targets, a little inside 0 and 1: few separable windows keep a finite slope."""
    landslides = int(labels.sum())
    others = len(labels) - landslides
    return np.where(labels == 1, (landslides + 1) / (landslides + 2), 1 / (others + 2))


def _rounded(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in figures.items()}
