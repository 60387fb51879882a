"""Folder of an evaluation: Markdown for people, JSON for programs, and plots."""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Final

import numpy as np

from landslide_map.evaluation.inventory_match import Match
from landslide_map.evaluation.report import plots
from landslide_map.evaluation.report.object_text import object_text
from landslide_map.evaluation.report.window_text import window_text
from landslide_map.evaluation.windows import LabelledPredictions
from landslide_map.metrics import precision_recall_curve, reliability_curve, roc_curve, scores
from landslide_map.runtime.own_files import Kind, sealed, tree_records
from landslide_map.runtime.transaction import outputs

MARKDOWN: Final = "report.md"
JSON: Final = "evaluation.json"
FILES: Final = (
    MARKDOWN,
    JSON,
    "roc.png",
    "precision_recall.png",
    "reliability.png",
    "thresholds.png",
    "member_correlation.png",
    "ablation_modalities.png",
    "ablation_statistics.png",
    "hit_rate.png",
    "outlines.png",
)
"""Every file that a report may consist of."""
REPORT: Final = Kind(JSON, FILES, "a report")


def write_window_report(
    folder: str | PathLike[str],
    result: Mapping[str, Any],
    predicted: LabelledPredictions,
    *,
    overwrite: bool = False,
) -> None:
    """Write the report of an evaluation of windows.

    Parameters
    ----------
    folder : path
        Created if absent; the files appear together or not at all.
    result : mapping
        As of :func:`landslide_map.evaluation.evaluate`, perhaps with ``ablation`` and ``importance``.
    predicted : LabelledPredictions
        The votes behind it, for the curves.
    overwrite : bool
        Replace an existing report; other files are never touched.

    Raises
    ------
    OutputExistsError
        E401 if the folder holds a report already.
    ResourceError
        E601 if it cannot be written, E612 without matplotlib.
    """
    plots.require_matplotlib()
    with outputs(folder, REPORT, overwrite=overwrite) as staging:
        _window_plots(staging, result, predicted)
        if ablation := result.get("ablation"):
            _ablation_plots(staging, ablation)
        _write(staging, result, window_text(result, {path.name for path in staging.iterdir()}))


def write_object_report(folder: str | PathLike[str], match: Match, *, overwrite: bool = False) -> None:
    """Write the report of a map against an inventory; parameters and errors as above."""
    plots.require_matplotlib()
    result = match.figures
    with outputs(folder, REPORT, overwrite=overwrite) as staging:
        classes = result["size_classes"]
        notes = [f"{own['hit']} of {own['landslides']}" for own in classes]
        plots.bars(
            staging / "hit_rate.png",
            "Landslides found, by size, object level",
            "Hit rate",
            {own["name"]: own["hit_rate"] for own in classes},
            notes,
        )
        plots.outlines(staging / "outlines.png", match)
        _write(staging, result, object_text(result))


def _write(staging: Path, result: Mapping[str, Any], text: str) -> None:
    (staging / MARKDOWN).write_text(text, encoding="utf-8")
    document = sealed({**result, "outputs": tree_records(staging)})
    (staging / JSON).write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _window_plots(staging: Path, result: Mapping[str, Any], predicted: LabelledPredictions) -> None:
    probability, _, _ = predicted.combine_predictions(predicted.bundle.scenarios)
    voted = np.isfinite(probability)
    truth, probability = predicted.labels[voted] == 1, probability[voted]
    all_members = {"ensemble": (truth, probability)}
    for name in _drawn(predicted):
        predictions = predicted.votes.predictions[:, predicted.votes.members.index(name)]
        own = np.isfinite(predictions)
        all_members[name] = (predicted.labels[own] == 1, predictions[own])
    figures = {name: scores(t.astype(int), p, p > 1) for name, (t, p) in all_members.items()}
    plots.roc(
        staging / "roc.png",
        {name: roc_curve(t, p) for name, (t, p) in all_members.items()},
        {name: own["auc"] for name, own in figures.items()},
    )
    plots.precision_recall(
        staging / "precision_recall.png",
        {name: precision_recall_curve(t, p) for name, (t, p) in all_members.items()},
        {name: own["average_precision"] for name, own in figures.items()},
        float(truth.mean()),
        result,
    )
    plots.reliability(staging / "reliability.png", reliability_curve(truth, probability), result["ece"])
    curve = {
        name: np.array([np.nan if v is None else v for v in values])
        for name, values in result["threshold_curve"].items()
        if isinstance(values, list)
    }
    plots.thresholds(staging / "thresholds.png", curve, _marks(result))
    correlation = result["member_correlation"]
    if len(correlation["members"]) > 1:
        matrix = np.array([[np.nan if v is None else v for v in row] for row in correlation["error"]])
        plots.correlation(staging / "member_correlation.png", correlation["members"], matrix)


def _drawn(predicted: LabelledPredictions) -> list[str]:
    """Return the members to draw beside the ensemble: those of the most frequent scenario that voted."""
    _, _, chosen = predicted.combine_predictions(predicted.bundle.scenarios)
    scenario = predicted.bundle.scenarios[int(np.bincount(chosen[chosen >= 0]).argmax())]
    predictions = predicted.votes.predictions
    voted = [name for i, name in enumerate(predicted.votes.members) if np.isfinite(predictions[:, i]).any()]
    return [name for name in voted if name in scenario.weights][: plots.NAMED]


def _marks(result: Mapping[str, Any]) -> dict[str, float]:
    marks = {}
    if isinstance(result["threshold"], float):
        marks["threshold"] = result["threshold"]
    for name, value in result.get("operating_points", {}).items():
        if value not in marks.values():
            marks[name] = value
    return marks


def _ablation_plots(staging: Path, ablation: Mapping[str, Any]) -> None:
    for kind, group, title in (
        ("modalities", "without_modality", "Loss of average precision without a modality, window level"),
        ("statistics", "without_statistic", "Loss of average precision without a statistic, window level"),
    ):
        own = ablation[group]
        if own:
            plots.bars(
                staging / f"ablation_{kind}.png",
                title,
                f"Loss against {ablation['all']['average_precision']:.3f} with everything",
                {name: figures["average_precision_loss"] for name, figures in own.items()},
                [f"{figures['average_precision_loss']:+.3f}" for figures in own.values()],
            )
