"""Rows of blocks with values of their own in every field, for what keeps or sends them."""

from __future__ import annotations

from typing import Any

import numpy as np

from landslide_map.delineation.pixels import Strip
from landslide_map.inference.rows import RowResult
from landslide_map.window_record import WindowRecord


def any_record(count: int, seed: int = 0) -> WindowRecord:
    """Return a record of every number with values of its own, NaN among them."""
    rng = np.random.default_rng(seed)
    shapes = {None: (count,), "member": (count, 2), "group": (count, 2)}
    found: dict[str, Any] = {
        name: (250 * rng.random(shapes[number.each])).astype(number.dtype)
        for name, number in WindowRecord.NUMBERS.items()
    }
    found["scenario"] = np.arange(count, dtype=np.int8) % 2 - 1
    found["probability"][::2] = np.nan
    found["reason"] = np.where(np.arange(count) % 2, 0, 251).astype(np.uint8)
    names = {"members": ("a", "b"), "groups": ("optical", "ascending")}
    return WindowRecord(scenarios=("all", "few"), **names, **found)


def any_row(number: int) -> RowResult:
    """Return a row of 7 windows, with pixels of outlines and for display."""
    return RowResult(
        number,
        any_record(7, number),
        {"red": np.array([1.5, np.nan], np.float32)},
        Strip(
            top=1024 * number,
            starts=np.array([0, 1, 3]),
            cols=np.array([5, 0, 9], np.uint16),
            codes=np.arange(6, dtype=np.uint8).reshape(3, 2),
            layers=("ndvi", "red"),
            cells={"ndvi": np.full((1, 1), 7, np.uint8), "cloud": np.zeros((1, 1), np.uint8)},
            match=np.full((2, 3), number, np.int64),
        ),
        {"after": b"pixels %d" % number, "ascending": b"change"},
    )
