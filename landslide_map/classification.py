"""A scene's windows gathered from their rows of blocks, and what they say together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from landslide_map.bands import GROUPS, MODEL_BANDS
from landslide_map.distributions import Distribution, distribution, drift_notices
from landslide_map.errors import Notice
from landslide_map.judging import JudgedRows
from landslide_map.models.bundle import Bundle
from landslide_map.models.ensemble import Votes, joined_votes
from landslide_map.models.skipping import possible, remarks
from landslide_map.products.window_record import WindowRecord
from landslide_map.reasons import Reason
from landslide_map.windows import WindowPlan


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
