"""Entry point: signal handlers first, then all other imports."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from .signals import handle_stops, leave, leave_with, was_stopped


def main() -> NoReturn:
    """Run the command line."""
    handle_stops(leave)  # nothing is begun yet
    _name_files_in_utf8()
    from .main import main as run

    try:
        run()
    except SystemExit as ended:
        handle_stops(leave)  # everything is finished
        if was_stopped() and isinstance(ended.code, int):
            leave_with(ended.code)
        raise


def _name_files_in_utf8() -> None:
    """Start again in UTF-8 where Python knows ASCII alone: no other name of a file could be opened."""
    if sys.getfilesystemencoding() == "ascii" and os.environ.get("PYTHONUTF8") != "1":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
