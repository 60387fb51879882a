"""What was decided in every window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from landslide_map.reasons import Reason

FIRST_REASON = min(reason for reason in Reason if reason)


@dataclass(frozen=True, slots=True)
class WindowRecord:
    """The choice made in every window; arrays are ``(window row, window column)`` on the lattice."""

    row_starts: npt.NDArray[np.int64]
    """First pixel row of each row of windows, increasing."""
    col_starts: npt.NDArray[np.int64]
    """First pixel column of each column of windows, increasing."""
    size: int
    """Edge of a window, pixels."""
    probability: npt.NDArray[np.floating]
    """NaN where not analysed."""
    threshold: npt.NDArray[np.floating]
    """Of the window's scenario; NaN where not analysed."""
    scenario: npt.NDArray[np.integer]
    """Index into `scenarios`, -1 where not analysed."""
    reason: npt.NDArray[np.integer]
    """A ``Reason``; ``ANALYSED`` exactly where `scenario` is not -1."""
    scenarios: tuple[str, ...]
    """Names of the scenarios, fullest first."""
    members: Mapping[str, npt.NDArray[np.floating]] = field(default_factory=dict)
    """Member name -> its own probability, NaN where it did not vote."""
    valid_fraction: Mapping[str, npt.NDArray[np.floating]] = field(default_factory=dict)
    """Sensor group -> fraction of valid pixels, in [0, 1]."""
    possible: tuple[npt.NDArray[np.floating], ...] | None = None
    """Least and greatest probability that members left unasked could have made of it, if any may be."""

    def __post_init__(self) -> None:
        shape = (len(self.row_starts), len(self.col_starts))
        arrays = {
            "probability": self.probability,
            "threshold": self.threshold,
            "scenario": self.scenario,
            "reason": self.reason,
            **self.members,
            **self.valid_fraction,
        }
        for name, array in arrays.items():
            if array.shape != shape:
                raise ValueError(f"{name} has shape {array.shape}, the window lattice {shape}")
        if np.any((self.scenario < 0) != np.isnan(self.probability)):
            raise ValueError("a window has a probability exactly where it has a scenario")
        if np.any((self.scenario < 0) != (self.reason != Reason.ANALYSED)):
            raise ValueError("a window has a reason exactly where it has no scenario")
        if len(self.scenarios) > FIRST_REASON or self.scenario.max(initial=-1) >= len(self.scenarios):
            raise ValueError(f"scenario index out of range for {len(self.scenarios)} scenarios")

    @property
    def positive(self) -> npt.NDArray[np.bool_]:
        """Whether the window's own probability is above its threshold, in the precision of the files."""
        above: npt.NDArray[np.bool_] = self.probability.astype(np.float32) > self.threshold.astype(np.float32)
        return above

    @property
    def codes(self) -> npt.NDArray[np.uint8]:
        """Scenario index where analysed, else the reason."""
        return np.where(self.scenario >= 0, self.scenario, self.reason).astype(np.uint8)
