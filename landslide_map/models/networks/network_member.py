"""Network member: its folds one after another, on all devices."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from landslide_map.bands import CHANNELS
from landslide_map.errors import ResourceError
from landslide_map.models.networks.batch import WindowPixels
from landslide_map.models.networks.device_worker import DeviceWorker, start_worker
from landslide_map.models.networks.inference import Weights, read_weights, voting_network
from landslide_map.models.networks.preprocessing import scale
from landslide_map.models.networks.runtime import Runtime
from landslide_map.models.networks.spec import NetworkSpec
from landslide_map.models.networks.speedups.exact_float32 import true_float32
from landslide_map.models.networks.speedups.threads import cpu_workers
from landslide_map.options import Precision
from landslide_map.runtime.progress import Stage

_TRIED: Final = 8
"""Windows at most that reduced precision is tried on."""
_SCALED: Final = 64
"""Windows scaled at a time: bounds the memory in float64."""
_PROCESS_LOCK: Final = threading.Lock()
"""Voting networks, threads and the precision of float32 belong to the process."""


@dataclass(frozen=True)
class NetworkMember:
    """Folds of one network on the pixels of windows; a :class:`~landslide_map.models.member.Member`."""

    name: str
    spec: NetworkSpec
    folds: tuple[Path, ...] = field(repr=False)
    """One safetensors file per fold."""
    runtime: Runtime = field(default_factory=Runtime)
    input: Literal["pixels"] = "pixels"

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels that some encoder sees."""
        return self.spec.channels

    @property
    def side_by_side(self) -> int:
        """Number of windows that are predicted at the same time, where there are enough."""
        devices = self.runtime.devices()
        workers = cpu_workers(self.spec.image_size) if devices[0].type == "cpu" else len(devices)
        return self.runtime.windows_at_once(self.spec.image_size) * workers

    def predict(self, x: WindowPixels | npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Return the probability of landslide, ``(window,)``.

        Per fold the logits of four flips are averaged and then turned into a probability; the mean of the
        folds is returned. On a CPU the bits of a window's probability depend neither on the windows
        beside it nor on the number of threads.

        Parameters
        ----------
        x : WindowPixels or ndarray, (window, y, x, 12)
            Model bands in the order of ``bands.MODEL_BANDS``, in their units; NaN pixels become medians.

        Raises
        ------
        BundleError
            E506 if weights do not fit the network.
        ResourceError
            E611 if the GPU has no memory for a single window. E613 if the reduced precision is
            wrong on this device, or its numbers grow too large.
        """
        if found := self.fault():
            raise self._unfit(found)
        try:
            probability = self._predict(x if isinstance(x, WindowPixels) else WindowPixels(x))
        except torch.OutOfMemoryError:
            raise ResourceError(
                "E611",
                f"the GPU memory is not enough for one window of {self.name}. "
                "Close other programs on it, use --precision bfloat16, or use --device cpu.",
            ) from None
        if self.runtime.precision != "float32" and not np.isfinite(probability).all():
            raise self._unfit("numbers grow too large")
        return probability

    def fault(self) -> str | None:
        """Return why the reduced precision is of no use on the devices; None if it is.

        The network is tried once in a process, with the weights of its first fold, and compared with float32.
        """
        if self.runtime.precision == "float32":
            return None
        tried = min(self.runtime.windows_at_once(self.spec.image_size), _TRIED)
        how = (self.spec, self.runtime.precision, self.folds[0], tried)
        return next((found for device in self.runtime.devices() if (found := _fault(device, *how))), None)

    def _unfit(self, found: str) -> ResourceError:
        precision = self.runtime.precision
        return ResourceError(
            "E613", f"{self.name} cannot be computed in {precision} here: {found}. Use --precision float32."
        )

    def _predict(self, pixels: WindowPixels) -> npt.NDArray[np.float64]:
        total = np.zeros(len(pixels))
        with _PROCESS_LOCK, true_float32(), ExitStack() as stack:
            workers = [stack.enter_context(self._worker(device)) for device in self.runtime.devices()]
            windows = [self._scaled(pixels, own.device, i, len(workers)) for i, own in enumerate(workers)]
            for fold, (path, weights) in enumerate(self._weights(pinned=workers[0].device.type == "cuda")):
                for own in workers:
                    own.network.load(weights, path)
                total += self._fold(workers, windows, fold, len(pixels))
        return total / len(self.folds)

    def _worker(self, device: torch.device) -> AbstractContextManager[DeviceWorker]:
        network = voting_network(self.spec, device, self.runtime.precision)
        at_once = self.runtime.windows_at_once(self.spec.image_size)
        return start_worker(self.name, network, at_once, self.spec.image_size)

    def _scaled(self, pixels: WindowPixels, device: torch.device, first: int, step: int) -> Tensor:
        """Return every `step`-th window, once for all members that scale alike; ``(window, 18, y, x)``."""

        def make(values: npt.NDArray[np.floating]) -> Tensor:
            return _scaled(values[first::step], self.spec, device)

        return pixels.cached((self.spec.scaling, self.spec.indices, device, first, step), make)

    def _weights(self, *, pinned: bool) -> Iterator[tuple[Path, Weights]]:
        """Yield the weights of each fold; those of the next are read meanwhile."""
        with ThreadPoolExecutor(1) as reader:
            coming = reader.submit(read_weights, self.folds[0], pinned=pinned)
            for path, after in zip_longest(self.folds, self.folds[1:]):
                weights = coming.result()
                if after is not None:
                    coming = reader.submit(read_weights, after, pinned=pinned)
                yield path, weights

    def _fold(
        self, workers: Sequence[DeviceWorker], windows: Sequence[Tensor], fold: int, count: int
    ) -> npt.NDArray[np.float64]:
        """Return the predictions of the loaded fold, ``(count,)``; worker `i` has every n-th window."""
        waiting: list[tuple[npt.NDArray[np.intp], Future[Tensor]]] = []
        for first, (own, prepared) in enumerate(zip(workers, windows, strict=True)):
            rows = np.arange(first, count, len(workers))
            at_once = own.at_once
            for start in range(0, len(rows), at_once):
                part = slice(start, start + at_once)
                waiting.append((rows[part], own.pool.submit(own.predict_batch, prepared[part])))
        found = np.empty(count)
        done = fold * count
        try:
            for rows, future in waiting:
                found[rows] = future.result().cpu().numpy()
                done += len(rows)
                self.runtime.report(Stage(f"network {self.name}", "votes"), done, len(self.folds) * count)
        finally:
            for _, future in waiting:
                future.cancel()
        return found


@cache
def _fault(
    device: torch.device, spec: NetworkSpec, precision: Precision, path: Path, tried: int
) -> str | None:
    """Return where a fold in reduced precision is wrong, tried where and as it would vote."""
    network = voting_network(spec, device, precision)
    with _PROCESS_LOCK, true_float32(), start_worker("check", network, tried, spec.image_size) as own:
        network.load(read_weights(path, pinned=False), path)
        return own.pool.submit(network.fault, tried).result()


def _scaled(values: npt.NDArray[np.floating], spec: NetworkSpec, device: torch.device) -> Tensor:
    """Return all channels as a network wants them, on the device; ``(window, 18, y, x)`` float32."""
    out = torch.empty(len(values), len(CHANNELS), *values.shape[1:3], device=device)
    kind = np.float32 if values.dtype == np.float32 else np.float64
    for start in range(0, len(values), _SCALED):
        part = torch.from_numpy(np.array(values[start : start + _SCALED], dtype=kind))
        if device.type == "cuda":
            part = part.pin_memory()
        bands = part.to(device, non_blocking=True).double().permute(0, 3, 1, 2)
        out[start : start + _SCALED] = scale(bands, spec.scaling, spec.indices)
    return out


def load_network_member(entry: Any, contents: Mapping[str, bytes | Path]) -> NetworkMember:
    """Return the member that a bundle's entry describes; `contents` names its verified files."""
    paths: Iterator[bytes | Path] = (contents[name] for name in entry.files)
    return NetworkMember(
        entry.name,
        NetworkSpec.from_json(entry.settings["network"]),
        tuple(p for p in paths if isinstance(p, Path)),
    )
