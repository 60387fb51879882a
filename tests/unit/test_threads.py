"""Threads that read files: kept from block to block, all tasks ended with the block."""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError, Future
from typing import Any

import dask
import pytest

from landslide_map.runtime.threads import in_threads, reading_threads
from tests.support.raised import raised


def test_results_are_in_order_and_threads_are_kept() -> None:
    def thread(number: int) -> tuple[int, int]:
        return number, threading.get_ident()

    assert [number for number, _ in in_threads(thread, range(20))] == list(range(20))
    with dask.config.set(num_workers=1):
        first, second = in_threads(thread, range(20)), in_threads(thread, range(20))
    assert first == second
    assert (0, threading.get_ident()) not in first


def test_of_several_errors_the_first_item_s_is_raised_and_no_task_is_left() -> None:
    second_failed = threading.Event()
    begun, ended = [], []

    def task(number: int) -> None:
        begun.append(number)
        if number == 0:
            assert second_failed.wait(10)
        if number > 1:
            time.sleep(0.01)
        try:
            if number < 2:
                raise ValueError(f"item {number}")
        finally:
            ended.append(number)
            if number == 1:
                second_failed.set()

    with dask.config.set(num_workers=2), raised(ValueError, "item 0"):
        in_threads(task, range(500))
    assert sorted(begun) == sorted(ended)
    count = len(begun)
    assert in_threads(lambda number: number, range(3)) == [0, 1, 2]
    assert len(begun) == count < 500


def test_blocks_within_blocks_have_threads_of_their_own() -> None:
    def outer(depth: int) -> int:
        return 1 + sum(in_threads(outer, [depth - 1] * 2)) if depth else 1

    with dask.config.set(num_workers=1):
        assert in_threads(outer, [3]) == [15]


def test_an_error_in_the_block_leaves_out_what_is_not_begun() -> None:
    begun, go_on = threading.Event(), threading.Event()
    tasks: list[Future[Any]] = []

    def hold() -> bool:
        begun.set()
        return go_on.wait(10)

    def fail() -> None:
        with dask.config.set(num_workers=1), reading_threads() as submit:
            tasks.extend([submit(hold), submit(int, 7)])
            assert begun.wait(10)
            threading.Timer(0.05, go_on.set).start()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert tasks[0].result() is True
    with pytest.raises(CancelledError):
        tasks[1].result()
