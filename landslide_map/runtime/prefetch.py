"""Work overlapped: the next item is made while the last one is being used."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

Item = TypeVar("Item")


def one_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield `items`, each made in another thread while the one before it is being used.

    No more than one is ever waiting. An error comes where its item would have come. Who stops early waits for
    the item that is being made.
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
