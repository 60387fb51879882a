"""Networks at work: bits that depend on a window alone, memory that goes, devices that share."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import dask
import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import save_file

from landslide_map.models.networks import device_worker, network_member
from landslide_map.models.networks.batch import WindowPixels
from landslide_map.models.networks.inference import VotingNetwork, voting_network
from landslide_map.models.networks.network_member import NetworkMember
from landslide_map.models.networks.preprocessing import scale
from landslide_map.models.networks.runtime import Runtime
from landslide_map.models.networks.spec import NetworkSpec
from tests.support.filled_weights import synthetic_windows
from tests.support.raised import raised
from tests.support.tiny_ensemble import TINY, network

WINDOWS = synthetic_windows(8, 11)
SPEC = replace(TINY["v33"], image_size=128)
"""Two encoders, both with a folded stem; four windows in a pass."""


def member(folder: Path, spec: NetworkSpec = SPEC, folds: int = 2) -> NetworkMember:
    paths = tuple(folder / f"{spec.head}{spec.image_size}_{fold}.safetensors" for fold in range(folds))
    for fold, path in enumerate(paths):
        save_file(network(spec, 100 + fold).state_dict(), path)
    return NetworkMember("v33", spec, paths, Runtime("cpu"))


def bits(probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.uint64]:
    return probabilities.view(np.uint64)


@pytest.mark.parametrize(
    "spec", [SPEC, TINY["v10"], replace(TINY["v20"], image_size=64)], ids=lambda s: s.head
)
def test_a_windows_bits_depend_on_no_other_window(tmp_path: Path, spec: NetworkSpec) -> None:
    one = member(tmp_path, spec)
    assert one.runtime.windows_at_once(spec.image_size) > 1
    together = one.predict(WINDOWS)
    assert len(set(together.round(6))) > 5
    backwards = one.predict(WINDOWS[::-1])[::-1]
    alone = np.concatenate([one.predict(WINDOWS[i : i + 1]) for i in (0, 3, 10)])
    np.testing.assert_array_equal(bits(backwards.copy()), bits(together))
    np.testing.assert_array_equal(bits(alone), bits(together[[0, 3, 10]]))


@pytest.mark.parametrize("threads", [1, 3])
def test_bits_do_not_depend_on_the_number_of_threads_and_torchs_setting_stays(
    tmp_path: Path, threads: int
) -> None:
    one = member(tmp_path)
    expected = bits(one.predict(WINDOWS))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        np.testing.assert_array_equal(bits(one.predict(WINDOWS)), expected)
        found = [torch.get_num_threads()]
        later = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
        later.start()
        later.join()
        assert found == [threads, threads]
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("image_size", "windows"), [(64, 16), (128, 4 * 3), (256, 3), (384, 3)], ids=["64", "128", "256", "384"]
)
def test_side_by_side_are_one_window_of_the_published_size_for_every_thread_and_more_small_ones(
    monkeypatch: pytest.MonkeyPatch, image_size: int, windows: int
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    one = NetworkMember("v33", replace(SPEC, image_size=image_size), (), Runtime("cpu"))
    assert one.side_by_side == windows  # 64: one thread, however many there are


def test_a_worker_of_a_cluster_takes_its_threads_only() -> None:
    one = NetworkMember("v33", replace(SPEC, image_size=256), (), Runtime("cpu"))
    with dask.config.set(num_workers=5):
        assert one.side_by_side == 5


def test_every_thread_judges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()
    met = threading.Barrier(2, timeout=60)
    real = VotingNetwork.probability

    def spied(self: VotingNetwork, windows: torch.Tensor) -> torch.Tensor:
        if threading.get_ident() not in seen:
            seen.add(threading.get_ident())
            met.wait()  # until another thread is here, too
        assert torch.get_num_threads() == 1
        return real(self, windows)

    monkeypatch.setattr(VotingNetwork, "probability", spied)
    monkeypatch.setattr(device_worker, "cpu_workers", lambda _: 2)
    member(tmp_path, folds=1).predict(WINDOWS)
    assert len(seen) == 2


def test_several_devices_share_the_windows_and_all_get_every_fold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The processor stands in for three graphics cards: the last has one window less."""
    one = member(tmp_path)
    expected = one.predict(WINDOWS)
    judged: list[int] = []
    real = device_worker.DeviceWorker.predict_batch

    def spied(self: device_worker.DeviceWorker, windows: torch.Tensor) -> torch.Tensor:
        judged.append(len(windows))
        return real(self, windows)

    monkeypatch.setattr(Runtime, "devices", lambda _: [torch.device("cpu")] * 3)
    monkeypatch.setattr(device_worker.DeviceWorker, "predict_batch", spied)
    np.testing.assert_array_equal(one.predict(WINDOWS), expected)
    assert sorted(judged) == sorted([4, 4, 3] * 2)
    np.testing.assert_array_equal(one.predict(WINDOWS[:2]), expected[:2])  # fewer windows than cards


