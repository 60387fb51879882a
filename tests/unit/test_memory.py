"""Amounts are understood, costs counted by hand, and a limit chooses the fastest way that fits below it."""

from __future__ import annotations

import platform
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from rasterio._env import get_gdal_config

from landslide_map.features.window_statistics import row_bytes, statistics_and_pixels
from landslide_map.grid import BLOCK
from landslide_map.inference.rows import Tick
from landslide_map.mapping import memory_plan
from landslide_map.mapping.memory_plan import (
    OPENING,
    SMALLEST,
    MemoryEstimate,
    estimate_memory,
    needed,
    part_of_worker,
    plan_memory,
    with_heap_trimmed,
)
from landslide_map.models.bundle.load import load_bundle
from landslide_map.runtime.allocator import give_back
from landslide_map.runtime.byte_size import MIB, amount
from landslide_map.runtime.memory_limit import CACHE, MemoryPlan, memory_limited_to
from landslide_map.runtime.process_memory import resident_memory
from landslide_map.windows import plan_windows
from tests.support.raised import raised


def test_a_row_of_blocks_is_counted_as_it_is_held() -> None:
    # 2048 x 1088 pixels, stride 64: 32 rows of windows and of cells, 16 in each row of blocks; 17 columns.
    cells, merged, statistics = row_bytes(plan_windows((2048, 1088), 64), bands=3, kept=2)
    assert cells == 3 * 16 * 17 * 7 * 8 + 2 * 1024 * 1088 * 4
    assert merged == 3 * (16 + 2) * 17 * 7 * 8 + 2 * (1024 + 64) * 1088 * 4
    assert statistics == 3 * 16 * 17 * 7 * 8


@pytest.mark.parametrize("stride", [64, 24, 16])
def test_what_is_held_of_a_row_of_blocks_is_not_more_than_was_counted(stride: int) -> None:
    plan = plan_windows((2100, 1100), stride)
    pixels = da.from_array(np.random.default_rng(1).random((3, *plan.shape), np.float32), (3, BLOCK, BLOCK))
    cells, merged, statistics = row_bytes(plan, bands=3, kept=1)
    stack = xr.DataArray(pixels, dims=("band", "y", "x"), coords={"band": ["a", "b", "c"]})
    assert list(statistics_and_pixels(stack, plan, ["b"], workers=1))  # compiled and imported
    tracemalloc.start(1)
    try:
        before, _ = tracemalloc.get_traced_memory()
        held = [
            [size - before for size in (tracemalloc.get_traced_memory(), tracemalloc.reset_peak())[0]]
            for _ in statistics_and_pixels(stack, plan, ["b"], workers=1)
        ]
    finally:
        tracemalloc.stop()
    while_in_use, with_next = np.max(held, axis=0)
    objects = 200_000  # tasks and other objects of Python
    assert 0.8 * (merged + statistics) < while_in_use <= merged + statistics + objects
    with_next -= BLOCK**2 * 4  # the plane that is reduced to cells
    assert 0.8 * (cells + merged + statistics) < with_next <= cells + merged + statistics + objects


def test_without_a_limit_a_run_takes_the_fastest_way_and_few_threads_share_a_heap() -> None:
    for threads in (1, 4, 5, 64):
        with dask.config.set(num_workers=threads):
            fastest = MemoryPlan(cache=CACHE, threads=None, read_ahead=True, one_heap=threads <= 4)
            assert plan_memory(None) == fastest
    with memory_limited_to(MemoryPlan()):
        assert dask.config.get("num_workers", None) is None


HELD = 300 * MIB
ESTIMATE = MemoryEstimate(
    models=100 * MIB, voting=200 * MIB, reading=50 * MIB, votes=10 * MIB, writing=200 * MIB
)


def test_what_is_needed_adds_up_by_hand() -> None:
    chosen_plan = MemoryPlan(cache=64 * MIB, threads=2, read_ahead=True)
    predicting = 72 + 2 * memory_plan.THREAD / MIB + 200 + 50  # an eighth more than the cache
    assert needed(chosen_plan, ESTIMATE, HELD) == (300 + 100 + 10 + predicting) * MIB
    assert (
        needed(replace(chosen_plan, read_ahead=False), ESTIMATE, HELD)
        == (300 + 100 + 10 + predicting - 50) * MIB
    )
    assert (
        needed(chosen_plan, replace(ESTIMATE, per_thread=memory_plan.THREAD + 30 * MIB), HELD)
        == (300 + 100 + 10 + predicting + 60) * MIB
    )
    large = replace(ESTIMATE, writing=2000 * MIB)
    assert needed(chosen_plan, large, HELD) == (300 + 100 + 10 + 2000) * MIB


