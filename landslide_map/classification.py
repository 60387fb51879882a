"""Every window of a scene judged by an ensemble, streamed so that no scene-sized stack exists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from landslide_map import progress as reporting
from landslide_map import stack
from landslide_map.bands import GROUPS, POLARISATIONS, SNOW_OR_CLOUD, backscatter, group
from landslide_map.errors import Notice
from landslide_map.features import window_statistics
from landslide_map.models.bundle import Bundle
from landslide_map.models.ensemble import Votes
from landslide_map.products.coverage import WindowRecord
from landslide_map.reasons import Reason
from landslide_map.sources import SceneInputs
from landslide_map.windows import WindowPlan

STAGE = "windows"


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

    def record(self, threshold: float | None = None) -> WindowRecord:
        """Return the per-window record; `threshold` replaces those of the scenarios."""
        shape = self.plan.grid_shape
        votes = self.votes
        thresholds = votes.threshold if threshold is None else np.where(votes.scenario < 0, np.nan, threshold)
        return WindowRecord(
            row_starts=self.plan.row_starts,
            col_starts=self.plan.col_starts,
            size=self.plan.size,
            probability=votes.probability.reshape(shape),
            threshold=thresholds.reshape(shape),
            scenario=votes.scenario.reshape(shape),
            reason=votes.reason.reshape(shape),
            scenarios=self.scenarios,
            members={name: votes.members[:, i].reshape(shape) for i, name in enumerate(self.members)},
            valid_fraction={name: values.reshape(shape) for name, values in self.valid_fraction.items()},
        )


def classify_windows(
    inputs: SceneInputs,
    ensemble: Bundle,
    plan: WindowPlan,
    min_valid_fraction: float,
    progress: reporting.Report = reporting.silent,
) -> Classification:
    """Judge every window of `plan`.

    Parameters
    ----------
    inputs : SceneInputs
        Files and grid.
    ensemble : Bundle
        Members and scenarios.
    plan : WindowPlan
        For ``inputs.grid``.
    min_valid_fraction : float
        A channel with fewer valid pixels is missing in a window.
    progress : callable
        Told the windows judged so far.
    """
    excluded = outside_training_domain(inputs)
    wanted = [name for name in ensemble.channels if group(name) in _present_groups(inputs)]
    wanted = [name for name in wanted if name not in excluded]
    lazy = model_stack(inputs)
    votes: list[Votes] = []
    valid: dict[str, list[npt.NDArray[np.float64]]] = {name: [] for name in GROUPS}
    progress(STAGE, 0, plan.count)
    done = 0
    for _, statistics in window_statistics(lazy, plan, channels=[*wanted, SNOW_OR_CLOUD]):
        votes.append(ensemble.vote(statistics, excluded=excluded, min_valid_fraction=min_valid_fraction))
        for name in GROUPS:
            valid[name].append(_poorest(statistics, [c for c in wanted if group(c) == name]))
        done += statistics.sizes["window"]
        progress(STAGE, done, plan.count)
    joined = _joined(votes)
    return Classification(
        plan=plan,
        votes=joined,
        valid_fraction={name: np.concatenate(parts) for name, parts in valid.items()},
        scenarios=tuple(scenario.name for scenario in ensemble.scenarios),
        members=tuple(member.name for member in ensemble.members),
        notices=_remarks(joined),
    )


def model_stack(inputs: SceneInputs) -> xr.DataArray:
    """Return the channels of a scene and its quality channel, lazy, ``(band, y, x)``."""
    acquired = stack.acquisitions(inputs)
    quality = stack.snow_or_cloud(inputs, acquired).expand_dims(band=[SNOW_OR_CLOUD])
    return xr.concat([stack.channels(acquired), quality], dim="band", coords="minimal", compat="override")


def outside_training_domain(inputs: SceneInputs) -> frozenset[str]:
    """Return the channels no member may use: absolute backscatter of terrain-flattened tracks."""
    flattened = [orbit for orbit, track in inputs.tracks.items() if track.quantity == "gamma0_rtc"]
    return frozenset(backscatter(orbit, pol) for orbit in flattened for pol in POLARISATIONS)


def _present_groups(inputs: SceneInputs) -> set[str]:
    return {*inputs.tracks, *(["optical"] if inputs.optical else [])}


def _poorest(statistics: xr.DataArray, names: Sequence[str]) -> npt.NDArray[np.float64]:
    if not names:
        return np.zeros(statistics.sizes["window"])
    fractions = statistics.sel(channel=list(names), statistic="valid_fraction").values
    poorest: npt.NDArray[np.float64] = fractions.min(axis=1)
    return poorest


def _joined(votes: Sequence[Votes]) -> Votes:
    return Votes(*(np.concatenate(parts) for parts in zip(*map(_fields, votes), strict=True)))


def _fields(votes: Votes) -> tuple[npt.NDArray[np.generic], ...]:
    return votes.probability, votes.scenario, votes.threshold, votes.members, votes.reason


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
    return tuple(notices)
