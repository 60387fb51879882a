"""What was decided in every window, and what that means for the pixels the windows cover."""

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


def paint_codes(record: WindowRecord, first_row: int, rows: int, width: int) -> npt.NDArray[np.uint8]:
    """Return the smallest code of the windows that cover each pixel.

    A pixel counts as analysed as soon as one window over it was, in the fullest scenario of those
    windows; this agrees with the painted probability, which is the mean of the analysed windows only.

    Parameters
    ----------
    record : WindowRecord
        Windows that together cover the asked pixels.
    first_row, rows : int
        Pixel rows ``[first_row, first_row + rows)``.
    width : int
        Width of the grid, pixels.

    Returns
    -------
    (rows, width) uint8
        Scenario index (below 250) or ``Reason``; ``NO_DATA`` where no window covers the pixel.
    """
    pixel_rows = np.arange(first_row, first_row + rows)
    by_row = _minimum_over(record.codes, record.row_starts, record.size, pixel_rows)
    return _minimum_over(by_row.T, record.col_starts, record.size, np.arange(width)).T


def _minimum_over(
    codes: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], size: int, positions: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint8]:
    """Return, per position, the minimum along axis 0 over the windows that contain it."""
    first = np.searchsorted(starts, positions - size, side="right")
    stop = np.searchsorted(starts, positions, side="right")
    # Neighbouring positions mostly lie in the same windows: reduce once per run of such positions.
    opens = np.ones(len(positions), dtype=bool)
    opens[1:] = (np.diff(first) != 0) | (np.diff(stop) != 0)
    pairs = np.stack([first[opens], stop[opens]], axis=1)
    # reduceat takes [first, stop) pairs; the padding row makes `stop == len(starts)` a valid index.
    padded = np.concatenate([codes, np.full_like(codes[:1], Reason.NO_DATA)])
    result = np.minimum.reduceat(padded, pairs.ravel(), axis=0)[::2]
    result[pairs[:, 0] == pairs[:, 1]] = Reason.NO_DATA
    painted: npt.NDArray[np.uint8] = result[np.cumsum(opens) - 1]
    return painted
