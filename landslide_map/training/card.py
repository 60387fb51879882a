"""What every bundle's model card has: how it opens, its table of figures, its training data, its cascade."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from landslide_map.models.cascade import Cascade

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


def number(value: float | None) -> str:
    """Return a figure as cards write it."""
    return "-" if value is None else f"{value:.3f}"


def _row(entry: Mapping[str, Any]) -> str:
    figures = (number(entry["metrics"].get(name)) for name in _FIGURES)
    limit = f"{entry['threshold']:.3f}" if "threshold" in entry else ""
    return f"| {entry['name']} | {limit} | {' | '.join(figures)} |"
