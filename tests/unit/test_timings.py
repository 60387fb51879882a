"""Accounts of time against sleeping (wall, no CPU) and spinning (both), in one thread and several."""

from __future__ import annotations

import ctypes
import mmap
import resource
import subprocess
import sys
import threading
import time

import pytest

from landslide_map.runtime import process_memory, timings


def spin(seconds: float) -> None:
    """Keep a CPU busy for that much of this thread's own time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_stages_count_wall_time_and_the_cpu_time_of_all_threads() -> None:
    with timings.collected() as spent:
        with timings.stage("sleep"):
            time.sleep(0.1)
        with timings.stage("spin"):
            other = threading.Thread(target=spin, args=(0.1,))
            other.start()
            spin(0.1)
            other.join()
    assert list(spent.stages) == ["sleep", "spin"]
    assert spent.stages["sleep"].seconds >= 0.1
    assert spent.stages["sleep"].cpu_seconds < 0.05
    assert 0.2 <= spent.stages["spin"].cpu_seconds < 0.5
    assert spent.seconds >= sum(stage.seconds for stage in spent.stages.values())
    assert spent.seconds == spent.seconds  # the account is closed: it does not run on
    assert 0.2 <= spent.cpu_seconds < 0.5


def test_work_is_summed_over_the_threads_that_do_it() -> None:
    def read() -> None:
        for _ in range(3):
            with timings.work("read"):
                time.sleep(0.02)

    with timings.collected() as spent:
        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        with timings.work("vote"):
            spin(0.05)
        for thread in threads:
            thread.join()
    assert spent.work["read"].times == 12
    assert spent.work["read"].seconds >= 0.24
    assert spent.work["read"].cpu_seconds < 0.05
    assert spent.work["vote"].cpu_seconds == pytest.approx(0.05, abs=0.01)


def test_work_inside_work_counts_once_as_the_inner_kind() -> None:
    with timings.collected() as spent, timings.work("align"):
        spin(0.02)
        for _ in range(2):
            with timings.work("read"):
                spin(0.03)
                with timings.work("decode"):
                    spin(0.01)
    assert spent.work["align"].cpu_seconds == pytest.approx(0.02, abs=0.01)
    assert spent.work["read"].cpu_seconds == pytest.approx(0.06, abs=0.01)
    assert spent.work["decode"].cpu_seconds == pytest.approx(0.02, abs=0.01)
    total = sum(kind.seconds for kind in spent.work.values())
    assert total <= spent.seconds


def test_what_no_thread_measured_is_the_rest_of_the_cpu_time() -> None:
    with timings.collected() as spent:
        library = threading.Thread(target=spin, args=(0.1,))
        with timings.work("vote"):
            library.start()
            library.join()
            spin(0.05)
    assert spent.work["vote"].seconds >= 0.14
    assert spent.work["vote"].cpu_seconds == pytest.approx(0.05, abs=0.02)
    assert 0.09 < spent.cpu_seconds - spent.work["vote"].cpu_seconds < 0.3


def test_accounts_stand_side_by_side_and_failures_count() -> None:
    with timings.collected() as outer:
        with pytest.raises(ZeroDivisionError), timings.work("first"):
            raise ZeroDivisionError
        with timings.collected() as inner, timings.work("second"), timings.stage("stage"):
            pass
    with timings.work("after"):
        pass
    assert list(outer.work) == ["first", "second"]
    assert list(inner.work) == ["second"]
    assert list(inner.stages) == list(outer.stages) == ["stage"]


def test_work_decorates_functions() -> None:
    @timings.work("sum")
    def add(a: int, b: int) -> int:
        return a + b

    with timings.collected() as spent:
        assert add(1, 2) + add(3, 4) == 10
    assert spent.work["sum"].times == 2


def test_an_account_as_values_and_as_text() -> None:
    with timings.collected() as spent, timings.stage("check inputs"), timings.work("read"):
        time.sleep(0.02)
    before, values = process_memory.peak_memory(), spent.as_json()
    assert values["stages"]["check inputs"]["seconds"] >= 0.02
    assert values["work"]["read"]["busy_seconds"] >= 0.02
    assert values["work"]["read"]["times"] == 1
    assert before <= values["peak_memory_bytes"] <= process_memory.peak_memory()
    rows = [line.rsplit(maxsplit=2)[0] for line in spent.as_text(work=True).splitlines()]
    assert "check inputs" in rows
    assert "read" in rows


def test_what_other_processes_spent_is_kept_apart() -> None:
    with timings.collected() as one, timings.work("read"):
        spin(0.02)
    with timings.collected() as other, timings.work("read"), timings.work("vote"):
        spin(0.03)
    with timings.collected() as spent:
        timings.count_workers(one.as_worker())
        timings.count_workers(other.as_worker())
    assert spent.work == {}
    assert spent.cpu_seconds < 0.02
    workers = spent.as_json()["workers"]
    assert workers["work"]["read"]["times"] == 2
    assert workers["work"]["read"]["cpu_seconds"] == pytest.approx(0.02, abs=0.01)
    assert workers["work"]["vote"]["cpu_seconds"] == pytest.approx(0.03, abs=0.01)
    assert workers["cpu_seconds"] >= 0.05
    assert 0 < workers["peak_memory_bytes"] <= process_memory.peak_memory()
    assert "work of workers" in spent.as_text(work=True)
    assert "workers" not in one.as_json()


def test_peak_memory_is_that_of_this_program_alone() -> None:
    before = process_memory.peak_memory()
    assert before is not None
    held = mmap.mmap(-1, 200 << 20)
    ctypes.memset(ctypes.addressof(ctypes.c_char.from_buffer(held)), 1, len(held))
    after = process_memory.peak_memory()
    assert after is not None
    assert after >= 200 << 20
    assert after <= 1.1 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # counted in batches
    code = "import landslide_map.runtime.process_memory as t; print(t.peak_memory())"
    child = int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert child < 100 << 20  # not what its parent has held
