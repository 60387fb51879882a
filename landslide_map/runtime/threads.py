"""Files looked at side by side: decoding leaves Python's lock, so threads are enough."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from dask import config

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return ``function(item)`` of every item, in order; of several errors the first item's is raised.

    Where dask is told how many threads to use, no more are used here.
    """
    with ThreadPoolExecutor(config.get("num_workers", None)) as pool:
        return list(pool.map(function, items))
