"""Heap of a network's activations: freed memory is kept for reuse.

By default glibc returns free memory at the end of a thread's heap to the system and requests it again for the
next large tensor. The system then clears every page again (docs/decisions/0038).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from landslide_map.runtime.allocator import MMAP_THRESHOLD, TOP_PAD, TRIM_THRESHOLD, give_back, set_allocator
from landslide_map.runtime.byte_size import MIB

_WHILE_KEPT: Final = {MMAP_THRESHOLD: 32 * MIB, TRIM_THRESHOLD: 1024 * MIB, TOP_PAD: 64 * MIB}
"""The most that glibc accepts before it maps a tensor separately; never given back; a thread's whole heap."""
_AFTERWARDS: Final = {TRIM_THRESHOLD: 64 * MIB, TOP_PAD: 128 * 1024}
"""Value that glibc reaches in a process that frees large arrays."""


@contextmanager
def kept_memory() -> Iterator[None]:
    """Keep freed memory while entered, in all threads; give it back afterwards."""
    set_allocator(_WHILE_KEPT)
    try:
        yield
    finally:
        set_allocator(_AFTERWARDS)
        give_back()
