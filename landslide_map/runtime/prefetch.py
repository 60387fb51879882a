"""Prefetch: the next item is computed in a thread while the last one is in use."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

Item = TypeVar("Item")


def prefetch(items: Iterator[Item]) -> Iterator[Item]:
    """Yield `items`, each computed in another thread while the one before it is in use.

    No more than one is ever waiting. An error comes where its item would have come. A consumer that stops
    early waits for the item under way.
    """
    end = object()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, end)
        while True:
            made = [coming.result()]
            if made[0] is end:
                return
            coming = pool.submit(next, items, end)
            yield cast(Item, made.pop())  # nothing here keeps it in memory while it is used
