"""A limit of memory changes no byte of a map; one that is too small is refused before anything is there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import dask
import pytest

from landslide_map.inference.kept_pixels import Kept
from landslide_map.mapping import memory_plan
from landslide_map.mapping.map_scene import map_scene
from landslide_map.mapping.map_scenes import map_scenes
from landslide_map.models.bundle.load import load_bundle
from landslide_map.runtime.byte_size import MIB, amount
from landslide_map.windows import plan_windows
from tests.support.raised import raised
from tests.support.result_files import made
from tests.support.tall_scene import write_tall_scene

COMMAND = Path(sys.executable).with_name("landslide-map")
STRIDE = 24
ROWS, COLS = 2100, 130
HELD = 400 * MIB


def held_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a run believe that so much is resident: what pytest holds depends on the tests before."""
    monkeypatch.setattr(memory_plan, "resident_memory", lambda: HELD)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tall_scene(tmp_path_factory.mktemp("tall"), rows=ROWS, cols=COLS)


def test_limits_and_threads_change_no_byte(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[memory_plan.MemoryPlan] = []
    real = memory_plan.plan_memory

    def spied(*arguments: object) -> memory_plan.MemoryPlan:
        chosen.append(real(*arguments))  # type: ignore[arg-type]
        return chosen[-1]

    for module in ("mapping.map_scene", "mapping.setup"):
        monkeypatch.setattr(f"landslide_map.{module}.plan_memory", spied)
    free = map_scene(scene, tmp_path / "free", stride=STRIDE)
    assert set(chosen) == {real(None)}
    estimate = memory_plan.estimate_memory(
        load_bundle(), plan_windows((ROWS, COLS), STRIDE), kept=Kept(outlines=True, display=True)
    )
    held_before(monkeypatch)
    least = memory_plan.needed(memory_plan.SMALLEST, estimate, HELD)
    for threads, limit in ((1, least), (2, least), (3, "50GB")):
        with dask.config.set(num_workers=threads):
            result = map_scene(scene, tmp_path / f"{threads}", stride=STRIDE, memory=limit)
        reported = json.loads(result.manifest.read_bytes())["timings"]
        assert reported["memory_limit_bytes"] == amount(limit)
        assert made(result.out) == made(free.out), (threads, limit)
    # Two a run: until the scene was opened, and for its rows of blocks.
    ways = [(chosen_plan.cache, chosen_plan.threads, chosen_plan.read_ahead) for chosen_plan in chosen[3::2]]
    free_way = memory_plan.MemoryPlan(threads=3)
    smallest = (memory_plan.SMALLEST.cache, 1, False)
    assert ways == [smallest, smallest, (free_way.cache, 3, free_way.read_ahead)]


def test_a_limit_that_is_too_small_leaves_nothing_behind(scene: Path, tmp_path: Path) -> None:
    words = [COMMAND, scene, "--out", tmp_path / "out", "--memory", "100MB"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode == 6, done.stderr
    assert re.search(r"E640: the memory limit of 0\.10 GB is too small: .*needs 0\.\d\d GB", done.stderr)
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_limit_that_is_too_small_for_this_scene_is_refused_once_it_is_known(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    kept = map_scene(scene, out, stride=64)
    bytes_before, before = kept.probability.read_bytes(), set(made(out))
    held_before(monkeypatch)
    with raised("E640", "predicting a row of blocks 0."):
        map_scene(scene, out, memory=HELD + 220 * MIB, overwrite=True)
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
