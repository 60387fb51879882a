"""``bundle.json`` of imported segmentation networks: members, scenarios and figures as published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch

from landslide_map._version import __version__
from landslide_map.models.published import ganerod, landslide4sense
from landslide_map.models.published.segmentation_keys import System
from landslide_map.models.segmentation.member import KIND
from landslide_map.models.segmentation.spec import SegmentationSpec

THRESHOLD: Final = 0.5
SIZES: Final = (20, 15, 10, 5, 1)
"""Members in the mean of the scenarios that are offered, where so many are there."""
_REFERENCES: Final[dict[System, str]] = {
    "ganerod": "Ganerod et al., arXiv 2310.05959; weights: Zenodo record 13471162",
    "landslide4sense": "Burange, Shinde, Mutyalwar, arXiv 2507.01123",
}


@dataclass(frozen=True, slots=True)
class Published:
    """A published network: its file and properties."""

    name: str
    path: Path
    spec: SegmentationSpec
    system: System
    setting: str | None = None
    run: ganerod.PublishedRun | None = None
    score: float | None = None
    """Score for the ranking of networks: best validation F1, or the F1 of the published table."""


def bundle_document(published: Sequence[Published], ranked: bool) -> dict[str, Any]:
    """Return ``bundle.json``, without its files, of `published` networks, best first if `ranked`."""
    system = published[0].system
    return {
        "name": f"{system}-imported",
        "version": "1.0.0",
        "description": f"Pixel members imported from published weights ({_REFERENCES[system]})",
        "unit": "pixel level: one probability for each pixel of 10 m",
        "licence": "of the weights: that of their authors; the files state none",
        "created_with": {"landslide-map": __version__, "torch": str(torch.__version__)},
        "training": {
            "reference": _REFERENCES[system],
            "source_files": {own.name: own.path.name for own in published},
            **({"published_bands": list(_bands(published[0]))} if system == "ganerod" else {}),
        },
        "members": [_member(own, rank if ranked else None) for rank, own in enumerate(published, 1)],
        "scenarios": _scenarios(published, ranked),
    }


def _bands(own: Published) -> tuple[str, ...]:
    """Return the names of the 15 published bands; those that the setting leaves out keep their numbers."""
    names = list(ganerod.BAND_NAMES)
    for position, name in zip(ganerod.SETTINGS[own.setting or "all"], own.spec.channels, strict=True):
        names[position] = name
    return tuple(names)


def _member(own: Published, rank: int | None) -> dict[str, Any]:
    settings: dict[str, Any] = {KIND: own.spec.as_json(), "threshold": THRESHOLD}
    if rank is not None:
        settings["rank"] = rank
    if own.run is not None:
        settings["run"] = asdict(own.run)
    metrics: dict[str, Any] = {}
    if own.system == "landslide4sense":
        row = landslide4sense.ROWS[own.name]
        metrics = {
            "batch_mean_f1": row.batch_f1,
            "level": "pixel",
            "source": "published; a mean of batches of a random fifth of the training patches",
        }
    elif own.score is not None:
        metrics = {"validation_f1": own.score, "level": "pixel", "source": "event file of the training"}
    return {
        "name": own.name,
        "kind": KIND,
        "input": "tiles",
        "channels": list(own.spec.channels),
        "files": [f"{own.name}.safetensors"],
        "settings": settings,
        "metrics": metrics,
    }


def _scenarios(published: Sequence[Published], ranked: bool) -> list[dict[str, Any]]:
    names = [own.name for own in published]
    if published[0].system == "landslide4sense":
        found = [_scenario(name, [name]) for name in names]
    else:
        sizes = [size for size in SIZES if ranked and size < len(names)]
        found = [_scenario(f"best {size}", names[:size]) for size in sizes]
    return [*found, _scenario("all", names)] if len(names) > 1 or not found else found


def _scenario(name: str, members: Sequence[str]) -> dict[str, Any]:
    return {
        "name": name,
        "weights": dict.fromkeys(members, 1.0),
        "average": "probability",
        "needs": "all",
        "threshold": THRESHOLD,
    }
