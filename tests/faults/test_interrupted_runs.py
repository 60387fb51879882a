"""Runs after a kill or a failure of disk or inputs keep finished work and end with the same bytes."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import rasterio
from landslide_map_cli.main import main

from benchmarks.interrupted import THRESHOLD, endure
from landslide_map.errors import LandslideMapError
from landslide_map.mapping import checkpoint
from landslide_map.mapping import map_scene as pipeline
from landslide_map.mapping.checkpoint import Checkpoint
from landslide_map.mapping.identity import InputFiles
from landslide_map.mapping.map_scene import MapResult, map_scene
from landslide_map.mapping.retry import retrying
from landslide_map.models.bundle.load import DEFAULT
from landslide_map.products import FILES, MANIFEST
from landslide_map.runtime.own_files import sealed, tree_records
from tests.support.any_rows import any_row
from tests.support.forked import Forked
from tests.support.killed_process import changes_below, heard_by
from tests.support.raised import raised
from tests.support.result_files import made
from tests.support.sample_scene import without_images
from tests.support.tall_scene import write_tall_scene

ROWS = 3
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scene of all tests, and beside it what an undisturbed run makes of it, and kept on the way."""
    scene = write_tall_scene(tmp_path_factory.mktemp("tall"), cols=110)
    out, checkpoints = scene.parent / "result", scene.parent / "checkpoint"

    def keep(stage: str, *_: int) -> None:
        if stage == pipeline.WRITE and not checkpoints.exists():
            shutil.copytree(out / checkpoint.FOLDER, checkpoints)

    map_scene(scene, out, threshold=THRESHOLD, progress=keep)
    assert len(list(checkpoints.glob("row-*"))) == ROWS
    return scene


def begun(undisturbed: Path, out: Path, count: int = ROWS) -> list[Path]:
    """Put into `out` what a run leaves that was interrupted after `count` rows of blocks; return the rows."""
    shutil.copytree(undisturbed.parent / "checkpoint", out / checkpoint.FOLDER)
    for path in kept(out)[count:]:
        path.unlink()
    return kept(out)


@pytest.fixture
def scene(undisturbed: Path, tmp_path: Path) -> Path:
    """A copy of the scene of a test's own, to be harmed; times are those of the originals."""
    shutil.copytree(
        undisturbed.parent, tmp_path / "scene", ignore=shutil.ignore_patterns("result", "checkpoint")
    )
    return tmp_path / "scene" / "scene.yaml"


def content(out: Path) -> dict[str, bytes]:
    files = made(out)
    assert set(files) <= set(FILES)
    return files


def content_is_that_of(out: Path, undisturbed: Path) -> bool:
    return content(out) == content(undisturbed.parent / "result")


def kept(out: Path) -> list[Path]:
    return sorted((out / checkpoint.FOLDER).glob("row-*"))


def rows(out: Path) -> dict[str, int]:
    found: dict[str, int] = json.loads((out / MANIFEST).read_text())["counts"]["rows_of_blocks"]
    return found


def once(ready: Callable[[int], bool], act: Callable[[], None]) -> Callable[[str, int, int], None]:
    """Return a progress callback that acts, once, as soon as the number of predicted windows is `ready`."""
    waiting = [act]

    def progress(stage: str, done: int, _total: int) -> None:
        if waiting and stage == pipeline.CLASSIFY and ready(done):
            waiting.pop()()

    return progress


def once_kept(out: Path, count: int, act: Callable[[], None]) -> Callable[[str, int, int], None]:
    """Return one that acts when `count` rows of blocks are kept."""
    return once(lambda _: len(kept(out)) >= count, act)


def once_begun(act: Callable[[], None]) -> Callable[[str, int, int], None]:
    """Return one that acts at the first predicted windows: one more row of blocks may be read by then."""
    return once(lambda done: done > 0, act)


def once_written(act: Callable[[], None]) -> Callable[[str, int, int], None]:
    """Return one that acts when all rows of blocks are kept and files of the map are to be written."""

    def progress(stage: str, _done: int, _total: int) -> None:
        if stage == pipeline.WRITE:
            act()

    return progress


def interrupt() -> None:
    raise KeyboardInterrupt


def interrupted(scene: Path, out: Path, count: int = 1, **options: Any) -> None:
    """Map `scene` and press Ctrl-C when `count` rows of blocks are kept."""
    options = {"threshold": THRESHOLD, **options}
    with pytest.raises(
        KeyboardInterrupt, match=rf"\d of {ROWS} rows of blocks are kept in .*; the same command"
    ):
        map_scene(scene, out, progress=once_kept(out, count, interrupt), **options)
    assert [path.name for path in out.iterdir()] == [checkpoint.FOLDER]
    assert len(kept(out)) >= count


