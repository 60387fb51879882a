"""Rows of blocks predicted by the workers of a ``dask.distributed`` cluster, here or on many machines.

The client reads a scene's metadata, hands out rows of blocks, and alone writes; a worker needs the same
software, the same bundle and the same input files, and must show all three before any work
(:mod:`landslide_map.mapping.cluster.worker` is what runs there). Rows have the same bits wherever
they are predicted.
"""

# mypy: untyped-calls-exclude="dask,distributed"

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from importlib import metadata
from typing import Any, Final, TypeAlias

from distributed import Client, Future, KilledWorker
from distributed.comm.core import CommClosedError

from landslide_map.errors import LandslideMapError, Notice, ResourceError
from landslide_map.inference.kept_pixels import NOTHING, Kept
from landslide_map.inference.rows import RowPredictor, RowResult, Tick
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.mapping.cluster import worker as remote
from landslide_map.mapping.cluster.worker import Job
from landslide_map.mapping.file_hashes import input_identities, versions
from landslide_map.mapping.memory_plan import estimate_memory, part_of_worker
from landslide_map.models.bundle.load import Bundle
from landslide_map.models.bundle.options import PredictionOptions
from landslide_map.runtime import timings
from landslide_map.runtime.progress import Report, Stage, counter, silent
from landslide_map.runtime.timings import WorkerTimings
from landslide_map.windows import WindowPlan

PATIENCE_S: Final = 60.0
"""Seconds to wait for a first worker, for another when all are lost, and for a finished row to arrive. A
nanny restarts a worker in a few seconds."""
_POLL_S: Final = 1.0
_DISTRIBUTION: Final = "landslide-map"
Task: TypeAlias = "Future[Any]"


