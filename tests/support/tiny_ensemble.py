"""The published ensemble with tiny encoders: the same heads, file names and paths, in milliseconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from landslide_map.models.networks.architecture import build_network
from landslide_map.models.networks.spec import NetworkSpec
from landslide_map.models.published import nasios
from landslide_map.models.published.nasios import NETWORKS
from tests.support.filled_weights import filled, synthetic_windows

TINY = {
    version: replace(spec, encoders=("test_vit.r160_in1k",) * len(spec.encoders), image_size=80)
    for version, spec in NETWORKS.items()
}
WINDOWS: npt.NDArray[np.float64] = synthetic_windows(5, 4)


def use_tiny_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nasios, "NETWORKS", TINY)


def network(spec: NetworkSpec, seed: int) -> torch.nn.Module:
    made = build_network(spec).eval()
    made.load_state_dict(filled(made.state_dict(), seed))
    return made


def write_weights(folder: Path, version: str, fold: int, of: str | None = None) -> Path:
    """Write the fold's file with seed ``100 + fold``; `of` names another version's weights."""
    path = folder / f"Landslide_Class_S2S1_{version}_Fold{fold}_last.pt"
    torch.save(network(TINY[of or version], 100 + fold).state_dict(), path)
    return path
