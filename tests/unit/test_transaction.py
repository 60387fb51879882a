import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from landslide_map.errors import OutputExistsError, UsageError
from landslide_map.products import RESULT
from landslide_map.runtime import transaction
from landslide_map.runtime.own_files import Kind, changed_since, sealed, tree_records
from landslide_map.runtime.transaction import outputs
from tests.support import messages
from tests.support.killed_process import heard_by
from tests.support.raised import raised
from tests.support.result_files import described

OLD = {**described({"probability.tif": "old tif", "windows.nc": "old windows"}), "notes.txt": "mine"}
"""An earlier result, and a user's own notes beside it."""
NEW = described({"probability.tif": "new tif", "landslides.gpkg": "new gpkg"})


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
    with outputs(out, RESULT) as stage:
        fill(stage, NEW)
        assert [path.name for path in out.iterdir() if not path.name.startswith(".")] == []
    assert content(out) == NEW


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_failed_run_leaves_no_trace_of_a_new_folder(tmp_path, error):
    with pytest.raises(error), outputs(tmp_path / "a" / "b", RESULT) as stage:
        fail_after_filling(stage, error)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failed_overwrite_leaves_the_previous_result(tmp_path, error):
    fill(tmp_path, OLD)
    with pytest.raises(error), outputs(tmp_path, RESULT, overwrite=True) as stage:
        fail_after_filling(stage, error)
    assert content(tmp_path) == OLD


def test_an_existing_result_is_refused_before_any_work(tmp_path):
    fill(tmp_path, OLD)
    worked = False
    with (
        raised("E401", "probability.tif, windows.nc, run.json") as refusal,
        outputs(tmp_path, RESULT),
    ):
        worked = True
    assert (refusal.value.code, refusal.value.exit_status, worked) == ("E401", 2, False)
    assert content(tmp_path) == OLD


def test_one_file_of_a_result_is_enough_to_be_refused(tmp_path):
    fill(tmp_path, {"landslides.gpkg": "edited by hand"})
    with raised("E401", "--overwrite"), outputs(tmp_path, RESULT):
        pass


def test_a_folder_with_foreign_files_is_used_and_they_stay(tmp_path):
    fill(tmp_path, {"scene.yaml": "scene"})
    with outputs(tmp_path, RESULT) as stage:
        fill(stage, NEW)
    assert content(tmp_path) == {**NEW, "scene.yaml": "scene"}


def test_a_foreign_file_in_the_way_is_not_replaced(tmp_path):
    fill(tmp_path, {"extra.tif": "mine"})
    with raised("E401", "extra.tif"), outputs(tmp_path, RESULT) as stage:
        fill(stage, {"extra.tif": "new", **NEW})
    assert content(tmp_path) == {"extra.tif": "mine"}


def test_overwriting_replaces_all_of_the_previous_result_and_nothing_else(tmp_path):
    fill(tmp_path, OLD)
    with outputs(tmp_path, RESULT, overwrite=True) as stage:
        fill(stage, NEW)
        assert {name: text for name, text in OLD.items() if (tmp_path / name).read_text() == text} == OLD
    # The previous windows.nc would contradict the new run.json; notes.txt is not ours.
    assert content(tmp_path) == {**NEW, "notes.txt": "mine"}


def test_the_manifest_goes_first_and_comes_last(tmp_path):
    fill(tmp_path, OLD)
    moves = []

    def renamed(event, arguments):
        if event == "os.rename":
            source, target = map(Path, arguments[:2])
            moves.append((source.parent == tmp_path, target.parent == tmp_path, source.name))

    with heard_by(renamed), outputs(tmp_path, RESULT, overwrite=True) as stage:
        fill(stage, NEW)
    away = [name for source, _, name in moves if source and name in OLD]
    arrivals = [name for _, target, name in moves if target]
    assert away[0] == "run.json"
    assert arrivals[-1] == "run.json"
    assert sorted(arrivals) == sorted(NEW)


@pytest.mark.parametrize("previous", [OLD, {"notes.txt": "mine"}], ids=["overwrite", "new"])
def test_an_interruption_at_any_rename_leaves_the_previous_result(tmp_path, previous):
    finished = 0
    for n in range(40):
        out = fill(tmp_path / str(n), previous)
        happened = []

        def interrupt(event, _, happened=happened, n=n):
            if event == "os.rename":
                happened.append(event)
                if len(happened) == n + 1:  # one interruption, then the undoing
                    raise KeyboardInterrupt

        try:
            with heard_by(interrupt), outputs(out, RESULT, overwrite=True) as stage:
                fill(stage, NEW)
            finished += 1
        except KeyboardInterrupt:
            assert content(out) == previous
    assert 0 < finished < 39