def resumed(scene: Path, out: Path, **options: Any) -> MapResult:
    return map_scene(scene, out, **{"threshold": THRESHOLD, **options})


def refusal(scene: Path, out: Path, **options: Any) -> LandslideMapError:
    """Return how a run is refused; what was kept must stay as it was."""
    before = {path: path.read_bytes() for path in (out / checkpoint.FOLDER).iterdir()}
    with pytest.raises(LandslideMapError) as refused:
        resumed(scene, out, **options)
    assert {path: path.read_bytes() for path in (out / checkpoint.FOLDER).iterdir()} == before
    return refused.value


def codes(result: MapResult) -> set[str]:
    return {notice.code for notice in result.notices}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not list the CPU time of a process")
def test_killed_by_the_system_a_run_ends_with_the_same_bytes(undisturbed: Path, tmp_path: Path) -> None:
    """One moment at random, one after a row of blocks; ``python -m benchmarks.interrupted`` has a hundred."""

    def start(words: Sequence[str]) -> Forked:
        with Path(os.devnull).open("w") as nowhere:
            return Forked("landslide_map_cli.start", *words, stdout=nowhere, stderr=nowhere)

    arguments = [str(undisturbed), "--threshold", str(THRESHOLD)]
    found = endure(arguments, tmp_path, kills=2, seed=1, start=start)
    assert sum(found.kills.values()) == 2
    assert found.rows == ROWS
    assert found.finished > 0
    assert found.resumed > 0


def killed_in_place() -> None:
    """Run the command line in a process that is killed once its manifest is in place."""
    replace = Path.replace

    def replace_and_die(path: Path, target: Path) -> None:
        replace(path, target)
        if path.name == "run.json" and path.parent.name == "new":
            os.kill(os.getpid(), signal.SIGKILL)

    Path.replace = replace_and_die  # type: ignore[method-assign,assignment]
    main()


