"""What is slow to make, made by one test process; the others wait for it, and read it only."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from filelock import FileLock

Made = TypeVar("Made")


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Made]) -> Made:
    """Return what `make` returned for an empty folder called `name`, in whichever process called it.

    Tests of one module run in several processes, which would each make the fixtures of the module.
    """
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    kept = root / f"{name}.pickle"
    with FileLock(root / f"{name}.lock"):
        if kept.exists():
            found: Made = pickle.loads(kept.read_bytes())
            return found
        (root / name).mkdir()
        made = make(root / name)
        kept.write_bytes(pickle.dumps(made))
    return made
