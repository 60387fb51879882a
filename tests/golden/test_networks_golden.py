"""The seven published networks give the logits of the published procedure, for weights from any program.

The numbers below were computed elsewhere, from the author's procedure, for three synthetic windows and filled
weights (seed 11); ``filled_weights`` makes both again.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.special import logit

from landslide_map.models.networks.architecture import build_network
from landslide_map.models.networks.inference import VotingNetwork
from landslide_map.models.networks.preprocessing import FLIPS, enlarge, logits, planes, scale
from landslide_map.models.networks.speedups.exact_float32 import true_float32
from landslide_map.models.published.nasios import NETWORKS
from landslide_map.options import Precision
from tests.support.filled_weights import filled, synthetic_windows

SEED = 11
PLAIN = {
    "v10": (0.69367748, 0.81711286, 0.56301296),
    "v20": (-0.45926186, 0.47876093, -0.60682154),
    "v31": (0.015029816, -1.7390378, -1.4630892),
    "v33": (-0.53619015, -2.3537381, -1.5329707),
    "v37": (-0.40453792, 0.25656578, -0.082794145),
    "v39": (-0.45772666, -0.65243167, 0.6786809),
    "v46": (-0.077483065, 0.42785901, -0.40674809),
}
FLIPPED = {
    "v10": (0.68626815, 0.75717986, 0.56230724),
    "v20": (0.24058795, 0.65192688, -0.24406476),
    "v31": (-0.062022589, -1.7476354, -1.4519747),
    "v33": (-0.56978571, -2.3887169, -1.5139189),
    "v37": (-0.46157473, 0.094413623, 0.74215198),
    "v39": (-0.51394165, -0.52988911, 0.59353685),
    "v46": (-0.068173446, 0.41160977, -0.43532738),
}
MEAN_PROBABILITY = (0.47351804, 0.43802443, 0.45154646)
"""Mean over the seven networks of the sigmoid of `FLIPPED`."""
TOLERANCE = 1e-4
"""Of logits of about 1; float32 rounding moves them by less than 1e-6 on one machine."""

FAST = {"v20", "v33"}
EVERY_NETWORK = [pytest.param(v, marks=() if v in FAST else pytest.mark.slow) for v in NETWORKS]


@cache
def computed(version: str, flips: tuple[tuple[int, ...], ...]) -> npt.NDArray[np.float32]:
    spec = NETWORKS[version]
    network = build_network(spec).eval()
    network.load_state_dict(filled(network.state_dict(), SEED))
    windows = torch.from_numpy(synthetic_windows(SEED, 3)).permute(0, 3, 1, 2)
    images = enlarge(scale(windows, spec.scaling, spec.indices)[:, planes(spec)], spec.image_size)
    with torch.inference_mode():
        return logits(network, images, flips).numpy()


@pytest.mark.parametrize("version", EVERY_NETWORK)
def test_logits_without_flips_are_the_published_ones(version: str) -> None:
    np.testing.assert_allclose(computed(version, ((),)), PLAIN[version], atol=TOLERANCE)


@pytest.mark.parametrize(
    "version", [pytest.param(v, marks=() if v == "v20" else pytest.mark.slow) for v in NETWORKS]
)
def test_logits_averaged_over_four_flips_are_the_published_ones(version: str) -> None:
    np.testing.assert_allclose(computed(version, FLIPS), FLIPPED[version], atol=TOLERANCE)


@pytest.mark.slow
def test_the_mean_of_the_seven_networks_is_the_published_one() -> None:
    probabilities = [1 / (1 + np.exp(-computed(v, FLIPS).astype(np.float64))) for v in NETWORKS]
    np.testing.assert_allclose(np.mean(probabilities, axis=0), MEAN_PROBABILITY, atol=1e-5)


def voted(version: str, device: str, precision: Precision) -> npt.NDArray[np.float64]:
    """What scoring and mapping really compute: enlargement folded into patches, weights packed."""
    spec = NETWORKS[version]
    voting = VotingNetwork(spec, torch.device(device), precision)
    voting.load(filled(build_network(spec).state_dict(), SEED), Path("filled"))
    windows = torch.from_numpy(synthetic_windows(SEED, 3)).permute(0, 3, 1, 2).to(device)
    with true_float32():
        return voting.probability(scale(windows, spec.scaling, spec.indices)).cpu().numpy()


@pytest.mark.parametrize(
    "version", [pytest.param(v, marks=() if v == "v20" else pytest.mark.slow) for v in NETWORKS]
)
def test_networks_that_vote_give_what_was_published(version: str) -> None:
    np.testing.assert_allclose(logit(voted(version, "cpu", "float32")), FLIPPED[version], atol=TOLERANCE)


@pytest.mark.gpu
@pytest.mark.parametrize("version", NETWORKS)
def test_networks_that_vote_on_a_gpu_give_what_was_published(version: str) -> None:
    np.testing.assert_allclose(logit(voted(version, "cuda", "float32")), FLIPPED[version], atol=1e-3)


@pytest.mark.parametrize(
    "device", [pytest.param("cpu", marks=pytest.mark.slow), pytest.param("cuda", marks=pytest.mark.gpu)]
)
def test_bfloat16_keeps_the_mean_of_the_seven_networks(device: str) -> None:
    mean = np.mean([voted(version, device, "bfloat16") for version in NETWORKS], axis=0)
    np.testing.assert_allclose(mean, MEAN_PROBABILITY, atol=0.01)
