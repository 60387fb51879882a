"""Worker side of cluster runs: software, bundle and inputs are verified, then rows are predicted.

Nothing here knows of a client or a schedule (:mod:`landslide_map.mapping.cluster.client` does); all of it
runs in the worker's process, on the worker's files.
"""

# mypy: untyped-calls-exclude="dask,distributed"

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, ParamSpec, TypeVar

import dask
import numpy as np
import numpy.typing as npt
from distributed import get_worker, worker_client

from landslide_map.errors import BundleError, InputError, LandslideMapError, ResourceError
from landslide_map.inference.kept_pixels import NOTHING, Kept
from landslide_map.inference.rows import RowResult, predict_rows
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.mapping.file_hashes import input_identity
from landslide_map.mapping.memory_plan import estimate_memory, plan_memory
from landslide_map.models.bundle.load import Bundle
from landslide_map.models.bundle.options import PredictionOptions
from landslide_map.models.member import Member
from landslide_map.runtime import timings
from landslide_map.runtime.memory_limit import MemoryPlan, memory_limited_to
from landslide_map.windows import plan_windows

if TYPE_CHECKING:
    from landslide_map.models.networks.batch import WindowPixels

P = ParamSpec("P")
R = TypeVar("R")
GPU: Final = {"GPU": 1}
"""Resources that a worker declares (``dask worker --resources GPU=1``) to compute networks."""
_PROCESS_LOCK: Final = threading.Lock()
"""One task at a time: it uses all threads of the worker, and limits on threads belong to the process."""


@dataclass(frozen=True)
class Job:
    """Everything a worker needs to predict rows of blocks of one scene; about 20 kB."""

    inputs: SceneInputs
    identities: tuple[dict[str, Any], ...]
    """Identities of the input files on the client: path, size and hash of the beginning."""
    prediction: PredictionOptions
    """Options of the prediction; its bundle is a path that is valid on every machine."""
    sha256: str
    """Hash of the bundle."""
    stride: int
    min_valid_fraction: float
    networks: PredictionOptions | None = None
    """Options by which workers with a GPU load the bundle, if they compute its networks."""
    memory: int | None = None
    """Bytes that may be resident in a worker."""
    kept: Kept = NOTHING
    """Pixels to keep; they are returned too."""


@dataclass(frozen=True)
class DistantNetwork:
    """A network that workers with a GPU compute; a :class:`~landslide_map.models.member.Member`."""

    name: str
    channels: tuple[str, ...]
    prediction: PredictionOptions
    sha256: str
    input: Literal["pixels"] = "pixels"

    def predict(self, x: WindowPixels) -> npt.NDArray[np.float64]:
        """Return the predictions of the network, ``(window,)``; pixels are sent once for all networks."""
        # Gives the thread of this task back meanwhile: on a worker of one thread the network may run here.
        with worker_client() as client:
            pixels = x.cached("sent", client.scatter)
            future = client.submit(
                predict_with_network,
                self.prediction,
                self.sha256,
                self.name,
                pixels,
                resources=GPU,
                pure=False,
            )
            predictions: npt.NDArray[np.float64] = future.result()
            return predictions


def dask_setup(_worker: object) -> None:
    """Leave Ctrl-C to the client: dask calls this in workers that are started with this module as preload."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _named(task: Callable[P, R]) -> Callable[P, R]:
    """Let the refusals of a task name the worker."""

    @wraps(task)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return task(*args, **kwargs)
        except LandslideMapError as error:
            worker = get_worker()
            refusal = type(error)(error.code, f"{called(worker.name, worker.address)}: {error.message}")
        raise refusal  # out here, without GDAL's own error as its context, which cannot be sent

    return run


def _exclusive(task: Callable[P, R]) -> Callable[P, R]:
    """Let a task use all threads of this worker, alone in its process."""

    @wraps(task)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        # Inside a task, dask would otherwise send what it computes to the cluster again.
        with _PROCESS_LOCK, dask.config.set(scheduler="threads", num_workers=get_worker().state.nthreads):
            return task(*args, **kwargs)

    return run


@_named
@_exclusive
def examine(job: Job) -> None:
    """Refuse a job that this worker cannot do as the client would.

    Raises
    ------
    InputError
        E634: an input file is not here, or is another.
    BundleError
        E633: the bundle is not here, or is another.
    ResourceError
        E640: the memory limit is too small.
    LandslideMapError
        Whatever else keeps the bundle from being loaded here (E502, E610, E612, E613).
    """
    for expected in job.identities:
        _check_input(expected)
    _bundle(job.prediction, job.sha256)
    _memory_plan(job.memory, job.prediction, job.sha256, job.inputs.grid.shape, job.stride, job.kept)


@_named
@_exclusive
def predict_row(job: Job, block_row: int) -> tuple[RowResult, timings.WorkerTimings]:
    """Predict the windows that end in one row of blocks; also return the timings."""
    plan = plan_windows(job.inputs.grid.shape, job.stride)
    bundle = _bundle(job.prediction, job.sha256)
    if job.networks is not None:
        bundle = replace(bundle, members=tuple(_distant(member, job) for member in bundle.members))
    memory_plan = _memory_plan(job.memory, job.prediction, job.sha256, plan.shape, job.stride, job.kept)
    with memory_limited_to(memory_plan), timings.collected() as spent:
        (predicted,) = predict_rows(
            job.inputs, bundle, plan, job.min_valid_fraction, [block_row], kept=job.kept
        )
    return predicted, spent.as_worker()


@_named
def predict_with_network(
    prediction: PredictionOptions, sha256: str, name: str, pixels: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Return a network's probability of windows, ``(window,)``; networks set their own threads."""
    (member,) = [member for member in _bundle(prediction, sha256).members if member.name == name]
    return member.predict(pixels)


def _distant(member: Member, job: Job) -> Member:
    if member.input != "pixels" or job.networks is None:
        return member
    return DistantNetwork(member.name, member.channels, job.networks, job.sha256)


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
def _memory_plan(
    memory: int | None,
    prediction: PredictionOptions,
    sha256: str,
    shape: tuple[int, int],
    stride: int,
    kept: Kept,
) -> MemoryPlan:
    """Return the settings for a limit, decided once: later, the first row's memory would count twice."""
    estimate = estimate_memory(_bundle(prediction, sha256), plan_windows(shape, stride), kept=kept)
    return plan_memory(memory, estimate.of_rows())


@lru_cache(maxsize=2)
def _bundle(prediction: PredictionOptions, sha256: str) -> Bundle:
    """Return the bundle of a job, loaded once in this process; one that does not fit is not kept."""
    try:
        bundle = prediction.load()
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
    if bundle.notices:  # rows must have the same bits on every machine
        raise ResourceError(
            "E613", f"{bundle.notices[0].message}. Use --precision float32, or leave this worker out."
        )
    return bundle
