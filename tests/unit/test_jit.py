"""Loops are compiled wherever the package is, also where nothing can be kept."""

from __future__ import annotations

import numba.core.caching as numba_caching
import pytest

from landslide_map.runtime.jit import compiled


def half_above_zero(value: float) -> float:
    return value / 2.0 if value > 0 else 0.0


def test_a_loop_runs_where_what_is_compiled_cannot_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package in a folder of the system, used by an account without a home."""
    monkeypatch.setattr(numba_caching.CacheImpl, "_locator_classes", [])
    assert compiled(half_above_zero)(3.0) == 1.5


def test_what_is_compiled_is_kept_where_it_can_be(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    loop = compiled(half_above_zero)
    assert loop(3.0) == 1.5
    assert sum(loop.stats.cache_misses.values()) == 1
    again = compiled(half_above_zero)
    assert again(3.0) == 1.5
    assert sum(again.stats.cache_hits.values()) == 1
