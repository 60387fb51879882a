"""Order of predictions: all members at once, or cheap members first and networks only where needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import xarray as xr

from landslide_map.array_types import Bools, Floats, Floats32
from landslide_map.errors import BundleError
from landslide_map.models.member import Member
from landslide_map.models.networks.batch import WindowPixels
from landslide_map.models.statistics.boosters import StatisticsMember
from landslide_map.models.statistics.features import feature_table
from landslide_map.models.voting.early_exit import SAFE
from landslide_map.models.voting.scenario import Chosen, Scenario, bounds, mean_of
from landslide_map.runtime import timings

_ROWS: Final = 16384
"""Windows predicted at a time: bounds memory, long enough for every thread."""
_PIXEL_ROWS: Final = 1024
"""Windows with pixels in memory at a time: 200 kB each."""
Rounds = Sequence[Sequence[int]]
"""Numbers of the members that predict together, round after round."""
StopRule = Callable[[Floats, Floats], Bools]
"""Function from bounds of (probability - threshold), ``(window,)``, 0 where no member votes, to the windows
that need no further predictions (:mod:`landslide_map.models.voting.early_exit`)."""


class Pixels(Protocol):
    """Pixels of windows, ``(window, y, x, 12)``: an array, or an object that cuts them out when indexed."""

    def __getitem__(self, rows: npt.NDArray[np.intp], /) -> npt.NDArray[np.floating]:
        """Return those of some windows."""


def predict_members(
    members: Sequence[Member],
    scenarios: Sequence[Scenario],
    chosen: Chosen,
    wanted: Bools,
    statistics: xr.DataArray,
    pixels: Pixels | None,
    rounds: Rounds,
    stop: StopRule | None = None,
    cascade: bool = False,
) -> tuple[Floats, Bools]:
    """Return the members' predictions, round after round, until the class of every window is certain.

    Parameters
    ----------
    members, scenarios : sequence
    chosen : ndarray, (window,)
        Index of each window's scenario.
    wanted : ndarray of bool, (window, member)
        Whether the member belongs to the window's scenario.
    statistics : xr.DataArray, (window, channel, statistic)
    pixels : Pixels, optional
        For members that read pixels.
    rounds : sequence of sequences of int
        Together every member once.
    stop : callable, optional
        Called after every round but the last.
    cascade : bool
        Whether the rules of the scenarios stop windows too.

    Returns
    -------
    predictions : ndarray, (window, member)
        NaN where a member was skipped.
    skipped : ndarray of bool, (window, member)
        Whether the vote was wanted but not needed.
    """
    names = [member.name for member in members]
    networks = {i for i, member in enumerate(members) if member.input == "pixels"}
    threshold = np.append([scenario.threshold for scenario in scenarios], np.nan)[chosen]
    predictions = np.full(wanted.shape, np.nan)
    voted, now = np.zeros_like(wanted), np.zeros_like(wanted)
    cut, decided = np.zeros((2, len(wanted)), dtype=np.bool_)
    for number, columns in enumerate(rounds, start=1):
        now[:] = False
        now[:, columns] = wanted[:, columns] & ~(cut | decided)[:, np.newaxis]
        _predict_on_statistics(
            members, [i for i in columns if i not in networks], now, statistics, predictions
        )
        _predict_on_pixels(members, [i for i in columns if i in networks], now, pixels, predictions)
        _check_votes(names, now, predictions)
        voted |= now
        if number == len(rounds):
            break
        if cascade:
            cut |= _without_doubt(names, scenarios, predictions, chosen)
        if stop is not None:
            unknown = wanted & ~voted & ~cut[:, np.newaxis]
            low, high = bounds(names, scenarios, predictions, unknown, chosen)
            certain = stop(np.nan_to_num(low - threshold), np.nan_to_num(high - threshold))
            decided |= certain & voted.any(axis=1)  # limits near 0 or 1 could do without any vote
    return predictions, wanted & ~voted


def _check_votes(names: Sequence[str], now: Bools, predictions: Floats) -> None:
    """Refuse (E506) a member if its prediction is no probability."""
    wrong = now & ~((predictions >= 0) & (predictions <= 1))
    if wrong.any():
        window, column = np.argwhere(wrong)[0]
        raise BundleError(
            "E506",
            f"member {names[column]!r} of the bundle gave {predictions[window, column]:g} as a probability; "
            "its files are damaged. Restore the bundle (landslide-map models verify).",
        )


def _without_doubt(
    names: Sequence[str], scenarios: Sequence[Scenario], predictions: Floats, chosen: Chosen
) -> Bools:
    """Return the windows that their scenario's rule calls no landslide, ``(window,)``."""
    found = np.zeros(len(chosen), dtype=np.bool_)
    for i, scenario in enumerate(scenarios):
        rule = scenario.rule
        if scenario.cascade is None or rule is None:
            continue
        rows = np.flatnonzero(chosen == i)
        cheap = mean_of(scenario.cascade.first, scenario, names, predictions[rows])
        # The rule sees to the second, but for rounding.
        found[rows] = (cheap < rule.below) & (scenario.calibration(cheap) < rule.threshold - SAFE)
    return found


def _predict_on_statistics(
    members: Sequence[Member],
    columns: Sequence[int],
    now: Bools,
    statistics: xr.DataArray,
    predictions: Floats,
) -> None:
    """Write predictions from statistics into `predictions`, where `now` is true."""
    for start in range(0, len(predictions), _ROWS):
        batch = slice(start, start + _ROWS)
        features: dict[tuple[tuple[str, ...], bytes], Floats32] = {}
        for column in columns:
            member = members[column]
            rows = start + np.flatnonzero(now[batch, column])
            if not rows.size:
                continue
            with timings.work(f"member {member.name}"):
                if isinstance(member, StatisticsMember):
                    key = (member.channels, rows.tobytes())
                    if key not in features:
                        features[key] = feature_table(statistics.isel(window=rows), member.channels)[0]
                    predictions[rows, column] = member.predict_features(features[key])
                else:
                    predictions[rows, column] = member.predict(statistics.isel(window=rows))


def _predict_on_pixels(
    members: Sequence[Member], columns: Sequence[int], now: Bools, pixels: Pixels | None, predictions: Floats
) -> None:
    """Write predictions from pixels into `predictions`, where `now` is true."""
    together: dict[bytes, list[int]] = {}
    for column in columns:
        together.setdefault(now[:, column].tobytes(), []).append(column)
    for same in together.values():
        rows = np.flatnonzero(now[:, same[0]])
        if rows.size and pixels is None:
            name = members[same[0]].name
            raise ValueError(f"member {name} reads pixels, but only statistics were given")
        for start in range(0, len(rows), _PIXEL_ROWS):
            part = rows[start : start + _PIXEL_ROWS]
            cut = WindowPixels(pixels[part])  # type: ignore[index]  # refused above
            for column in same:
                with timings.work(f"member {members[column].name}"):
                    predictions[part, column] = members[column].predict(cut)
