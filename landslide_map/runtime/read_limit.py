"""Time limit of reads: a watcher finds reads that do not end.

Native code cannot be stopped from Python. So a read that takes too long ends the process, with a code. Only
the command line does that (``cli/signals.py``): a library must not end the program that uses it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from landslide_map.errors import InputError

MOST_SECONDS: Final = 600.0
"""Time limit of one read: a block of a band, or the opening of a file. Slow network drives take seconds."""

_reads: dict[int, tuple[float, str]] = {}
"""Thread -> when it began to read, and which file."""


@contextmanager
def timed_read(path: str | Path) -> Iterator[None]:
    """Let the watcher know of a read of a file; inside of another one, that of the outer one counts."""
    thread = threading.get_ident()
    if thread in _reads:
        yield
        return
    _reads[thread] = time.monotonic(), str(path)
    try:
        yield
    finally:
        del _reads[thread]


class Overdue:
    """Reads that take too long, found by repeated checks.

    Checks are counted, not time: a suspended computer or a halted process reads nothing meanwhile.

    Parameters
    ----------
    seconds : float
        Between two checks, at least.
    most : float
        Seconds of one read.
    """

    def __init__(self, seconds: float = 5.0, most: float = MOST_SECONDS) -> None:
        self._checks: dict[tuple[int, tuple[float, str]], int] = {}
        self._seconds = seconds
        self._most = most
        self._last = -seconds

    def found(self) -> InputError | None:
        """Check, if the time has come; return E114 for a read that takes too long."""
        now = time.monotonic()
        if now - self._last < self._seconds:
            return None
        self._last = now
        self._checks = {read: self._checks.get(read, 0) + 1 for read in _reads.copy().items()}
        late = next(
            (read for read, checks in self._checks.items() if checks * self._seconds > self._most), None
        )
        if late is None:
            return None
        return InputError(
            "E114",
            f"{late[1][1]}: one read of it took more than {self._most / 60:g} minutes. The disk or network "
            "drive does not answer, or the file is made to take for ever. Copy it to a disk of this computer "
            "and run the same command again: what was finished is kept",
        )
