import os
import subprocess
import sys
from pathlib import Path

import pytest

from landslide_map.errors import OutputExistsError, ResourceError, UsageError
from landslide_map.products import transaction

OLD = {"run.json": "old run", "probability.tif": "old tif", "windows.nc": "old windows", "notes.txt": "mine"}
NEW = {"run.json": "new run", "probability.tif": "new tif", "landslides.gpkg": "new gpkg"}


def fill(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def fail_after_filling(stage: Path, error: type[BaseException]) -> None:
    fill(stage, NEW)
    raise error


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_files_appear_at_the_end_and_nothing_else_stays(tmp_path):
    out = tmp_path / "a" / "b"
    with transaction.outputs(out) as stage:
        fill(stage, NEW)
        assert [path.name for path in out.iterdir() if not path.name.startswith(".")] == []
    assert content(out) == NEW


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_failed_run_leaves_no_trace_of_a_new_folder(tmp_path, error):
    with pytest.raises(error), transaction.outputs(tmp_path / "a" / "b") as stage:
        fail_after_filling(stage, error)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failed_overwrite_leaves_the_previous_result(tmp_path, error):
    fill(tmp_path, OLD)
    with pytest.raises(error), transaction.outputs(tmp_path, overwrite=True) as stage:
        fail_after_filling(stage, error)
    assert content(tmp_path) == OLD


def test_an_existing_result_is_refused_before_any_work(tmp_path):
    fill(tmp_path, OLD)
    worked = False
    with (
        pytest.raises(OutputExistsError, match=r"probability\.tif, windows\.nc, run\.json") as refusal,
        transaction.outputs(tmp_path),
    ):
        worked = True
    assert (refusal.value.code, refusal.value.exit_status, worked) == ("E401", 2, False)
    assert content(tmp_path) == OLD


def test_one_file_of_a_result_is_enough_to_be_refused(tmp_path):
    fill(tmp_path, {"landslides.gpkg": "edited by hand"})
    with pytest.raises(OutputExistsError, match="--overwrite"), transaction.outputs(tmp_path):
        pass


def test_a_folder_with_foreign_files_is_used_and_they_stay(tmp_path):
    fill(tmp_path, {"scene.yaml": "scene"})
    with transaction.outputs(tmp_path) as stage:
        fill(stage, NEW)
    assert content(tmp_path) == {**NEW, "scene.yaml": "scene"}


def test_a_foreign_file_in_the_way_is_not_replaced(tmp_path):
    fill(tmp_path, {"extra.tif": "mine"})
    with pytest.raises(OutputExistsError, match=r"extra\.tif"), transaction.outputs(tmp_path) as stage:
        fill(stage, {"extra.tif": "new", **NEW})
    assert content(tmp_path) == {"extra.tif": "mine"}


def test_overwriting_replaces_all_of_the_previous_result_and_nothing_else(tmp_path):
    fill(tmp_path, OLD)
    with transaction.outputs(tmp_path, overwrite=True) as stage:
        fill(stage, NEW)
        assert {name: text for name, text in OLD.items() if (tmp_path / name).read_text() == text} == OLD
    # The previous windows.nc would contradict the new run.json; notes.txt is not ours.
    assert content(tmp_path) == {**NEW, "notes.txt": "mine"}


def test_the_manifest_goes_first_and_comes_last(tmp_path, monkeypatch):
    fill(tmp_path, OLD)
    moves = []
    replace = Path.replace

    def recorded(self, target):
        moves.append((self.parent == tmp_path, Path(target).parent == tmp_path, self.name))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", recorded)
    with transaction.outputs(tmp_path, overwrite=True) as stage:
        fill(stage, NEW)
    away = [name for source, _, name in moves if source and name in OLD]
    arrivals = [name for _, target, name in moves if target]
    assert away[0] == "run.json"
    assert arrivals[-1] == "run.json"
    assert sorted(arrivals) == sorted(NEW)


@pytest.mark.parametrize("previous", [OLD, {"notes.txt": "mine"}], ids=["overwrite", "new"])
def test_an_interruption_at_any_rename_leaves_the_previous_result(tmp_path, monkeypatch, previous):
    replace = Path.replace
    finished = 0
    for n in range(40):
        out = fill(tmp_path / str(n), previous)
        calls = iter(range(n))

        def interrupted(self, target, calls=calls):
            if next(calls, None) is None:
                monkeypatch.setattr(Path, "replace", replace)  # one interruption, then the undoing
                raise KeyboardInterrupt
            return replace(self, target)

        monkeypatch.setattr(Path, "replace", interrupted)
        try:
            with transaction.outputs(out, overwrite=True) as stage:
                fill(stage, NEW)
            finished += 1
        except KeyboardInterrupt:
            assert content(out) == previous
        monkeypatch.setattr(Path, "replace", replace)
    assert 0 < finished < 39


KILLED = """
import os, sys
from pathlib import Path
from landslide_map.products import transaction as staging
replace, left = Path.replace, int(sys.argv[2])
def killed(self, target):
    global left
    if left == 0:
        os._exit(9)
    left -= 1
    return replace(self, target)
Path.replace = killed
with staging.outputs(Path(sys.argv[1]), overwrite=True) as stage:
    for name in ("run.json", "probability.tif", "landslides.gpkg"):
        (stage / name).write_text("new")
"""


@pytest.mark.parametrize("renames", [0, 1, 2, 4, 6])
def test_the_next_run_restores_what_a_killed_run_had_moved(tmp_path, renames):
    fill(tmp_path, OLD)
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(renames)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    assert subprocess.run(command, check=False, env=environment).returncode == 9
    assert any(name.name.startswith(transaction.STAGE_PREFIX) for name in tmp_path.iterdir())
    with pytest.raises(OutputExistsError), transaction.outputs(tmp_path):
        pass
    assert content(tmp_path) == OLD


def test_leftovers_of_killed_runs_go_and_similar_names_stay(tmp_path):
    fill(tmp_path / (transaction.STAGE_PREFIX + "abc") / "new", NEW)
    fill(tmp_path, {".landslide-map-notes": "mine"})
    with transaction.outputs(tmp_path) as stage:
        fill(stage, NEW)
    assert content(tmp_path) == {**NEW, ".landslide-map-notes": "mine"}


@pytest.mark.skipif(sys.platform == "win32", reason="folders cannot be locked on Windows")
def test_two_runs_into_one_folder_are_refused(tmp_path):
    with transaction.outputs(tmp_path) as stage:
        fill(stage, NEW)
        with pytest.raises(UsageError, match="another run") as refusal, transaction.outputs(tmp_path):
            pass
        assert refusal.value.code == "E403"
        assert stage.is_dir()
    assert content(tmp_path) == NEW


def test_a_geopackage_open_in_qgis_is_not_replaced(tmp_path):
    fill(tmp_path, {**NEW, "landslides.gpkg-wal": "log"})
    with (
        pytest.raises(UsageError, match="open in another program") as refusal,
        transaction.outputs(tmp_path, True),
    ):
        pass
    assert refusal.value.code == "E403"


def test_a_file_cannot_be_the_output_folder(tmp_path):
    fill(tmp_path, {"results": "text"})
    with pytest.raises(UsageError, match="is a file") as refusal, transaction.outputs(tmp_path / "results"):
        pass
    assert refusal.value.code == "E402"
    with (
        pytest.raises(ResourceError, match="cannot be created"),
        transaction.outputs(tmp_path / "results" / "a"),
    ):
        pass