KILLED = """
import os, sys
from pathlib import Path
from landslide_map.products import RESULT
from landslide_map.runtime.transaction import outputs
left = int(sys.argv[2])
def killed(event, arguments):
    global left
    if event == "os.rename":
        if left == 0:
            os._exit(9)
        left -= 1
sys.addaudithook(killed)
with outputs(Path(sys.argv[1]), RESULT, overwrite=True) as stage:
    for name in ("run.json", "probability.tif", "landslides.gpkg"):
        (stage / name).write_text("new")
"""


@pytest.mark.parametrize("renames", [0, 1, 2, 4, 6])
def test_the_next_run_restores_what_a_killed_run_had_moved(tmp_path, renames):
    fill(tmp_path, OLD)
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(renames)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    assert subprocess.run(command, check=False, env=environment).returncode == 9
    assert any(name.name.startswith(transaction.STAGING_PREFIX) for name in tmp_path.iterdir())
    with pytest.raises(OutputExistsError), outputs(tmp_path, RESULT):
        pass
    assert content(tmp_path) == OLD


def test_leftovers_of_killed_runs_go_and_similar_names_stay(tmp_path):
    fill(tmp_path / (transaction.STAGING_PREFIX + "abc") / "new", NEW)
    fill(tmp_path, {".landslide-map-notes": "mine"})
    with outputs(tmp_path, RESULT) as stage:
        fill(stage, NEW)
    assert content(tmp_path) == {**NEW, ".landslide-map-notes": "mine"}


@pytest.mark.skipif(sys.platform == "win32", reason="folders cannot be locked on Windows")
def test_two_runs_into_one_folder_are_refused(tmp_path):
    with outputs(tmp_path, RESULT) as stage:
        fill(stage, NEW)
        with raised("E403", messages.ANOTHER_RUN), outputs(tmp_path, RESULT):
            pass
        assert stage.is_dir()
    assert content(tmp_path) == NEW


def test_a_geopackage_open_in_qgis_is_not_replaced(tmp_path):
    fill(tmp_path, {**NEW, "landslides.gpkg-wal": "log"})
    with (
        raised("E403", messages.OPEN_IN_ANOTHER_PROGRAM),
        outputs(tmp_path, RESULT, overwrite=True),
    ):
        pass


def test_a_file_cannot_be_the_output_folder(tmp_path):
    fill(tmp_path, {"results": "text"})
    with raised("E402", messages.IS_A_FILE), outputs(tmp_path / "results", RESULT):
        pass
    with (
        raised("E601", messages.CANNOT_BE_CREATED),
        outputs(tmp_path / "results" / "a", RESULT),
    ):
        pass


def refused(folder: Path, kind: Kind = RESULT, code: str = "E404") -> str:
    """Return what is said of a folder that must not be written, even with ``--overwrite``."""
    before = content(folder)
    with pytest.raises(UsageError) as refusal, outputs(folder, kind, overwrite=True) as stage:
        fill(stage, NEW)
    assert (refusal.value.code, content(folder)) == (code, before)
    return refusal.value.message


@pytest.mark.parametrize("name", ["probability.tif", "windows.nc", "run.json"])
def test_a_file_changed_since_is_never_replaced(tmp_path, name):
    fill(tmp_path, OLD)
    text = OLD[name]
    (tmp_path / name).write_text(text[:-3] + ("xyz" if name != "run.json" else ', "mine": 1}'))
    assert name in refused(tmp_path)


def test_a_file_that_no_manifest_names_is_never_replaced(tmp_path):
    fill(tmp_path, {**OLD, "landslides.gpkg": "mine"})
    assert "landslides.gpkg" in refused(tmp_path)
    assert "landslides.gpkg" in refused(fill(tmp_path / "b", {"landslides.gpkg": "mine"}))


@pytest.mark.parametrize("text", ["[]", "{}", "mine", '{"outputs": {"run.json": 1}}', "[" * 100_000])
def test_a_manifest_of_another_program_proves_nothing(tmp_path, text):
    fill(tmp_path, {"run.json": text})
    assert "run.json" in refused(tmp_path)


def test_a_link_is_never_replaced(tmp_path):
    fill(tmp_path / "out", OLD)
    fill(tmp_path, {"mine.tif": OLD["probability.tif"]})
    (tmp_path / "out" / "probability.tif").unlink()
    (tmp_path / "out" / "probability.tif").symlink_to(tmp_path / "mine.tif")
    assert "probability.tif" in refused(tmp_path / "out")


