"""Memory limit of a process: threads, the cache of GDAL and one heap."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import rasterio
from dask import config

from landslide_map.runtime.allocator import ARENA_MAX, give_back, set_allocator

MOST_SOURCE_BLOCK: Final = 2**31
"""Bytes of a block of a source file, decoded: a full tile of Sentinel-2 in one strip has 230 MiB."""
BLOCKS_AT_ONCE: Final = 16
"""Blocks of source files in memory side by side: several bands and threads, each as stored and decoded."""
_source_block = MOST_SOURCE_BLOCK

CACHE: Final = 256 * 2**20
"""Bytes of decoded blocks that GDAL keeps: enough for blocks that neighbours share; its own default
is a twentieth of the machine's memory."""


def bounded_cache(size: int = CACHE) -> rasterio.Env:
    """Return a context in which GDAL's cache, one for the whole process, holds `size` bytes."""
    return rasterio.Env(GDAL_CACHEMAX=size)  # bytes: rasterio hands a number on as it is


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Settings chosen for a memory limit; by default those of a run without one."""

    cache: int = CACHE
    """Bytes of decoded blocks that GDAL keeps."""
    threads: int | None = None
    """Number of threads that read blocks; by default that of dask."""
    read_ahead: bool = True
    """Whether the next row of blocks is read while the last one is voted on."""
    source_block: int = MOST_SOURCE_BLOCK
    """Bytes of the largest block in which a source file may store its pixels: each is decoded whole."""
    one_heap: bool = False
    """Whether threads share one heap: what is free of it goes back to the system after each row of blocks.
    glibc decides once: threads share it until the process ends."""

    def __str__(self) -> str:
        ahead = "the next row of blocks read ahead" if self.read_ahead else "nothing read ahead"
        return f"{self.threads or 'all'} threads, {self.cache // 2**20} MiB of decoded blocks, {ahead}"


def source_block() -> int:
    """Return the bytes of the largest block of a source file that may be decoded now."""
    return _source_block


@contextmanager
def memory_limited_to(memory: MemoryPlan) -> Iterator[None]:
    """Run a block with these settings of the process: threads, GDAL's cache, the allocator."""
    global _source_block
    before, _source_block = _source_block, min(memory.source_block, _source_block)
    threads: dict[str, Any] = {} if memory.threads is None else {"num_workers": memory.threads}
    try:
        with bounded_cache(memory.cache), config.set(threads):
            if memory.one_heap:  # in a heap of its own, each thread would keep what it once needed most
                set_allocator({ARENA_MAX: 1})
            yield
    finally:
        _source_block = before
        if memory.one_heap:
            give_back()
