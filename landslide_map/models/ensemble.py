"""The vote: which members speak in which window, and what they say together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.special import expit, logit

from landslide_map.bands import CHANNELS, SNOW_OR_CLOUD, STEEP
from landslide_map.models.boosters import StatisticsMember
from landslide_map.models.calibration import EDGE, IDENTITY, Calibration
from landslide_map.models.crossed import BASE_STATISTICS, feature_table
from landslide_map.models.member import Member
from landslide_map.operating_points import OperatingPoint
from landslide_map.reasons import Reason

MIN_VALID_FRACTION: Final = 0.75
"""A channel with fewer valid pixels than this share of a window is missing there."""
MOSTLY: Final = 0.5
"""Share of snow or cloud above which a window's optical image says nothing about the ground."""
FLAT_SHARE: Final = 0.1
"""Share of steep ground below which a window is flat. Runout lies on flats: single pixels do not count."""
_ROWS: Final = 16384
"""Windows predicted at a time: bounds memory, long enough for every thread."""

Bools = npt.NDArray[np.bool_]
Average = Literal["probability", "logit"]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A set of channels that users really have, with the members that vote in it."""

    name: str
    weights: Mapping[str, float]
    """Member name -> weight in the mean."""
    threshold: float
    """A window is a landslide where the calibrated probability is above it."""
    average: Average = "probability"
    """What is averaged over members."""
    needs_all: bool = True
    """Whether every member must be able to vote, or any one of them."""
    clear_sky: bool = False
    """Whether it is silent where the optical image is mostly snow or cloud."""
    calibration: Calibration = IDENTITY
    operating_points: Mapping[OperatingPoint, float] = field(default_factory=dict)
    """Name (:mod:`landslide_map.operating_points`) -> threshold learned for it."""
    metrics: Mapping[str, Any] | None = None
    """Out-of-fold figures, window level."""


@dataclass(frozen=True, slots=True)
class Votes:
    """What an ensemble says about windows; all arrays have one row per window."""

    probability: Floats
    """``(window,)`` calibrated; NaN where nobody could vote."""
    scenario: npt.NDArray[np.int8]
    """``(window,)`` index into the ensemble's scenarios; -1 where none fits."""
    threshold: Floats
    """``(window,)`` of the window's scenario; NaN where none fits."""
    members: Floats
    """``(window, member)`` uncalibrated; NaN where the member did not vote."""
    reason: npt.NDArray[np.uint8]
    """``(window,)`` :class:`~landslide_map.reasons.Reason`."""

    @property
    def landslide(self) -> Bools:
        """``(window,)``; false where nobody could vote."""
        above: Bools = self.probability > self.threshold
        return above


def joined_votes(parts: Sequence[Votes]) -> Votes:
    """Return the votes about all windows of `parts`, one after another."""
    return Votes(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Votes)))


def vote(
    members: Sequence[Member],
    scenarios: Sequence[Scenario],
    statistics: xr.DataArray,
    *,
    excluded: Collection[str] = (),
    min_valid_fraction: float = MIN_VALID_FRACTION,
    pixels: npt.NDArray[np.floating] | None = None,
    constants_are_fill: bool = True,
) -> Votes:
    """Let each window be judged by the members of the first scenario that fits it.

    Parameters
    ----------
    members, scenarios : sequence
        Scenarios best first.
    statistics : xr.DataArray, (window, channel, statistic)
        With ``valid_fraction`` and the statistics of :data:`~landslide_map.models.crossed.BASE_STATISTICS`.
        Absent channels count as missing everywhere. May hold the quality channels ``snow_or_cloud``
        and ``steep``.
    excluded : collection of str
        Channels that no member may use, e.g. absolute backscatter of terrain-flattened products.
    min_valid_fraction : float
        A channel is missing in windows with fewer valid pixels.
    pixels : ndarray, (window, y, x, 12), optional
        Model bands, for members whose input is pixels.
    constants_are_fill : bool
        Whether a channel that is constant over a window counts as missing there. Where it does not, members
        that do without its skewness judge it as it is.

    Returns
    -------
    Votes
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
    chosen, silenced = choose(scenarios, able, snowy)
    flat = _flat(statistics)
    chosen[flat] = -1
    wanted = {
        member.name: able[member.name]
        & np.isin(chosen, [i for i, scenario in enumerate(scenarios) if member.name in scenario.weights])
        for member in members
    }
    said = _predict(members, wanted, statistics, pixels)
    probability, threshold = settle([member.name for member in members], scenarios, said, chosen)
    something = np.any(list(lenient.values()), axis=0)
    reason = np.select(
        [chosen >= 0, ~something, flat, silenced],
        [Reason.ANALYSED, Reason.NO_DATA, Reason.FLAT, Reason.SNOW_OR_CLOUD],
        Reason.MISSING_CHANNELS,
    ).astype(np.uint8)
    return Votes(probability, chosen, threshold, said, reason)


def _available_channels(
    statistics: xr.DataArray, excluded: Collection[str], min_valid_fraction: float, complete: bool = True
) -> dict[str, Bools]:
    """Channel -> where it is allowed, valid enough and (if asked) complete.

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


