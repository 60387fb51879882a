"""The model card of a bundle that was trained on a table of statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from landslide_map.training.card import number, opening, origin, table


def write_statistics_card(document: Mapping[str, Any]) -> str:
    """Return the card of a bundle as Markdown, from what its ``bundle.json`` will say."""
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
