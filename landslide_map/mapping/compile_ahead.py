"""Loops compiled in another process while the first run on a machine reads its inputs.

``python -m landslide_map.mapping.compile_ahead`` compiles them into the cache that the run loads them from.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, Final

from dask.system import CPU_COUNT
from numba.core.sigutils import normalize_signature

_ROWS, _BYTES, _PIXELS, _BANDS = "int64[::1]", "uint8[:,::1]", "float32[:,::1]", "float32[:,:,::1]"
LOOPS: Final = (
    ("delineation.bareness", "may_be_bare", f"UniTuple({_BYTES}, 5), {_BANDS}, int64, float64, b1"),
    ("delineation.bareness", "bareness", f"uint8[::1,:], {_PIXELS}, b1[::1]"),
    (
        "delineation.displacement",
        "_add",
        f"int64[:,::1], {_BYTES}, {_PIXELS}, UniTuple({_BYTES}, 4), {_BANDS}, {_BANDS}, int64",
    ),
    ("delineation.components", "_runs", f"{_ROWS}, int32[::1], uint8[::1], int64"),
    ("delineation.components", "_joined", f"int32[::1], {_ROWS}, {_ROWS}, {_ROWS}"),
    ("delineation.components", "_shapes", f"int32[::1], {', '.join([_ROWS] * 5)}, int64"),
    ("delineation.tree", "_descend", f"{_ROWS}, {_ROWS}, {_ROWS}, {_ROWS}, int64, {_ROWS}"),
    ("delineation.tree", "_add", f"int32[:,::1], {_ROWS}, int64[:,::1]"),
    ("delineation.tree", "_gather", f"{_ROWS}, int64[:,::1]"),
    ("delineation.objects", "_with_parents", f"{_ROWS}, b1[::1]"),
    ("delineation.objects", "_with_children", f"{_ROWS}, b1[::1]"),
    ("delineation.objects", "owners", f"{_ROWS}, b1[::1]"),
    ("delineation.partition", "_best", f"{_ROWS}, float64[::1]"),
    ("delineation.edges", "_roots", f"{_ROWS}, int64[:]"),
    ("delineation.edges", "_grown", f"{_ROWS}, uint16[::1], {_ROWS}, {_ROWS}"),
    (
        "delineation.edges",
        "_features",
        f"{_ROWS}, uint16[::1], {_ROWS}, {_ROWS}, {_ROWS}, int32[::1], int32[::1], float32[::1,:]",
    ),
    ("delineation.edges", "_connected", f"{_ROWS}, uint16[::1], {_ROWS}"),
    (
        "delineation.displacement",
        "moved_back",
        f"{_ROWS}, uint16[::1], {_ROWS}, float32[::1], int64, UniTuple(int64, 2), UniTuple(float64, 2)",
    ),
    ("delineation.polygons", "_draw", f"int32[:,::1], {', '.join([_ROWS] * 4)}, int64[:,::1]"),
    ("delineation.polygons", "paint", f"{_ROWS}, {_ROWS}, {_ROWS}, float32[::1], int64, {_PIXELS}"),
    ("products.imagery", "halved", "uint8[:,:,::1],"),
    ("products.imagery", "smoothed_change", f"{_BYTES},"),
    ("products.imagery", "_coloured", f"{_PIXELS}, {_BYTES}"),
    ("delineation.cells", "_surrounding_medians", f"{_BYTES},"),
    ("delineation.cells", "_medians_and_spreads", f"{_BYTES},"),
    ("delineation.cells", "surrounding_means", f"{_BYTES},"),
)
"""Folder and file, loop, and types of its arguments as a run calls it: what a run needs from outlines on."""
_PROBE: Final = LOOPS[9]
"""A small loop: where it is in the cache, so are the others."""


def compile_loop(file: str, name: str, types: str) -> Any:
    """Compile a loop, or load it from the cache; return it."""
    loop = getattr(import_module(f"landslide_map.{file}"), name)
    arguments, _ = normalize_signature(f"({types})")  # type: ignore[no-untyped-call]
    loop.compile(arguments)  # not the text: the cache would keep it as another one
    return loop


@contextmanager
def compiling_ahead(needed: bool | None = None) -> Iterator[None]:
    """Compile in another process what this one needs later; by default if it is not in the cache."""
    process = None
    if needed or (needed is None and CPU_COUNT > 1 and _is_new()):
        command = [sys.executable, "-m", __name__]
        with suppress(OSError):
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
    try:
        yield
    finally:
        if process is not None:
            process.kill()
            process.wait()


def _is_new() -> bool:
    """Return whether loops are compiled and kept, and the one for a test was not yet."""
    stats = compile_loop(*_PROBE).stats
    return stats.cache_path is not None and bool(stats.cache_misses)


if __name__ == "__main__":
    for one in LOOPS:
        compile_loop(*one)
