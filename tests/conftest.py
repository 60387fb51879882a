"""Signals and collector of the test process, and the number of processes that tests run in."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# Time says nothing on a busy machine.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Under nohup, or in the background of a script, they are ignored, by every command under test as well.
for _name in ("SIGINT", "SIGHUP", "SIGTERM"):
    if (_number := getattr(signal, _name, None)) is not None and signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _name == "SIGINT" else signal.SIG_DFL)

# Processes that tests start would compile the package's source again, each for a second.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# No tests, and no examples in docstrings; importing support/preloaded.py takes a second.
collect_ignore_glob = ["support/*.py"]

if "PYTEST_XDIST_WORKER" in os.environ:
    # Threads of several processes that wait for each other on the same cores are slower than none.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


# Imports make no garbage, and the collector would search them again and again.
gc.disable()


def pytest_collection_finish() -> None:
    """Leave modules and tests out of all that the collector searches from here on."""
    gc.freeze()
    gc.enable()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many processes ``-n auto`` is: none for named files, and for tests that are slow."""
    named = any(Path(argument.partition("::")[0]).is_file() for argument in config.args)
    if named or "not slow" not in config.option.markexpr:
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores + 1, 4)  # tests that wait leave a core idle; each process takes up to 2 GB
