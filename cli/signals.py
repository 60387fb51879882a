"""Stop signals (Ctrl-C, SIGTERM, a closed terminal): one orderly stop, and an immediate one."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
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

_report: Final = sys.unraisablehook
"""Report of other exceptions that Python drops."""
_count, _number = 0, int(signal.SIGINT)
"""Stop signals so far, and the last one."""
_watching = threading.Lock()
"""Held from the first call on: one watcher for a process."""


def handle_stops(handler: Handler) -> None:
    """Have `handler` called for every stop signal, unless it is ignored (``nohup``, ``&``)."""
    sys.unraisablehook = _repeat_stop
    for number in _STOPS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def stop(_signum: int, _frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt once; cleaning up is not disturbed by a second signal, only by a third."""
    global _count, _number
    _count, _number = _count + 1, _signum
    if _count == 1:
        raise KeyboardInterrupt
    if _count >= _INSISTING:
        leave(_signum, _frame)


def _repeat_stop(lost: sys.UnraisableHookArgs) -> None:
    """Repeat a stop that came in a callback or finaliser: Python drops what these raise, and goes on."""
    global _count
    if lost.exc_type is not KeyboardInterrupt or _count != 1:
        _report(lost)
        return
    _count = 0
    main = threading.main_thread().ident
    assert main is not None
    # From another thread, a moment later: here it would be lost again.
    timer = threading.Timer(_REPEATED_S, signal.pthread_kill, (main, _number))
    timer.daemon = True
    timer.start()


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
    while True:
        select.select([receiver], [], [], CHECK_S)
        now = time.monotonic()
        if _stop_received(receiver):
            if first is not None and now - first >= APART_S:
                _end("interrupted at once", _INTERRUPTED)
            first = now if first is None else first
        if first is not None and now - first > PATIENCE_S:
            _end(f"interrupted: ended, as the orderly stop took more than {PATIENCE_S:.0f} s", _INTERRUPTED)
        if refusal := overdue():
            _end(f"error {refusal.code}: {refusal.message}", refusal.exit_status)


def _stop_received(receiver: socket.socket) -> bool:
    """Return whether a signal came that :func:`stop` handles; a server has a handler of its own."""
    try:
        numbers = receiver.recv(4096)
    except BlockingIOError:
        return False
    return any(signal.getsignal(number) is stop for number in numbers)


def _end(text: str, status: int) -> NoReturn:
    try:
        os.write(2, f"{text}\n".encode())
    finally:
        os._exit(status)


def was_stopped() -> bool:
    """Whether a stop signal has arrived; an interrupted import may fail with another error."""
    return _count > 0
