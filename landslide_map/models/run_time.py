"""Run time of a bundle's networks on this CPU, measured before they start."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Final

import numpy as np
import xarray as xr

from landslide_map.bands import CHANNELS, MODEL_BANDS
from landslide_map.errors import BundleError, Notice
from landslide_map.features.window_statistics import array_statistics
from landslide_map.models.bundle.load import Bundle
from landslide_map.models.bundle.profiles import with_profile
from landslide_map.models.member import Member
from landslide_map.models.networks.spec import NetworkSpec
from landslide_map.runtime.progress import Report, Stage, duration, silent
from landslide_map.runtime.timings import stage
from landslide_map.windows import SIZE

Clock = Callable[[], float]
MEASURE: Final = Stage("time members", "members")
LONG_S: Final = 60.0
"""Shorter work gets no notice, seconds."""
WORTHWHILE: Final = 100
"""Windows x folds of a network from which measuring takes no more than a few hundredths of the work."""
STATISTICS: Final = 1024
"""Windows that members on statistics are measured on: enough for every thread."""
QUICKER: Final = ("fastest-network", "boosters")
"""Profiles that use the same sensors with fewer networks, or with none."""


def network_notice(
    bundle: Bundle,
    windows: int,
    rest_seconds: float,
    report: Report = silent,
    *,
    clock: Clock = time.perf_counter,
) -> Notice | None:
    """Return a notice of how long networks will take, if that is long and on a CPU, with quicker profiles.

    Parameters
    ----------
    bundle : Bundle
        As it is about to vote; every network must have its device.
    windows : int
        At most so many are predicted.
    rest_seconds : float
        What the work takes without any member.
    report : callable
        Called with the number of members measured, each on a few windows (seconds for hours of work).
    clock : callable
        Returns seconds.

    Returns
    -------
    Notice or None
        I610; None on a GPU, for few windows, and for work of less than a minute.
    """
    networks: list[Any] = [member for member in bundle.members if member.input == "pixels"]
    if not networks or networks[0].runtime.torch_device().type != "cpu":
        return None
    if windows * max(len(member.folds) for member in networks) < WORTHWHILE:
        return None
    per_window = seconds_per_window(bundle.members, report, clock=clock)
    whole = rest_seconds + windows * sum(per_window.values())
    if whole < LONG_S:
        return None
    offers = [
        f"--profile {profile} {duration(seconds)}"
        for profile in QUICKER
        if (seconds := _with(profile, bundle, per_window, windows, rest_seconds)) is not None
        and seconds < whole / 2
    ]
    quicker = ", ".join([*offers, "a GPU"])
    return Notice(
        "I610",
        f"predicting {windows} windows with networks ({len(networks)} of them) takes {duration(whole)} at "
        f"most on this CPU, as measured on a few windows. Quicker: {quicker}",
    )


def seconds_per_window(
    members: Sequence[Member], report: Report = silent, *, clock: Clock = time.perf_counter
) -> dict[str, float]:
    """Return the wall time that each member takes for one window, all folds and flips, by its name.

    Parameters
    ----------
    members : sequence of Member
        Networks of equal architecture are measured once.
    report : callable
        Called with the number of members measured so far.
    clock : callable
        Returns seconds.
    """
    one_fold: dict[Any, float] = {}
    found = {}
    report(MEASURE, 0, len(members))
    with stage(MEASURE):
        for done, member in enumerate(members, start=1):
            if member.input == "pixels":
                network: Any = member
                key = _architecture(network.spec)
                if key not in one_fold:
                    one_fold[key] = _network_fold(network, clock)
                found[member.name] = one_fold[key] * len(network.folds)
            else:
                member.predict(_some_statistics()[:1])
                found[member.name] = _seconds(member, _some_statistics(), clock) / STATISTICS
            report(MEASURE, done, len(members))
    return found


def _network_fold(network: Any, clock: Clock) -> float:
    # As many as are predicted side by side, all the same: the time does not depend on what is in them.
    windows = np.full((network.side_by_side, SIZE, SIZE, len(MODEL_BANDS)), np.nan, np.float32)
    quiet = replace(network.runtime, report=silent)
    alone = replace(network, folds=network.folds[:1], runtime=quiet)
    alone.predict(windows[:1])  # computes cached parts once
    # Weights are read once for hundreds of windows: what that takes is no part of what a window takes.
    return max(_seconds(alone, windows, clock) - _seconds(alone, windows[:0], clock), 0.0) / len(windows)


def _seconds(member: Member, windows: Any, clock: Clock) -> float:
    begin = clock()
    member.predict(windows)
    return clock() - begin


@cache
def _some_statistics() -> xr.DataArray:
    """Return statistics of windows of noise, ``(window, channel, statistic)``; trees branch as they like."""
    noise = np.random.default_rng(0).normal(size=(32, SIZE, SIZE, len(CHANNELS)))
    return array_statistics(noise, CHANNELS, median=True).isel(window=np.arange(STATISTICS) % len(noise))


def _architecture(spec: NetworkSpec) -> tuple[Any, ...]:
    """Return the key of the time of a pass: members may differ in channels and preprocessing."""
    return spec.head, spec.encoders, tuple(map(len, spec.groups)), spec.image_size


def _with(
    profile: str, bundle: Bundle, per_window: Mapping[str, float], windows: int, rest_seconds: float
) -> float | None:
    """Return the seconds that the work takes with a profile; None where the bundle has no such members."""
    try:
        members = with_profile(bundle, profile).members
    except BundleError:
        return None
    return rest_seconds + windows * sum(per_window[member.name] for member in members)