def _flat(statistics: xr.DataArray) -> Bools:
    """Return where hardly any ground is steep: the 90 % quantile of slope is below the limit."""
    if STEEP not in statistics.channel.values:
        return np.zeros(statistics.sizes["window"], dtype=np.bool_)
    flat: Bools = statistics.sel(channel=STEEP, statistic="mean").values < FLAT_SHARE  # NaN is not below
    return flat


def choose(
    scenarios: Sequence[Scenario], able: Mapping[str, Bools], snowy: Bools
) -> tuple[npt.NDArray[np.int8], Bools]:
    """Return the scenario of each window and where snow or cloud silenced one that would have fitted.

    `able` says, member by member, in which windows it can vote.
    """
    chosen = np.full(len(snowy), -1, dtype=np.int8)
    silenced = np.zeros(len(snowy), dtype=np.bool_)
    for i, scenario in enumerate(scenarios):
        join = np.all if scenario.needs_all else np.any
        fits = join([able[name] for name in scenario.weights], axis=0)
        if scenario.clear_sky:
            silenced |= fits & snowy
            fits = fits & ~snowy
        chosen[(chosen < 0) & fits] = i
    return chosen, silenced


def settle(
    members: Sequence[str], scenarios: Sequence[Scenario], said: Floats, chosen: npt.NDArray[np.int8]
) -> tuple[Floats, Floats]:
    """Return probability and threshold of windows, ``(window,)``, from what the members said in them.

    Parameters
    ----------
    members : sequence of str
        Names of the columns of `said`.
    scenarios : sequence of Scenario
    said : ndarray, (window, member)
    chosen : ndarray, (window,)
        Index of each window's scenario; -1 for none, where both are NaN.
    """
    probability = np.full(len(chosen), np.nan)
    threshold = np.full(len(chosen), np.nan)
    for i, scenario in enumerate(scenarios):
        rows = chosen == i
        weights = np.array([scenario.weights.get(name, 0.0) for name in members])
        probability[rows] = scenario.calibration(weighted_mean(said[rows], weights, scenario.average))
        threshold[rows] = scenario.threshold
    return probability, threshold


def _predict(
    members: Sequence[Member],
    wanted: Mapping[str, Bools],
    statistics: xr.DataArray,
    pixels: npt.NDArray[np.floating] | None,
) -> Floats:
    """Return what each member says where it is wanted, NaN elsewhere; ``(window, member)``."""
    said = np.full((statistics.sizes["window"], len(members)), np.nan)
    for start in range(0, len(said), _ROWS):
        batch = slice(start, start + _ROWS)
        features: dict[tuple[tuple[str, ...], bytes], npt.NDArray[np.float32]] = {}
        for column, member in enumerate(members):
            rows = start + np.flatnonzero(wanted[member.name][batch])
            if not rows.size:
                continue
            if member.input == "pixels":
                if pixels is None:
                    raise ValueError(f"member {member.name} judges pixels, but only statistics were given")
                said[rows, column] = member.predict(pixels[rows])
            elif isinstance(member, StatisticsMember):
                key = (member.channels, rows.tobytes())
                if key not in features:
                    features[key] = feature_table(statistics.isel(window=rows), member.channels)[0]
                said[rows, column] = member.predict_features(features[key])
            else:
                said[rows, column] = member.predict(statistics.isel(window=rows))
    return said


def weighted_mean(said: Floats, weights: Floats, average: Average = "probability") -> Floats:
    """Return the mean over the members that voted, their weights renormalised.

    Parameters
    ----------
    said : ndarray, (window, member)
        Probabilities; NaN where a member did not vote.
    weights : ndarray, (member,)
    average : str
        ``logit`` averages log-odds, so that one sure member counts for more than in ``probability``.

    Returns
    -------
    ndarray, (window,)
        A probability; NaN where nobody voted.
    """
    voted = np.isfinite(said) * weights
    total = voted.sum(axis=1)
    filled = np.where(np.isfinite(said), said, 0.5)
    if average == "logit":
        filled = logit(np.clip(filled, EDGE, 1 - EDGE))
    mean: Floats = (filled * voted).sum(axis=1) / np.where(total > 0, total, np.nan)
    return expit(mean) if average == "logit" else mean
