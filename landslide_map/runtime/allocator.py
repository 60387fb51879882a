"""Allocator of the C library (glibc): one heap for all threads, and return of free memory.

Numbers of settings are those of ``malloc.h``. With another library nothing is set and nothing given back.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Mapping
from functools import cache
from typing import Final

TRIM_THRESHOLD: Final = -1
"""Free bytes at the end of a heap from which on they are given back."""
TOP_PAD: Final = -2
"""Bytes by which a heap grows beyond the requested size."""
MMAP_THRESHOLD: Final = -3
"""Bytes from which on an array is mapped separately, and given back when it is freed."""
ARENA_MAX: Final = -8
"""Heaps that threads share. glibc reads it when the first thread needs a heap, and keeps to it."""


def set_allocator(settings: Mapping[int, int]) -> None:
    """Change settings of the process; setting -> value."""
    if (library := _glibc()) is not None:
        for setting, value in settings.items():
            library.mallopt(setting, value)


def give_back() -> None:
    """Give free memory back to the system."""
    if (library := _glibc()) is not None:
        library.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
