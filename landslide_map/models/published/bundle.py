"""Description of the published ensemble's bundle: members, scenarios, published figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import torch

from landslide_map._version import __version__
from landslide_map.bands import CHANNELS, DIFFERENCES, GROUPS
from landslide_map.models.published import nasios
from landslide_map.models.published.nasios import (
    BOOSTERS,
    ENSEMBLE_F1,
    FOLDS,
    GFLOP,
    MEMBERS,
    MILLISECONDS,
    PUBLISHED_F1,
    THRESHOLD,
)
from landslide_map.models.statistics.boosters import ENDING

_AS_PUBLISHED: Final = {"level": "window", "source": "published, not measured here"}

Sources = dict[str, dict[int, Path]]
"""Version -> fold -> file."""


def bundle_document(present: Sources) -> dict[str, Any]:
    """Return ``bundle.json``, without its files, of the members that are there.

    Parameters
    ----------
    present : mapping
        Version -> fold -> the author's file, members in the order of :data:`.published.MEMBERS`.
    """
    complete = set(present) == set(MEMBERS) and all(len(folds) == FOLDS for folds in present.values())
    return {
        "name": "nasios-imported",
        "version": "1.0.0",
        "description": "Members of the ensemble of Nasios (2026), imported from the author's weights",
        "unit": "window level: one probability for 64 x 64 px of 10 m",
        "licence": "of the weights: their author's; none is stated where they are published",
        "created_with": {"landslide-map": __version__, "torch": str(torch.__version__)},
        "training": {
            "reference": "Nasios, I. (2026), Remote Sensing Applications 42, 102037, arXiv 2604.05959",
            # "7,147 training windows", KFold(5, shuffle=True, random_state=42), the same for every member.
            "windows": 7147,
            "landslides": 1255,
            "folds": FOLDS,
            "division": "shuffled",
            "seed": 42,
            "source_files": {v: [path.name for path in folds.values()] for v, folds in present.items()},
        },
        "members": [_member(version, list(folds)) for version, folds in present.items()],
        "scenarios": _scenarios(tuple(present), complete),
    }


def file_name(version: str, fold: int) -> str:
    """Return the name of one fold's file in the bundle."""
    suffix = ENDING[BOOSTERS[version]] if version in BOOSTERS else "safetensors"
    return f"{version}_fold{fold}.{suffix}"


def _member(version: str, folds: list[int]) -> dict[str, Any]:
    settings: dict[str, Any] = {"folds": folds}
    if version in nasios.NETWORKS:
        settings |= {"network": nasios.NETWORKS[version].as_json()}
        settings |= {"gflop": GFLOP[version], "milliseconds": MILLISECONDS[version]}
    metrics = {"f1_out_of_fold": PUBLISHED_F1[version], **_AS_PUBLISHED}
    return {
        "name": version,
        "kind": f"{BOOSTERS[version]}-126" if version in BOOSTERS else "network",
        "input": "statistics" if version in BOOSTERS else "pixels",
        "channels": _channels(version),
        "files": [file_name(version, fold) for fold in folds],
        "settings": settings,
        "metrics": metrics if len(folds) == FOLDS else {},
    }


def _scenarios(versions: tuple[str, ...], complete: bool) -> list[dict[str, Any]]:
    """Equal weights everywhere; the sets of channels that users have, then the available members."""
    without_backscatter = {*GROUPS["optical"], *DIFFERENCES}
    choices = {
        f"all {len(versions)} members": versions,
        "optical and radar change": tuple(v for v in versions if set(_channels(v)) <= without_backscatter),
        "optical only": tuple(v for v in versions if set(_channels(v)) <= set(GROUPS["optical"])),
    }
    scenarios: list[dict[str, Any]] = []
    for name, voters in choices.items():
        weights = dict.fromkeys(voters, 1.0)
        if voters and all(weights != scenario["weights"] for scenario in scenarios):
            scenarios.append({"name": name, "weights": weights, "threshold": THRESHOLD})
    if complete:
        scenarios[0]["metrics"] = {"f1_out_of_fold": ENSEMBLE_F1, **_AS_PUBLISHED}
    if len(versions) > 1:
        weights = dict.fromkeys(versions, 1.0)
        scenarios.append(
            {"name": "available members", "weights": weights, "needs": "any", "threshold": THRESHOLD}
        )
    return scenarios


def _channels(version: str) -> tuple[str, ...]:
    return CHANNELS if version in BOOSTERS else nasios.NETWORKS[version].channels
