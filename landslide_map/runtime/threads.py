"""Threads that read files in parallel: decoding releases Python's lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from dask import config

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return ``function(item)`` of every item, in order; of several errors the first item's is raised.

    If dask's number of threads is set, no more are used here.
    """
    with ThreadPoolExecutor(config.get("num_workers", None)) as pool:
        return list(pool.map(function, items))
