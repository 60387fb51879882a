"""The model card of a bundle that was trained on windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from landslide_map.models.cascade import Cascade
from landslide_map.training.card import cascade_section, opening, origin, table

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
        *opening(document),
        f"Out of fold on {training['windows']} labelled windows ({training['landslides']} with landslide), "
        f"{training['folds']} {training['division']} folds, each judged by networks that had not seen it.",
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
