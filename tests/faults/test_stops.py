"""Signals while native code runs, and reads that do not come to an end."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from landslide_map_cli.signals import APART_S

from landslide_map.runtime.read_limit import Overdue, timed_read

NATIVE = """
import hashlib
from landslide_map.runtime.read_limit import Overdue, timed_read
from landslide_map_cli import signals
signals.handle_stops(signals.stop)
signals.PATIENCE_S = {patience}
signals.CHECK_S = 0.1
signals.watch(Overdue(0.1, {most}).found)
with timed_read("slow.tif"):
    print("begun", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # a quarter of an hour, in which no handler is called
"""


def begun(patience: float = 60, most: float = 60) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", NATIVE.format(patience=patience, most=most)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.3)  # until it is in there
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_ends_native_code(number: signal.Signals) -> None:
    with begun() as process:
        process.send_signal(number)
        time.sleep(APART_S + 0.2)
        assert process.poll() is None
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said == "interrupted at once\n"


def test_signals_that_come_together_are_one() -> None:
    with begun(patience=2) as process:
        since = time.monotonic()
        for number in (signal.SIGTERM, signal.SIGHUP):
            process.send_signal(number)
        _, said = process.communicate(timeout=30)
        assert time.monotonic() - since >= 2
    assert process.returncode == 130
    assert "orderly stop" in said


CALLBACK = """
import os, signal, time, weakref
from landslide_map_cli import signals
signals.handle_stops(signals.stop)
class Thing: pass
thing = Thing()
reference = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGTERM))
try:
    del thing
    time.sleep(30)
except KeyboardInterrupt:
    print("stopped", signals.was_stopped())
"""


IMPORT = """
import os, signal, sys, time
from landslide_map_cli import signals
signals.handle_stops(signals.stop)
with open("module_that_hides.py", "w") as file:
    file.write(
        "import os, signal, time\\n"
        "try:\\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\\n"
        "    time.sleep(0.2)\\n"
        "except BaseException:\\n"
        "    raise ImportError('failed to import')\\n"
    )
sys.path.insert(0, ".")
try:
    import module_that_hides
    time.sleep(30)
except KeyboardInterrupt:
    print("stopped", signals.was_stopped())
"""

PRINTED = """
import ctypes, os, signal, time
from landslide_map_cli import signals
signals.handle_stops(signals.stop)
program = b"import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
try:
    ctypes.pythonapi.PyRun_SimpleString(program)  # prints what is raised, and goes on
    time.sleep(30)
except KeyboardInterrupt:
    print("stopped", signals.was_stopped())
"""


@pytest.mark.parametrize("program", [CALLBACK, IMPORT, PRINTED], ids=["callback", "import", "compiled code"])
def test_a_stop_that_is_lost_is_repeated(program: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert (done.stdout, done.stderr) == ("stopped True\n", "")


def test_a_read_that_takes_too_long_ends_with_a_code() -> None:
    with begun(most=0.5) as process:
        _, said = process.communicate(timeout=30)
    assert process.returncode == 4
    assert said.startswith("error E114: slow.tif: ")


def test_only_a_read_that_is_seen_again_and_again_is_overdue() -> None:
    watcher = Overdue(0.0, most=0.0)
    assert watcher.found() is None
    with timed_read("a.tif"), timed_read("inside.tif"):
        found = Overdue(1.0, most=0.5).found()
        assert found is not None
        assert found.code == "E114"
        assert found.message.startswith("a.tif")
        assert Overdue(1.0, most=1.5).found() is None
    assert Overdue(1.0, most=0.5).found() is None


def test_reads_of_threads_are_separate() -> None:
    stop = threading.Event()

    def quick() -> None:
        while not stop.is_set():
            with timed_read("quick.tif"):
                pass

    thread = threading.Thread(target=quick)
    thread.start()
    watcher = Overdue(0.01, most=0.05)
    until = time.monotonic() + 0.3
    try:
        while time.monotonic() < until:
            assert watcher.found() is None
    finally:
        stop.set()
        thread.join()
