"""Model cards of bundles: figures, training data, cascade."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from landslide_map.models.voting.cascade import Cascade

_DIVISIONS: Final = {
    "shuffled": "Folds are random, not spatial: neighbouring windows are in different folds. Elsewhere, "
    "expect lower figures.",
    "grouped": "Folds are spatial groups kept whole: the figures hold for places near those it learned from.",
}


CARD: Final = "CARD.md"
"""Name of the card in a bundle."""
_FIGURES: Final = ("f1", "precision", "recall", "auc", "brier", "ece")
_HEADS: Final = ("threshold", "F1", "precision", "recall", "AUC", "Brier", "ECE")


def opening(document: Mapping[str, Any]) -> list[str]:
    """Return the first lines, up to the heading of the figures."""
    return [
        f"# {document['name']} {document['version']}",
        "",
        document["description"],
        "",
        f"One probability answers for one window: {document['unit']}.",
        "",
        "## Figures",
        "",
    ]


def table(what: str, entries: list[Mapping[str, Any]]) -> list[str]:
    """Return the figures of `entries`, members or scenarios: a row each; only scenarios have a threshold."""
    return [f"| {what} | {' | '.join(_HEADS)} |", f"|{'---|' * (1 + len(_HEADS))}", *map(_row, entries)]


def origin(training: Mapping[str, Any]) -> list[str]:
    """Return where the training data come from, as list items."""
    return [f"- {key}: {training[key]}" for key in ("source", "licence", "attribution") if key in training]


def cascade_section(cascades: Mapping[str, Cascade]) -> list[str]:
    """Return the last lines of a card, on the loss of `--cascade`; none without a cascade."""
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


def number(value: float | None) -> str:
    """Return a figure as cards write it."""
    return "-" if value is None else f"{value:.3f}"


def _row(entry: Mapping[str, Any]) -> str:
    figures = (number(entry["metrics"].get(name)) for name in _FIGURES)
    limit = f"{entry['threshold']:.3f}" if "threshold" in entry else ""
    return f"| {entry['name']} | {limit} | {' | '.join(figures)} |"


def write_statistics_card(document: Mapping[str, Any]) -> str:
    """Return the card of a bundle as Markdown, from the content of its ``bundle.json``."""
    training = document["training"]
    lines = [
        *opening(document),
        f"Out of fold on {training['windows']} labelled windows ({training['landslides']} with landslide), "
        f"{training['folds']} stratified folds; calibration and threshold of every fold come from the other "
        "folds. The standard error of F1 is about 0.007.",
        "",
        *table("scenario", document["scenarios"]),
        "",
        "A window takes the first scenario of this table whose channels are all valid there.",
        "",
        *_operating_points(document["scenarios"]),
        "## Training data",
        "",
        *origin(training),
        *(["- " + training["changes"]] if "changes" in training else []),
        "",
        "## Limits",
        "",
        "- A window is 640 m wide: the probability says that a landslide is in it, not where or how large.",
        "- Folds are random, not spatial: windows of one event are in several folds. In a region and season "
        "that the training data do not hold, expect lower figures.",
        "- Snow, cloud and bright bare ground look like fresh scars. Optical-only scenarios are silent where "
        "most of a window is snow or cloud.",
        "- Absolute backscatter must be ellipsoid sigma0 in dB, not terrain-flattened; scenarios with "
        "differences alone serve flattened products.",
        "- Probabilities are calibrated to the share of landslides in the training windows "
        f"({training['landslides'] / training['windows']:.0%}); where landslides are rarer they promise too "
        "much.",
        "",
    ]
    return "\n".join(lines)


def _operating_points(scenarios: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the section on other thresholds, if there are any."""
    rows = [
        f"| {scenario['name']} | {name} | {scenario['operating_points'][name]:.3f} | "
        f"{number(figures['precision'])} | {number(figures['recall'])} | {number(figures['f1'])} |"
        for scenario in scenarios
        for name, figures in scenario["metrics"].get("operating_points", {}).items()
        if name != "f1"
    ]
    if not rows:
        return []
    return [
        "## Operating points",
        "",
        "Other thresholds, learned out of fold (`--operating-point`); figures as above, window level.",
        "",
        "| scenario | operating point | threshold | precision | recall | F1 |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
    ]


def write_window_card(document: Mapping[str, Any], cascades: Mapping[str, Cascade]) -> str:
    """Return the card of a bundle as Markdown, from the content of its ``bundle.json`` and its cascades."""
    training = document["training"]
    scenes = training.get("scenes", [])
    lines = [
        *opening(document),
        f"Out of fold on {training['windows']} labelled windows ({training['landslides']} with landslide), "
        f"{training['folds']} {training['division']} folds, each predicted by networks that had not seen it.",
        "",
        *table("member", document["members"]),
        "",
        *table("scenario", document["scenarios"]),
        "",
        "A window takes the first scenario whose members can all vote there.",
        "",
        "## Training data",
        "",
        *origin(training),
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
