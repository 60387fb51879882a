"""The model card of a bundle that was trained on windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from landslide_map.models.cascade import Cascade

_FIGURES: Final = ("f1", "precision", "recall", "auc", "brier", "ece")
_DIVISIONS: Final = {
    "shuffled": "Folds are random, not spatial: neighbouring windows are in different folds. Elsewhere, "
    "expect lower figures.",
    "grouped": "Folds are spatial groups kept whole: the figures hold for places near those it learned from.",
}


def write_window_card(document: Mapping[str, Any], cascades: Mapping[str, Cascade]) -> str:
    """Return the card of a bundle as Markdown, from what its ``bundle.json`` will say and its cascades."""
    training = document["training"]
    scenes = training.get("scenes", [])
    lines = [
        f"# {document['name']} {document['version']}",
        "",
        document["description"],
        "",
        f"One probability answers for one window: {document['unit']}.",
        "",
        "## Figures",
        "",
        f"Out of fold on {training['windows']} labelled windows ({training['landslides']} with landslide), "
        f"{training['folds']} {training['division']} folds, each judged by networks that had not seen it.",
        "",
        _head("member"),
        *(_row(entry, None) for entry in document["members"]),
        "",
        _head("scenario"),
        *(_row(entry, entry["threshold"]) for entry in document["scenarios"]),
        "",
        "A window takes the first scenario whose members can all vote there.",
        "",
        "## Training data",
        "",
        *(f"- {key}: {training[key]}" for key in ("source", "licence", "attribution") if key in training),
        *(f"- windows of {scene}" for scene in scenes),
        f"- encoders started from: {training['encoders_start']}",
        "",
        "## Limits",
        "",
        *(f"- {limit}" for limit in training["limits"]),
        *(f"- {notice}" for notice in training["notices"]),
        "- A window is 640 m wide: the probability says that a landslide is in it, not where or how large.",
        f"- {_DIVISIONS[training['division']]}",
        "- Snow, cloud and bright bare ground look like fresh scars.",
        "- In the training windows "
        f"{training['landslides'] / training['windows']:.0%} have a landslide; where they are rarer, "
        "probabilities promise too much.",
        "",
        *cascade_section(cascades),
    ]
    return "\n".join(lines)


def cascade_section(cascades: Mapping[str, Cascade]) -> list[str]:
    """Return the last lines of a card, on what `--cascade` loses; none where there is no cascade."""
    if not cascades:
        return []
    return [
        "## Cascade",
        "",
        *(
            f"- {name}, threshold {rule.threshold:.3f}: {cascade.in_words(rule)}."
            for name, cascade in cascades.items()
            for rule in cascade.rules
        ),
        "",
    ]


def _head(what: str) -> str:
    names = (what, "threshold", "F1", "precision", "recall", "AUC", "Brier", "ECE")
    return f"| {' | '.join(names)} |\n|{'---|' * len(names)}"


def _row(entry: Mapping[str, Any], threshold: float | None) -> str:
    figures = (_number(entry["metrics"].get(name)) for name in _FIGURES)
    limit = "" if threshold is None else f"{threshold:.3f}"
    return f"| {entry['name']} | {limit} | {' | '.join(figures)} |"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
