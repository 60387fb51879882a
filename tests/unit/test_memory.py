"""Amounts are understood, costs counted by hand, and a limit chooses the fastest way that fits below it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import dask
import numpy as np
import pytest
import xarray as xr
from rasterio._env import get_gdal_config

from landslide_map.features import window_statistics
from landslide_map.inference.rows import Tick
from landslide_map.mapping import memory_plan
from landslide_map.mapping.cluster import client
from landslide_map.mapping.memory_plan import (
    OPENING,
    SMALLEST,
    MemoryEstimate,
    estimate_memory,
    needed,
    plan_memory,
    with_heap_trimmed,
)
from landslide_map.models.bundle.load import load_bundle
from landslide_map.runtime import allocator
from landslide_map.runtime.byte_size import MIB, amount
from landslide_map.runtime.memory_limit import CACHE, MemoryPlan, memory_limited_to
from landslide_map.windows import plan_windows
from tests.support.raised import raised


def test_a_row_of_blocks_is_counted_as_it_is_held() -> None:
    # 2048 x 1088 pixels, stride 64: 32 rows of windows and of cells, 16 in each row of blocks; 17 columns.
    cells, merged, statistics = window_statistics.row_bytes(plan_windows((2048, 1088), 64), bands=3, kept=2)
    assert cells == 3 * 16 * 17 * 7 * 8 + 2 * 1024 * 1088 * 4
    assert merged == 3 * (16 + 2) * 17 * 7 * 8 + 2 * (1024 + 64) * 1088 * 4
    assert statistics == 3 * 16 * 17 * 7 * 8


@pytest.mark.parametrize("stride", [64, 24, 16])
def test_what_is_held_of_a_row_of_blocks_is_not_more_than_was_counted(
    stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_windows((2100, 1100), stride)
    pixels = np.random.default_rng(1).random((3, *plan.shape), dtype=np.float32)
    cells, merged, statistics = window_statistics.row_bytes(plan, bands=3, kept=1)
    held: dict[str, list[int]] = {"cells": [], "merged": []}
    real_reduce, real_extend = window_statistics._reduce, window_statistics.UnfinishedWindows.extend

    def reduce(*arguments: object) -> object:
        by_band, blocks = found = real_reduce(*arguments)  # type: ignore[arg-type]
        held["cells"].append(
            sum(part.nbytes for parts in by_band for part in parts)
            + sum(part.nbytes for parts in blocks for part in parts)
        )
        return found

    def extend(self: window_statistics.UnfinishedWindows, *arguments: object) -> None:
        real_extend(self, *arguments)  # type: ignore[arg-type]
        held["merged"].append(sum(band.nbytes for band in self._cells) + self._pixels.nbytes)

    monkeypatch.setattr(window_statistics, "_reduce", reduce)
    monkeypatch.setattr(window_statistics.UnfinishedWindows, "extend", extend)
    stack = xr.DataArray(pixels, dims=("band", "y", "x"), coords={"band": ["a", "b", "c"]})
    slabs = [found.nbytes for _, found, _ in window_statistics.statistics_and_pixels(stack, plan, ["b"])]
    assert 0.8 * cells < max(held["cells"]) <= cells
    assert 0.8 * merged < max(held["merged"]) <= merged
    assert 0.8 * statistics < max(slabs) <= statistics


def test_without_a_limit_a_run_takes_the_fastest_way_and_few_threads_share_a_heap() -> None:
    for threads in (1, 4, 5, 64):
        with dask.config.set(num_workers=threads):
            fastest = MemoryPlan(cache=CACHE, threads=None, read_ahead=True, one_heap=threads <= 4)
            assert plan_memory(None) == fastest
    with memory_limited_to(MemoryPlan()):
        assert dask.config.get("num_workers", None) is None


@pytest.fixture
def four_threads(monkeypatch: pytest.MonkeyPatch) -> int:
    """A machine with four cores, and a process that holds 300 MiB; returns them."""
    monkeypatch.setattr(memory_plan, "CPU_COUNT", 4)
    monkeypatch.setattr(memory_plan, "resident_memory", lambda: 300 * MIB)
    return 300 * MIB


ESTIMATE = MemoryEstimate(
    models=100 * MIB, voting=200 * MIB, reading=50 * MIB, votes=10 * MIB, writing=200 * MIB
)


def test_what_is_needed_adds_up_by_hand() -> None:
    chosen_plan = MemoryPlan(cache=64 * MIB, threads=2, read_ahead=True)
    predicting = 72 + 2 * memory_plan.THREAD / MIB + 200 + 50  # an eighth more than the cache
    assert needed(chosen_plan, ESTIMATE, 300 * MIB) == (300 + 100 + 10 + predicting) * MIB
    assert (
        needed(replace(chosen_plan, read_ahead=False), ESTIMATE, 300 * MIB)
        == (300 + 100 + 10 + predicting - 50) * MIB
    )
    assert (
        needed(chosen_plan, replace(ESTIMATE, per_thread=30 * MIB), 300 * MIB)
        == (300 + 100 + 10 + predicting + 60) * MIB
    )
    large = replace(ESTIMATE, writing=2000 * MIB)
    assert needed(chosen_plan, large, 300 * MIB) == (300 + 100 + 10 + 2000) * MIB


def test_more_memory_is_never_slower(four_threads: int) -> None:
    rooms = []
    for limit in range(needed(SMALLEST, ESTIMATE, four_threads), 3000 * MIB, 16 * MIB):
        chosen_plan = plan_memory(limit, ESTIMATE)
        assert needed(chosen_plan, ESTIMATE, four_threads) <= limit
        rooms.append((chosen_plan.threads, chosen_plan.read_ahead, chosen_plan.cache))
    assert rooms[0] == (1, False, CACHE // 8)
    assert rooms[-1] == (4, True, CACHE)
    assert rooms == sorted(rooms)
    assert {threads for threads, *_ in rooms} == {1, 2, 3, 4}


def test_a_limit_that_is_too_small_says_what_would_do(four_threads: int) -> None:
    least = needed(SMALLEST, ESTIMATE, four_threads)
    with raised("E640") as refused:
        plan_memory(least - 1, ESTIMATE)
    said = str(refused.value)
    asked = amount(said.partition("this run needs ")[2].partition(". ")[0])
    assert least <= asked < least + 10**7
    assert replace(plan_memory(asked, ESTIMATE), source_block=SMALLEST.source_block) == SMALLEST
    assert "0.32 GB are in memory already" in said
    assert "stride" in said


def test_workers_here_share_what_the_writing_process_leaves(
    four_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "resident_memory", lambda: four_threads)
    workers = object.__new__(client.Cluster)
    workers._here = 2
    # 300 MiB are held, 10 are votes, 200 are for writing.
    assert workers._part((510 + 2000) * MIB, ESTIMATE) == 1000 * MIB
    assert workers._part(400 * MIB, ESTIMATE) == 0, "which each worker then refuses"


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


def test_threads_share_a_heap_until_the_last_block_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    class Glibc:
        def mallopt(self, setting: int, value: int) -> None:
            asked.append((setting, value))

        def malloc_trim(self, kept: int) -> None:
            asked.append((0, kept))

    monkeypatch.setattr(allocator, "_glibc", Glibc)
    with memory_limited_to(MemoryPlan()):
        assert asked == []
        with memory_limited_to(replace(SMALLEST, threads=2)):
            with memory_limited_to(SMALLEST):
                pass
            assert asked == [(-8, 1), (-8, 1), (0, 0)], "M_ARENA_MAX is -8 in malloc.h"
    assert asked[3:] == [(-8, 0), (0, 0)]


def test_free_memory_goes_back_after_every_row_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []

    def predictor(block_rows: Sequence[int], tick: Tick) -> Iterator[Any]:
        for row in block_rows:
            tick(row)
            yield f"row {row}"

    monkeypatch.setattr(memory_plan, "give_back", lambda: done.append("given back"))
    for row in with_heap_trimmed(predictor)([3, 4], done.append):
        done.append(row)
    assert done == [3, "given back", "row 3", 4, "given back", "row 4"]


def test_models_count_until_they_are_loaded() -> None:
    bundle, plan = load_bundle(), plan_windows((1024, 1024), 64)
    before = estimate_memory(bundle, plan).models
    files = [name for entry in bundle.document.members for name in entry.files]
    assert before == memory_plan.PARSED * sum(bundle.document.files[name].bytes for name in files)
    member = bundle.members[0]
    assert member.predictors  # type: ignore[attr-defined]
    assert estimate_memory(bundle, plan).models == before - memory_plan.PARSED * sum(map(len, member.folds))  # type: ignore[attr-defined]


def test_a_worker_needs_no_room_for_the_map_and_the_writer_none_for_rows() -> None:
    assert ESTIMATE.of_rows() == MemoryEstimate(models=100 * MIB, voting=200 * MIB, reading=50 * MIB)
    assert ESTIMATE.of_the_map() == MemoryEstimate(votes=10 * MIB, writing=200 * MIB)
    assert OPENING.models > 0