class Cluster:
    """The workers of one scheduler; each predicts one row of blocks at a time, with all of its threads."""

    def __init__(self, client: Client, *, here: int = 0, patience: float = PATIENCE_S) -> None:
        self._client = client
        self._here = here
        """Workers that share this machine's memory with this process; 0 where they run elsewhere."""
        self._patience = patience
        with self._listening():
            self._await_workers()
            self._refuse_other_versions()
            self.notices = self._other_libraries()
        """W630 where workers have other versions of the libraries that pixels and votes go through."""

    def predictor(
        self,
        inputs: SceneInputs,
        prediction: PredictionOptions,
        ensemble: Bundle,
        plan: WindowPlan,
        min_valid_fraction: float,
        report: Report = silent,
        memory: int | None = None,
        *,
        kept: Kept = NOTHING,
    ) -> RowPredictor:
        """Return the predictor of a scene, once every worker has passed its checks.

        Parameters
        ----------
        inputs, ensemble, plan, min_valid_fraction
            As of :func:`~landslide_map.inference.rows.predict_rows`.
        prediction : PredictionOptions
            What made `ensemble`; each worker loads it for itself, once.
        report : callable
            Called with the number of workers checked so far.
        memory : int, optional
            Bytes that may be resident in this process and the workers that it started, together; in each
            worker elsewhere.

        Raises
        ------
        LandslideMapError
            E630 a scheduler that is gone, here or during prediction. E633 a worker without the bundle,
            E634 without the inputs. E502, E610, E612, E640 as in a local run. E613 a worker on which the
            reduced precision is wrong. Those of workers name the worker.
        """
        identities = tuple(input_identities(inputs.files))
        part = (
            memory
            if memory is None or not self._here
            else part_of_worker(memory, estimate_memory(ensemble, plan, kept=kept), self._here)
        )
        job = Job(
            inputs,
            identities,
            prediction,
            ensemble.sha256,
            plan.stride,
            min_valid_fraction,
            memory=part,
            kept=kept,
        )
        with_gpu = {address for address, worker in self._workers().items() if _has_gpu(worker)}
        divided = ensemble.needs_pixels and 0 < len(with_gpu) < len(self._workers())
        plain = replace(
            prediction, device="cpu", precision="float32"
        )  # of networks that are not computed there
        for_rows = replace(job, prediction=plain, networks=prediction) if divided else job
        try:
            with self._listening():
                self._examine(job, for_rows, report)
        except ResourceError as error:
            if error.code != "E640" or not self._here:
                raise
            raise ResourceError(
                "E640",
                f"{error.message} This limit is the part of each of {self._here} workers: fewer have more.",
            ) from None
        return partial(self._heard_rows, for_rows)

    def _examine(self, job: Job, for_rows: Job, report: Report) -> None:
        checking = {
            self._client.submit(
                remote.examine, job if _has_gpu(worker) else for_rows, workers=[address], pure=False
            ): address
            for address, worker in self._workers().items()
        }
        tick = counter(report, Stage("workers", "workers"), len(checking))
        try:
            while checking:
                present = self._workers()
                for future in self._finished(checking):
                    del checking[future]
                    with suppress(TimeoutError):  # lost, as below
                        self._result(future, "reading its files")
                    tick(1)
                for future in [future for future, address in checking.items() if address not in present]:
                    self._client.cancel([future])  # lost; each task checks the worker that replaces it
                    del checking[future]
                    tick(1)
        finally:
            self._forget(checking)

    def _heard_rows(self, job: Job, block_rows: Sequence[int], tick: Tick) -> Iterator[RowResult]:
        rows = self._rows(job, block_rows, tick)
        while True:
            with self._listening():  # not around the yield: what fails there is no fault of the cluster
                row = next(rows, None)
            if row is None:
                return
            yield row

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Turn errors of a lost scheduler into E630; a client without one no longer runs."""
        try:
            yield
        except LandslideMapError:
            raise
        except (asyncio.CancelledError, CancelledError, CommClosedError):
            raise _lost_scheduler() from None
        except Exception:
            if self._client.status == "running":
                raise
            raise _lost_scheduler() from None

    def _rows(self, job: Job, block_rows: Sequence[int], tick: Tick) -> Iterator[RowResult]:
        """Yield rows of blocks as they are done; where one fails, those under way are waited for first."""
        waiting = deque(block_rows)
        running: dict[Task, int] = {}
        failure: Exception | None = None
        try:
            while running or (waiting and failure is None):
                present = self._await_workers(needs_gpu=job.networks is not None)
                workers = [a for a, worker in present.items() if not (job.networks and _has_gpu(worker))]
                workers = workers or list(present)
                while waiting and failure is None and len(running) < len(workers):
                    row = waiting.popleft()
                    future = self._client.submit(
                        remote.predict_row, job, row, workers=workers, allow_other_workers=True, pure=False
                    )
                    running[future] = row
                for future in self._finished(running):
                    row = running.pop(future)
                    try:
                        found: tuple[RowResult, WorkerTimings] = self._result(future, f"row of blocks {row}")
                    except TimeoutError:  # its worker died before it was fetched: it is predicted once more
                        running[future] = row
                        continue
                    except Exception as error:
                        failure = failure or error
                        continue
                    predicted, spent = found
                    timings.count_workers(spent)
                    tick(len(predicted.record.probability))
                    yield predicted
        finally:
            self._forget(running)
        if failure is not None:
            raise failure

    def _finished(self, running: Collection[Task]) -> set[Task]:
        """Return those that are done, after a moment at the latest."""
        deadline = time.monotonic() + _POLL_S
        while not (done := {future for future in running if future.done()}) and time.monotonic() < deadline:
            time.sleep(0.05)
        return done

    def _result(self, future: Task, what: str) -> Any:
        try:
            return future.result(timeout=self._patience)
        except KilledWorker as error:
            raise ResourceError(
                "E635",
                f"{what}: {error.allowed_failures + 1} workers died over it, the last of them "
                f"{remote.called(error.last_worker.name, error.last_worker.address)}. Most often memory "
                "was not enough: give each worker more of it, or start fewer on a machine.",
            ) from None

    def _forget(self, running: Collection[Task]) -> None:
        """Cancel futures with results that are no longer needed."""
        with suppress(Exception):  # a lost scheduler no longer has them
            self._client.cancel(list(running), force=True)

    def _workers(self) -> dict[str, dict[str, Any]]:
        """Address -> description of each worker by the scheduler."""
        try:
            found: dict[str, dict[str, Any]] = self._client.scheduler_info(n_workers=-1)["workers"]
        except (OSError, RuntimeError, KeyError):
            raise _lost_scheduler() from None
        return found

    def _await_workers(self, *, needs_gpu: bool = False) -> dict[str, dict[str, Any]]:
        """Return the workers as soon as there is one (with a GPU); E631 where none comes."""
        begin = time.monotonic()
        while True:
            workers = self._workers()
            if any(_has_gpu(worker) or not needs_gpu for worker in workers.values()):
                return workers
            if time.monotonic() - begin > self._patience:
                kind = " with a GPU (--resources GPU=1)" if needs_gpu else ""
                raise ResourceError(
                    "E631",
                    f"the scheduler has had no worker{kind} for {self._patience:.0f} s. Start workers "
                    "(dask worker ADDRESS) and see what stopped those before. What was finished is kept.",
                )
            time.sleep(_POLL_S)

    def _refuse_other_versions(self) -> None:
        own = metadata.version(_DISTRIBUTION)
        # Functions of the standard library: whatever the other side has installed, it understands these.
        found = self._everywhere(metadata.version, _DISTRIBUTION)
        try:
            found["the scheduler"] = self._client.run_on_scheduler(metadata.version, _DISTRIBUTION)
        except metadata.PackageNotFoundError as error:
            found["the scheduler"] = error
        for machine, version in sorted(found.items()):
            if version != own:
                has = "no landslide-map" if isinstance(version, Exception) else f"landslide-map {version}"
                raise ResourceError(
                    "E632",
                    f"{machine} has {has}, this client {own}. Install one version on every machine, with one "
                    "constraints.txt, and start scheduler and workers again.",
                )

    def _other_libraries(self) -> tuple[Notice, ...]:
        own = versions()
        for machine, found in sorted(self._everywhere(versions).items()):
            other = [name for name in own if isinstance(found, dict) and found.get(name) != own[name]]
            if other:
                listed = ", ".join(f"{name} {found.get(name)} (here {own[name]})" for name in other)
                return (
                    Notice(
                        "W630",
                        f"{machine} has {listed}: its results may differ in the last digits from a map "
                        f"made here",
                    ),
                )
        return ()

    def _everywhere(self, function: Any, *arguments: Any) -> dict[str, Any]:
        """Call a quick function on every worker; worker, as a reader knows it -> result or exception."""
        known = self._workers()
        found = self._client.run(function, *arguments, on_error="return")
        return {
            remote.called(known[address]["name"], address): result
            for address, result in found.items()
            if address in known and not isinstance(result, OSError)  # lost just now
        }


def _has_gpu(worker: dict[str, Any]) -> bool:
    return all(worker["resources"].get(name, 0) >= amount for name, amount in remote.GPU.items())


def _lost_scheduler() -> ResourceError:
    return ResourceError(
        "E630",
        "the scheduler no longer answers. Start scheduler and workers again, then the same command. It "
        "resumes from the finished rows.",
    )
