"""What a checkpoint keeps comes back to the bit, all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from landslide_map.mapping.checkpoint import FOLDER, Checkpoint
from landslide_map.mapping.identity import InputFiles
from landslide_map.window_record import WindowRecord
from tests.support.any_rows import any_row


def test_every_field_of_a_row_comes_back(tmp_path: Path) -> None:
    row = any_row(2)
    ticks: list[int] = []
    first = Checkpoint(tmp_path, {"stride": 64, "inputs": {}}, 3)
    (same,) = first.completed(lambda *_: iter([row]), [2], ticks.append, InputFiles([]))
    assert same.record is row.record
    assert same.strip is None  # what outlines and images need stays on disk
    assert not same.display
    again = Checkpoint(tmp_path, {"stride": 64, "inputs": {}}, 3)

    def nothing_is_missing(block_rows: Any, _: Any) -> Any:
        assert not block_rows
        return iter([])

    (found,) = again.completed(nothing_is_missing, [2], ticks.append, InputFiles([]))
    assert found.block_row == 2
    numbers = found.record.arrays()
    assert set(numbers) == {*WindowRecord.NUMBERS, "scenarios", "members", "groups"}
    for name, given in row.record.arrays().items():
        assert numbers[name].dtype == given.dtype
        np.testing.assert_array_equal(numbers[name], given)
    assert list(found.sample) == ["red"]
    np.testing.assert_array_equal(found.sample["red"], row.sample["red"])
    shown = {name: [path.read_bytes() for path in paths] for name, paths in again.display.items()}
    assert shown == {"after": [b"pixels 2"], "ascending": [b"change"]}
    (strip,) = again.strips()
    assert row.strip is not None
    assert (strip.top, strip.layers) == (row.strip.top, row.strip.layers)
    for name in ("starts", "cols", "codes"):
        kept, given = getattr(strip, name), getattr(row.strip, name)
        assert kept.dtype == given.dtype
        np.testing.assert_array_equal(kept, given)
    assert {name: cells.tolist() for name, cells in strip.cells.items()} == {"ndvi": [[7]], "cloud": [[0]]}
    assert ticks == [7]  # by the checkpoint; the predictor counts its own
    assert (again.counts, [notice.code for notice in again.notices]) == (
        {"predicted": 0, "resumed": 1},
        ["I410"],
    )


def test_nothing_is_written_before_a_row_is_finished(tmp_path: Path) -> None:
    Checkpoint(tmp_path, {"inputs": {}}, 3)
    assert not (tmp_path / FOLDER).exists()


def test_a_row_with_damaged_pixels_for_display_is_predicted_again(tmp_path: Path) -> None:
    row, predicted = any_row(0), []
    first = Checkpoint(tmp_path, {"inputs": {}}, 1)
    assert len(list(first.completed(lambda *_: iter([row]), [0], lambda _: None, InputFiles([])))) == 1
    (path,) = first.display["after"]
    path.write_bytes(b"pixelz")
    again = Checkpoint(tmp_path, {"inputs": {}}, 1)

    def predictor(block_rows: Any, _: Any) -> Any:
        predicted.extend(block_rows)
        return iter([row])

    assert len(list(again.completed(predictor, [0], lambda _: None, InputFiles([])))) == 1
    assert predicted == [0]
    assert [notice.code for notice in again.notices] == ["W410"]
    assert [path.read_bytes() for path in again.display["after"]] == [b"pixels 0"]
