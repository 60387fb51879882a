"""Memory that arrays leave is there for the next ones."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
import threading
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import pytest

from landslide_map.models.networks.speedups.heap import kept_memory


def pages_cleared(around: AbstractContextManager[None]) -> int:
    """Return the page faults of a thread that makes and drops the same large arrays over and over."""
    counted = []

    def step() -> None:
        arrays = [np.ones(2_000_000) for _ in range(3)]  # 16 MB each
        assert len(arrays) == 3

    def work() -> None:
        for _ in range(12):  # until arrays of this size have found their places
            step()
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
        for _ in range(4):
            step()
        counted.append(resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before)

    with around:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    return counted[0]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="settings of glibc")
def test_a_thread_gets_new_pages_once() -> None:
    """In a process of its own: settings, once made, are not quite undone."""
    command = [sys.executable, __file__]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    usual, kept = map(int, done.stdout.split())
    assert kept < 100 < 4_000 < usual


if __name__ == "__main__":
    print(pages_cleared(nullcontext()), pages_cleared(kept_memory()))
