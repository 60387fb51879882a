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
_BUFFERS: Final = f"float64, float64, {_PIXELS}, uint32[::1]"
_PROBE: Final = Loop("delineation.cells", "_fill_medians", f"{_BYTES}, {_BYTES}, {_BYTES}, {_ROWS}")
"""About where the processes meet: if it is in the cache, hardly a loop is missing."""
LOOPS: Final = (
    Loop(
        "raster.resample_kernels",
        "_bilinear",
        f"{_PIXELS}, float32[::1], {_WIDE}, {_WIDE}, {'int64, ' * 6}"
        f"{_WIDE}, {_WIDE}, float64[::1], {_ROWS}, {_PIXELS}",
    ),
    Loop("stack.acquisitions", "_fill_medians", f"{_BANDS}, float32[::1], {_PIXELS}"),
    Loop(
        "raster.resample_kernels",
        "_nearest_pixel",
        f"{_PIXELS}, {_WIDE}, {_WIDE}, {'int64, ' * 5}{_WIDE}, {_PIXELS}",
    ),
    Loop("stack.display", "_fill_change_codes", f"{_PIXELS}, {_PIXELS}, {_BYTES}"),
    Loop("stack.display", "_look_up", f"{_PIXELS}, uint8[::1], {_BYTES}"),
    Loop("features.moments", "_fill_cells", f"{_PIXELS}, {_ROWS}, {_ROWS}, {_CELLS}, {_WIDE}, float64[::1]"),
    Loop("features.moments", "_merge_columns", f"{_CELLS}, {_ROWS}, {_ROWS}, {_CELLS}"),
    Loop("features.moments", "_merge_rows", f"{_CELLS}, {_ROWS}, {_ROWS}, {_CELLS}"),
    Loop("features.moments", "_fill_statistics", f"{_CELLS}, int64, {_CELLS}"),
    Loop(
        "models.statistics.quick_scorer",
        "_score",
        f"{_TREES}, {_WIDE}, {_BUFFERS}, float64[::1], float64[::1]",
    ),
    Loop("models.statistics.quick_scorer", "_to_probability", "float64[::1], float64"),
    Loop("models.statistics.quick_scorer", "_margin", "float32,"),
    Loop(
        "models.statistics.quick_scorer",
        "_score",
        f"{_TREES}, {_PIXELS}, {_BUFFERS}, float32[::1], float32[::1]",
    ),
    Loop("models.statistics.quick_scorer", "_to_probability", "float32[::1], float32"),
    Loop(
        "models.statistics.perceptron",
        "_interpolate",
        f"{_PIXELS}, {_PIXELS}, {_WIDE}, {_WIDE}, float32[::1], uint32[::1], {_PIXELS}",
    ),
    _PROBE,
    Loop("delineation.cells", "_fill_surrounding_medians", f"{_BYTES}, {_ROWS}, {_PIXELS}"),
    Loop(
        "delineation.bareness",
        "_fill_may_be_bare",
        f"{', '.join([_BYTES] * 5)}, {_PIXELS}, {_PIXELS}, int64, b1[:,::1]",
    ),
    Loop(
        "delineation.displacement",
        "_add",
        f"int64[:,::1], {_BYTES}, {_PIXELS}, UniTuple({_BYTES}, 4), {_BANDS}, {_BANDS}, int64"
        f", {', '.join(['int64[:,::1]'] * 3)}",
    ),
    Loop("products.painting", "_fill_means", f"{_WIDE}, {', '.join([_ROWS] * 4)}, {_PIXELS}"),
    Loop("delineation.cells", "_fill_at_pixels", f"{_BANDS}, {_ROWS}, {_ROWS}, {_PIXELS}"),
    Loop("delineation.bareness", "_fill_bareness", f"uint8[::1,:], {_PIXELS}, b1[::1], int32[::1]"),
    Loop("delineation.components", "_mark_runs", f"{_ROWS}, int32[::1], uint8[::1], int64, b1[::1]"),
    Loop("delineation.components", "_fill_runs", f"{_ROWS}, uint8[::1], int64, b1[::1], int64[:,::1]"),
    Loop("delineation.components", "_join", f"int32[::1], {', '.join([_ROWS] * 5)}"),
    Loop("delineation.components", "_number", f"{_ROWS}, {_ROWS}"),
    Loop("delineation.components", "_fill_shapes", f"int32[::1], {', '.join([_ROWS] * 5)}, int64[:,::1]"),
    Loop("delineation.tree", "_descend", f"{_ROWS}, {_ROWS}, {_ROWS}, {_ROWS}, int64, {_ROWS}"),
    Loop("delineation.tree", "_add", f"int32[:,::1], {_ROWS}, int64[:,::1]"),
    Loop("delineation.tree", "_gather", f"{_ROWS}, int64[:,::1]"),
    Loop("delineation.objects", "_with_parents", f"{_ROWS}, b1[::1]"),
    Loop("delineation.objects", "_with_children", f"{_ROWS}, b1[::1]"),
    Loop(
        "delineation.partition", "_choose", f"{_ROWS}, float64[::1], float64[::1], b1[::1], b1[::1], b1[::1]"
    ),
    Loop("delineation.objects", "owners", f"{_ROWS}, b1[::1]"),
    Loop("delineation.edges", "_lift", f"{_ROWS}, int64[:,::1], {_ROWS}"),
    Loop("delineation.edges", "_grow", f"{_ROWS}, uint16[::1], {_ROWS}, {_ROWS}, {_ROWS}"),
    Loop(
        "delineation.edges",
        "_fill_features",
        f"{_ROWS}, uint16[::1], {_ROWS}, {_ROWS}, {_ROWS}, int32[::1], int32[::1], float32[::1,:]"
        f", {_ROWS}, {_PIXELS}",
    ),
    Loop(
        "delineation.displacement",
        "_fill_moved",
        f"{_ROWS}, uint16[::1], {_ROWS}, float32[::1], {'int64, ' * 4}float32[::1], int64[:,::1], {_PIXELS}"
        f", {', '.join([_ROWS] * 3)}",
    ),
    Loop("delineation.edges", "_connect", f"{_ROWS}, uint16[::1], {_ROWS}, {_ROWS}"),
    Loop("delineation.polygons", "_draw", f"int32[:,::1], {', '.join([_ROWS] * 4)}, int64[:,::1]"),
    Loop("delineation.polygons", "paint", f"{_ROWS}, {_ROWS}, {_ROWS}, float32[::1], int64, {_PIXELS}"),
    Loop("products.imagery", "_fill_halved", "uint8[:,:,::1], uint8[:,:,::1]"),
    Loop("products.imagery", "_fill_smoothed", f"{_BYTES}, int32[::1], int32[::1], {_PIXELS}"),
    Loop("products.imagery", "_colour", f"{_PIXELS}, {_BYTES}, uint8[:,:,::1]"),
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
