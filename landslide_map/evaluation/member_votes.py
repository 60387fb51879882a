"""Predictions of all members for labelled windows, and the votes of scenarios from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from landslide_map.array_types import Bools, Floats
from landslide_map.datasets.window_arrays import Windows, checked_chunks
from landslide_map.inference.score import chunk_statistics
from landslide_map.models.bundle.load import Bundle
from landslide_map.models.voting.ensemble import mostly_snow_or_cloud
from landslide_map.models.voting.scenario import Scenario, combine_predictions, select_scenario

Data = xr.DataArray | Windows
"""Statistics ``(window, channel, statistic)``, or windows with their pixels."""
_ALL_MEMBERS = "all members"


@dataclass(frozen=True)
class MemberVotes:
    """Predictions of members, before weights and calibration."""

    members: tuple[str, ...]
    predictions: Floats
    """``(window, member)``; NaN where a member cannot vote, or was skipped."""
    snowy: Bools
    """``(window,)``; where most of the optical image is snow or cloud."""

    def select_scenario(self, scenarios: Sequence[Scenario]) -> npt.NDArray[np.int8]:
        """Return the first scenario that fits each window, ``(window,)``; -1 for none."""
        voted = np.isfinite(self.predictions)
        able = {name: voted[:, i] for i, name in enumerate(self.members)}
        return select_scenario(scenarios, able, self.snowy)[0]

    def combine_predictions(
        self, scenarios: Sequence[Scenario]
    ) -> tuple[Floats, Floats, npt.NDArray[np.int8]]:
        """Return probability, threshold and scenario of each window, as the bundle's own vote would."""
        chosen = self.select_scenario(scenarios)
        return *combine_predictions(self.members, scenarios, self.predictions, chosen), chosen


def collect_votes(
    data: Data,
    bundle: Bundle,
    *,
    all_members: bool = False,
    folds: npt.NDArray[np.integer[Any]] | None = None,
) -> MemberVotes:
    """Predict windows with the members of a bundle.

    Parameters
    ----------
    data : DataArray or Windows
    bundle : Bundle
    all_members : bool
        Use every member wherever it can vote, not only those of each window's scenario.
    folds : ndarray, (window,), optional
        Use in each window only this fold of every member: out of fold, if it had been left out there.
    """
    voting_bundle = _with_all_members(bundle) if all_members else bundle
    parts, snowy = [], []
    for rows, statistics, pixels in _batches(data, bundle):
        predictions = np.full((statistics.sizes["window"], len(bundle.members)), np.nan)
        for fold, here in _divided(folds, rows, len(predictions)):
            votes = (voting_bundle if fold is None else _single_fold(voting_bundle, fold)).vote(
                statistics.isel(window=here),
                pixels=None if pixels is None else pixels[here],
                # A ready window is what it is: the published procedure predicts constant bands too.
                constants_are_fill=pixels is None,
            )
            predictions[here] = votes.member_probability
        parts.append(predictions)
        snowy.append(mostly_snow_or_cloud(statistics))
    return MemberVotes(
        tuple(member.name for member in bundle.members), np.concatenate(parts), np.concatenate(snowy)
    )


def statistics_of(data: Data, bundle: Bundle) -> xr.DataArray:
    """Return the statistics of all windows, ``(window, channel, statistic)``."""
    return xr.concat([statistics for _, statistics, _ in _batches(data, bundle)], dim="window")


def window_count(data: Data) -> int:
    """Return how many windows there are."""
    return len(data.ids) if isinstance(data, Windows) else int(data.sizes["window"])


def fold_count(bundle: Bundle) -> int | None:
    """Return how many folds each member has; None if they differ, or some were not imported."""
    members = bundle.document.members
    counts = {len(entry.files) for entry in members}
    count = counts.pop()
    whole = all(entry.settings.get("folds") in (None, list(range(count))) for entry in members)
    return count if whole and not counts else None


def _batches(
    data: Data, bundle: Bundle
) -> Iterator[tuple[slice, xr.DataArray, npt.NDArray[np.floating] | None]]:
    if isinstance(data, xr.DataArray):
        yield slice(0, data.sizes["window"]), data, None
        return
    start = 0
    for ids, chunk in checked_chunks(data):
        yield slice(start, start + len(ids)), chunk_statistics(bundle, chunk), chunk
        start += len(ids)


def _divided(
    folds: npt.NDArray[np.integer[Any]] | None, rows: slice, count: int
) -> Iterator[tuple[int | None, npt.NDArray[np.intp]]]:
    if folds is None:
        yield None, np.arange(count)
        return
    own = folds[rows]
    for fold in np.unique(own):
        yield int(fold), np.flatnonzero(own == fold)


def _with_all_members(bundle: Bundle) -> Bundle:
    names = [member.name for member in bundle.members]
    return replace(
        bundle, scenarios=(Scenario(_ALL_MEMBERS, dict.fromkeys(names, 1.0), 0.5, needs_all=False),)
    )


def _single_fold(bundle: Bundle, fold: int) -> Bundle:
    """Return `bundle` with one fold of each member; every kind of member keeps its folds in ``folds``."""
    members: tuple[Any, ...] = bundle.members
    return replace(bundle, members=tuple(replace(m, folds=(m.folds[fold],)) for m in members))
