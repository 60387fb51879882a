"""Command line, called in this process: its output, and its exit status.

Enough wherever starting, signals, pipes and imports are not what is tested: a process takes seconds to start.
"""

from __future__ import annotations

import io
import signal
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest import mock

from landslide_map_cli.main import main

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@dataclass(frozen=True)
class Done:
    """As of ``subprocess.CompletedProcess``."""

    returncode: int
    stdout: str
    stderr: str


def command(*arguments: object) -> Done:
    """Call ``landslide-map`` with `arguments`; handlers of signals and the environment are as before then."""
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    out, err = io.StringIO(), io.StringIO()
    try:
        with mock.patch.dict("os.environ"), redirect_stdout(out), redirect_stderr(err):
            main([str(argument) for argument in arguments])
    except SystemExit as left:
        return Done(int(left.code or 0), out.getvalue(), err.getvalue())
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
