"""Ctrl-C, a polite kill and a closed terminal: one orderly stop without a traceback."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Final, NoReturn

_INTERRUPTED: Final = 130
_INSISTING: Final = 3
"""Signals after which a process ends at once; two may come together, from a terminal and from a shell."""
_STOPS: Final = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

Handler = Callable[[int, FrameType | None], None]

_count = 0


def handle_stops(handler: Handler) -> None:
    """Have `handler` called for every signal that asks to stop, unless it is ignored (``nohup``, ``&``)."""
    for number in _STOPS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def stop(_signum: int, _frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt once; cleaning up is not disturbed by a second signal, only by a third."""
    global _count
    _count += 1
    if _count == 1:
        raise KeyboardInterrupt
    if _count >= _INSISTING:
        leave(_signum, _frame)


def leave(_signum: int, _frame: FrameType | None) -> NoReturn:
    """End at once. That loses nothing: what all commands write is whole or not there."""
    try:
        os.write(2, b"interrupted\n")
    finally:
        os._exit(_INTERRUPTED)


def was_stopped() -> bool:
    """Whether a signal asked to stop; an import that it broke off may fail with another error."""
    return _count > 0
