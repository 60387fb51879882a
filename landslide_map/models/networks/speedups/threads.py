"""Number of CPU threads for a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import dask
import torch

_SMALL: Final = 96
"""Edge of an image, pixels: up to here a network's operations are too short to be shared between threads."""


@contextmanager
def suitable_threads(image_size: int, device: torch.device) -> Iterator[None]:
    """Give small images one thread; on a busy machine, waiting for a second took 20 times the work itself."""
    before = torch.get_num_threads()
    if device.type == "cpu" and image_size <= _SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def cpu_workers(image_size: int) -> int:
    """Return how many windows a CPU predicts side by side, each with a single thread.

    As many as this process may use threads: torch's setting, or dask's where a worker of a cluster shares a
    machine with others. Python itself keeps small networks from gaining by a second.
    """
    if image_size <= _SMALL:
        return 1
    return int(dask.config.get("num_workers", None) or torch.get_num_threads())