def test_pixels_are_scaled_once_for_all_members_that_scale_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scaled = []

    def counted(windows: torch.Tensor, *how: str) -> torch.Tensor:
        scaled.append((len(windows), *how))
        return scale(windows, *how)  # type: ignore[arg-type]

    monkeypatch.setattr(network_member, "scale", counted)
    pixels = WindowPixels(WINDOWS)
    robust, standard = TINY["v20"], TINY["v31"]
    for spec in (robust, standard, TINY["v10"], TINY["v46"], replace(standard, indices="before")):
        own = member(tmp_path, spec, folds=1)
        found = own.predict(pixels)
        np.testing.assert_array_equal(found, own.predict(WINDOWS.copy()))
    of_shared = [how for i, how in enumerate(scaled) if how[1:] not in [h[1:] for h in scaled[:i]]]
    assert of_shared == [(11, "robust", "after"), (11, "standard", "after"), (11, "standard", "before")]
    assert len(scaled) == 3 + 5


def test_the_weights_go_when_the_voting_is_done(tmp_path: Path) -> None:
    one = member(tmp_path)
    one.predict(WINDOWS[:1])
    kept = voting_network(SPEC, torch.device("cpu"), "float32")
    assert all(weight.is_meta for weight in kept._network.parameters())
    assert kept._products is None


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    one = member(tmp_path)
    save_file(network(TINY["v20"], 1).state_dict(), one.folds[1])
    with raised("E506", "_1.safetensors: these weights do not fit"):
        one.predict(WINDOWS[:1])
    one.folds[0].write_bytes(b"no safetensors")
    with raised("E506", "_0.safetensors: these weights do not fit"):
        one.predict(WINDOWS[:1])


def test_weights_stored_in_fewer_bits_are_computed_with_in_float32(tmp_path: Path) -> None:
    one = member(tmp_path, folds=1)
    halves = {
        key: value.bfloat16() if value.is_floating_point() else value
        for key, value in network(SPEC, 100).state_dict().items()
    }
    rounded = {key: value.float() if value.is_floating_point() else value for key, value in halves.items()}
    save_file(halves, one.folds[0])
    found = one.predict(WINDOWS)
    save_file(rounded, one.folds[0])
    np.testing.assert_allclose(found, one.predict(WINDOWS), atol=1e-6)


def test_an_interruption_ends_the_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    one = replace(member(tmp_path), runtime=Runtime("cpu", report=interrupted, batch_size=1))
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        one.predict(WINDOWS)
    assert threading.active_count() == before
    monkeypatch.undo()
    assert replace(one, runtime=Runtime("cpu")).predict(WINDOWS[:1]).shape == (1,)


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("precision", "tolerance"), [("float32", 1e-4), ("bfloat16", 0.05), ("float16", 0.02)]
)
def test_a_graphics_card_says_what_a_processor_says(
    tmp_path: Path, precision: network_member.Precision, tolerance: float
) -> None:
    one = member(tmp_path)
    on_card = replace(one, runtime=Runtime("cuda", precision))
    np.testing.assert_allclose(on_card.predict(WINDOWS), one.predict(WINDOWS), atol=tolerance)


@pytest.mark.gpu
def test_memory_of_the_graphics_card_goes(tmp_path: Path) -> None:
    on_card = replace(member(tmp_path), runtime=Runtime("cuda"))
    on_card.predict(WINDOWS)
    before = torch.cuda.memory_allocated()
    on_card.predict(WINDOWS)
    assert torch.cuda.memory_allocated() == before
