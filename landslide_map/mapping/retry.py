"""Retries of rows of blocks after temporary failures of a disk or network."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from landslide_map.errors import InputError, LandslideMapError, Notice
from landslide_map.grid import BLOCK
from landslide_map.inference.rows import RowPredictor, RowResult, Tick

PAUSES_S: Final = (1.0, 5.0)
"""Seconds to wait before each further try."""


def retrying(
    predictor: RowPredictor,
    notify: Callable[[Notice], None],
    *,
    pauses: Sequence[float] = PAUSES_S,
    sleep: Callable[[float], None] = time.sleep,
) -> RowPredictor:
    """Return a predictor that tries rows of blocks again if their inputs could not be read.

    Only what may pass is tried again: a read that failed (E101) or an error of the operating system. Every
    further try opens its files again. Refusals pass through at once.

    Parameters
    ----------
    predictor : RowPredictor
        May yield rows in any order; rows that it has yielded are not requested again.
    notify : callable
        Called, before each further try, with what had failed (W110).
    pauses : sequence of float
        Seconds to wait before each further try; a row that comes makes the count start again.
    sleep : callable
        Waits that long.

    Returns
    -------
    RowPredictor
        Raises InputError E110 when the last try fails.
    """

    def predicted(block_rows: Sequence[int], tick: Tick) -> Iterator[RowResult]:
        missing = list(block_rows)
        waits = iter(pauses)
        unfinished = 0  # windows counted of rows that are not finished

        def count(windows: int) -> None:
            nonlocal unfinished
            unfinished += windows
            tick(windows)

        while True:
            try:
                for row in predictor(tuple(missing), count):
                    missing.remove(row.block_row)
                    unfinished -= len(row.record.probability)
                    waits = iter(pauses)
                    yield row
                return
            except (InputError, OSError) as error:
                if not _may_pass(error):
                    raise
                pause = next(waits, None)
                if pause is None:
                    raise _exhausted(error, missing, 1 + len(pauses)) from error
                notify(Notice("W110", f"an input was read again {pause:g} s after this: {_reason(error)}"))
                sleep(pause)
                count(-unfinished)  # they are predicted again

    return predicted


def _may_pass(error: Exception) -> bool:
    return error.code == "E101" if isinstance(error, LandslideMapError) else True


def _reason(error: Exception) -> str:
    return error.message if isinstance(error, LandslideMapError) else str(error)


def _exhausted(error: Exception, missing: Sequence[int], tries: int) -> InputError:
    rows = ", ".join(map(str, sorted(missing)))
    return InputError(
        "E110",
        f"{_reason(error)}. Tried {tries} times; rows of blocks {rows} have no answer (each is {BLOCK} "
        "pixels high, counted from 0). If the file was only unavailable, restore it unchanged and run "
        "the same command again. If it is damaged, fetch it again and start afresh with --overwrite.",
    )
