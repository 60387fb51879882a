"""A real scheduler and worker processes on this machine: the same bytes, whatever happens to a worker."""

from __future__ import annotations

import pickle
import shutil
import signal
import socket
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from landslide_map import cluster
from landslide_map.cluster import connected
from landslide_map.errors import LandslideMapError
from landslide_map.judging import JudgedRows, Tick, judge_rows
from landslide_map.models.bundle import DEFAULT
from landslide_map.models.choice import Choice
from landslide_map.readers import open_inputs
from landslide_map.scene import load_scene
from landslide_map.sources import RasterBand, SceneInputs
from landslide_map.windows import WindowPlan, plan_windows
from tests.dask_processes import PATIENCE_S, DaskProcesses
from tests.tall_scene import write_tall_scene

NEVER_DONE = """
import time
from pathlib import Path
from landslide_map import remote

def judge_rows(*_):
    Path({begun!r}).touch()
    time.sleep(1000)

remote.judge_rows = judge_rows
"""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tall_scene(tmp_path_factory.mktemp("tall"))


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskProcesses]:
    with DaskProcesses(tmp_path_factory.mktemp("dask"), allowed_failures=1) as processes:
        processes.worker("a")
        processes.worker("b")
        processes.await_workers("a", "b")
        yield processes


@dataclass(frozen=True)
class Work:
    """A scene ready to be judged, here or there."""

    inputs: SceneInputs
    choice: Choice
    plan: WindowPlan

    @classmethod
    def of(cls, scene: Path, bundle: Path | None = None) -> Work:
        inputs = open_inputs(load_scene(scene))
        return cls(inputs, Choice(bundle), plan_windows(inputs.grid.shape, 40))

    def judged(self, workers: cluster.Cluster, tick: Tick = lambda _: None) -> list[bytes]:
        """Every row of blocks, as bytes."""
        judge = workers.judge(self.inputs, self.choice, self.choice.load(), self.plan, 0.75)
        return in_order(judge(self.plan.block_rows, tick))

    def judged_here(self) -> list[bytes]:
        return in_order(judge_rows(self.inputs, self.choice.load(), self.plan, 0.75, self.plan.block_rows))


def in_order(rows: Iterable[JudgedRows]) -> list[bytes]:
    return [pickle.dumps(row) for row in sorted(rows, key=lambda row: row.block_row)]


def awaited(path: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.05)


@pytest.fixture(scope="module")
def work(scene: Path) -> Work:
    return Work.of(scene)


@pytest.fixture(scope="module")
def expected(work: Work) -> list[bytes]:
    return work.judged_here()


def test_rows_judged_by_workers_have_the_same_bits(
    work: Work, expected: list[bytes], dask: DaskProcesses
) -> None:
    counts: list[int] = []
    with connected(dask.address) as workers:
        assert workers.notices == ()
        assert work.judged(workers, counts.append) == expected
        assert work.judged(workers) == expected  # the same cluster again
    assert sum(counts) == work.plan.count


def test_a_worker_that_is_killed_costs_only_time(
    work: Work, expected: list[bytes], dask: DaskProcesses, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    victim = dask.worker("victim", preload=NEVER_DONE.format(begun=str(begun)))
    dask.await_workers("a", "b", "victim")

    def kill() -> None:
        awaited(begun)
        victim.kill()

    with connected(dask.address) as workers, ThreadPoolExecutor(1) as pool:
        killed = pool.submit(kill)
        assert work.judged(workers) == expected
        killed.result()
    assert victim.wait() == -signal.SIGKILL


def test_a_failed_row_is_told_when_the_others_are_done(work: Work, dask: DaskProcesses) -> None:
    broken = replace(work.inputs, dem=RasterBand("/no/such/dem.tif", work.inputs.grid))
    found: list[JudgedRows] = []
    with connected(dask.address) as workers:
        judge = workers.judge(broken, work.choice, work.choice.load(), work.plan, 0.75)
        with pytest.raises(LandslideMapError, match=r"worker (a|b) \(tcp.*dem.tif") as caught:
            found.extend(judge([0, 1, 2], lambda _: None))
        assert caught.value.code == "E101"
        assert found == []


def test_a_row_that_workers_die_over_is_given_up(work: Work, tmp_path: Path) -> None:
    deadly = "import os\nfrom landslide_map import remote\nremote.judge_rows = lambda *_: os._exit(1)\n"
    with DaskProcesses(tmp_path, allowed_failures=0) as processes:
        processes.worker("weak", preload=deadly)
        processes.await_workers("weak")
        with connected(processes.address) as workers, pytest.raises(LandslideMapError) as caught:
            work.judged(workers)
    assert caught.value.code == "E635"
    assert "row of blocks" in caught.value.message
    assert "weak" in caught.value.message


def test_when_all_workers_or_the_scheduler_are_gone_it_says_so(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "PATIENCE_S", 2)
    with DaskProcesses(tmp_path) as processes:
        with pytest.raises(LandslideMapError) as none_yet, connected(processes.address):
            pass
        last = processes.worker("last", preload=NEVER_DONE.format(begun=str(tmp_path / "begun")))
        processes.await_workers("last")
        with connected(processes.address) as workers, ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: (awaited(tmp_path / "begun"), last.kill()))
            with pytest.raises(LandslideMapError) as none_left:
                work.judged(workers)
        processes.worker("next")
        processes.await_workers("next")
        with connected(processes.address) as workers:
            processes.scheduler.kill()
            with pytest.raises(LandslideMapError) as no_scheduler:
                work.judged(workers)
    assert [e.value.code for e in (none_yet, none_left, no_scheduler)] == ["E631", "E631", "E630"]
    assert "the scheduler answers no more" in no_scheduler.value.message


