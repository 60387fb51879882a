"""Reduced precision: stems in float32, and no vote from a product that is wrong on this machine.

Wrong kernels are put where torch looks for them under autocast on a CPU, so all that runs is what users
run.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from landslide_map.inference.score import score
from landslide_map.mapping.cluster import worker
from landslide_map.mapping.map_scene import map_scene
from landslide_map.models.bundle.load import load_bundle
from landslide_map.models.bundle.options import PredictionOptions, placed_on
from landslide_map.models.networks.network_member import NetworkMember
from landslide_map.models.networks.reduced_precision import fault, keep_stems_in_float32, some_windows
from landslide_map.models.networks.runtime import Runtime
from landslide_map.models.published.import_weights import import_nasios
from landslide_map.options import Precision
from landslide_map.training.windows.train import train
from tests.support import messages
from tests.support.network_recipes import labelled_windows, tiny_window_recipe
from tests.support.raised import raised
from tests.support.sample_scene import DENSE, cut_sample
from tests.support.tiny_ensemble import TINY, WINDOWS, network, use_tiny_encoders, write_weights

CPU = torch.device("cpu")
Kernel = Callable[[str, Callable[..., Tensor]], None]

# torch says that a kernel of its own was replaced, which is what these tests do.
pytestmark = pytest.mark.filterwarnings("ignore:Warning only once for all operators:UserWarning")


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    """Replaces an operator under autocast on a CPU; what replaces it is called with autocast off."""
    libraries = []

    def put(name: str, wrong: Callable[..., Tensor]) -> None:
        def called(*args: Any, **options: Any) -> Tensor:
            with torch.autocast("cpu", enabled=False):
                halves = [x.bfloat16() if isinstance(x, Tensor) else x for x in args]
                return wrong(*halves, **options)

        library = torch.library.Library("aten", "IMPL")
        library.impl(name, called, "AutocastCPU")
        libraries.append(library)

    yield put
    for library in libraries:
        library._destroy()


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        use_tiny_encoders(patch)
        for version in ("v10", "v33"):
            write_weights(folder, version, 0)
        import_nasios(folder, folder / "bundle", trust_pickles=True)
    return folder / "bundle"


@pytest.fixture
def bundle(imported: Path, tmp_path: Path) -> Path:
    """A new path each time: what was tried is remembered by the path of the weights."""
    return Path(shutil.copytree(imported, tmp_path / "bundle"))


def noise_for_few_channels(images: Tensor, weight: Tensor, *rest: Any) -> Tensor:
    """What oneDNN does with AMX: errors as large as the values."""
    found = torch.ops.aten.conv2d(images, weight, *rest)
    return found + torch.randn_like(found) * found.std() if weight.shape[1] <= 16 else found


def off_by_a_tenth(features: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.ops.aten.linear(features, weight, bias) * 1.1


def one_wrong_number(features: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    found = torch.ops.aten.linear(features, weight, bias)
    if features.dim() > 2:  # of a thousand, in one of many layers
        found[0, 1, 2] += 8 * found.float().std().item()
    return found


@pytest.mark.parametrize(
    "stem", [nn.Conv2d(4, 192, 16, 16), nn.Conv2d(6, 64, 6, 4, padding=1), nn.Conv2d(48, 32, 2, 2)]
)
@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_a_stem_is_the_one_in_float32(stem: nn.Conv2d, precision: torch.dtype) -> None:
    """On CPUs with AMX this fails for the first, were it left to torch."""
    images = torch.randn(4, stem.in_channels, 80, 80, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = stem(images)
        keep_stems_in_float32(stem)
        with torch.autocast("cpu", precision):
            found = stem(images)
    assert torch.equal(found, expected)


def test_other_convolutions_take_the_precision_of_autocast() -> None:
    others = [nn.Conv2d(48, 48, 3), nn.Conv2d(48, 48, 7, groups=48), nn.Conv2d(4, 8, 1)]
    for conv in others:
        keep_stems_in_float32(conv)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            assert conv(torch.randn(1, conv.in_channels, 8, 8)).dtype is torch.bfloat16


@pytest.mark.parametrize("version", ["v10", "v33"])
@pytest.mark.parametrize("image_size", [80, 128])  # patches of the window enlarged, and of the window itself
def test_networks_stay_close_where_reduced_convolutions_of_few_channels_are_wrong(
    bundle: Path, version: str, image_size: int, kernel: Kernel
) -> None:
    spec = replace(TINY[version], image_size=image_size)
    path = bundle.parent / "own.safetensors"
    save_file(network(spec, 100).state_dict(), path)
    kernel("conv2d", noise_for_few_channels)
    exact, close = (
        NetworkMember(version, spec, (path,), Runtime("cpu", precision)).predict(WINDOWS)
        for precision in ("float32", "bfloat16")
    )
    np.testing.assert_allclose(close, exact, atol=0.01)


@pytest.mark.parametrize("wrong", [off_by_a_tenth, one_wrong_number])
def test_a_wrong_product_is_noticed_and_float32_votes(
    bundle: Path, kernel: Kernel, wrong: Callable[..., Tensor]
) -> None:
    exact = score(WINDOWS, bundle)
    assert exact.attrs["notices"] == []
    kernel("linear", wrong)
    found = score(WINDOWS, bundle, precision="bfloat16")
    assert [notice.code for notice in found.attrs["notices"]] == ["W613"]
    assert "linear" in found.attrs["notices"][0].message
    np.testing.assert_array_equal(found.filter(like="p"), exact.filter(like="p"))
    placed = PredictionOptions(bundle, precision="bfloat16").load()
    assert placed_on(placed) == {"device": "cpu", "precision": "float32", "batch_size": None}


def test_a_map_keeps_the_notice_and_has_the_bytes_of_float32(
    bundle: Path, kernel: Kernel, tmp_path: Path
) -> None:
    scene = cut_sample(tmp_path / "scene", DENSE, (128, 128), images=False)
    exact = map_scene(scene, tmp_path / "exact", bundle=bundle, outline="windows")
    kernel("linear", off_by_a_tenth)
    options = {"bundle": bundle, "precision": "bfloat16", "outline": "windows"}
    found = map_scene(scene, tmp_path / "found", **options)
    assert [n.code for n in found.notices if n not in exact.notices] == ["W613"]
    run = json.loads((tmp_path / "found" / "run.json").read_text())
    assert "W613" in str(run["notices"])
    assert "computed in float32" in str(run["notices"])
    assert run["configuration"]["precision"] == "bfloat16"
    assert run["bundle"]["networks"] == {"device": "cpu", "precision": "float32", "batch_size": None}
    assert found.window_record.read_bytes() == exact.window_record.read_bytes()


def test_a_member_called_directly_refuses(bundle: Path, kernel: Kernel) -> None:
    kernel("linear", off_by_a_tenth)
    member = load_bundle(bundle).members[1]
    assert isinstance(member, NetworkMember)
    with raised("E613", "v33 cannot be computed in bfloat16 here"):
        replace(member, runtime=Runtime("cpu", "bfloat16")).predict(WINDOWS)


def test_a_worker_of_a_cluster_refuses(bundle: Path, kernel: Kernel) -> None:
    sha256 = load_bundle(bundle).sha256
    kernel("linear", off_by_a_tenth)
    assert worker._bundle(PredictionOptions(bundle), sha256).notices == ()
    with raised("E613", messages.LEAVE_THIS_WORKER_OUT):
        worker._bundle(PredictionOptions(bundle, precision="bfloat16"), sha256)


def test_attention_is_compared_too(bundle: Path, kernel: Kernel) -> None:
    def mean(query: Tensor, _: Tensor, value: Tensor, *__: Any, **___: Any) -> Tensor:
        return value.mean(dim=2, keepdim=True).expand_as(query).contiguous()

    kernel("scaled_dot_product_attention", mean)
    (notice,) = PredictionOptions(bundle, precision="bfloat16").load().notices
    assert "scaled_dot_product_attention" in notice.message


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_right_products_are_no_reason_to_notice(bundle: Path, precision: Precision) -> None:
    placed = PredictionOptions(bundle, precision=precision).load()
    assert placed.notices == ()
    assert placed_on(placed) == {"device": "cpu", "precision": precision, "batch_size": None}


def test_numbers_beyond_half_precision_are_found() -> None:
    layer = nn.Linear(18, 2, bias=False)
    nn.init.constant_(layer.weight, 60000.0)

    def probability(windows: Tensor) -> Tensor:
        return torch.sigmoid(layer(windows.square().mean(dim=(2, 3))).double()[:, 0])

    windows = some_windows(2, CPU)
    assert "linear of shape 2x2" in (fault(probability, windows, torch.float16) or "")
    assert fault(probability, windows, torch.bfloat16) is None


def test_what_is_no_product_shows_in_the_probabilities() -> None:
    def probability(windows: Tensor) -> Tensor:
        offset = 0.2 if torch.is_autocast_enabled("cpu") else 0.0
        return windows.mean(dim=(1, 2, 3)) * 0 + 0.5 + offset

    assert fault(probability, some_windows(1, CPU), torch.bfloat16) == "a probability differs by 0.2"


def test_votes_that_are_no_numbers_are_refused(bundle: Path, kernel: Kernel) -> None:
    """A trial predicts some windows only; others may lead to larger numbers."""
    member = load_bundle(bundle).members[1]
    assert isinstance(member, NetworkMember)
    reduced = replace(member, runtime=Runtime("cpu", "bfloat16"))
    assert reduced.fault() is None
    kernel("linear", lambda *given: torch.ops.aten.linear(*given) * torch.inf)
    with raised("E613", messages.NUMBERS_GROW_TOO_LARGE):
        reduced.predict(WINDOWS)


def test_training_goes_on_in_float32(tmp_path: Path, kernel: Kernel) -> None:
    windows, known = labelled_windows()
    recipe = tiny_window_recipe().reduced(("one",))
    exact = train(windows, known, tmp_path / "a", recipe=recipe)
    kernel("linear", off_by_a_tenth)
    found = train(windows, known, tmp_path / "b", recipe=recipe, precision="bfloat16")
    assert [notice.code for notice in found.notices] == ["W613"]
    np.testing.assert_array_equal(found.votes["p_one"], exact.votes["p_one"])
    assert found.document["training"]["precision"] == "float32"
