"""Architectures and what surrounds them, against hand arithmetic and plain timm."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from landslide_map.bands import CHANNELS, DIFFERENCES, MODEL_BANDS, TRAINING_MOMENTS, TRAINING_QUANTILES
from landslide_map.models.networks.architecture import build_network
from landslide_map.models.networks.preprocessing import FLIPS, enlarge, logits, planes, scale
from landslide_map.models.networks.spec import ENCODERS, Head, NetworkSpec
from landslide_map.models.published.nasios import NETWORKS
from tests.support.raised import raised

OPTICAL = MODEL_BANDS[:4]
ENCODER = "test_vit.r160_in1k"


def tiny(head: Head) -> NetworkSpec:
    groups = (OPTICAL, DIFFERENCES, CHANNELS[12:], MODEL_BANDS[4:6])[: ENCODERS[head]]
    return NetworkSpec(head, (ENCODER,) * len(groups), groups, "standard", image_size=80)


def one_pixel(values: dict[str, float]) -> torch.Tensor:
    """A window of one pixel; other bands are at their training mean."""
    pixel = [values.get(name, TRAINING_MOMENTS[name][0]) for name in MODEL_BANDS]
    return torch.tensor(pixel, dtype=torch.float64)[None, :, None, None]


def test_standard_scaling_subtracts_the_mean_and_divides_by_the_deviation() -> None:
    mean, std = TRAINING_MOMENTS["asc_vh"]
    scaled = scale(one_pixel({"asc_vh": mean + 2 * std}), "standard")
    assert scaled[0, MODEL_BANDS.index("asc_vh"), 0, 0] == pytest.approx(2, abs=1e-6)
    assert scaled[0, MODEL_BANDS.index("nir"), 0, 0] == 0


def test_robust_scaling_divides_by_the_span_of_the_quantiles() -> None:
    low, median, high = TRAINING_QUANTILES["nir"]
    scaled = scale(one_pixel({"nir": high}), "robust")
    assert scaled[0, MODEL_BANDS.index("nir"), 0, 0] == pytest.approx((high - median) / (high - low))


def test_a_missing_pixel_becomes_the_training_median() -> None:
    scaled = scale(one_pixel({"desc_vv": float("nan")}), "robust")
    assert scaled[0, MODEL_BANDS.index("desc_vv"), 0, 0] == 0


def test_indices_after_scaling_are_of_scaled_bands() -> None:
    (red, spread_red), (nir, spread_nir) = TRAINING_MOMENTS["red"], TRAINING_MOMENTS["nir"]
    pixel = one_pixel({"red": red + spread_red, "nir": nir + 3 * spread_nir})
    ndvi = scale(pixel, "standard")[0, CHANNELS.index("ndvi"), 0, 0]
    assert ndvi == pytest.approx((3 - 1) / (3 + 1) + 0.5, abs=1e-6)


def test_indices_before_scaling_are_of_raw_bands() -> None:
    ndvi = scale(one_pixel({"red": 1000, "nir": 3000}), "standard", "before")[0, CHANNELS.index("ndvi"), 0, 0]
    assert ndvi == 1


def test_enlarging_places_pixel_centres_as_opencv_does() -> None:
    ramp = torch.arange(4.0)[None, None, None].expand(1, 1, 4, 4)
    # Output centre (i + 0.5) / 4 - 0.5 in input pixels, held at the edges: -0.375, -0.125, 0.125, ...
    centres = np.clip((np.arange(16) + 0.5) / 4 - 0.5, 0, 3)
    np.testing.assert_allclose(enlarge(ramp, 16)[0, 0, 7], centres, atol=1e-6)


def test_logits_are_the_mean_of_the_four_flips() -> None:
    class Corner(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images[:, :1, 0, 0]

    images = torch.tensor([[[[1.0, 2.0], [4.0, 8.0]]]])
    assert logits(Corner(), images, ((),)).item() == 1
    assert logits(Corner(), images).item() == pytest.approx((1 + 2 + 4 + 8) / 4)
    assert len(FLIPS) == 4


def test_two_joined_encoders_are_what_timm_and_linear_algebra_give() -> None:
    network = build_network(tiny("v2")).eval()
    state = network.state_dict()
    images = torch.randn(3, 8, 80, 80, generator=torch.Generator().manual_seed(0))
    outputs = []
    for name, part in (("model1.", images[:, :4]), ("model2.", images[:, 4:])):
        encoder = timm.create_model(ENCODER, in_chans=4, num_classes=256, img_size=80).eval()
        encoder.load_state_dict({k.removeprefix(name): v for k, v in state.items() if k.startswith(name)})
        outputs.append(encoder(part))
    joined = torch.cat(outputs, 1)
    reduced = joined @ state["feats.weight"].T + state["feats.bias"]
    reduced = reduced / torch.sqrt(torch.ones(256) + 1e-5)  # a fresh batch norm: mean 0, variance 1
    expected = torch.cat([joined, reduced], 1) @ state["clf.weight"].T + state["clf.bias"]
    torch.testing.assert_close(network(images), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("head", "keys"),
    [
        ("v2", {"feats": (256, 512), "clf": (1, 768)}),
        ("v3", {"feats": (512, 768), "comb": (512, 1280), "clf": (1, 512)}),
        ("v3c", {"feats": (256, 768), "clf": (1, 1024)}),
        ("v4", {"feats": (512, 1024), "comb": (512, 1536), "clf": (1, 512)}),
    ],
)
def test_heads_have_the_published_layers(head: Head, keys: dict[str, tuple[int, int]]) -> None:
    state = build_network(tiny(head)).state_dict()
    found = {
        k.removesuffix(".weight"): tuple(v.shape)
        for k, v in state.items()
        if k.endswith(".weight") and not k.startswith("model") and v.ndim == 2
    }
    assert found == keys
    assert any(k.startswith("bn.") for k in state) == (head != "v3c")


def test_a_single_network_has_timms_own_keys() -> None:
    own = timm.create_model(ENCODER, in_chans=4, num_classes=1, img_size=80).state_dict()
    assert list(build_network(tiny("single")).state_dict()) == list(own)


@pytest.mark.parametrize("version", ["v10", "v20", "v31", "v39", "v46"])
def test_attention_of_published_encoders_is_computed_in_one_go(version: str) -> None:
    class Calls(TorchFunctionMode):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[Any] = []

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.seen.append(func)
            return func(*args, **(kwargs or {}))

    spec = NETWORKS[version]
    with torch.device("meta"), Calls() as calls:
        build_network(spec).eval()(torch.empty(1, len(planes(spec)), 256, 256))
    assert functional.scaled_dot_product_attention in calls.seen
    assert not {functional.softmax, torch.softmax, torch.Tensor.softmax} & set(calls.seen)


def test_published_planes_are_the_published_positions() -> None:
    assert planes(NETWORKS["v20"]) == list(range(4, 18))
    assert planes(NETWORKS["v37"]) == [0, 1, 2, 3, 6, 7, 10, 11, *range(12, 18)]
    assert planes(NETWORKS["v46"]) == [0, 1, 2, 3, 4, 5, 8, 9, 6, 7, 10, 11]


def test_a_spec_survives_json() -> None:
    for spec in (*NETWORKS.values(), tiny("v4")):
        assert NetworkSpec.from_json(spec.as_json()) == spec


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head": "v9"}, "'v9' is none of"),
        ({"encoders": [ENCODER]}, "head v2 joins 2"),
        ({"groups": [["red"], ["purple"]]}, "unknown channel 'purple'"),
        ({"groups": [["red"], ["nir", "nir"]]}, "none of them twice"),
        ({"colour": 1}, "a network is described by"),
    ],
)
def test_a_wrong_spec_is_refused(changes: dict[str, object], message: str) -> None:
    with raised(ValueError, message):
        NetworkSpec.from_json(tiny("v2").as_json() | changes)


def test_an_encoder_that_timm_lacks_is_refused() -> None:
    spec = NetworkSpec("single", ("vit_enormous",), (OPTICAL,), "robust")
    with raised(ValueError, "has no encoder 'vit_enormous'"):
        build_network(spec)