def test_a_scheduler_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_S", 1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    for wrong in (address, "nonsense://here", "tcp://127.0.0.1:99999999"):
        with pytest.raises(LandslideMapError) as caught, connected(wrong):
            pass
        assert caught.value.code == "E630"
        assert wrong in caught.value.message


@pytest.mark.parametrize(
    ("version", "said"),
    [("return '9.9'", "9.9"), ("raise metadata.PackageNotFoundError", "no landslide-map")],
)
def test_a_worker_of_another_version_is_refused_by_name(version: str, said: str, dask: DaskProcesses) -> None:
    lie = f"""
from importlib import metadata
real = metadata.version
def version(name):
    if name == "landslide-map":
        {version}
    return real(name)
version.__module__, version.__qualname__ = "importlib.metadata", "version"
metadata.version = version
"""
    other = dask.worker("other", preload=lie)
    try:
        dask.await_workers("a", "b", "other")
        with pytest.raises(LandslideMapError, match=f"worker other .* has .*{said}") as caught:
            connected(dask.address).__enter__()
        assert caught.value.code == "E632"
    finally:
        other.kill()
        dask.await_workers("a", "b")


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="paths that differ by process need /proc")
def test_workers_must_see_the_same_inputs_and_bundle(
    scene: Path,
    expected: list[bytes],
    dask: DaskProcesses,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Under /proc/self/cwd a path means one thing here and another in a worker, as on two machines."""
    here, there = tmp_path / "here", tmp_path / "there"
    shutil.copytree(scene.parent, here / "scene")
    shutil.copytree(DEFAULT, here / "bundle")
    for name in ("scene", "bundle"):
        (dask.folder / name).symlink_to(here / name)  # where the other two workers are
    there.mkdir()
    monkeypatch.chdir(here)
    moving = Path("/proc/self/cwd")
    work = Work.of(moving / "scene" / "scene.yaml", moving / "bundle")
    elsewhere = dask.worker("elsewhere", folder=there)
    dask.await_workers("a", "b", "elsewhere")
    with connected(dask.address) as workers:

        def refused(code: str, *said: str) -> None:
            with pytest.raises(LandslideMapError) as caught:
                work.judged(workers)
            assert caught.value.code == code
            assert all(part in caught.value.message for part in ("worker elsewhere", *said))

        try:
            refused("E634", "cannot read the input", "/scene/")
            shutil.copytree(here / "scene", there / "scene")
            with (there / "scene" / "B04.tif").open("ab") as file:
                file.write(b"more")
            refused("E634", "another file", "B04.tif")
            shutil.copyfile(here / "scene" / "B04.tif", there / "scene" / "B04.tif")
            refused("E633", "not here")
            shutil.copytree(here / "bundle", there / "bundle")
            document = there / "bundle" / "bundle.json"
            document.write_text(document.read_text() + "\n")
            refused("E633", "another one")
            shutil.copyfile(here / "bundle" / "bundle.json", document)
            assert work.judged(workers) == expected
        finally:
            elsewhere.kill()
            dask.await_workers("a", "b")
