"""Loops compiled in another process while the first run on a machine goes its way.

``python -m landslide_map.mapping.compile_ahead`` compiles them into the cache that the run loads them from.
The run compiles what it calls, from the first loop on; the other process begins at the last one. They meet
wherever the machine lets them: neither waits, and at most one loop is compiled twice.
"""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, Final, NamedTuple

from dask.system import CPU_COUNT
from numba.core.caching import FunctionCache
from numba.core.registry import cpu_target
from numba.core.sigutils import normalize_signature


class Loop(NamedTuple):
    """A loop as a run calls it."""

    file: str
    """Name of the module with its folder, as in an import."""
    name: str
    types: str
    """Types of its arguments."""


_ROWS, _BYTES, _PIXELS, _BANDS = "int64[::1]", "uint8[:,::1]", "float32[:,::1]", "float32[:,:,::1]"
_WIDE, _CELLS = "float64[:,::1]", "float64[:,:,::1]"
_TREES: Final = f"{_PIXELS}, uint32[::1], uint32[::1], float32[::1], uint32[::1]"
_PROBE: Final = Loop("delineation.cells", "_medians_and_spreads", f"{_BYTES},")
"""About where the processes meet: if it is in the cache, hardly a loop is missing."""
LOOPS: Final = (
    Loop("raster.resample_kernels", "bilinear", f"{_PIXELS}, {_WIDE}, {_WIDE}, {'int64, ' * 7}{_PIXELS}"),
    Loop("stack.acquisitions", "median_of_valid", f"{_BANDS},"),
    Loop(
        "raster.resample_kernels", "nearest_pixel", f"{_PIXELS}, {_WIDE}, {_WIDE}, {'int64, ' * 5}{_PIXELS}"
    ),
    Loop("stack.display", "change_codes", f"{_PIXELS}, {_PIXELS}"),
    Loop("stack.display", "_looked_up", f"{_PIXELS}, uint8[::1]"),
    Loop("features.moments", "cell_moments", f"{_PIXELS}, {_ROWS}, {_ROWS}"),
    Loop("features.moments", "merge_columns", f"{_CELLS}, {_ROWS}, {_ROWS}"),
    Loop("features.moments", "merge_rows", f"{_CELLS}, {_ROWS}, {_ROWS}"),
    Loop("features.moments", "summarise", f"{_CELLS}, int64"),
    Loop(
        "models.statistics.quick_scorer", "_score", f"{_TREES}, {_WIDE}, UniTuple(float64, 2), float64[::1]"
    ),
    Loop("models.statistics.quick_scorer", "_probability", "float64[::1], float64"),
    Loop("models.statistics.quick_scorer", "_margin", "float32,"),
    Loop(
        "models.statistics.quick_scorer", "_score", f"{_TREES}, {_PIXELS}, UniTuple(float64, 2), float32[::1]"
    ),
    Loop("models.statistics.quick_scorer", "_probability", "float32[::1], float32"),
    Loop(
        "models.statistics.perceptron", "_interpolate", f"{_PIXELS}, {_PIXELS}, {_WIDE}, {_WIDE}, {_PIXELS}"
    ),
    _PROBE,
    Loop("delineation.cells", "_shares", f"{_BYTES}, int64"),
    Loop("delineation.cells", "_surrounding_medians", f"{_BYTES},"),
    Loop("delineation.bareness", "may_be_bare", f"UniTuple({_BYTES}, 5), {_BANDS}, int64, float64, b1"),
    Loop(
        "delineation.displacement",
        "_add",
        f"int64[:,::1], {_BYTES}, {_PIXELS}, UniTuple({_BYTES}, 4), {_BANDS}, {_BANDS}, int64",
    ),
    Loop("products.painting", "_means", f"{_WIDE}, {', '.join([_ROWS] * 4)}"),
    Loop("delineation.cells", "surrounding_means", f"{_BYTES},"),
    Loop("delineation.cells", "at_pixels", f"{_BANDS}, {_ROWS}, {_ROWS}"),
    Loop("delineation.bareness", "bareness", f"uint8[::1,:], {_PIXELS}, b1[::1]"),
    Loop("delineation.components", "_runs", f"{_ROWS}, int32[::1], uint8[::1], int64"),
    Loop("delineation.components", "_joined", f"int32[::1], {_ROWS}, {_ROWS}, {_ROWS}"),
    Loop("delineation.components", "_numbered", f"{_ROWS},"),
    Loop("delineation.components", "_shapes", f"int32[::1], {', '.join([_ROWS] * 5)}, int64"),
    Loop("delineation.tree", "_descend", f"{_ROWS}, {_ROWS}, {_ROWS}, {_ROWS}, int64, {_ROWS}"),
    Loop("delineation.tree", "_add", f"int32[:,::1], {_ROWS}, int64[:,::1]"),
    Loop("delineation.tree", "_gather", f"{_ROWS}, int64[:,::1]"),
    Loop("delineation.objects", "_with_parents", f"{_ROWS}, b1[::1]"),
    Loop("delineation.objects", "_with_children", f"{_ROWS}, b1[::1]"),
    Loop("delineation.partition", "_best", f"{_ROWS}, float64[::1]"),
    Loop("delineation.objects", "owners", f"{_ROWS}, b1[::1]"),
    Loop("delineation.edges", "_roots", f"{_ROWS}, int64[:]"),
    Loop("delineation.edges", "_grown", f"{_ROWS}, uint16[::1], {_ROWS}, {_ROWS}"),
    Loop(
        "delineation.edges",
        "_features",
        f"{_ROWS}, uint16[::1], {_ROWS}, {_ROWS}, {_ROWS}, int32[::1], int32[::1], float32[::1,:]",
    ),
    Loop(
        "delineation.displacement",
        "moved_back",
        f"{_ROWS}, uint16[::1], {_ROWS}, float32[::1], int64, UniTuple(int64, 2), UniTuple(float64, 2)",
    ),
    Loop("delineation.edges", "_connected", f"{_ROWS}, uint16[::1], {_ROWS}"),
    Loop("delineation.polygons", "_draw", f"int32[:,::1], {', '.join([_ROWS] * 4)}, int64[:,::1]"),
    Loop("delineation.polygons", "paint", f"{_ROWS}, {_ROWS}, {_ROWS}, float32[::1], int64, {_PIXELS}"),
    Loop("products.imagery", "halved", "uint8[:,:,::1],"),
    Loop("products.imagery", "smoothed_change", f"{_BYTES},"),
    Loop("products.imagery", "_coloured", f"{_PIXELS}, {_BYTES}"),
)
"""Loops in the order in which a run calls them."""


def dispatcher(loop: Loop) -> tuple[Any, tuple[Any, ...]]:
    """Return the compiled function of a loop, and its types as numba has them."""
    arguments, _ = normalize_signature(f"({loop.types})")  # type: ignore[no-untyped-call]
    return getattr(import_module(f"landslide_map.{loop.file}"), loop.name), arguments


@contextmanager
def compiling_ahead(needed: bool | None = None) -> Iterator[None]:
    """Compile later loops of this process in another one; by default if they are not in the cache."""
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
    """Return whether loops are kept on this machine, and :data:`_PROBE` is not yet."""
    function, arguments = dispatcher(_PROBE)
    if function.stats.cache_path is None:
        return False
    cache = FunctionCache(function.py_func)  # type: ignore[no-untyped-call]
    return cache.load_overload(arguments, cpu_target.target_context) is None  # type: ignore[no-untyped-call]


def main() -> None:
    """Compile every loop, the last one first, or load it from the cache."""
    gc.disable()  # it took a tenth of the time; what is compiled stays anyway
    for loop in reversed(LOOPS):
        function, arguments = dispatcher(loop)
        function.compile(arguments)  # not the text: the cache would keep it as another one


if __name__ == "__main__":
    main()
