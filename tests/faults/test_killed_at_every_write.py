"""A run killed at any change of any file: finished rows stay, and a result is the old or the new one."""

from __future__ import annotations

import errno
import os
import pickle
import re
import shutil
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import pytest

from landslide_map.errors import OutputExistsError, ResourceError
from landslide_map.inference.rows import RowResult, Tick
from landslide_map.mapping.checkpoint import FOLDER, Checkpoint
from landslide_map.mapping.identity import InputFiles
from landslide_map.products import RESULT
from landslide_map.runtime.transaction import outputs
from tests.support.any_rows import any_row
from tests.support.killed_process import changes_below
from tests.support.result_files import described

ROWS = 3


def rows_of(folder: Path) -> tuple[Checkpoint, list[bytes]]:
    """Run, or go on, to the end; return the checkpoint, and all of its rows and strips as bytes."""
    checkpoint = Checkpoint(folder, {"stride": 64, "inputs": {}}, ROWS)

    def predictor(block_rows: Sequence[int], _: Tick) -> Iterator[RowResult]:
        return map(any_row, block_rows)

    rows = list(checkpoint.completed(predictor, range(ROWS), lambda _: None, InputFiles([])))
    found = [pickle.dumps(row) for row in sorted(rows, key=lambda row: row.block_row)]
    return checkpoint, [*found, *map(pickle.dumps, checkpoint.strips())]


@pytest.mark.parametrize("torn", [False, True])
def test_killed_at_every_write_of_the_checkpoint_no_finished_row_is_lost(tmp_path: Path, torn: bool) -> None:
    (tmp_path / "whole").mkdir()
    _, expected = rows_of(tmp_path / "whole")
    reached = []
    for moment in count():
        out = tmp_path / str(moment)
        out.mkdir()
        with changes_below(out, moment, torn=torn) as changes:
            rows_of(out)
        finished = [change for change in changes.seen[:moment] if re.match("os.rename .row-", change)]
        reached.append(len(finished))
        checkpoint, rows = rows_of(out)
        assert rows == expected, changes.seen
        assert checkpoint.counts == {"predicted": ROWS - len(finished), "resumed": len(finished)}, (
            changes.seen
        )
        assert {notice.code for notice in checkpoint.notices} == ({"I410"} if finished else set())
        if not changes.ended:
            break
    assert sorted(set(reached)) == list(range(ROWS + 1))
    assert moment > 4 * ROWS  # each row is opened, made durable, renamed; the document before all


def test_a_disk_that_fails_at_any_write_of_the_checkpoint_costs_no_finished_row(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    with changes_below(tmp_path / "whole") as undisturbed:
        rows_of(tmp_path / "whole")
    for moment in range(len(undisturbed.seen)):
        out = tmp_path / str(moment)
        out.mkdir()
        failing = OSError(errno.EROFS, os.strerror(errno.EROFS))
        with (
            pytest.raises(ResourceError) as refused,
            changes_below(out, moment, error=failing) as changes,
        ):
            rows_of(out)
        assert refused.value.code == "E601"
        assert os.strerror(errno.EROFS) in refused.value.message
        finished = [change for change in changes.seen[:moment] if re.match("os.rename .row-", change)]
        checkpoint, _ = rows_of(out)
        assert checkpoint.counts == {"predicted": ROWS - len(finished), "resumed": len(finished)}, (
            changes.seen
        )


ROW = f"{FOLDER}/row-00000-{'0' * 64}.npz"
OLD = {**described({"probability.tif": "old tif", "windows.nc": "old"}), "notes.txt": "mine", ROW: "a row"}
"""A result, a user's own file beside it, and the rows that the next result was made of."""
NEW = {**described({"probability.tif": "new tif", "landslides.gpkg": "new"}), "notes.txt": "mine"}


def fill(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def content(folder: Path) -> dict[str, str]:
    found = {path: path.read_text() for path in folder.rglob("*") if path.is_file()}
    return {str(path.relative_to(folder)): text for path, text in found.items()}


def install(out: Path) -> None:
    with outputs(out, RESULT, overwrite=True, obsolete=(FOLDER,)) as stage:
        fill(stage, {name: text for name, text in NEW.items() if name != "notes.txt"})


def undo(out: Path) -> None:
    """Begin a run that is refused; before that, it undoes what the killed one did."""
    with pytest.raises(OutputExistsError) as refused, outputs(out, RESULT):
        pass
    assert refused.value.code == "E401"


def test_killed_at_every_change_of_an_installation_the_result_is_the_old_or_the_new_one(
    tmp_path: Path,
) -> None:
    results: list[bool] = []
    for moment in count():
        fill(out := tmp_path / str(moment), OLD)
        with changes_below(out, moment) as changes:
            install(out)
        undo(out)
        found = content(out)
        assert found in (OLD, NEW), changes.seen
        results.append(found == NEW)
        install(out)
        assert content(out) == NEW
        if not changes.ended:
            break
    assert results == sorted(results)  # one change makes the new result valid
    assert (results[0], results[-1]) == (False, True)
    assert moment > 2 * len(NEW)


def test_killed_at_every_change_of_the_undoing_the_old_result_comes_back(tmp_path: Path) -> None:
    def killed_before_it_is_valid(out: Path) -> None:
        fill(out, OLD)
        with changes_below(out) as changes:
            install(out)
        last = changes.seen.index("os.remove journal.json")
        shutil.rmtree(out)
        fill(out, OLD)
        with changes_below(out, last):
            install(out)
        assert content(out).keys() > NEW.keys()  # all is in place, and the old files are still there

    for moment in count():
        killed_before_it_is_valid(out := tmp_path / str(moment))
        with changes_below(out, moment) as changes:
            undo(out)
        undo(out)
        assert content(out) == OLD, changes.seen
        if not changes.ended:
            break
    assert moment > len(NEW) + len(OLD)
