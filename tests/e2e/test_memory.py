"""A limit of memory changes no byte of a map; one that is too small is refused before anything is there."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import dask
import pytest

from landslide_map.inference.kept_pixels import Kept
from landslide_map.mapping.map_scene import map_scene
from landslide_map.mapping.map_scenes import map_scenes
from landslide_map.mapping.memory_plan import SMALLEST, THREAD, estimate_memory, needed
from landslide_map.models.bundle.load import load_bundle
from landslide_map.runtime.allocator import give_back
from landslide_map.runtime.byte_size import MIB, amount
from landslide_map.runtime.memory_limit import MemoryPlan
from landslide_map.runtime.process_memory import resident_memory
from landslide_map.windows import plan_windows
from tests.support.forked import Forked
from tests.support.raised import raised
from tests.support.result_files import made
from tests.support.tall_scene import write_tall_scene

STRIDE = 24
ROWS, COLS = 1100, 130


def held_now() -> int:
    give_back()
    return resident_memory() or 0


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tall_scene(tmp_path_factory.mktemp("tall"), rows=ROWS, cols=COLS)


def test_limits_and_threads_change_no_byte(
    scene: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    free = map_scene(scene, tmp_path / "free", stride=STRIDE)
    estimate = estimate_memory(
        load_bundle(), plan_windows((ROWS, COLS), STRIDE), kept=Kept(outlines=True, display=True)
    )
    caplog.set_level(logging.INFO, "landslide_map")
    for threads, given in ((1, None), (2, None), (3, "50GB")):
        # Half of what one thread more would need is left for what the process holds by then, more or less.
        limit = given or needed(SMALLEST, estimate, held_now()) + THREAD // 2
        with dask.config.set(num_workers=threads):
            result = map_scene(scene, tmp_path / f"{threads}", stride=STRIDE, memory=limit)
        reported = json.loads(result.manifest.read_bytes())["timings"]
        assert reported["memory_limit_bytes"] == amount(limit)
        assert made(result.out) == made(free.out), (threads, limit)
    chosen = [said for said in caplog.messages if said.startswith("memory limit")]
    assert [re.findall(r"(\d+) threads", said) for said in chosen] == [["1"], ["1"], ["3"]]
    assert str(MemoryPlan(threads=3)) in chosen[2]


def test_a_limit_that_is_too_small_leaves_nothing_behind(scene: Path, tmp_path: Path) -> None:
    with Forked("landslide_map_cli.start", scene, "--out", tmp_path / "out", "--memory", "100MB") as run:
        _, said = run.communicate()
    assert run.returncode == 6, said
    assert re.search(r"E640: the memory limit of 0\.10 GB is too small: .*needs 0\.\d\d GB", said)
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_a_limit_that_is_too_small_for_this_scene_is_refused_once_it_is_known(
    scene: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    kept = map_scene(scene, out, stride=64)
    bytes_before, before = kept.probability.read_bytes(), set(made(out))
    with raised("E640", "predicting a row of blocks 0."):
        map_scene(scene, out, memory=held_now() + 220 * MIB, overwrite=True)
    assert kept.probability.read_bytes() == bytes_before
    assert set(made(out)) == before


def test_a_process_takes_less_than_was_worked_out_for_it(scene: Path) -> None:
    words = [sys.executable, "-m", "benchmarks.memory", scene, "--threads", "2", "--cache", "32"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    *_, row = done.stdout.splitlines()
    threads, cache, needed, peak = map(int, row.strip("| ").split(" | ")[:4])
    assert (threads, cache) == (2, 32)
    assert 0.5 * needed < peak < needed


def test_no_amount_is_refused_before_any_work(scene: Path, tmp_path: Path) -> None:
    with raised("E440"):
        map_scene(scene, tmp_path / "out", memory="much")
    with raised("E440"):
        map_scenes([scene, tmp_path / "other.yaml"], tmp_path / "out", memory="much")
    assert not (tmp_path / "out").exists()


def test_several_scenes_keep_to_a_limit_one_after_another(scene: Path, tmp_path: Path) -> None:
    result = map_scenes([scene], tmp_path / "out", stride=64, memory="50GB")
    assert not result.failures
    again = map_scenes([scene], tmp_path / "out", stride=64, memory="40GB")
    assert [outcome.kept for outcome in again.outcomes] == [True], "the result is the same, so it is kept"
