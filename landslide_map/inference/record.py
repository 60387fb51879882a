"""Record of all windows of a scene, gathered from its rows of blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from landslide_map.bands import GROUPS, MODEL_BANDS
from landslide_map.errors import Notice
from landslide_map.inference.rows import JudgedRows
from landslide_map.models.bundle.load import Bundle
from landslide_map.models.bundle.skipped import possible, remarks
from landslide_map.models.voting.ensemble import Votes, joined_votes
from landslide_map.reasons import Reason
from landslide_map.stack.drift import Distribution, distribution, drift_notices
from landslide_map.windows import WindowPlan

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


@dataclass(frozen=True)
class Classification:
    """The votes over a scene; arrays of `votes` run row-major over `plan`."""

    plan: WindowPlan
    votes: Votes
    valid_fraction: dict[str, npt.NDArray[np.float64]]
    """Sensor group -> ``(window,)`` valid fraction of its poorest channel."""
    scenarios: tuple[str, ...]
    members: tuple[str, ...]
    notices: tuple[Notice, ...]
    possible: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None = None
    """Between which bounds the vote of all lies, ``(window,)`` each, where some were left unasked."""
    distributions: dict[str, Distribution] = field(default_factory=dict)
    """Of every model band that was read, from a sample of its pixels."""

    @property
    def record(self) -> WindowRecord:
        """The choice made in every window, on the lattice of windows."""
        shape = self.plan.grid_shape
        votes = self.votes
        return WindowRecord(
            row_starts=self.plan.row_starts,
            col_starts=self.plan.col_starts,
            size=self.plan.size,
            probability=votes.probability.reshape(shape),
            threshold=votes.threshold.reshape(shape),
            scenario=votes.scenario.reshape(shape),
            reason=votes.reason.reshape(shape),
            scenarios=self.scenarios,
            members={name: votes.members[:, i].reshape(shape) for i, name in enumerate(self.members)},
            valid_fraction={name: values.reshape(shape) for name, values in self.valid_fraction.items()},
            possible=None if self.possible is None else tuple(b.reshape(shape) for b in self.possible),
        )


def gathered(rows: Iterable[JudgedRows], ensemble: Bundle, plan: WindowPlan) -> Classification:
    """Return the classification of a scene from all of its rows of blocks, which may come in any order.

    Raises
    ------
    ValueError
        If a row of blocks is missing, is there twice, or has another number of windows than planned: a
        gap must never look like "no landslide".
    """
    found = sorted(rows, key=lambda row: row.block_row)
    if [row.block_row for row in found] != list(plan.block_rows):
        raise ValueError(f"rows of blocks {[row.block_row for row in found]} of {plan.block_rows}")
    for row in found:
        planned = len(plan.ending_in(row.block_row)) * plan.grid_shape[1]
        if len(row.votes.probability) != planned:
            raise ValueError(
                f"row of blocks {row.block_row}: {len(row.votes.probability)} of {planned} windows"
            )
    votes = joined_votes([row.votes for row in found])
    distributions: dict[str, Distribution] = {
        name: distribution(name, np.concatenate([row.sample[name] for row in found]))
        for name in MODEL_BANDS
        if name in found[0].sample
    }
    return Classification(
        plan=plan,
        votes=votes,
        valid_fraction={name: np.concatenate([row.valid_fraction[name] for row in found]) for name in GROUPS},
        scenarios=tuple(scenario.name for scenario in ensemble.scenarios),
        members=tuple(member.name for member in ensemble.members),
        notices=(*drift_notices(distributions), *_remarks(votes), *remarks(ensemble, votes)),
        possible=possible(ensemble, votes),
        distributions=distributions,
    )


def _remarks(votes: Votes) -> tuple[Notice, ...]:
    """Say what the votes alone show."""
    notices = []
    snowy = int((votes.reason == Reason.SNOW_OR_CLOUD).sum())
    if snowy:
        notices.append(
            Notice(
                "W207",
                f"{snowy} of {len(votes.reason)} windows are mostly snow or cloud and no radar could decide: "
                "they have no probability, which is not the same as no landslide",
            )
        )
    flat = int((votes.reason == Reason.FLAT).sum())
    if flat:
        notices.append(
            Notice(
                "I380",
                f"{flat} of {len(votes.reason)} windows are flat ground, as the dem says: not analysed",
            )
        )
    return tuple(notices)
