"""The published segmentation systems give the reference numbers, which were computed without this package."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner
from landslide_map_cli.main import cli

from landslide_map.models.published import ganerod, landslide4sense
from landslide_map.models.segmentation.ensemble import mean_probability, probability
from landslide_map.models.segmentation.metrics import batch_mean_f1, pooled_f1
from landslide_map.models.segmentation.scaling import (
    L4S_DIVISOR,
    channel_statistics,
    scale,
    six_channels,
)
from landslide_map.models.segmentation.spec import ChannelScaling
from landslide_map.training.pixels.crops import crop_corner

from .segmentation_reference import close, ganerod_state, golden, l4s_state, reference

torch = pytest.importorskip("torch")

from landslide_map.models.published.segmentation_keys import System, own_key  # noqa: E402
from landslide_map.models.published.segmentation_networks import ganerod_spec, l4s_spec  # noqa: E402
from landslide_map.models.segmentation.architecture import loaded  # noqa: E402
from landslide_map.models.segmentation.losses import LOSSES  # noqa: E402

QUICK = {("pspnet", "s2"), ("linknet", "s1s2"), ("deeplab", "s1")}
QUICK_ROWS = {"unet6", "mit_b1", "mobilenet_v2"}
SAMPLE = np.s_[:, 0, 4::8, 4::8]
NAMES = {"l4s": "s2"}
"""Loss here -> loss in the reference."""


def slow_but(quick: bool, *values: Any) -> Any:
    return pytest.param(*values, marks=() if quick else pytest.mark.slow)


def filled(spec: Any, system: System, state: dict[str, Any]) -> Any:
    """Return the network of `spec` with the weights of a published file."""
    return loaded(spec, {own_key(key, spec, system): tensor for key, tensor in state.items()})


def run(network: Any, planes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    with torch.inference_mode():
        return np.asarray(network(torch.from_numpy(planes)).numpy())


def moments(logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    p = probability(logits)
    return np.array([p.mean(), p.std(), p.min(), p.max()])


@cache
def ganerod_logits(net: str, setting: str) -> npt.NDArray[np.float32]:
    spec = ganerod_spec(net, setting, None)
    scene = reference().image(int(golden()["seed"]), "s1", 2, 15)
    planes = np.ascontiguousarray(scene[:, list(ganerod.SETTINGS[setting])])
    network = filled(spec, "ganerod", ganerod_state(net, planes.shape[1]))
    return run(network, scale(planes, spec.scaling))


@pytest.mark.parametrize(
    ("net", "setting"),
    [
        slow_but((net, setting) in QUICK, net, setting)
        for net in ganerod.NETWORKS
        for setting in ganerod.SETTINGS
    ],
)
def test_networks_of_the_heterogeneous_ensemble(net: str, setting: str) -> None:
    logits = ganerod_logits(net, setting)
    close(logits[SAMPLE], golden()[f"s1_{net}_{setting}_logits"])
    close(moments(logits), golden()[f"s1_{net}_{setting}_moments"])


@pytest.mark.slow
@pytest.mark.parametrize("setting", ganerod.SETTINGS)
def test_mean_of_the_nine_networks(setting: str) -> None:
    mean = mean_probability(probability(ganerod_logits(net, setting)[SAMPLE]) for net in ganerod.NETWORKS)
    close(mean, golden()[f"s1_ensemble_{setting}"])


@pytest.mark.parametrize("name", [slow_but(name in QUICK_ROWS, name) for name in landslide4sense.ROWS])
def test_networks_on_landslide4sense(name: str) -> None:
    spec = l4s_spec(name)
    patch = reference().l4s_patch(int(golden()["seed"]), 2)
    chosen = patch[:, [landslide4sense.BANDS.index(channel) for channel in spec.channels]]
    network = filled(spec, "landslide4sense", l4s_state(name))
    logits = run(network, scale(chosen, spec.scaling))
    close(logits[SAMPLE], golden()[f"s2_{name}_logits"])
    close(moments(logits), golden()[f"s2_{name}_moments"])
    parameters = sum(p.numel() for p in network.parameters())
    assert parameters == golden()[f"params_s2_{name}"] == landslide4sense.ROWS[name].parameters


@pytest.mark.parametrize("case", ["rare", "empty", "sure", "half"])
@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str, case: str) -> None:
    logits, labels = reference().loss_cases(int(golden()["seed"]))[case]
    found = LOSSES[name](torch.from_numpy(logits.astype("float64")), torch.from_numpy(labels))
    close(float(found), golden()[f"loss_{NAMES.get(name, name)}_{case}"])
    single = LOSSES[name](torch.from_numpy(logits), torch.from_numpy(labels.astype("float32")))
    close(float(single), golden()[f"loss_{NAMES.get(name, name)}_{case}"])


def stat_images() -> list[npt.NDArray[np.float32]]:
    make, seed = reference(), int(golden()["seed"])
    images = []
    for i, size in enumerate((64, 48)):
        image = make.image(seed, f"stat{i}", 1, 15, size)[0].transpose(1, 2, 0) * (1 + i) + 3
        image[make.noise(seed, f"stat{i}.missing", image.shape) > 1.5] = np.nan
        images.append(image)
    return images


def test_channel_statistics_and_standardised_pixels() -> None:
    images = stat_images()
    mean, std = channel_statistics(images)
    close(mean, golden()["s1_stat_mean"])
    close(std, golden()["s1_stat_std"])
    corner = images[0][:8, :8].transpose(2, 0, 1)[None]
    scaling = ChannelScaling("standard", tuple(mean), tuple(std))
    close(scale(corner, scaling)[0], golden()["s1_standardised"])


def test_scaling_of_landslide4sense() -> None:
    patch = reference().l4s_patch(int(golden()["seed"]), 2)
    close(np.array(L4S_DIVISOR), reference().L4S_DIVISOR)
    six = patch[:, [landslide4sense.BANDS.index(name) for name in landslide4sense.SIX_BANDS]]
    close(six_channels(six)[:, :, 4::8, 4::8], golden()["unet6_inputs"])


def test_crop_corners() -> None:
    for request, corner in zip(golden()["crop_request"], golden()["crop_corner"], strict=True):
        assert crop_corner(*map(int, request)) == tuple(corner)


def test_both_definitions_of_f1() -> None:
    make, seed = reference(), int(golden()["seed"])
    positive = make.noise(seed, "f1.p", (6, 1000)) > 0.8
    again = positive & (make.noise(seed, "f1.q", (6, 1000)) > 0.2)
    truth = (make.noise(seed, "f1.t", (6, 1000)) > 1.2) | again
    positive[0] = False
    close(pooled_f1(positive, truth), golden()["f1_pixels"])
    close(batch_mean_f1(zip(positive, truth, strict=True)), golden()["f1_batches"])


@pytest.mark.parametrize(
    ("system", "net"), [("s1", "pspnet"), slow_but(False, "s1", "deeplab"), slow_but(False, "s2", "mit_b1")]
)
def test_published_files_through_the_command_line(system: str, net: str, tmp_path: Path) -> None:
    seed = int(golden()["seed"])
    if system == "s1":
        name, options = "epoch_001.ckpt", ["--network", net, "--scaled-inputs"]
        state: dict[str, Any] = {"state_dict": ganerod_state(net, 11), "hyper_parameters": torch.nn.ReLU()}
        array, more, key = reference().image(seed, "s1", 2, 15), ["--scaled"], f"s1_{net}_s1s2_logits"
    else:
        name, options = landslide4sense.ROWS[net].file or "", []
        state = l4s_state(net) | {"wce.weight": torch.tensor(5.0)}
        array, more, key = reference().l4s_patch(seed, 2), [], f"s2_{net}_logits"
    torch.save(state, tmp_path / name)
    np.save(tmp_path / "in.npy", array)
    bundle, out = str(tmp_path / "bundle"), str(tmp_path / "out.npy")
    for command in (
        ["models", "import-segmentation", str(tmp_path / name), "--out", bundle, *options],
        ["score-pixels", str(tmp_path / "in.npy"), "--bundle", bundle, "--logits", *more, "--out", out],
    ):
        result = CliRunner().invoke(cli, command, catch_exceptions=False)
        assert result.exit_code == 0, result.output
    close(np.load(out)[:, 4::8, 4::8], golden()[key])
