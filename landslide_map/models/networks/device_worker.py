"""Device worker: the network on one device, and the threads that hand it windows."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from landslide_map.models.networks.inference import VotingNetwork
from landslide_map.models.networks.speedups.heap import kept_memory
from landslide_map.models.networks.speedups.threads import cpu_workers
from landslide_map.runtime import timings


@dataclass
class DeviceWorker:
    """A network on one device. A GPU has one thread; a CPU has several, each with one window at a time."""

    name: str
    """Name of the member."""
    network: VotingNetwork
    at_once: int
    """Windows in one pass; halved where the GPU's memory is not enough."""
    pool: ThreadPoolExecutor

    @property
    def device(self) -> torch.device:
        """Device of the network."""
        return self.network.device

    def predict_batch(self, windows: Tensor) -> Tensor:
        """Return the probability of windows by the present fold, ``(n,)``, on the device.

        On a CPU every pass has `at_once` windows, the last repeated where there are fewer. Libraries sum
        in another order for another size, so bits would depend on the number of windows.

        Raises
        ------
        torch.OutOfMemoryError
            If the GPU has no memory for a single window.
        """
        parts = []
        start = 0
        with timings.work(f"network {self.name}"):
            while start < len(windows):
                size = self.at_once
                part = windows[start : start + size]
                missing = size - len(part) if self.device.type == "cpu" else 0
                found = self._tried(torch.cat([part, part[-1:].expand(missing, -1, -1, -1)]))
                if found is None:
                    torch.cuda.empty_cache()
                    self.at_once = max(1, size // 2)
                    continue
                parts.append(found[: len(part)])
                start += size
        return torch.cat(parts)

    def _tried(self, windows: Tensor) -> Tensor | None:
        """Return None where there is not memory enough and fewer windows may do.

        Memory can only be had again once the error, which knows the tensors of the pass, is gone.
        """
        try:
            return self.network.probability(windows)
        except torch.OutOfMemoryError:
            if len(windows) == 1:
                raise
        return None


@contextmanager
def start_worker(name: str, network: VotingNetwork, at_once: int, image_size: int) -> Iterator[DeviceWorker]:
    """Yield a device worker; at the end its threads stop and the weights are freed.

    Each thread on a CPU computes alone: no thread waits for another, and no sum depends on their number.
    """
    before = torch.get_num_threads()
    on_cpu = network.device.type == "cpu"
    alone = partial(torch.set_num_threads, 1) if on_cpu else None
    memory = kept_memory() if on_cpu else nullcontext()
    try:
        with memory, ThreadPoolExecutor(cpu_workers(image_size) if on_cpu else 1, initializer=alone) as pool:
            yield DeviceWorker(name, network, at_once, pool)
    finally:
        network.unload()
        if on_cpu:
            torch.set_num_threads(before)  # of the process, too: later threads inherit it
