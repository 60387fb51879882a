"""A limit of memory changes no byte of a map; one that is too small is refused before anything is there."""

from __future__ import annotations

import json
from pathlib import Path

import dask
import pytest
from click.testing import CliRunner
from landslide_map_cli.main import cli

from landslide_map import memory
from landslide_map.errors import ResourceError, UsageError
from landslide_map.models.bundle import load_bundle
from landslide_map.pipeline import map_scene
from landslide_map.products import FILES
from landslide_map.several import map_scenes
from landslide_map.windows import plan_windows
from tests.tall_scene import write_tall_scene

STRIDE = 24
ROWS, COLS = 2100, 130


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tall_scene(tmp_path_factory.mktemp("tall"), rows=ROWS, cols=COLS)


def test_limits_and_threads_change_no_byte(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[memory.Room] = []
    real = memory.room_within

    def spied(*arguments: object) -> memory.Room:
        chosen.append(real(*arguments))  # type: ignore[arg-type]
        return chosen[-1]

    monkeypatch.setattr("landslide_map.pipeline.room_within", spied)
    free = map_scene(scene, tmp_path / "free", stride=STRIDE)
    assert set(chosen) == {memory.Room()}
    demand = memory.demand_of(load_bundle(), plan_windows((ROWS, COLS), STRIDE))
    resident = memory.resident_memory()
    assert resident is not None
    least = memory.needed(memory.SMALLEST, demand, resident) + 150 * memory.MIB
    for threads, limit in ((1, least), (2, least), (3, "50GB")):
        with dask.config.set(num_workers=threads):
            result = map_scene(scene, tmp_path / f"{threads}", stride=STRIDE, memory=limit)
        told = json.loads(result.manifest.read_bytes())["timings"]
        assert told["memory_limit_bytes"] == memory.amount(limit)
        for name in set(FILES) - {"run.json"}:
            assert (result.out / name).read_bytes() == (free.out / name).read_bytes(), (threads, limit, name)
    assert chosen[-1] == memory.Room(threads=3)
    assert chosen[3].cache < chosen[-1].cache


def test_a_limit_that_is_too_small_leaves_nothing_behind(scene: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke(cli, [str(scene), "--out", str(tmp_path / "out"), "--memory", "100MB"])
    assert isinstance(run.exception, ResourceError | SystemExit)
    with pytest.raises(ResourceError, match=r"E640.*0\.10 GB is too small.*needs [0-9.]+ GB"):
        map_scene(scene, tmp_path / "out", memory="100MB")
    assert not (tmp_path / "out").exists()


def test_no_amount_is_refused_before_any_work(scene: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="E440"):
        map_scene(scene, tmp_path / "out", memory="much")
    with pytest.raises(UsageError, match="E440"):
        map_scenes([scene, tmp_path / "other.yaml"], tmp_path / "out", memory="much")
    assert not (tmp_path / "out").exists()


def test_several_scenes_keep_to_a_limit_one_after_another(scene: Path, tmp_path: Path) -> None:
    result = map_scenes([scene], tmp_path / "out", stride=64, memory="50GB")
    assert not result.failures
    again = map_scenes([scene], tmp_path / "out", stride=64, memory="40GB")
    assert [outcome.kept for outcome in again.outcomes] == [True], "the result is the same, so it is kept"
