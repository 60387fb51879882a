"""Commands that write, on a disk that is read-only and under a strict umask."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from landslide_map.runtime.own_files import tree_records
from tests.support.command import command
from tests.support.killed_process import changes_below
from tests.support.labelled import tiny_bundle, tiny_recipe, write_table
from tests.support.sample_scene import SAMPLE, dense_corner

Call = Callable[[Path, Path], list[object]]
"""Arguments of a command, of the folder of its inputs and of that to write in."""

CALLS: dict[str, Call] = {
    "run": lambda inputs, out: [inputs / "scene.yaml", "--out", out / "new"],
    "run again": lambda inputs, out: [inputs / "scene.yaml", "--out", out / "results", "--overwrite"],
    "run several": lambda inputs, out: [inputs / "scene.yaml", inputs / "b.yaml", "--out", out / "both"],
    "outline": lambda inputs, out: ["outline", inputs / "results", "--threshold", "0.6", "--out", out / "o"],
    "outline in place": lambda _, out: ["outline", out / "results", "--threshold", "0.6", "--overwrite"],
    "stack": lambda inputs, out: ["stack", inputs / "scene.yaml", "--out", out / "stack.tif"],
    "windows": lambda inputs, out: [
        *("windows", inputs / "scene.yaml", "--labels", SAMPLE / "landslides_truth.gpkg"),
        *("--out", out / "windows"),
    ],
    "train": lambda inputs, out: [
        *("train", "--statistics", inputs / "table.csv", "--recipe", inputs / "tiny.yaml"),
        *("--out", out / "bundle"),
    ],
    "score": lambda inputs, out: [
        *("score", inputs / "windows.npy", "--bundle", inputs / "bundle", "--out", out / "scores.csv"),
    ],
    "evaluate": lambda inputs, out: [
        *("evaluate", inputs / "windows.npy", "--labels", inputs / "labels.csv"),
        *("--bundle", inputs / "bundle", "--report", out / "report"),
    ],
    "review": lambda inputs, out: ["review", inputs / "results", "--export", out / "confirmed.gpkg"],
    "init": lambda _, out: ["init", "--out", out / "scene.yaml"],
    "qgis": lambda _, out: ["qgis", "install", "--profile", out / "profile"],
    "log": lambda inputs, out: [
        *("score", inputs / "windows.npy", "--out", inputs / "scores.csv", "--log-file", out / "log.txt"),
    ],
    "compare": lambda inputs, out: ["compare", inputs / "results", out / "results"],
}
WRITES_NOTHING = {"compare"}
# GDAL writes the file of `review`, which the hook of Python does not see: tests of the export cover it.


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    for name in ("scene.yaml", "b.yaml"):
        shutil.copy(dense_corner(), folder / name)
    assert command(folder / "scene.yaml", "--stride", 64, "--out", folder / "results").returncode == 0
    write_table(folder / "table.csv")
    (folder / "tiny.yaml").write_text(tiny_recipe().model_dump_json())
    tiny_bundle(folder / "bundle")
    windows = np.random.default_rng(0).uniform(100, 3000, (4, 64, 64, 12)).astype(np.float32)
    np.save(folder / "windows.npy", windows)
    (folder / "labels.csv").write_text("ID,label\n" + "".join(f"{i},{i % 2}\n" for i in range(4)))
    return folder


@pytest.fixture
def out(inputs: Path, tmp_path: Path) -> Path:
    """A folder with a result in it."""
    done = tmp_path / "out"
    (done / "profile" / "python").mkdir(parents=True)
    copied = done / "results"
    copied.mkdir()
    for file in (inputs / "results").iterdir():
        (copied / file.name).write_bytes(file.read_bytes())
    return done


@pytest.mark.parametrize(
    ("name", "number"),
    [
        *((name, errno.EROFS) for name in sorted(set(CALLS) - WRITES_NOTHING - {"review"})),
        *((name, errno.EACCES) for name in ("run", "outline in place", "train", "score", "init", "qgis")),
    ],
)
def test_a_folder_that_cannot_be_written_is_refused_with_a_code(
    name: str, number: int, inputs: Path, out: Path
) -> None:
    before = tree_records(out)
    error = OSError(number, os.strerror(number), str(out / "x"))
    with changes_below(out, 0, error=error) as changes:
        done = command(*CALLS[name](inputs, out))
    assert changes.seen, "it wrote nothing there"
    assert done.returncode in {2, 6}, done.stderr
    assert re.search(r"error E601|--log-file", done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert tree_records(out) == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")
@pytest.mark.parametrize(
    ("name", "umask"),
    [
        *(
            (name, 0o077)
            for name in sorted(set(CALLS) - WRITES_NOTHING - {"run several", "run again", "windows"})
        ),
        *((name, 0o027) for name in ("train", "init")),
    ],
)
def test_permissions_follow_the_umask(name: str, umask: int, inputs: Path, masked: Path) -> None:
    os.umask(umask)
    done = command(*CALLS[name](inputs, masked))
    assert done.returncode == 0, done.stderr
    made = [path for path in masked.rglob("*") if not path.is_symlink()]
    assert made
    assert [path for path in made if path.stat().st_mode & umask] == []


@pytest.fixture
def masked(out: Path) -> Iterator[Path]:
    """The folder of :func:`out` without rights for others; the umask is as before afterwards."""
    before = os.umask(0)
    for path in out.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    yield out
    os.umask(before)
