"""Resident memory of this process: now, and at its peak."""

from __future__ import annotations

from pathlib import Path


def peak_memory() -> int | None:
    """Return the most memory that was ever resident in this process, bytes; None if unknown.

    Linux counts it from zero for every program. ``getrusage`` begins there with the peak of the process that
    started this one, so it is read only elsewhere.
    """
    if (peak := _status("VmHWM:")) is not None:
        return peak
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def resident_memory() -> int | None:
    """Return the memory that is resident in this process now, bytes; if unknown, its peak so far."""
    resident = _status("VmRSS:")
    return peak_memory() if resident is None else resident


def _status(key: str) -> int | None:
    """Return a number of bytes from the status file of Linux."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(key):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None
