"""A real scheduler and worker processes on this machine: the same bytes, whatever happens to a worker."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from landslide_map.errors import LandslideMapError
from landslide_map.inference.rows import RowResult, Tick, predict_rows
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.mapping.cluster import client as cluster
from landslide_map.mapping.cluster import connect
from landslide_map.mapping.cluster.connect import client_of, connected
from landslide_map.mapping.map_scene import map_scene
from landslide_map.models.bundle.load import DEFAULT
from landslide_map.models.bundle.options import PredictionOptions
from landslide_map.scene.model import load_scene
from landslide_map.training.windows.train import train
from landslide_map.windows import WindowPlan, plan_windows
from tests.support import messages
from tests.support.dask_processes import DaskProcesses
from tests.support.forked import PATIENCE_S, Forked
from tests.support.network_recipes import labelled_windows, tiny_window_recipe
from tests.support.raised import raised
from tests.support.result_files import made
from tests.support.sample_scene import DENSE, cut_sample
from tests.support.tall_scene import write_tall_scene

STRIDE = 40
NEVER_DONE = """
import time
from pathlib import Path
from landslide_map.mapping.cluster import worker as remote

def dask_setup(worker):
    real, done = remote.predict_rows, []

    def predict_rows(*arguments, **options):
        if len(done) == {rows}:
            Path({begun!r}).touch()
            time.sleep(1000)
        done.append(True)
        return real(*arguments, **options)

    remote.predict_rows = predict_rows
"""
"""A worker that predicts some rows of blocks, and then begins one and does not come to an end."""


SPY = """
from pathlib import Path
from landslide_map.mapping.cluster import worker as remote
from landslide_map.models.networks.network_member import NetworkMember

def dask_setup(worker):
    for owner, name in ((NetworkMember, "predict"), (remote, "predict_rows")):
        def spied(*arguments, real=getattr(owner, name), name=name, **options):
            Path(f"{name} on {worker.name}").touch()
            return real(*arguments, **options)
        setattr(owner, name, spied)
"""
"""Leaves a mark where a worker predicts rows of blocks, or runs a network."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tall_scene(tmp_path_factory.mktemp("tall"))


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskProcesses]:
    with DaskProcesses(tmp_path_factory.mktemp("dask"), allowed_failures=1) as processes:
        processes.worker("a", preload=SPY)
        processes.worker("b", preload=SPY)
        processes.await_workers("a", "b")
        yield processes


@dataclass(frozen=True)
class Work:
    """A scene ready for prediction, here or on a cluster."""

    inputs: SceneInputs
    choice: PredictionOptions
    plan: WindowPlan

    @classmethod
    def of(cls, scene: Path, bundle: Path | None = None) -> Work:
        inputs = open_inputs(load_scene(scene))
        return cls(inputs, PredictionOptions(bundle), plan_windows(inputs.grid.shape, STRIDE))

    def predicted(self, workers: cluster.Cluster, tick: Tick = lambda _: None) -> list[bytes]:
        """Every row of blocks, as bytes."""
        predictor = workers.predictor(self.inputs, self.choice, self.choice.load(), self.plan, 0.75)
        return in_order(predictor(self.plan.block_rows, tick))

    def predicted_here(self) -> list[bytes]:
        return in_order(predict_rows(self.inputs, self.choice.load(), self.plan, 0.75, self.plan.block_rows))


def in_order(rows: Iterable[RowResult]) -> list[bytes]:
    return [pickle.dumps(row) for row in sorted(rows, key=lambda row: row.block_row)]


def killed_once(path: Path, worker: subprocess.Popen[bytes] | Forked) -> Future[None]:
    """Kill `worker` as soon as there is a file at `path`; the result says that it came to that."""

    def kill() -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not path.exists():
            assert time.monotonic() < deadline, path
            time.sleep(0.05)
        worker.kill()

    pool = ThreadPoolExecutor(1)
    waiting = pool.submit(kill)
    pool.shutdown(wait=False)
    return waiting


