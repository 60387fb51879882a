"""Memory that a network's activations leave and soon need again, kept instead of given back.

By default glibc gives what is free at the end of a thread's heap back to the system and asks for it again
with the next large tensor; the system then clears every page anew (docs/decisions/0038).
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""Numbers of settings in glibc's ``malloc.h``."""
_MIB: Final = 2**20
_WHILE_KEPT: Final = {_MMAP_THRESHOLD: 32 * _MIB, _TRIM_THRESHOLD: 1024 * _MIB, _TOP_PAD: 64 * _MIB}
"""The most that glibc accepts before it maps a tensor by itself; never given back; a thread's whole heap."""
_AFTERWARDS: Final = {_TRIM_THRESHOLD: 64 * _MIB, _TOP_PAD: 128 * 1024}
"""What glibc comes to by itself in a process that frees large arrays."""


@contextmanager
def kept_memory() -> Iterator[None]:
    """Keep freed memory while entered, in all threads; give it back afterwards.

    Does nothing with another library than glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    library = ctypes.CDLL(None)
    for setting, value in _WHILE_KEPT.items():
        library.mallopt(setting, value)
    try:
        yield
    finally:
        for setting, value in _AFTERWARDS.items():
            library.mallopt(setting, value)
        library.malloc_trim(0)
