"""Features of the statistics members, from window statistics.

One function serves training and map runs. Every feature is a pure function of statistics of
channels that the member declares, so a member can never see a channel that it must not use.

Besides the statistics themselves there are *crossed* features, as an interpreter would compare. They set bare
ground against vegetation, before against after, one radar track against the other. Trees find them hard to
build from single columns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from landslide_map.bands import CHANNELS, DN_OFFSET, OPTICAL, ORBITS, PREFIX
from landslide_map.runtime import timings

FEATURE_SET: Final = "crossed-1"
"""Name of this very set of features, kept in bundles: another definition needs another name."""
BASE_STATISTICS: Final = ("mean", "std", "min", "max", "skew", "kurtosis")
_RADAR: Final = ("vv", "vh", "diff_vv", "diff_vh")
"""Radar channels of one track, without its prefix."""
_LEAST_REFLECTANCE: Final = 20.0
"""Scaled reflectance below which a ratio is noise (dark water, shadow)."""

_Features = Iterator[tuple[str, npt.NDArray[np.float64]]]
_Values = dict[tuple[str, str], npt.NDArray[np.float64]]


@timings.work("features")
def feature_table(
    statistics: xr.DataArray, channels: Collection[str]
) -> tuple[npt.NDArray[np.float32], tuple[str, ...]]:
    """Return the features of windows that can be computed from some channels.

    Parameters
    ----------
    statistics : xr.DataArray
        ``(window, channel, statistic)``; must hold `channels` and :data:`BASE_STATISTICS`.
    channels : collection of str
        Channels that may be used; others are not read.

    Returns
    -------
    features : ndarray, (window, feature), float32
        Finite wherever the statistics are.
    names : tuple of str
        Column names. Their order depends on the set `channels` only, not on its order.
    """
    used: list[str] = [name for name in CHANNELS if name in set(channels)]
    # All at once: to select one by one takes longer than all that is computed for a few thousand windows.
    chosen = statistics.sel(channel=used, statistic=list(BASE_STATISTICS))
    ordered = np.ascontiguousarray(chosen.transpose("channel", "statistic", "window").values, np.float64)
    values = {
        (channel, statistic): ordered[i, j]
        for i, channel in enumerate(used)
        for j, statistic in enumerate(BASE_STATISTICS)
    }
    columns = dict(_all_features(values, used))
    table = np.empty((statistics.sizes["window"], len(columns)), dtype=np.float32)
    for i, column in enumerate(columns.values()):
        table[:, i] = column
    return table, tuple(columns)


@cache
def feature_names(channels: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the features that :func:`feature_table` makes of some channels."""
    one = xr.DataArray(
        np.ones((1, len(channels), len(BASE_STATISTICS))),
        dims=("window", "channel", "statistic"),
        coords={"channel": list(channels), "statistic": list(BASE_STATISTICS)},
    )
    return feature_table(one, channels)[1]


def _all_features(values: _Values, used: list[str]) -> _Features:
    for (channel, statistic), column in values.items():
        yield f"{channel}.{statistic}", column
    for channel in used:
        yield from _shape(values, channel)
    if set(used) >= set(OPTICAL):
        yield from _optical(values)
    for orbit in ORBITS:
        yield from _track(values, PREFIX[orbit])
    for name in _RADAR:
        if {f"desc_{name}", f"asc_{name}"} <= set(used):
            yield from _both_tracks(values, name)


def _shape(values: _Values, channel: str) -> _Features:
    """Yield spread against level and the tails, in units of the standard deviation."""
    mean, std = values[channel, "mean"], np.maximum(values[channel, "std"], 1e-6)
    low, high = values[channel, "min"], values[channel, "max"]
    yield f"{channel}.range_std", (high - low) / std
    yield f"{channel}.upper_tail", (high - mean) / std
    if channel in OPTICAL:
        yield f"{channel}.std_mean", std / np.maximum(mean - DN_OFFSET, _LEAST_REFLECTANCE)


def _optical(values: _Values) -> _Features:
    """Yield ratios of mean reflectances and of their spreads."""
    level = {name: np.maximum(values[name, "mean"] - DN_OFFSET, _LEAST_REFLECTANCE) for name in OPTICAL}
    for a, b in combinations(OPTICAL, 2):
        yield f"{a}_{b}.ratio", np.log(level[a] / level[b])
        yield f"{a}_{b}.std_ratio", np.log((values[a, "std"] + 1) / (values[b, "std"] + 1))


def _track(values: _Values, prefix: str) -> _Features:
    """Yield the level before the event, change against texture, and VV against VH, of one track."""
    for pol in ("vv", "vh"):
        post, change = f"{prefix}_{pol}", f"{prefix}_diff_{pol}"
        if (post, "mean") in values and (change, "mean") in values:
            yield f"{prefix}_pre_{pol}.mean", values[post, "mean"] - values[change, "mean"]
            yield (
                f"{change}.std_post",
                values[change, "std"] / np.maximum(values[post, "std"], 1e-6),
            )
    for kind in (prefix, f"{prefix}_diff"):
        vv, vh = f"{kind}_vv", f"{kind}_vh"
        if (vv, "mean") in values and (vh, "mean") in values:
            yield f"{kind}.vv_vh_mean", values[vv, "mean"] - values[vh, "mean"]
            yield f"{kind}.vv_vh_std", values[vv, "std"] / np.maximum(values[vh, "std"], 1e-6)


def _both_tracks(values: _Values, name: str) -> _Features:
    """Yield the smaller and the larger of both tracks: a slope faces one of them."""
    for statistic in BASE_STATISTICS:
        a, b = values[f"desc_{name}", statistic], values[f"asc_{name}", statistic]
        yield f"least_{name}.{statistic}", np.minimum(a, b)
        yield f"most_{name}.{statistic}", np.maximum(a, b)
    yield f"gap_{name}.mean", values[f"desc_{name}", "mean"] - values[f"asc_{name}", "mean"]