def same_files(one: Path, other: Path) -> None:
    first, second = made(one), made(other)
    assert [name for name in first | second if first.get(name) != second.get(name)] == []


@pytest.fixture(scope="module")
def local(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The map of the scene, made in this process."""
    return map_scene(scene, tmp_path_factory.mktemp("local") / "out", stride=STRIDE).out


@pytest.fixture(scope="module")
def work(scene: Path) -> Work:
    return Work.of(scene)


@pytest.fixture(scope="module")
def expected(work: Work) -> list[bytes]:
    return work.predicted_here()


def test_a_map_has_the_same_bytes_although_a_worker_is_killed(
    scene: Path, local: Path, dask: DaskProcesses, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    victim = dask.worker("victim", preload=NEVER_DONE.format(rows=0, begun=str(begun)))
    dask.await_workers("a", "b", "victim")
    killed = killed_once(begun, victim)
    with connected(dask.address) as workers:
        assert workers.notices == ()
        result = map_scene(scene, tmp_path / "out", stride=STRIDE, cluster=workers)
    killed.result()
    assert victim.wait() == -signal.SIGKILL
    same_files(result.out, local)
    spent = json.loads(result.manifest.read_text())["timings"]
    assert "statistics" not in spent["work"]
    assert spent["workers"]["work"]["statistics"]["times"] >= 3  # rows of blocks
    assert spent["workers"]["cpu_seconds"] > 0
    assert spent["workers"]["peak_memory_bytes"] > 100 << 20


def test_rows_come_as_they_are_done_and_a_failure_after_the_others(
    scene: Path, expected: list[bytes], dask: DaskProcesses, tmp_path: Path
) -> None:
    shutil.copytree(scene.parent, tmp_path / "scene")
    work = Work.of(tmp_path / "scene" / "scene.yaml")
    band = tmp_path / "scene" / "B04.tif"
    os.truncate(band, band.stat().st_size * 96 // 100)  # the last row of blocks cannot be read
    rows: list[RowResult] = []
    counts: list[int] = []
    with connected(dask.address) as workers:
        predictor = workers.predictor(work.inputs, work.choice, work.choice.load(), work.plan, 0.75)
        with pytest.raises(LandslideMapError, match=r"worker (a|b) \(tcp.*B04.tif") as caught:
            rows.extend(predictor([0, 1, 2], counts.append))
    assert caught.value.code == "E101"
    assert in_order(rows) == expected[:2]
    assert counts == [len(row.record.probability) for row in rows]


def test_a_row_that_workers_die_over_is_given_up(work: Work, tmp_path: Path) -> None:
    deadly = (
        "import os\nfrom landslide_map.mapping.cluster import worker\n"
        "worker.predict_rows = lambda *_, **__: os._exit(1)\n"
    )
    with DaskProcesses(tmp_path, allowed_failures=0) as processes:
        processes.worker("weak", preload=deadly)
        processes.await_workers("weak")
        with connected(processes.address) as workers, pytest.raises(LandslideMapError) as caught:
            work.predicted(workers)
    assert caught.value.code == "E635"
    assert "row of blocks" in caught.value.message
    assert "weak" in caught.value.message


def test_when_workers_or_the_scheduler_are_gone_it_says_so_and_keeps_what_is_finished(
    scene: Path, local: Path, tmp_path: Path
) -> None:
    begun, out = tmp_path / "begun", tmp_path / "out"
    with DaskProcesses(tmp_path) as processes:
        with (
            pytest.raises(LandslideMapError) as none_yet,
            connected(processes.address, timeout=5, patience=2),
        ):
            pass
        last = processes.worker("last", preload=NEVER_DONE.format(rows=1, begun=str(begun)))
        processes.await_workers("last")
        killed = killed_once(begun, last)
        with (
            connected(processes.address, timeout=5, patience=2) as workers,
            pytest.raises(LandslideMapError) as none_left,
        ):
            map_scene(scene, out, stride=STRIDE, cluster=workers)
        killed.result()
        processes.worker("next")
        processes.await_workers("next")
        with connected(processes.address, timeout=5, patience=2) as workers:
            processes.scheduler.kill()
            with pytest.raises(LandslideMapError) as no_scheduler:
                map_scene(scene, out, stride=STRIDE, cluster=workers)
    assert [e.value.code for e in (none_yet, none_left, no_scheduler)] == ["E631", "E631", "E630"]
    assert "1 of 3 rows of blocks are kept" in none_left.value.message
    assert "the scheduler no longer answers" in no_scheduler.value.message
    result = map_scene(scene, out, stride=STRIDE)
    rows = json.loads(result.manifest.read_text())["counts"]["rows_of_blocks"]
    assert rows == {"predicted": 2, "resumed": 1}
    same_files(out, local)


KILLER = """
import os, signal
from landslide_map.mapping.cluster import worker as remote

def dask_setup(worker):
    def kill(*arguments, **options):
        os.kill({scheduler}, signal.SIGKILL)

    remote.{phase} = kill
"""
"""A worker that kills the scheduler when it gets a task."""


@pytest.mark.parametrize("phase", ["examine", "predict_row"])
def test_a_scheduler_that_is_lost_while_a_worker_works(phase: str, work: Work, tmp_path: Path) -> None:
    with DaskProcesses(tmp_path) as processes:
        preload = KILLER.format(scheduler=processes.scheduler.pid, phase=phase)
        processes.worker("killer", preload=preload)
        processes.await_workers("killer")
        with connected(processes.address) as workers, pytest.raises(LandslideMapError) as caught:
            work.predicted(workers)
    assert caught.value.code == "E630"


def test_a_scheduler_that_is_lost_before_versions_are_read(tmp_path: Path) -> None:
    with DaskProcesses(tmp_path) as processes:
        processes.worker("last")
        processes.await_workers("last")
        with client_of(processes.address) as client:
            processes.scheduler.kill()
            processes.scheduler.wait()
            with pytest.raises(LandslideMapError) as caught:
                cluster.Cluster(client)
    assert caught.value.code == "E630"


def test_a_scheduler_that_does_not_answer() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    for wrong in (address, "nonsense://here", "tcp://127.0.0.1:99999999"):
        with pytest.raises(LandslideMapError) as caught, connected(wrong, timeout=1):
            pass
        assert caught.value.code == "E630"
        assert wrong in caught.value.message


CHATTY = """
from pathlib import Path
from distributed import SchedulerPlugin

class Chatty(SchedulerPlugin):
    def add_client(self, scheduler, client):
        tries = Path("tries")
        tries.open("a").write("x")
        if len(tries.read_text()) <= {noisy}:
            said = {{"op": "adjust-heartbeat-interval", "interval": 5}}
            scheduler.loop.add_callback(scheduler.report, said)

def dask_setup(scheduler):
    scheduler.add_plugin(Chatty())
"""
"""A scheduler that sends its first answer to the first clients along with another message."""


@pytest.mark.parametrize("noisy", [connect.HANDSHAKES - 1, connect.HANDSHAKES])
def test_a_handshake_along_with_other_messages_is_repeated(noisy: int, tmp_path: Path) -> None:
    preload = tmp_path / "chatty.py"
    preload.write_text(CHATTY.format(noisy=noisy))
    with DaskProcesses(tmp_path, preload=preload) as processes:
        if noisy < connect.HANDSHAKES:
            with client_of(processes.address) as client:
                assert client.scheduler_info()["workers"] == {}
        else:
            with (
                raised("E630", messages.ALONG_WITH_OTHER_MESSAGES),
                client_of(processes.address),
            ):
                pass
    assert len((tmp_path / "tries").read_text()) == connect.HANDSHAKES


LIAR = """
from importlib import metadata
from pathlib import Path

def dask_setup(worker):
    real = metadata.version

    def version(name):
        lie = Path(f"{name} of other")
        if not lie.exists():
            return real(name)
        if answer := lie.read_text():
            return answer
        raise metadata.PackageNotFoundError

    metadata.version = version
"""
"""Answers for the version of a package as a file of its folder says; an empty one denies the package."""


def test_a_worker_of_another_version_is_refused_by_name_and_other_libraries_are_remarked_on(
    dask: DaskProcesses,
) -> None:
    other = dask.worker("other", preload=LIAR)
    try:
        dask.await_workers("a", "b", "other")
        for answer, said in (("9.9", "9.9"), ("", "no landslide-map")):
            lie = dask.folder / "landslide-map of other"
            lie.write_text(answer)
            with pytest.raises(LandslideMapError) as caught, connected(dask.address):
                pass
            assert caught.value.code == "E632"
            assert re.search(f"worker other .* has .*{said}", caught.value.message)
            lie.unlink()
        lie = dask.folder / "numpy of other"
        lie.write_text("1.0")
        with connected(dask.address) as workers:
            (notice,) = workers.notices
        lie.unlink()
    finally:
        other.kill()
        dask.await_workers("a", "b")
    assert notice.code == "W630"
    assert re.search(r"^worker other \(tcp.*\) has numpy 1\.0 \(here \d", notice.message)


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
                work.predicted(workers)
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
            assert work.predicted(workers) == expected
        finally:
            elsewhere.kill()
            dask.await_workers("a", "b")


def test_networks_run_on_workers_with_a_gpu_and_the_rest_elsewhere(
    dask: DaskProcesses, tmp_path: Path
) -> None:
    """Workers a and b have none; the third one says that it has."""
    train(*labelled_windows(16), tmp_path / "bundle", recipe=tiny_window_recipe())
    scene = cut_sample(tmp_path / "scene", DENSE, (160, 160), images=False)
    options = {"bundle": tmp_path / "bundle", "stride": 48, "device": "cpu", "outline": "windows"}
    here = map_scene(scene, tmp_path / "here", **options)
    for mark in dask.folder.glob("* on *"):
        mark.unlink()
    card = dask.worker("card", "--resources", "GPU=1", preload=SPY)
    try:
        dask.await_workers("a", "b", "card")
        with connected(dask.address) as workers:
            there = map_scene(scene, tmp_path / "there", cluster=workers, **options)
    finally:
        card.kill()
        dask.await_workers("a", "b")
    same_files(there.out, here.out)
    marks = {mark.name for mark in dask.folder.glob("* on *")}
    assert marks in ({"predict on card", "predict_rows on a"}, {"predict on card", "predict_rows on b"})


def test_local_workers_make_the_same_map_and_are_gone_afterwards(
    scene: Path, local: Path, tmp_path: Path
) -> None:
    options = ["--stride", STRIDE, "--workers", 2, "--memory", "5GB"]
    with Forked("landslide_map_cli.start", scene, "--out", tmp_path / "out", *options) as run:
        workers = lists_workers(run)
        _, said = run.communicate()
    assert run.returncode == 0, said
    assert_gone(workers)
    unknown = [
        line
        for line in said.splitlines()
        if not line.startswith(("note ", "classify ", "outline ", "write "))
    ]
    assert unknown == []
    same_files(tmp_path / "out", local)


def test_ctrl_c_leaves_no_worker_and_no_noise(scene: Path, tmp_path: Path) -> None:
    options = ["--stride", 8, "--workers", 2]
    with Forked("landslide_map_cli.start", scene, "--out", tmp_path / "out", *options, own_group=True) as run:
        workers = lists_workers(run)
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does
        _, said = run.communicate()
    assert run.returncode == 130
    assert_gone(workers)
    assert re.fullmatch(r"interrupted: .*", said.strip())


def lists_workers(run: Forked) -> list[psutil.Process]:
    """Wait until the command says that its workers have tasks, and return them."""
    said = ""
    for line in run.stderr:
        said += line
        if line.startswith("check inputs:"):
            break
    children = psutil.Process(run.pid).children(recursive=True)
    workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    assert len(workers) == 2, said
    return workers


def assert_gone(workers: list[psutil.Process]) -> None:
    assert not psutil.wait_procs(workers, timeout=PATIENCE_S)[1]
