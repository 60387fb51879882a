"""Batch of windows for several members, with their common preprocessing computed once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T")


class WindowPixels:
    """Pixels of some windows, handed to one member after another.

    Parameters
    ----------
    values : ndarray, (window, y, x, 12)
        Model bands in the order of ``bands.MODEL_BANDS``, in their units; NaN = missing.
    """

    def __init__(self, values: npt.NDArray[np.floating]) -> None:
        self.values = values
        self._cache: dict[Hashable, Any] = {}

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, windows: Any) -> npt.NDArray[np.floating]:
        found: npt.NDArray[np.floating] = self.values[windows]
        return found

    def cached(self, key: Hashable, make: Callable[[npt.NDArray[np.floating]], T]) -> T:
        """Return the result of `make` on the pixels, kept under `key` for later members."""
        if key not in self._cache:
            self._cache[key] = make(self.values)
        found: T = self._cache[key]
        return found
