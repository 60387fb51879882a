"""What a worker of a cluster does: shows that it can judge as everybody else does, and judges rows of blocks.

Nothing here knows of a client or a schedule (:mod:`landslide_map.cluster` does); all of it runs in the
worker's process, on the worker's files.
"""

# mypy: untyped-calls-exclude="dask,distributed"

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import dask
from distributed import get_worker

from landslide_map.errors import BundleError, InputError, LandslideMapError
from landslide_map.judging import JudgedRows, judge_rows
from landslide_map.models.bundle import Bundle
from landslide_map.models.choice import Choice
from landslide_map.products.manifest import input_identity
from landslide_map.sources import SceneInputs
from landslide_map.windows import plan_windows

P = ParamSpec("P")
R = TypeVar("R")
_ALONE: Final = threading.Lock()
"""One task at a time: it uses all threads of the worker, and limits on threads belong to the process."""


@dataclass(frozen=True)
class Job:
    """All that a worker must know to judge rows of blocks of one scene; some 20 kB."""

    inputs: SceneInputs
    identities: tuple[dict[str, Any], ...]
    """Of the input files, as the client sees them: path, size and hash of the beginning."""
    choice: Choice
    """Its bundle a path that means the same on every machine."""
    sha256: str
    """Of the bundle."""
    stride: int
    min_valid_fraction: float


def dask_setup(_worker: object) -> None:
    """Leave Ctrl-C to the client: dask calls this in workers that are started with this module as preload."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _on_this_worker(task: Callable[P, R]) -> Callable[P, R]:
    """Let a task use this worker's threads, alone in its process; its refusals name the worker."""

    @wraps(task)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        worker = get_worker()
        try:
            # Inside a task, dask would otherwise send what it computes to the cluster again.
            with _ALONE, dask.config.set(scheduler="threads", num_workers=worker.state.nthreads):
                return task(*args, **kwargs)
        except LandslideMapError as error:
            refusal = type(error)(error.code, f"{called(worker.name, worker.address)}: {error.message}")
        raise refusal  # out here, without GDAL's own error as its context, which cannot be sent

    return run


@_on_this_worker
def examine(job: Job) -> None:
    """Refuse a job that this worker cannot do as the client would.

    Raises
    ------
    InputError
        E634: an input file is not here, or is another.
    BundleError
        E633: the bundle is not here, or is another.
    LandslideMapError
        Whatever else keeps the bundle from being loaded here (E502, E610, E612).
    """
    for expected in job.identities:
        _check_input(expected)
    _bundle(job.choice, job.sha256)


@_on_this_worker
def judge_row(job: Job, block_row: int) -> JudgedRows:
    """Judge the windows that end in one row of blocks."""
    plan = plan_windows(job.inputs.grid.shape, job.stride)
    bundle = _bundle(job.choice, job.sha256)
    (judged,) = judge_rows(job.inputs, bundle, plan, job.min_valid_fraction, [block_row])
    return judged


def called(name: object, address: str) -> str:
    """Return how messages call a worker."""
    return f"worker {address}" if name == address else f"worker {name} ({address})"


def _check_input(expected: dict[str, Any]) -> None:
    path = Path(expected["path"])
    try:
        found = input_identity(path)
    except (OSError, ValueError) as error:
        raise InputError(
            "E634",
            f"cannot read the input {path} ({error}). Every worker must see the inputs under the paths that "
            "scene.yaml gives: put them on a file system that all machines mount alike.",
        ) from None
    if found != expected:
        raise InputError(
            "E634",
            f"the input {path} is another file here: {found['bytes']} bytes, where the client has "
            f"{expected['bytes']}, or of other content. Give every machine the same files.",
        )


@lru_cache(maxsize=2)
def _bundle(choice: Choice, sha256: str) -> Bundle:
    """Return the bundle of a job, loaded once in this process; one that does not fit is not kept."""
    try:
        bundle = choice.load()
    except BundleError as error:
        if error.code != "E501":
            raise
        raise BundleError("E633", f"the bundle is not here: {error.message}") from None
    if bundle.sha256 != sha256:
        raise BundleError(
            "E633",
            f"the bundle {bundle.path} is another one here: bundle.json has SHA-256 {bundle.sha256[:12]}, "
            f"where the client has {sha256[:12]}. Give every machine the same bundle.",
        )
    return bundle
