"""Timings of a run: its stages one after another, and kinds of work in any thread.

*Stages* follow one another (check inputs, classify windows, write map). Each has its wall time and the CPU
time of the whole process meanwhile, so stages add up to the run. ``-v`` shows them.

*Work* is of a kind (read, align, statistics, a member's vote ...). It is measured in the thread that does
it: its wall time and its own CPU time. Threads work at once, so kinds do not add up to the wall time. Work
inside other work counts once, as the inner kind. ``-vv`` and ``run.json`` show it. Threads of libraries
(LightGBM, PyTorch, GDAL) count in the CPU time of the process alone.

:func:`collected` opens an account for all threads of the process. Without one, :func:`work` costs nothing.
Workers of a cluster have their own accounts; :func:`count_workers` adds these up apart, as they use other
CPUs.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from landslide_map.runtime.process_memory import peak_memory


@dataclass
class Spent:
    """Time spent on one stage or one kind of work."""

    seconds: float = 0.0
    """Wall time; of work, summed over the threads that did it."""
    cpu_seconds: float = 0.0
    """CPU time: of a stage by the whole process, of work by the threads that did it."""
    times: int = 0
    """Number of times that it ran."""

    def add(self, seconds: float, cpu_seconds: float, times: int = 1) -> None:
        """Count one more time, or so many."""
        self.seconds += seconds
        self.cpu_seconds += cpu_seconds
        self.times += times

    def as_json(self, wall: str = "seconds") -> dict[str, float]:
        """Return both times to the millisecond; `wall` is the key of the wall time."""
        return {wall: round(self.seconds, 3), "cpu_seconds": round(self.cpu_seconds, 3)}


@dataclass
class WorkerTimings:
    """Times of other processes in a run."""

    cpu_seconds: float = 0.0
    work: dict[str, Spent] = field(default_factory=dict)
    peak_memory: int = 0
    """Largest peak of one process, bytes."""

    def add(self, other: WorkerTimings) -> None:
        """Add the times of one process for one task."""
        self.cpu_seconds += other.cpu_seconds
        self.peak_memory = max(self.peak_memory, other.peak_memory)
        for kind, spent in other.work.items():
            own = self.work.setdefault(kind, Spent())
            own.add(spent.seconds, spent.cpu_seconds, spent.times)

    def as_json(self) -> dict[str, Any]:
        """Return plain values, seconds to the millisecond."""
        return {
            "cpu_seconds": round(self.cpu_seconds, 3),
            "work": _work_as_json(self.work),
            "peak_memory_bytes": self.peak_memory,
        }


@dataclass
class Timings:
    """An account of stages and work, in the order in which they first ended."""

    stages: dict[str, Spent] = field(default_factory=dict)
    work: dict[str, Spent] = field(default_factory=dict)
    workers: WorkerTimings | None = None
    """Times of workers, where there were any."""
    _began: tuple[float, float] = field(default_factory=lambda: (time.perf_counter(), time.process_time()))
    _ended: tuple[float, float] | None = None

    @property
    def seconds(self) -> float:
        """Wall time since the account was opened, or until it was closed."""
        return (self._ended or (time.perf_counter(), 0.0))[0] - self._began[0]

    @property
    def cpu_seconds(self) -> float:
        """CPU time of the process in that time, all threads."""
        return (self._ended or (0.0, time.process_time()))[1] - self._began[1]

    def as_worker(self) -> WorkerTimings:
        """Return the account for :func:`count_workers` in another process."""
        return WorkerTimings(self.cpu_seconds, self.work, peak_memory() or 0)

    def as_json(self) -> dict[str, Any]:
        """Return the account and the process's peak memory as plain values, seconds to the millisecond."""
        values = {
            "seconds": round(self.seconds, 3),
            "cpu_seconds": round(self.cpu_seconds, 3),
            "stages": {name: spent.as_json() for name, spent in self.stages.items()},
            "work": _work_as_json(self.work),
            "peak_memory_bytes": peak_memory(),
        }
        return values if self.workers is None else values | {"workers": self.workers.as_json()}

    def as_text(self, *, work: bool = False) -> str:
        """Return a table for a person: stages as they came, all, and peak memory; `work` by its time too."""
        workers = self.workers or WorkerTimings()
        parts = {"stage": {**self.stages, "in all": Spent(self.seconds, self.cpu_seconds)}}
        if work:
            parts |= {"work, in any thread": _longest_first(self.work)}
            parts |= {"work of workers, in any thread": _longest_first(workers.work)}
        width = max(len(name) for title, rows in parts.items() for name in (title, *rows))
        lines = []
        for title, rows in ((title, rows) for title, rows in parts.items() if rows):
            lines.append(f"{title:{width}}  {'wall s':>6}  {'CPU s':>6}")
            lines += [
                f"{name:{width}}  {own.seconds:6.1f}  {own.cpu_seconds:6.1f}" for name, own in rows.items()
            ]
        peaks = {"peak memory": peak_memory(), "peak memory of a worker": workers.peak_memory}
        lines += [f"{name} {peak / 2**30:.2f} GiB" for name, peak in peaks.items() if peak]
        return "\n".join(lines)


def _longest_first(work: dict[str, Spent]) -> dict[str, Spent]:
    return dict(sorted(work.items(), key=lambda item: -item[1].seconds))


_open: tuple[Timings, ...] = ()
_log = logging.getLogger(__name__)
_lock = threading.Lock()
_thread = threading.local()
"""``inner``: wall and CPU seconds of the work inside the work that this thread is doing."""


@contextmanager
def collected() -> Iterator[Timings]:
    """Yield an account of all stages and work of this process until the block ends."""
    global _open
    own = Timings()
    with _lock:
        _open = (*_open, own)
    try:
        yield own
    finally:
        with _lock:
            _open = tuple(account for account in _open if account is not own)
        own._ended = time.perf_counter(), time.process_time()


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Count the block as stage `name`; stages follow one another and do not overlap."""
    seconds, cpu_seconds = time.perf_counter(), time.process_time()
    try:
        yield
    finally:
        seconds, cpu_seconds = time.perf_counter() - seconds, time.process_time() - cpu_seconds
        _log.info("%s: %.1f s", name, seconds)
        with _lock:
            for account in _open:
                account.stages.setdefault(name, Spent()).add(seconds, cpu_seconds)


@contextmanager
def work(kind: str) -> Iterator[None]:
    """Count the block as work of this thread; also a decorator. A microsecond: fit for blocks of pixels."""
    if not _open:
        yield
        return
    outer = getattr(_thread, "inner", None)
    inner = _thread.inner = Spent()
    seconds, cpu_seconds = time.perf_counter(), time.thread_time()
    try:
        yield
    finally:
        seconds, cpu_seconds = time.perf_counter() - seconds, time.thread_time() - cpu_seconds
        _thread.inner = outer
        if outer is not None:
            outer.add(seconds, cpu_seconds)
        with _lock:
            for account in _open:
                account.work.setdefault(kind, Spent()).add(
                    seconds - inner.seconds, cpu_seconds - inner.cpu_seconds
                )


def count_workers(spent: WorkerTimings) -> None:
    """Add the times of another process for a task of this one."""
    with _lock:
        for account in _open:
            account.workers = account.workers or WorkerTimings()
            account.workers.add(spent)


def _work_as_json(work: dict[str, Spent]) -> dict[str, dict[str, float]]:
    return {kind: {**spent.as_json("busy_seconds"), "times": spent.times} for kind, spent in work.items()}
