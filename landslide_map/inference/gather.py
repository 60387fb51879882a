"""Result of a scene, gathered from its rows of blocks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from landslide_map.bands import MODEL_BANDS
from landslide_map.errors import Notice
from landslide_map.inference.rows import RowResult
from landslide_map.models.bundle.load import Bundle
from landslide_map.models.bundle.skipped import skipped_notices
from landslide_map.models.statistics.training_range import UNLIKE
from landslide_map.reasons import Reason
from landslide_map.stack.drift import Distribution, distribution, drift_notices
from landslide_map.window_record import WindowRecord, joined
from landslide_map.windows import WindowPlan

MANY: Final = 0.1
"""Share of windows unlike the training data from which a notice says so."""


@dataclass(frozen=True)
class SceneResult:
    """Numbers of all windows of a scene, and distributions of the whole scene."""

    record: WindowRecord
    """Record with rows and columns of windows."""
    notices: tuple[Notice, ...]
    distributions: dict[str, Distribution] = field(default_factory=dict)
    """Distribution of every model band that was read, from a sample of its pixels."""


def assemble_result(rows: Iterable[RowResult], ensemble: Bundle, plan: WindowPlan) -> SceneResult:
    """Return the result of a scene from all of its rows of blocks, which may come in any order.

    Raises
    ------
    ValueError
        If a row of blocks is missing, is there twice, or has another number of windows than planned. A gap
        must never look like "no landslide".
    """
    found = sorted(rows, key=lambda row: row.block_row)
    if [row.block_row for row in found] != list(plan.block_rows):
        raise ValueError(f"rows of blocks {[row.block_row for row in found]} of {plan.block_rows}")
    for row in found:
        planned = len(plan.ending_in(row.block_row)) * plan.grid_shape[1]
        if len(row.record.probability) != planned:
            raise ValueError(
                f"row of blocks {row.block_row}: {len(row.record.probability)} of {planned} windows"
            )
    record = joined([row.record for row in found])
    distributions: dict[str, Distribution] = {
        name: distribution(name, np.concatenate([row.sample[name] for row in found]))
        for name in MODEL_BANDS
        if name in found[0].sample
    }
    notices = (*drift_notices(distributions), *_window_notices(record), *skipped_notices(ensemble, record))
    return SceneResult(record.on(plan.grid_shape), notices, distributions)


def _window_notices(record: WindowRecord) -> tuple[Notice, ...]:
    """Return notices about snow, flat ground and windows unlike the training data."""
    notices = []
    count = record.reason.size
    snowy = int((record.reason == Reason.SNOW_OR_CLOUD).sum())
    if snowy:
        notices.append(
            Notice(
                "W207",
                f"{snowy} of {count} windows are mostly snow or cloud, and no radar could decide. "
                "They have no probability, which is not the same as no landslide",
            )
        )
    flat = int((record.reason == Reason.FLAT).sum())
    if flat:
        notices.append(
            Notice(
                "I380",
                f"{flat} of {count} windows are flat ground, as the dem says: not analysed",
            )
        )
    if record.unlike_training is not None:
        unlike = int((record.unlike_training > UNLIKE).sum())
        analysed = int((record.reason == Reason.ANALYSED).sum())
        if unlike > MANY * analysed:
            notices.append(
                Notice(
                    "W342",
                    f"{unlike} of {analysed} windows analysed are unlike the training data "
                    f"(`unlike_training` above {UNLIKE:g} in windows.nc): their probabilities are guesses",
                )
            )
    return tuple(notices)
