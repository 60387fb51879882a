"""Threads that read files in parallel: decoding releases Python's lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Lock
from typing import Any, Protocol, TypeVar

from dask import config

Item = TypeVar("Item")
Result = TypeVar("Result")
_idle: dict[int | None, list[ThreadPoolExecutor]] = {}
"""Number of threads -> pools that no block uses. Blocks lie inside each other, so one pool is not enough."""
_lock = Lock()


class Submit(Protocol):
    """Start a task; as ``submit`` of :mod:`concurrent.futures`."""

    def __call__(self, function: Callable[..., Result], /, *args: Any) -> Future[Result]:
        """Return the future of ``function(*args)``."""


@contextmanager
def reading_threads() -> Iterator[Submit]:
    """Yield a function that starts tasks in threads; the block ends with them, tasks not begun are dropped.

    Threads are kept for the next block. In a new thread PROJ reads its database again for the first file,
    which takes ten times as long as opening one more. If dask's number of threads is set, no more are used.
    """
    number = config.get("num_workers", None)
    with _lock:
        idle = _idle.setdefault(number, [])
        pool = idle.pop() if idle else ThreadPoolExecutor(number)
    tasks: list[Future[Any]] = []

    def submit(function: Callable[..., Result], /, *args: Any) -> Future[Result]:
        task = pool.submit(function, *args)
        tasks.append(task)
        return task

    try:
        yield submit
    finally:
        for task in tasks:
            task.cancel()
        wait(tasks)
        with _lock:
            idle.append(pool)


def in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return ``function(item)`` of every item, in order; of several errors the first item's is raised."""
    with reading_threads() as submit:
        return [task.result() for task in [submit(function, item) for item in items]]