def test_more_memory_is_never_slower() -> None:
    plans = []
    with dask.config.set(num_workers=4):
        for limit in range(needed(SMALLEST, ESTIMATE, HELD), 3000 * MIB, 16 * MIB):
            chosen_plan = plan_memory(limit, ESTIMATE, resident=HELD)
            assert needed(chosen_plan, ESTIMATE, HELD) <= limit
            plans.append((chosen_plan.threads, chosen_plan.read_ahead, chosen_plan.cache))
    assert plans[0] == (1, False, CACHE // 8)
    assert plans[-1] == (4, True, CACHE)
    assert plans == sorted(plans)
    assert {threads for threads, *_ in plans} == {1, 2, 3, 4}


def test_a_limit_that_is_too_small_says_what_would_do() -> None:
    least = needed(SMALLEST, ESTIMATE, HELD)
    with raised("E640") as refused:
        plan_memory(least - 1, ESTIMATE, resident=HELD)
    said = str(refused.value)
    enough = amount(said.partition("this run needs ")[2].partition(". ")[0])
    assert least <= enough < least + 10**7
    chosen_plan = plan_memory(enough, ESTIMATE, resident=HELD)
    assert replace(chosen_plan, source_block=SMALLEST.source_block) == SMALLEST
    assert "0.32 GB are in memory already" in said
    assert "stride" in said


def test_what_the_process_holds_counts() -> None:
    held, least = resident_memory(), needed(SMALLEST, OPENING, 0)
    assert held is not None
    with raised("E640"):
        plan_memory(least + held // 2)
    assert plan_memory(least + 2 * held).threads


def test_workers_here_share_what_the_writing_process_leaves() -> None:
    # 300 MiB are held, 10 are votes, 200 are for writing.
    assert part_of_worker((510 + 2000) * MIB, ESTIMATE, 2, resident=HELD) == 1000 * MIB
    assert part_of_worker(400 * MIB, ESTIMATE, 2, resident=HELD) == 0, "which each worker then refuses"


def test_settings_hold_inside_and_are_put_back() -> None:
    before = get_gdal_config("GDAL_CACHEMAX")
    with (
        memory_limited_to(MemoryPlan()),
        memory_limited_to(MemoryPlan(cache=32 * MIB, threads=1, read_ahead=False)),
    ):
        assert dask.config.get("num_workers") == 1
        assert get_gdal_config("GDAL_CACHEMAX") == 32 * MIB
    assert get_gdal_config("GDAL_CACHEMAX") == before
    assert dask.config.get("num_workers", None) is None


OF_GLIBC = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="settings of glibc")


@OF_GLIBC
@pytest.mark.parametrize(("one_heap", "heaps"), [(True, 0), (False, 4)])
def test_threads_share_one_heap(one_heap: bool, heaps: int) -> None:
    words = [sys.executable, "-c", NEW_HEAPS, str(int(one_heap))]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.stdout == f"{heaps}\n", done.stderr


NEW_HEAPS = """
import ctypes, sys, tempfile, threading
from landslide_map.runtime.memory_limit import MemoryPlan, memory_limited_to

library = ctypes.CDLL(None)
library.fopen.restype = ctypes.c_void_p
started, counted = threading.Barrier(5), threading.Barrier(5)

def allocate():
    held = bytearray(5000)
    started.wait()
    counted.wait()

def heaps():
    with tempfile.NamedTemporaryFile() as file:
        stream = ctypes.c_void_p(library.fopen(file.name.encode(), b"w"))
        library.malloc_info(0, stream)
        library.fclose(stream)
        return file.read().count(b"<heap nr=")

with memory_limited_to(MemoryPlan(one_heap=bool(int(sys.argv[1])))):
    before = heaps()
    for _ in range(4):
        threading.Thread(target=allocate).start()
    started.wait()
    print(heaps() - before)
    counted.wait()
"""


@OF_GLIBC
def test_free_memory_goes_back_after_every_row_of_blocks() -> None:
    def predictor(block_rows: Sequence[int], tick: Tick) -> Iterator[Any]:
        for row in block_rows:
            pieces = [bytearray(8000) for _ in range(8000)]
            kept.append(pieces[::100])  # in between, so that the heap cannot just end earlier
            del pieces
            tick(row)
            yield row

    kept: list[list[bytearray]] = []
    left = []
    for trimmed in (with_heap_trimmed(predictor), predictor):
        give_back()
        before = resident_memory() or 0
        assert list(trimmed([3], lambda _: None)) == [3]
        left.append((resident_memory() or 0) - before)
    assert left[0] < 20 * MIB < 40 * MIB < left[1]


def test_models_count_until_they_are_loaded() -> None:
    bundle, plan = load_bundle(), plan_windows((1024, 1024), 64)
    before = estimate_memory(bundle, plan).models
    files = [name for entry in bundle.document.members for name in entry.files]
    assert before == memory_plan.PARSED * sum(bundle.document.files[name].bytes for name in files)
    member = bundle.members[0]
    assert member.predictors  # type: ignore[attr-defined]
    assert estimate_memory(bundle, plan).models == before - memory_plan.PARSED * sum(map(len, member.folds))  # type: ignore[attr-defined]


def test_a_worker_needs_no_memory_for_the_map_and_the_writer_none_for_rows() -> None:
    assert ESTIMATE.of_rows() == MemoryEstimate(models=100 * MIB, voting=200 * MIB, reading=50 * MIB)
    assert ESTIMATE.of_the_map() == MemoryEstimate(votes=10 * MIB, writing=200 * MIB)
    assert OPENING.models > 0
