"""Networks at work: bits that depend on a window alone, memory that goes, devices that share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask
import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import save_file

from landslide_map.models.networks.batch import WindowPixels
from landslide_map.models.networks.device_worker import start_worker
from landslide_map.models.networks.inference import voting_network
from landslide_map.models.networks.network_member import NetworkMember
from landslide_map.models.networks.runtime import Runtime
from landslide_map.models.networks.spec import NetworkSpec
from landslide_map.options import Precision
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


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
    with torch_threads(threads):
        np.testing.assert_array_equal(bits(one.predict(WINDOWS)), expected)
        found = [torch.get_num_threads()]
        later = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
        later.start()
        later.join()
        assert found == [threads, threads]


@pytest.mark.parametrize(
    ("image_size", "windows"), [(64, 16), (128, 4 * 3), (256, 3), (384, 3)], ids=["64", "128", "256", "384"]
)
def test_side_by_side_are_one_window_of_the_published_size_for_every_thread_and_more_small_ones(
    image_size: int, windows: int
) -> None:
    one = NetworkMember("v33", replace(SPEC, image_size=image_size), (), Runtime("cpu"))
    with torch_threads(3):
        assert one.side_by_side == windows  # 64: one thread, however many there are


def test_a_worker_of_a_cluster_takes_its_threads_only() -> None:
    one = NetworkMember("v33", replace(SPEC, image_size=256), (), Runtime("cpu"))
    with dask.config.set(num_workers=5):
        assert one.side_by_side == 5


class TwoMeet:
    """A network that two threads must be in at once; knows how many threads each gave torch."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        self.met = threading.Barrier(2, timeout=20)
        self.threads: list[int] = []

    def probability(self, windows: torch.Tensor) -> torch.Tensor:
        self.met.wait()
        self.threads.append(torch.get_num_threads())
        return windows[:, 0, 0, 0]

    def unload(self) -> None: ...


def test_threads_predict_side_by_side_and_each_alone() -> None:
    network: Any = TwoMeet()
    with dask.config.set(num_workers=2), start_worker("v33", network, at_once=1, image_size=256) as own:
        tasks = [own.pool.submit(own.predict_batch, torch.full((1, 1, 1, 1), i)) for i in range(2)]
        assert [task.result().item() for task in tasks] == [0, 1]
    assert network.threads == [1, 1]


def test_a_fold_is_shared_among_threads(tmp_path: Path) -> None:
    seen, before = [], threading.active_count()
    runtime = Runtime("cpu", batch_size=1, report=lambda *_: seen.append(threading.active_count()))
    with dask.config.set(num_workers=3):
        replace(member(tmp_path, folds=1), runtime=runtime).predict(WINDOWS)
    assert len(seen) == len(WINDOWS)
    assert max(seen) - before == 3 + 1  # and one that reads weights


class ThreeDevices(Runtime):
    """The CPU stands in for three GPUs."""

    def devices(self) -> list[torch.device]:
        return [torch.device("cpu")] * 3


def test_several_devices_share_the_windows_and_all_get_every_fold(tmp_path: Path) -> None:
    done = []
    one = member(tmp_path)
    runtime = ThreeDevices("cpu", batch_size=8, report=lambda _, windows, __: done.append(windows))
    on_three = replace(one, runtime=runtime)
    expected = replace(one, runtime=Runtime("cpu", batch_size=8)).predict(WINDOWS)
    np.testing.assert_array_equal(on_three.predict(WINDOWS), expected)
    assert np.diff([0, *done]).tolist() == [4, 4, 3] * 2  # the last has one window less
    np.testing.assert_array_equal(on_three.predict(WINDOWS[:2]), expected[:2])  # fewer windows than GPUs


class CountedPixels(WindowPixels):
    """Remembers what was made of it."""

    def __init__(self, values: npt.NDArray[np.floating]) -> None:
        super().__init__(values)
        self.made: list[Any] = []

    def cached(self, key: Any, make: Callable[[npt.NDArray[np.floating]], Any]) -> Any:
        def counted(pixels: npt.NDArray[np.floating]) -> Any:
            self.made.append(key)
            return make(pixels)

        return super().cached(key, counted)


def test_pixels_are_scaled_once_for_all_members_that_scale_alike(tmp_path: Path) -> None:
    pixels = CountedPixels(WINDOWS[:3])
    robust, standard = TINY["v20"], TINY["v31"]
    for spec in (robust, standard, TINY["v10"], TINY["v46"], replace(standard, indices="before")):
        own = member(tmp_path, spec, folds=1)
        found = own.predict(pixels)
        np.testing.assert_array_equal(found, own.predict(WINDOWS[:3].copy()))
    ways = [key[:2] for key in pixels.made]
    assert ways == [("robust", "after"), ("standard", "after"), ("standard", "before")]


class LittleMemory:
    """A network on a device with memory for so many windows."""

    device = torch.device("cpu")

    def __init__(self, most: int) -> None:
        self.most = most
        self.tried: list[int] = []

    def probability(self, windows: torch.Tensor) -> torch.Tensor:
        self.tried.append(len(windows))
        if len(windows) > self.most:
            raise torch.OutOfMemoryError
        return windows[:, 0, 0, 0]

    def unload(self) -> None: ...


def test_exhausted_memory_halves_the_batch() -> None:
    windows = torch.arange(6.0).reshape(6, 1, 1, 1)
    network: Any = LittleMemory(most=2)
    with start_worker("v10", network, at_once=4, image_size=64) as own:
        assert own.predict_batch(windows).tolist() == windows.flatten().tolist()
        assert network.tried == [4, 2, 2, 2]
        network.most = 0
        with pytest.raises(torch.OutOfMemoryError):
            own.predict_batch(windows)
    assert network.tried[4:] == [2, 1]


def test_memory_that_is_not_enough_for_one_window_is_said(tmp_path: Path) -> None:
    def exhausted(*_: object) -> None:
        raise torch.OutOfMemoryError

    one = replace(member(tmp_path, folds=1), runtime=Runtime("cpu", report=exhausted))
    with raised("E611", "not enough for one window of v33"):
        one.predict(WINDOWS)


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


def test_an_interruption_ends_the_threads(tmp_path: Path) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    one = replace(member(tmp_path), runtime=Runtime("cpu", report=interrupted, batch_size=1))
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        one.predict(WINDOWS)
    assert threading.active_count() == before
    assert replace(one, runtime=Runtime("cpu")).predict(WINDOWS[:1]).shape == (1,)


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("precision", "tolerance"), [("float32", 1e-4), ("bfloat16", 0.05), ("float16", 0.02)]
)
def test_a_gpu_gives_the_numbers_of_a_cpu(tmp_path: Path, precision: Precision, tolerance: float) -> None:
    one = member(tmp_path)
    on_card = replace(one, runtime=Runtime("cuda", precision))
    np.testing.assert_allclose(on_card.predict(WINDOWS), one.predict(WINDOWS), atol=tolerance)


@pytest.mark.gpu
def test_memory_of_the_gpu_is_freed(tmp_path: Path) -> None:
    on_card = replace(member(tmp_path), runtime=Runtime("cuda"))
    on_card.predict(WINDOWS)
    before = torch.cuda.memory_allocated()
    on_card.predict(WINDOWS)
    assert torch.cuda.memory_allocated() == before