def test_killed_while_the_result_is_put_in_place(undisturbed: Path, tmp_path: Path) -> None:
    """At every other moment: test_killed_at_every_write.py."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "probability.tif").write_text("previous")
    (out / MANIFEST).write_text(json.dumps(sealed({"outputs": tree_records(out)})))
    begun(undisturbed, out)
    previous = content(out)

    def undone() -> None:
        with raised("E401"):  # which first undoes what was done
            resumed(undisturbed, out)
        assert content(out) == previous
        assert len(kept(out)) == ROWS

    for last in ("os.rename journal.tmp", f"os.rename {checkpoint.FOLDER}"):
        with changes_below(out, last) as changes:
            resumed(undisturbed, out, overwrite=True)
        assert changes.ended
        undone()
    arguments = [undisturbed, "--out", out, "--threshold", THRESHOLD, "--overwrite"]
    with Forked(f"{__name__}:{killed_in_place.__name__}", *arguments) as killed:
        _, said = killed.communicate()
    assert killed.returncode == -signal.SIGKILL, said
    undone()
    with changes_below(out, "os.remove journal.json") as changes:
        resumed(undisturbed, out, overwrite=True)
    assert changes.ended
    with raised("E401"):
        resumed(undisturbed, out)
    assert content_is_that_of(out, undisturbed)
    assert rows(out) == {"predicted": 0, "resumed": ROWS}
    assert checkpoint.FOLDER not in {path.name for path in out.iterdir()}


def test_an_interrupted_run_says_what_it_kept_and_the_same_command_continues(
    undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = [undisturbed, "--out", out, "--threshold", THRESHOLD, "-q"]
    with Forked("landslide_map_cli.start", *arguments) as run:
        while not kept(out):
            assert run.poll() is None
            time.sleep(0.002)
        run.send_signal(signal.SIGTERM)
        _, said = run.communicate()
    assert run.returncode == 130
    assert re.fullmatch(
        rf"\n?interrupted: \d of {ROWS} rows of blocks are kept in {out}/{checkpoint.FOLDER}; "
        "the same command continues\n",
        said,
    )
    count = len(kept(out))
    result = resumed(undisturbed, out)
    assert rows(out) == {"predicted": ROWS - count, "resumed": count}
    assert "I410" in codes(result)
    assert content_is_that_of(out, undisturbed)
    assert checkpoint.FOLDER not in {path.name for path in out.iterdir()}


def test_interrupted_before_a_row_is_finished_nothing_stays(undisturbed: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt) as stop:
        map_scene(undisturbed, tmp_path / "out", progress=lambda *_: interrupt())
    assert str(stop.value) == ""
    assert list(tmp_path.iterdir()) == []


def changed_bundle(folder: Path) -> Path:
    """Return a copy of the default bundle that only calls itself another version."""
    shutil.copytree(DEFAULT, folder)
    document = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps({**document, "version": "9.9.9"}))
    return folder


def change_one_byte(path: Path) -> None:
    """Change the content, but neither size nor time of last change."""
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_a_changed_configuration_is_refused_and_says_what_changed(scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    interrupted(scene, out)
    for options, words in (
        ({"stride": 60}, "another run: stride was 64 and is 60. Finish"),
        ({"threshold": 0.5}, f"another run: threshold was {THRESHOLD} and is 0.5. Finish"),
        ({"profile": "optical-only"}, "another run: profile was not set and is optical-only. Finish"),
        ({"bundle": changed_bundle(tmp_path / "bundle")}, "and is default 9.9.9; bundle.sha256 was"),
    ):
        refused = refusal(scene, out, **options)
        assert (refused.code, refused.exit_status) == ("E410", 2)
        assert words in refused.message
        assert "--overwrite" in refused.message
    said = scene.read_text()
    scene.write_text(said + "min_valid_fraction: 0.8\n")
    assert "another run: min_valid_fraction was 0.75 and is 0.8. Finish" in refusal(scene, out).message
    scene.write_text(said)
    changed = scene.parent / "ascending_post_vv.tif"
    change_one_byte(changed)
    assert f"another run: {changed} was changed. Finish" in refusal(scene, out).message


def test_overwrite_starts_afresh_unless_it_began_the_run(undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    begun(undisturbed, out)
    interrupted(undisturbed, out, overwrite=True)
    count = len(kept(out))
    assert count < ROWS
    resumed(undisturbed, out, overwrite=True)
    assert rows(out) == {"predicted": ROWS - count, "resumed": count}
    assert content_is_that_of(out, undisturbed)


def edited(out: Path, **entries: Any) -> None:
    """Change entries of the document of a checkpoint."""
    document = out / checkpoint.FOLDER / "journal.json"
    document.write_text(json.dumps({**json.loads(document.read_text()), **entries}))


def test_a_checkpoint_of_another_version_or_of_no_use_is_refused(undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    begun(undisturbed, out)
    document = out / checkpoint.FOLDER / "journal.json"
    good = document.read_text()
    identity = json.loads(good)["identity"]

    def refused() -> LandslideMapError:
        with pytest.raises(LandslideMapError) as error:
            Checkpoint(out, identity, ROWS)
        assert len(kept(out)) == ROWS
        return error.value

    edited(out, format_version=checkpoint.FORMAT_VERSION + 1, identity="unknown")
    assert refused().code == "E411"
    assert refusal(undisturbed, out).code == "E411"  # of a whole run
    document.write_text(good)
    edited(out, software="99.0.0")
    error = refused()
    assert error.code == "E411"
    assert "99.0.0" in error.message
    for content in (good[: len(good) // 2], "[]", good.replace('"stride": 64', '"stride": 32'), "\x80"):
        document.write_text(content, encoding="latin-1")
        error = refused()
        assert error.code == "E412"
        assert str(document) in error.message
    document.unlink()
    assert refused().code == "E412"
    Checkpoint(out, identity, ROWS, overwrite=True)
    assert kept(out) == []


def test_a_torn_or_changed_row_is_predicted_again(undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first, second = begun(undisturbed, out, 2)
    first.write_bytes(first.read_bytes()[:-100])
    changed = bytearray(second.read_bytes())
    changed[len(changed) // 2] ^= 1
    second.write_bytes(changed)
    (tmp_path / "other").mkdir()
    other = Checkpoint(tmp_path / "other", {"stride": 32}, ROWS)
    _ = list(other.completed(lambda *_: iter([any_row(2)]), [2], lambda _: None, InputFiles([])))
    (strange,) = kept(tmp_path / "other")
    shutil.copy(strange, out / checkpoint.FOLDER)  # whole, but another run's
    result = resumed(undisturbed, out)
    damaged = [notice.message for notice in result.notices if notice.code == "W410"]
    assert [
        path.name in message for path, message in zip(sorted([first, second, strange]), damaged, strict=True)
    ]
    assert rows(out)["predicted"] == ROWS - len(kept(out)) >= 2
    assert content_is_that_of(out, undisturbed)


def test_a_disk_that_is_full_while_a_row_is_kept_costs_no_finished_row(
    undisturbed: Path, tmp_path: Path
) -> None:
    out, number = tmp_path / "out", errno.ENOSPC

    def full(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "os.rename" and str(arguments[0]).startswith(str(out)) and kept(out):
            raise OSError(number, os.strerror(number))

    with heard_by(full), raised("E601", f"1 of {ROWS} rows of blocks are kept") as refused:
        resumed(undisturbed, out)
    assert os.strerror(number) in refused.value.message
    assert [path.name for path in out.iterdir()] == [checkpoint.FOLDER]
    assert {path.suffix for path in (out / checkpoint.FOLDER).iterdir()} == {".json", ".npz", ".tif"}
    assert len(kept(out)) == 1
    resumed(undisturbed, out)
    assert rows(out) == {"predicted": ROWS - 1, "resumed": 1}
    assert content_is_that_of(out, undisturbed)


def test_a_quota_too_small_for_the_map_costs_no_finished_row(undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    # Pixels for display are larger than the files.
    scene = without_images(undisturbed, undisturbed.with_name("without_images.yaml"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.raises(KeyboardInterrupt):
        resumed(scene, out, outline="windows", progress=once_written(interrupt))
    # Bytes that a file may have: not enough for a raster, or not for the GeoPackage.
    for quota in (37_000, 60_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (quota, before[1]))
        try:
            with raised("E601", f"{ROWS} of {ROWS} rows of blocks are kept"):
                resumed(scene, out, outline="windows")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert [path.name for path in out.iterdir()] == [checkpoint.FOLDER]
    resumed(scene, out, outline="windows")
    assert rows(out) == {"predicted": 0, "resumed": ROWS}
    map_scene(scene, tmp_path / "whole", threshold=THRESHOLD, outline="windows")
    assert content(out) == content(tmp_path / "whole")


def waiting(monkeypatch: pytest.MonkeyPatch, act: Callable[[float], object]) -> None:
    """Do `act` instead of waiting before an input is read again."""
    monkeypatch.setattr(pipeline, "retrying", partial(retrying, sleep=act))


def lose(path: Path, away: Path) -> None:
    """Take a file away as a disk that fails does: reads through open handles fail, too."""
    shutil.copy(path, away)
    os.truncate(path, 1000)
    path.unlink()


def test_an_input_that_comes_back_is_read_again(
    scene: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, away, out = scene.parent / "B03.tif", tmp_path / "away.tif", tmp_path / "out"
    waiting(monkeypatch, lambda _: shutil.copy(away, path))  # the same content, changed just now
    progress = once_begun(lambda: lose(path, away))
    result = resumed(scene, out, progress=progress)
    (said,) = [notice.message for notice in result.notices if notice.code == "W110"]
    assert str(path) in said
    assert rows(out) == {"predicted": ROWS, "resumed": 0}
    assert content_is_that_of(out, undisturbed)


def test_an_input_that_is_gone_is_reported_and_never_no_landslide(
    scene: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, away, out = scene.parent / "descending_pre_vh.tif", tmp_path / "away.tif", tmp_path / "out"
    pauses: list[float] = []
    waiting(monkeypatch, pauses.append)
    with pytest.raises(LandslideMapError) as refused:
        resumed(scene, out, progress=once_begun(lambda: lose(path, away)))
    count = len(kept(out))
    assert count in (1, 2)
    assert (refused.value.code, refused.value.exit_status) == ("E110", 4)
    assert str(path) in refused.value.message
    assert "Tried 3 times" in refused.value.message
    missing = ", ".join(map(str, range(count, ROWS)))
    assert f"rows of blocks {missing} have no answer" in refused.value.message
    assert f"{count} of {ROWS} rows of blocks are kept" in refused.value.message
    assert pauses == sorted(set(pauses))
    assert len(pauses) == 2
    assert [entry.name for entry in out.iterdir()] == [checkpoint.FOLDER]
    shutil.copy(away, path)
    resumed(scene, out)
    assert rows(out) == {"predicted": ROWS - count, "resumed": count}
    assert content_is_that_of(out, undisturbed)


def test_an_input_that_changes_while_it_is_read_is_refused(
    scene: Path, undisturbed: Path, tmp_path: Path
) -> None:
    path, out = scene.parent / "B04.tif", tmp_path / "out"
    original = path.read_bytes()

    def change() -> None:
        with rasterio.open(path, "r+") as raster:
            raster.write(raster.read(1)[::-1], 1)

    with raised("E111", "B04.tif was changed while the run read it") as refused:
        resumed(scene, out, progress=once_kept(out, 1, change))
    assert f"1 of {ROWS} rows of blocks are kept" in refused.value.message
    path.write_bytes(original)
    resumed(scene, out)
    assert rows(out)["resumed"] == 1
    assert content_is_that_of(out, undisturbed)
