"""Signals of the test process, as a terminal has them."""

from __future__ import annotations

import signal

# Under nohup, or in the background of a script, they are ignored, by every command under test as well.
for _name in ("SIGINT", "SIGHUP", "SIGTERM"):
    if (_number := getattr(signal, _name, None)) is not None and signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _name == "SIGINT" else signal.SIG_DFL)
