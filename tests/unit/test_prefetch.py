"""One item is made while another is used: never more, in order, errors in their place."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from threading import Event, current_thread

from landslide_map.runtime.prefetch import prefetch
from tests.support import messages
from tests.support.raised import raised


def test_items_come_in_order_and_end() -> None:
    assert list(prefetch(iter(range(5)))) == [0, 1, 2, 3, 4]
    assert list(prefetch(iter([]))) == []
    assert list(prefetch(iter([None, None]))) == [None, None]


def test_the_next_item_is_made_meanwhile_and_no_other() -> None:
    made: list[int] = []
    began = [Event() for _ in range(4)]

    def items() -> Iterator[int]:
        for i in range(4):
            began[i].set()
            made.append(i)
            assert current_thread().name != "MainThread"
            yield i

    for item in prefetch(items()):
        if item < 3:
            assert began[item + 1].wait(10)  # while this item is in use
        assert len(made) <= item + 2


def test_an_error_comes_where_its_item_would_have_come() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("the third")

    ahead = prefetch(items())
    assert [next(ahead), next(ahead)] == [1, 2]
    with raised(ValueError, messages.THE_THIRD):
        next(ahead)


def test_who_stops_early_leaves_no_thread_behind() -> None:
    ended = Event()

    def items() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            ended.set()

    source = items()
    ahead = prefetch(source)
    next(ahead)
    ahead.close()  # returns when the item under way is made
    source.close()  # and no thread runs it any more
    assert ended.is_set()


def test_what_was_handed_on_is_not_kept() -> None:
    class Large:
        pass

    ahead = prefetch(Large() for _ in range(2))
    item = next(ahead)
    reference = weakref.ref(item)
    del item
    gc.collect()
    assert reference() is None
    ahead.close()