def test_a_file_that_appears_during_the_run_is_not_replaced(tmp_path):
    fill(tmp_path, OLD)
    with (
        raised("E404", "landslides.gpkg"),
        outputs(tmp_path, RESULT, overwrite=True) as stage,
    ):
        fill(fill(stage, NEW).parents[1], {"landslides.gpkg": "mine"})
    assert content(tmp_path) == {**OLD, "landslides.gpkg": "mine"}


def geopackage(path: Path, name: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE IF NOT EXISTS landslides (id INTEGER PRIMARY KEY, name TEXT)")
        database.execute("INSERT INTO landslides (name) VALUES (?)", (name,))


def reviewed(folder: Path) -> Path:
    """Return the GeoPackage of a result that its manifest describes."""
    folder.mkdir()
    geopackage(folder / "landslides.gpkg", "of a run")
    (folder / "run.json").write_text(json.dumps(sealed({"outputs": tree_records(folder)})))
    return folder / "landslides.gpkg"


def test_a_geopackage_is_identified_by_its_rows_and_not_by_its_header(tmp_path):
    path = reviewed(tmp_path / "out")
    before = path.read_bytes()
    with closing(sqlite3.connect(path)) as database:  # as QGIS opens and closes it
        database.execute("PRAGMA journal_mode = wal")
        database.execute("PRAGMA user_version = 7")
        database.execute("PRAGMA journal_mode = delete")
    assert path.read_bytes() != before
    assert changed_since(tmp_path / "out", RESULT) == {}
    geopackage(path, "of a person")
    assert list(changed_since(tmp_path / "out", RESULT)) == ["landslides.gpkg"]
    assert "landslides.gpkg was changed" in refused_bytes(tmp_path / "out")


def refused_bytes(folder: Path) -> str:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(OutputExistsError) as refusal, outputs(folder, RESULT, overwrite=True):
        pass
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    return refusal.value.message


def test_a_changed_file_that_the_caller_carries_over_is_replaced_unless_it_changes_again(tmp_path):
    path = reviewed(tmp_path / "out")
    geopackage(path, "of a person")
    carried = ("landslides.gpkg",)
    with (
        raised("E404", messages.CHANGED_WHILE_THE_RUN_WORKED),
        outputs(tmp_path / "out", RESULT, overwrite=True, carried=carried) as stage,
    ):
        geopackage(fill(stage, NEW).parents[1] / path.name, "of a person, later")
    with outputs(tmp_path / "out", RESULT, overwrite=True, carried=carried) as stage:
        fill(stage, NEW)
    assert content(tmp_path / "out") == NEW


def test_a_project_that_a_person_saved_stays(tmp_path):
    fill(tmp_path, described({"landslides.qgz": "old", "probability.tif": "old"}))
    files = described({"landslides.qgz": "new", "probability.tif": "new"})
    with outputs(tmp_path, RESULT, overwrite=True, left=("landslides.qgz",)) as stage:
        fill(stage, files)
    assert content(tmp_path) == files
    fill(tmp_path, {"landslides.qgz": "saved"})
    for _ in range(2):
        with outputs(tmp_path, RESULT, overwrite=True, left=("landslides.qgz",)) as stage:
            fill(stage, NEW)
        assert content(tmp_path) == {**NEW, "landslides.qgz": "saved"}


def test_files_that_are_added_leave_the_others_as_they_are(tmp_path):
    fill(tmp_path, {**OLD, "windows.nc": "changed by a person"})
    added = Kind("run.json", ("landslides.kml",), adds=True)
    for text in ("a", "b"):
        with outputs(tmp_path, added, overwrite=True) as stage:
            own = json.loads((tmp_path / "run.json").read_text())
            fill(stage, {"landslides.kml": text})
            own["outputs"] |= tree_records(stage)
            fill(stage, {"run.json": json.dumps(sealed(own))})
        assert (tmp_path / "landslides.kml").read_text() == text
        assert (tmp_path / "windows.nc").read_text() == "changed by a person"
        assert (tmp_path / "probability.tif").exists()
    fill(tmp_path, {"landslides.kml": "mine"})
    assert "landslides.kml" in refused(tmp_path, added)


WINDOWS = Kind("windows.json", holds="windows", exclusive=True)


def whole(folder: Path) -> Path:
    fill(folder / "train_data", {"a.npy": "a", "b.npy": "b"})
    document = sealed({"outputs": tree_records(folder)})
    return fill(folder, {"windows.json": json.dumps(document)})


def test_a_whole_folder_is_replaced_if_all_of_it_is_ours(tmp_path):
    whole(tmp_path / "out")
    (tmp_path / "out").chmod(0o750)
    with outputs(tmp_path / "out", WINDOWS, overwrite=True) as stage:
        fill(whole(stage) / "train_data", {"c.npy": "c"})
    assert sorted(p.name for p in (tmp_path / "out").rglob("*")) == [
        "a.npy",
        "b.npy",
        "c.npy",
        "train_data",
        "windows.json",
    ]
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("name", ["thesis.docx", "photos/a.jpg", "train_data/mine.npy", "empty/"])
def test_foreign_files_stop_the_replacement_of_a_whole_folder(tmp_path, name):
    whole(tmp_path)
    if name.endswith("/"):
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with (
        raised("E404", name.rstrip("/")),
        outputs(tmp_path, WINDOWS, overwrite=True),
    ):
        pass
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_permissions_follow_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        with outputs(tmp_path / "out", WINDOWS) as stage:
            whole(stage)
    finally:
        os.umask(before)
    found = [tmp_path / "out", *(tmp_path / "out").rglob("*")]
    assert all(p.stat().st_mode & 0o777 == (0o777 if p.is_dir() else 0o666) & ~umask for p in found)


SECRET = "../home/secret.txt"


@pytest.mark.parametrize(
    "journal",
    [
        json.dumps([SECRET]),
        json.dumps(["notes.txt"]),
        json.dumps({"stage": [1, 2], "aside": [], "staged": {"notes.txt": [1, 2, 3]}}),
        json.dumps({"stage": [1, 2], "aside": [SECRET], "staged": {SECRET: [1, 2, 3]}}),
        "",
        '{"stage": [1',
        "null",
        "[" * 100_000,
    ],
)
def test_a_journal_that_no_run_of_this_folder_wrote_moves_nothing(tmp_path, journal):
    fill(tmp_path / "home", {"secret.txt": "mine"})
    out = fill(tmp_path / "out", {"notes.txt": "mine"})
    stage = out / f"{transaction.STAGING_PREFIX}x"
    fill(stage / "new", {})
    fill(stage / "old", {"probability.tif": "planted"})
    fill(stage, {"journal.json": journal})
    before = sorted(tmp_path.rglob("*"))
    with raised("E405", transaction.STAGING_PREFIX), outputs(out, RESULT):
        pass
    assert sorted(tmp_path.rglob("*")) == before


def killed_in_the_middle(folder: Path, renames: int = 5) -> None:
    command = [sys.executable, "-c", KILLED, str(folder), str(renames)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    assert subprocess.run(command, check=False, env=environment).returncode == 9


def test_a_copied_stage_is_reported_and_not_undone(tmp_path):
    fill(tmp_path / "a", OLD)
    killed_in_the_middle(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    before = sorted((tmp_path / "b").rglob("*"))
    with raised("E405", "copied"), outputs(tmp_path / "b", RESULT):
        pass
    assert sorted((tmp_path / "b").rglob("*")) == before


def test_what_a_user_saved_over_an_unfinished_result_is_not_undone(tmp_path):
    fill(tmp_path, OLD)
    killed_in_the_middle(tmp_path, renames=6)
    in_place = tmp_path / "probability.tif"
    assert in_place.read_text() == "new"
    in_place.write_text("mine")
    with raised("E405", "probability.tif"), outputs(tmp_path, RESULT):
        pass
    assert in_place.read_text() == "mine"


def test_a_link_that_looks_like_a_stage_is_left_alone(tmp_path):
    elsewhere = fill(tmp_path / "photos", {"journal.json": "[]", "a.jpg": "mine"})
    out = fill(tmp_path / "out", {})
    (out / f"{transaction.STAGING_PREFIX}x").symlink_to(elsewhere)
    with outputs(out, RESULT) as stage:
        fill(stage, NEW)
    assert content(elsewhere) == {"journal.json": "[]", "a.jpg": "mine"}


@pytest.mark.parametrize("name", ["probability.tif", ".landslide-map-journal/a.tif"])
def test_an_output_is_never_an_input(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    (tmp_path / "link.tif").symlink_to(tmp_path / name)
    for path in (tmp_path / name, tmp_path / "link.tif", tmp_path):
        with raised("E402", messages.INPUT_OF_THIS_RUN):
            transaction.refuse_inputs(tmp_path, RESULT, [path])
    transaction.refuse_inputs(tmp_path, RESULT, [tmp_path / "scene.tif", tmp_path.parent / "probability.tif"])
