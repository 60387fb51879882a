"""The whole way at real size: the author's files, the importer, the bundle, ``score``, the golden numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from landslide_map.inference.score import score
from landslide_map.models.bundle.load import load_bundle
from landslide_map.models.networks.architecture import build_network
from landslide_map.models.published.import_weights import import_nasios
from landslide_map.models.published.nasios import NETWORKS
from tests.support.filled_weights import filled, synthetic_windows

from .test_networks_golden import FLIPPED, MEAN_PROBABILITY, SEED


@pytest.mark.slow
def test_imported_networks_score_the_published_probabilities(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    for version, spec in NETWORKS.items():
        network = build_network(spec)
        state = filled(network.state_dict(), SEED)
        torch.save(state, weights / f"Landslide_Class_S2S1_{version}_Fold0_last.pt")
    import_nasios(weights, tmp_path / "bundle")
    for file in weights.iterdir():  # 2 GB that are no longer needed
        file.unlink()
    bundle = load_bundle(tmp_path / "bundle")
    windows = synthetic_windows(SEED, 3)
    exact = score(windows, bundle, device="cpu")
    for version in NETWORKS:
        expected = 1 / (1 + np.exp(-np.array(FLIPPED[version])))
        np.testing.assert_allclose(exact[f"p_{version}"], expected, atol=1e-4)
    np.testing.assert_allclose(exact["probability"], MEAN_PROBABILITY, atol=1e-4)
    halved = score(windows, bundle, device="cpu", precision="bfloat16")
    np.testing.assert_allclose(halved["probability"], exact["probability"], atol=0.01)
    assert (halved["probability"] != exact["probability"]).any()
    for file in bundle.path.iterdir():
        file.unlink()
