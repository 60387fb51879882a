"""Markdown report of an evaluation at window level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from landslide_map.evaluation.report.markdown import number, table

FIGURES: Final = {
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "auc": "AUC",
    "average_precision": "average precision",
    "brier": "Brier",
    "ece": "calibration error",
}
"""Key -> heading, in the order of the tables."""
_LOSSES: Final = {"f1": "F1", "auc": "AUC", "average_precision": "average precision"}


def window_text(result: Mapping[str, Any], pictures: set[str]) -> str:
    """Return the report of windows; `pictures` are the files that lie beside it."""
    lines = [
        "# Evaluation at window level",
        "",
        f"Bundle: {result['bundle']}. Every figure is at {result['unit']}.",
        "",
        *_cautions(result),
        f"{result['n']} windows scored, {result['positives']} of them with landslide; {result['unscored']} "
        f"have no prediction. Threshold: {_threshold(result['threshold'])}"
        + (f" (operating point {result['operating_point']})." if result.get("operating_point") else "."),
        "",
        "## Ensemble (window level)",
        "",
        *table(["", *FIGURES.values()], [["ensemble", *_row(result)]]),
        *_confusion(result["confusion"]),
        *_pictures(pictures, ("precision_recall.png", "roc.png", "reliability.png", "thresholds.png")),
    ]
    if points := result.get("operating_points"):
        lines += [
            "Stored operating points: " + ", ".join(f"{k} {v:.3g}" for k, v in points.items()) + ".",
            "",
        ]
    lines += _group("Members", result["members"], "Members are not calibrated; threshold as stated.")
    lines += _pictures(pictures, ("member_correlation.png",))
    if scenarios := result.get("scenarios"):
        lines += _group(
            "Scenarios", scenarios, "Each as if it were the only one, in the windows that it fits."
        )
    if profiles := result.get("profiles"):
        held = {name: own for name, own in profiles.items() if own}
        absent = [name for name in profiles if name not in held]
        note = f"This bundle has no members for: {', '.join(absent)}." if absent else ""
        lines += _group("Profiles", held, note)
    if ablation := result.get("ablation"):
        lines += _ablation(ablation, pictures)
    if importance := result.get("importance"):
        lines += _importance(importance)
    return "\n".join(lines).rstrip() + "\n"


def _cautions(result: Mapping[str, Any]) -> list[str]:
    if result["estimate"] == "out of fold":
        return [
            "**Out of fold**: every vote comes from models that were not trained on the window; calibration "
            "and threshold come from the other folds where the bundle learned them.",
            "",
        ]
    if result["trained_on"]:
        return [
            f"**The bundle was trained on {result['trained_on_windows']} of these windows: the figures "
            "flatter it.** Use `--out-of-fold` for valid ones.",
            "",
        ]
    return []


def _threshold(threshold: Any) -> str:
    if isinstance(threshold, list):
        return f"{min(threshold):.3g} to {max(threshold):.3g}, by fold or scenario"
    return "-" if threshold is None else f"{threshold:.3g}"


def _row(own: Mapping[str, Any]) -> list[str]:
    return [number(own[key]) for key in FIGURES]


def _group(title: str, members: Mapping[str, Mapping[str, Any]], words: str) -> list[str]:
    rows = [[name, str(own["n"]), _threshold(own["threshold"]), *_row(own)] for name, own in members.items()]
    return [
        f"## {title} (window level)",
        "",
        *([words, ""] if words else []),
        *table(["", "windows", "threshold", *FIGURES.values()], rows),
    ]


def _confusion(counts: Mapping[str, int]) -> list[str]:
    return table(
        ["windows", "called landslide", "called none"],
        [
            ["landslide", str(counts["tp"]), str(counts["fn"])],
            ["none", str(counts["fp"]), str(counts["tn"])],
        ],
    )


def _ablation(ablation: Mapping[str, Any], pictures: set[str]) -> list[str]:
    whole = ablation["all"]
    lines = [
        "## Ablations (window level)",
        "",
        f"Method: {ablation['method']}. With everything: "
        + ", ".join(f"{words} {number(whole[key])}" for key, words in _LOSSES.items())
        + ".",
        "",
    ]
    for group, words in (("without_modality", "left out"), ("without_statistic", "statistic left out")):
        rows = [
            [name, *(number(own[key]) for key in _LOSSES), *(f"{own[f'{key}_loss']:+.4f}" for key in _LOSSES)]
            for name, own in ablation[group].items()
        ]
        lines += table([words, *_LOSSES.values(), *(f"loss of {name}" for name in _LOSSES.values())], rows)
    return lines + _pictures(pictures, ("ablation_modalities.png", "ablation_statistics.png"))


def _importance(importance: Mapping[str, Any]) -> list[str]:
    lines = ["## Feature importance (window level)", ""]
    for name, own in importance.items():
        listed = ", ".join(f"{feature} {share:.1%}" for feature, share in list(own["features"].items())[:8])
        lines += [f"- {name} (share of {own['measure']}): {listed}"]
    return [*lines, ""]


def _pictures(present: set[str], names: Sequence[str]) -> list[str]:
    lines = []
    for name in names:
        if name in present:
            title = name.removesuffix(".png").replace("_", " ").capitalize()
            lines += [f"![{title}]({name})", ""]
    return lines
