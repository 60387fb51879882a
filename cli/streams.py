"""Broken pipes: a command continues if the reader of its output ends."""

from __future__ import annotations

import errno
import os
import sys
from typing import Any, TextIO


class Leavable:
    """A text stream that falls silent, instead of failing, once its reader is gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write `text`, or nothing where the reader has left."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._fall_silent_after(error)
            return len(text)

    def flush(self) -> None:
        """Flush, if the reader is still there."""
        try:
            self._stream.flush()
        except OSError as error:
            self._fall_silent_after(error)

    def _fall_silent_after(self, error: OSError) -> None:
        """Let what is still in the buffer, and all that follows, go nowhere: a pipe or terminal is closed."""
        if error.errno not in (errno.EPIPE, errno.EIO):
            raise error
        os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def outlive_readers() -> None:
    """Make this process's output such streams; where one was closed before the start, nothing is said."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        setattr(sys, name, Leavable(stream or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")))
