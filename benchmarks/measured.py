"""Wall time, CPU time and memory of programs, and the load of the machine.

This module and its importers stay small: a program that is started begins with its parent's peak memory, as
Linux counts it.
"""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

CHUNK = 16 << 20


@dataclass(frozen=True)
class Measured:
    """One run of a program."""

    seconds: float
    """Wall time, from the start of the process to its end."""
    cpu_seconds: float
    """User and system, with all processes it waited for."""
    peak_memory_bytes: int
    """The most that was resident in it, or in any process it waited for."""
    load_average: float
    """Average of the minute before the start."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class FailedError(Exception):
    """A program did not end well."""


def run(command: Sequence[object]) -> tuple[Measured, str]:
    """Run a program; return what it took and what it printed."""
    load = os.getloadavg()[0]
    words = [str(word) for word in command]
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        begin = time.perf_counter()
        child = subprocess.Popen(words, stdout=output, stderr=errors)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - begin
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if child.returncode:
            raise FailedError(f"{' '.join(words)} ended with {child.returncode}: {errors.read()[-2000:]}")
        cpu = usage.ru_utime + usage.ru_stime
        return Measured(seconds, cpu, usage.ru_maxrss * 1024, load), output.read()


def in_page_cache(files: Iterable[Path], wanted: bool) -> None:
    """Bring files into the page cache, or put them out of it."""
    for path in files:
        with path.open("rb") as file:
            if wanted:
                while file.read(CHUNK):
                    pass
            else:
                os.fsync(file.fileno())  # pages that are not yet on the disk cannot be dropped
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def machine() -> dict[str, Any]:
    """Describe the machine."""
    names = [
        line.partition(":")[2].strip()
        for line in _lines(Path("/proc/cpuinfo"))
        if line.startswith("model name")
    ]
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": names[0] if names else platform.processor(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
