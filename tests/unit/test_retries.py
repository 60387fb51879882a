"""Which failures are tried again, how often, and what is said of them."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from landslide_map.errors import InputError, Notice, ResourceError, SceneError
from landslide_map.grid import Block
from landslide_map.inference.rows import RowResult, Tick
from landslide_map.mapping.retry import retrying
from landslide_map.raster.open import open_band
from landslide_map.raster.resample import read_block
from landslide_map.window_record import WindowRecord
from tests.support.raised import raised
from tests.support.rasters import grid_at, write_band

WINDOWS = 5
FAILED = InputError("E101", "b.tif: band 1 cannot be read")


def predicted(block_row: int) -> RowResult:
    some = np.zeros(WINDOWS)
    codes = some.astype(np.int8)
    record = WindowRecord(probability=some, threshold=some, scenario=codes, reason=codes, scenarios=("all",))
    return RowResult(block_row, record)


class Flaky:
    """A predictor with a script: row numbers to yield, errors to raise; a list for each call."""

    def __init__(self, *times: list[int | Exception]) -> None:
        self.times = list(times)
        self.calls: list[tuple[int, ...]] = []

    def __call__(self, block_rows: Sequence[int], tick: Tick) -> Iterator[RowResult]:
        self.calls.append(tuple(block_rows))
        for answer in self.times.pop(0):
            tick(WINDOWS - 2)  # a row may fail when it is partly predicted
            if isinstance(answer, Exception):
                raise answer
            tick(2)
            yield predicted(answer)


def outcome(
    predictor: Flaky, block_rows: Sequence[int]
) -> tuple[list[int], list[Notice], list[float], list[int]]:
    """Return the rows that came, the remarks, the pauses, and the sums that were counted."""
    remarks: list[Notice] = []
    pauses: list[float] = []
    counted = [0]
    stubborn = retrying(predictor, remarks.append, pauses=(1, 5), sleep=pauses.append)
    rows = [row.block_row for row in stubborn(block_rows, lambda n: counted.append(counted[-1] + n))]
    return rows, remarks, pauses, counted


def test_only_missing_rows_are_predicted_again_and_windows_count_once() -> None:
    predictor = Flaky([3, 1, FAILED], [OSError(5, "Input/output error")], [0, 2])
    rows, remarks, pauses, counted = outcome(predictor, range(4))
    assert rows == [3, 1, 0, 2]
    assert predictor.calls == [(0, 1, 2, 3), (0, 2), (0, 2)]
    assert pauses == [1, 5]
    assert [notice.code for notice in remarks] == ["W110", "W110"]
    assert "1 s after this: b.tif: band 1 cannot be read" in remarks[0].message
    assert "5 s after this: [Errno 5] Input/output error" in remarks[1].message
    assert counted[-1] == 4 * WINDOWS
    assert max(counted) == 4 * WINDOWS


def test_a_row_that_comes_makes_the_count_start_again() -> None:
    predictor = Flaky([FAILED], [FAILED], [0, FAILED], [FAILED], [1])
    rows, _, pauses, _ = outcome(predictor, [0, 1])
    assert rows == [0, 1]
    assert pauses == [1, 5, 1, 5]


def test_the_third_failure_is_reported_with_what_is_missing() -> None:
    predictor = Flaky([7, FAILED], [FAILED], [FAILED])
    with pytest.raises(InputError) as refused:
        outcome(predictor, [7, 8, 12])
    assert refused.value.code == "E110"
    assert refused.value.message.startswith(
        "b.tif: band 1 cannot be read. Tried 3 times; rows of blocks 8, 12 have no answer (each is "
    )
    assert refused.value.__cause__ is FAILED


@pytest.mark.parametrize(
    "refusal",
    [
        ResourceError("E611", "no memory"),
        SceneError("E003", "no"),
        InputError("E105", "no"),
        ValueError("bug"),
    ],
)
def test_refusals_and_bugs_are_not_tried_again(refusal: Exception) -> None:
    predictor = Flaky([0, refusal])
    with pytest.raises(type(refusal)) as raised:
        outcome(predictor, [0, 1])
    assert raised.value is refusal
    assert len(predictor.calls) == 1


def test_a_zip_that_was_out_of_reach_is_read_again(tmp_path: Path) -> None:
    grid = grid_at(32632, 300_000, 5_200_000, (40, 40))
    pixels = np.arange(1600, dtype=np.float32).reshape(40, 40)
    write_band(tmp_path / "b.tif", pixels, grid)
    path, away = tmp_path / "s.zip", tmp_path / "away"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "b.tif", "b.tif")
    band, block = open_band(path / "b.tif"), Block(0, 0, 40, 40)
    path.rename(away)
    with raised("E101"):
        read_block(band, grid, block)
    away.rename(path)
    np.testing.assert_array_equal(read_block(band, grid, block), pixels)
