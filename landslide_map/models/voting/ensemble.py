"""Vote of an ensemble: the members of each window, combined."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
import xarray as xr

from landslide_map.array_types import Bools
from landslide_map.bands import CHANNELS, SNOW_OR_CLOUD, STEEP
from landslide_map.models.member import Member
from landslide_map.models.statistics.boosters import StatisticsMember
from landslide_map.models.statistics.features import BASE_STATISTICS
from landslide_map.models.voting.scenario import Scenario, combine_predictions, select_scenario
from landslide_map.models.voting.schedule import Pixels, Rounds, StopRule, predict_members
from landslide_map.reasons import Reason
from landslide_map.window_record import WindowRecord

MIN_VALID_FRACTION: Final = 0.75
"""A channel with fewer valid pixels than this share of a window is missing there."""
MOSTLY: Final = 0.5
"""Share of snow or cloud above which a window's optical image says nothing about the ground."""
FLAT_SHARE: Final = 0.1
"""Share of steep ground below which a window is flat. Runout lies on flats: single pixels do not count."""


def vote(
    members: Sequence[Member],
    scenarios: Sequence[Scenario],
    statistics: xr.DataArray,
    *,
    excluded: Collection[str] = (),
    min_valid_fraction: float = MIN_VALID_FRACTION,
    pixels: Pixels | None = None,
    constants_are_fill: bool = True,
    rounds: Rounds | None = None,
    stop: StopRule | None = None,
    cascade: bool = False,
) -> WindowRecord:
    """Predict each window with the members of the first scenario that fits it.

    Parameters
    ----------
    members, scenarios : sequence
        Scenarios best first.
    statistics : xr.DataArray, (window, channel, statistic)
        With ``valid_fraction`` and :data:`~landslide_map.models.statistics.features.BASE_STATISTICS`.
        Absent channels count as missing everywhere. May hold the quality channels ``snow_or_cloud``
        and ``steep``.
    excluded : collection of str
        Channels that no member may use, e.g. absolute backscatter of terrain-flattened products.
    min_valid_fraction : float
        A channel, slope among them, is missing in windows with fewer valid pixels.
    pixels : ndarray or Pixels, (window, y, x, 12), optional
        Model bands, for members that read pixels.
    constants_are_fill : bool
        Whether a channel that is constant over a window counts as missing there. Where it does not, members
        that do not read its skewness use it as it is.
    rounds, stop, cascade : optional
        Order of the members, and where they are skipped; see
        :func:`~landslide_map.models.voting.schedule.predict_members`. By default all members predict at once.

    Returns
    -------
    WindowRecord
        Without what only the caller knows: valid fractions, bounds of probability.
    """
    available = _available_channels(statistics, excluded, min_valid_fraction)
    lenient = (
        available
        if constants_are_fill
        else _available_channels(statistics, excluded, min_valid_fraction, complete=False)
    )
    able = {
        member.name: np.all(
            [
                (available if isinstance(member, StatisticsMember) else lenient)[name]
                for name in member.channels
            ],
            axis=0,
        )
        for member in members
    }
    snowy = mostly_snow_or_cloud(statistics)
    chosen, silenced = select_scenario(scenarios, able, snowy)
    flat = _flat(statistics, min_valid_fraction)
    chosen[flat] = -1
    wanted = np.stack(
        [
            able[member.name]
            & np.isin(chosen, [i for i, scenario in enumerate(scenarios) if member.name in scenario.weights])
            for member in members
        ],
        axis=1,
    )
    rounds = [range(len(members))] if rounds is None else rounds
    predictions, skipped = predict_members(
        members, scenarios, chosen, wanted, statistics, pixels, rounds, stop, cascade
    )
    probability, threshold = combine_predictions(
        [member.name for member in members], scenarios, predictions, chosen
    )
    something = np.any(list(lenient.values()), axis=0)
    reason = np.select(
        [chosen >= 0, ~something, flat, silenced],
        [Reason.ANALYSED, Reason.NO_DATA, Reason.FLAT, Reason.SNOW_OR_CLOUD],
        Reason.MISSING_CHANNELS,
    ).astype(np.uint8)
    return WindowRecord(
        probability=probability,
        threshold=threshold,
        scenario=chosen,
        reason=reason,
        member_probability=predictions,
        skipped=skipped,
        scenarios=tuple(scenario.name for scenario in scenarios),
        members=tuple(member.name for member in members),
    )


def _available_channels(
    statistics: xr.DataArray, excluded: Collection[str], min_valid_fraction: float, complete: bool = True
) -> dict[str, Bools]:
    """Channel -> where it is allowed, valid enough and (if required) complete.

    A constant window has no skewness: such a channel is a fill value, not a measurement.
    """
    present = [str(name) for name in statistics.channel.values]
    nowhere = np.zeros(statistics.sizes["window"], dtype=np.bool_)
    available = {}
    for name in CHANNELS:
        if name in excluded or name not in present:
            available[name] = nowhere
            continue
        own = statistics.sel(channel=name)
        available[name] = own.sel(statistic="valid_fraction").values >= min_valid_fraction
        if complete:
            available[name] &= np.isfinite(own.sel(statistic=list(BASE_STATISTICS)).values).all(axis=1)
    return available


def mostly_snow_or_cloud(statistics: xr.DataArray) -> Bools:
    """Return where most pixels of the optical image are snow or cloud, ``(window,)``."""
    if SNOW_OR_CLOUD not in statistics.channel.values:
        return np.zeros(statistics.sizes["window"], dtype=np.bool_)
    share = statistics.sel(channel=SNOW_OR_CLOUD, statistic="mean").values
    mostly: Bools = share > MOSTLY  # NaN, where the optical image is missing, is not above
    return mostly


def _flat(statistics: xr.DataArray, min_valid_fraction: float) -> Bools:
    """Return where hardly any ground is steep: the 90 % quantile of slope is known and below the limit."""
    if STEEP not in statistics.channel.values:
        return np.zeros(statistics.sizes["window"], dtype=np.bool_)
    steep = statistics.sel(channel=STEEP)
    # A corner of flat ground says nothing of a window that the elevation model ends in.
    known = steep.sel(statistic="valid_fraction").values >= min_valid_fraction
    flat: Bools = known & (steep.sel(statistic="mean").values < FLAT_SHARE)
    return flat
