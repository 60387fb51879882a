"""Loops are compiled wherever the package is, also where nothing can be kept."""

from __future__ import annotations

import runpy
from pathlib import Path

from landslide_map.runtime.jit import compiled

HALF_ABOVE_ZERO = """
def half_above_zero(value):
    return value / 2.0 if value > 0 else 0.0
"""


def test_a_loop_runs_where_what_is_compiled_cannot_be_kept() -> None:
    """A function of no file: nothing can be kept beside it, as where no folder is writable."""
    names: dict[str, float] = {}
    exec(HALF_ABOVE_ZERO, names)
    assert compiled(names["half_above_zero"])(3.0) == 1.5  # type: ignore[type-var]


def test_what_is_compiled_is_kept_where_it_can_be(tmp_path: Path) -> None:
    (tmp_path / "loops.py").write_text(HALF_ABOVE_ZERO)
    function = runpy.run_path(str(tmp_path / "loops.py"))["half_above_zero"]
    loop = compiled(function)
    assert loop(3.0) == 1.5
    assert sum(loop.stats.cache_misses.values()) == 1
    again = compiled(function)
    assert again(3.0) == 1.5
    assert sum(again.stats.cache_hits.values()) == 1
