"""Changes of files below a folder, counted; at one of them the process is killed, or the disk fails.

An audit hook of Python sees every file that is opened for writing, renamed or removed, and every folder that
is made or removed, wherever Python code does it. From the chosen change on, all of them fail: as after a
kill, no clean-up happens either.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_AT = {"os.rename": 2, "os.remove": 1, "os.mkdir": 2, "os.rmdir": 1}
"""Events -> where their arguments name the folder that a path is relative to."""


class Killed(BaseException):
    """The process is gone: nothing in it should catch this."""


@dataclass
class Changes:
    """Changes of files below `folder`, until the process is killed."""

    folder: str
    last: int | str | None
    """How many of them happen, or which one is the last; all if None."""
    error: BaseException
    torn: bool
    """Whether half of the file written last is lost if the kill comes before it is on disk."""
    seen: list[str] = field(default_factory=list)
    """Each as ``event name``; the last one did not happen if `ended`."""
    ended: bool = False
    _written: str = ""

    def happen(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Count a change, or fail instead."""
        if event == "open":
            path, _, flags = arguments
            if not isinstance(path, str | bytes | os.PathLike) or not flags & _WRITES:
                return
        elif event in _AT:
            path = arguments[0]
        else:
            return
        name = os.fsdecode(path)
        if not (name.startswith(self.folder) or (event in _AT and arguments[_AT[event]] != -1)):
            return
        if not self.ended:
            self.ended = len(self.seen) == self.last or self.last in self.seen
            self.seen.append(f"{event} {Path(name).name}")
        if self.ended:
            if self.torn and event == "open" and name == self._written:
                self._written, self.torn = "", False
                os.truncate(name, Path(name).stat().st_size // 2)
            raise self.error
        if event == "open":
            self._written = name


Listener = Callable[[str, tuple[Any, ...]], object]
_listening: list[Listener] = []


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    for listener in _listening:
        listener(event, arguments)


@cache
def _listen() -> None:
    sys.addaudithook(_heard)  # once and for good: a hook cannot be removed


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Call ``listener(event, arguments)`` before everything that Python code does; it may raise.

    Events are those of :func:`sys.audit`.
    """
    _listen()
    _listening.append(listener)
    try:
        yield
    finally:
        _listening.remove(listener)


@contextmanager
def changes_below(
    folder: Path, last: int | str | None = None, *, error: BaseException | None = None, torn: bool = False
) -> Iterator[Changes]:
    """Count changes of files below `folder`; at some moment the process is killed, and the block ends.

    Parameters
    ----------
    folder : Path
        Absolute.
    last : int or str, optional
        How many changes happen before the kill, or which one is the last; by default there is no kill.
    error : exception, optional
        With which changes fail instead, if the disk fails and not the process.
    torn : bool
        Lose half of what was written last, if that was not on disk when the end came.
    """
    changes = Changes(str(folder), last, error or Killed(), torn)
    with suppress(Killed), heard_by(changes.happen):
        yield changes
