"""Stop signals (Ctrl-C, SIGTERM, a closed terminal): one orderly stop, and an immediate one."""

from __future__ import annotations

import atexit
import gc
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from landslide_map.errors import LandslideMapError

_INTERRUPTED: Final = 130
_INSISTING: Final = 3
"""Signals after which a process ends at once; two may come together, from a terminal and from a shell."""
APART_S: Final = 1.0
"""Seconds after the first from which a second signal comes of its own."""
PATIENCE_S: Final = 30.0
"""Seconds that an orderly stop may take: a network ends its batch, the rows of a block are read."""
CHECK_S: Final = 5.0
"""Seconds between two checks for overdue reads."""
_REPEATED_S: Final = 0.05
"""Seconds until a lost stop is repeated."""
_STOPS: Final = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

Handler = Callable[[int, FrameType | None], None]

_report, _print_exception = sys.unraisablehook, sys.excepthook
"""Reports of other exceptions: those that Python drops, and those that compiled libraries print."""
_IMPORT_SYSTEM: Final = "<frozen importlib"
"""Start of the file names of Python's own import code."""


class _Stops:
    """Stop signals of this process. No dataclass: its import takes longer than all others here."""

    count: int = 0
    """Signals from outside so far."""
    number: int = int(signal.SIGINT)
    """Last one."""
    owed: bool = False
    """Whether KeyboardInterrupt has still to be raised."""
    repeating: bool = False
    """Whether this process is sending itself one."""
    repeated: int = 0
    """Signals that it has sent itself."""


_stops: Final = _Stops()
_watching = threading.Lock()
"""Held from the first call on: one watcher for a process."""


def handle_stops(handler: Handler) -> None:
    """Have `handler` called for every stop signal, unless it is ignored (``nohup``, ``&``)."""
    sys.unraisablehook, sys.excepthook = _dropped, _printed
    for number in _STOPS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def stop(signum: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt once; cleaning up is not disturbed by a second signal, only by a third.

    Imports are finished first: libraries print an exception that comes while they load, or hide it.
    """
    if _stops.repeating:
        _stops.repeating = False
    else:
        _stops.count, _stops.number = _stops.count + 1, signum
        _stops.owed |= _stops.count == 1
    if _stops.count >= _INSISTING:
        leave(signum, frame)
    if _stops.owed and _importing(frame):
        _repeat()
    elif _stops.owed:
        _stops.owed = False
        raise KeyboardInterrupt


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORT_SYSTEM):
            return True
        frame = frame.f_back
    return False


def _repeat() -> None:
    """Send the stop again, from another thread and a moment later: at once it would be lost again."""
    _stops.owed = True
    if _stops.repeating:
        return
    _stops.repeating = True
    timer = threading.Timer(_REPEATED_S, _send_again)
    timer.daemon = True
    timer.start()


def _send_again() -> None:
    main = threading.main_thread().ident
    assert main is not None
    _stops.repeated += 1
    signal.pthread_kill(main, _stops.number)


def _dropped(lost: sys.UnraisableHookArgs) -> None:
    """Repeat a stop that came in a callback or finaliser: Python drops what these raise, and goes on."""
    if _stops.count and lost.exc_type is KeyboardInterrupt:
        _repeat()
    elif not _stops.count:  # after one, objects that are half made complain
        _report(lost)


def _printed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Repeat a stop that compiled code prints; it may go on, or raise another error."""
    if _stops.count and kind is KeyboardInterrupt:
        _repeat()
    else:
        _print_exception(kind, error, trace)


def leave(_signum: int, _frame: FrameType | None) -> NoReturn:
    """End at once. That loses nothing: what all commands write is whole or not there."""
    _end("interrupted", _INTERRUPTED)


def watch(overdue: Callable[[], LandslideMapError | None]) -> None:
    """End the process where :func:`stop` cannot: native code runs on, and Python calls no handler meanwhile.

    A second signal ends it if it comes a second after the first, or later. So does a stop that takes longer
    than :data:`PATIENCE_S`, and what `overdue`, called every few seconds, returns.
    """
    if not _watching.acquire(blocking=False):
        return
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    receiver.setblocking(False)
    signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    with suppress(RuntimeError):  # no thread can be started: three signals then end the process
        threading.Thread(target=_watch, args=(receiver, sender, overdue), name="signals", daemon=True).start()


def _watch(
    receiver: socket.socket, _kept_open: socket.socket, overdue: Callable[[], LandslideMapError | None]
) -> None:
    first: float | None = None
    received, known = 0, 0
    while True:
        select.select([receiver], [], [], CHECK_S)
        now = time.monotonic()
        received += _received_stops(receiver)
        from_outside = received - _stops.repeated
        if from_outside > known:
            known = from_outside
            if first is not None and now - first >= APART_S:
                _end("interrupted at once", _INTERRUPTED)
            first = now if first is None else first
        if first is not None and now - first > PATIENCE_S:
            _end(f"interrupted: ended, as the orderly stop took more than {PATIENCE_S:.0f} s", _INTERRUPTED)
        if refusal := overdue():
            _end(f"error {refusal.code}: {refusal.message}", refusal.exit_status)


def _received_stops(receiver: socket.socket) -> int:
    """Return how many signals came that :func:`stop` handles; a server has a handler of its own."""
    try:
        numbers = receiver.recv(4096)
    except BlockingIOError:
        return 0
    return sum(signal.getsignal(number) is stop for number in numbers)


def leave_with(status: int) -> NoReturn:
    """End a stopped process without Python's last tidying: an interrupted library can crash in it.

    First, contexts that a stop left just as they were entered are closed: the exception held them.
    """
    gc.collect()
    atexit._run_exitfuncs()  # child processes end too
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def _end(text: str, status: int) -> NoReturn:
    try:
        os.write(2, f"{text}\n".encode())
    finally:
        os._exit(status)


def was_stopped() -> bool:
    """Whether a stop signal has arrived; an interrupted import may fail with another error."""
    return _stops.count > 0
