"""Every window of a scene judged by an ensemble, streamed so that no scene-sized stack exists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from landslide_map import progress as reporting
from landslide_map import stack
from landslide_map.bands import (
    GROUPS,
    INDEX_PAIRS,
    MODEL_BANDS,
    POLARISATIONS,
    SNOW_OR_CLOUD,
    STEEP,
    backscatter,
    group,
)
from landslide_map.errors import Notice
from landslide_map.features import SLAB, statistics_and_pixels
from landslide_map.models.bundle import Bundle
from landslide_map.models.ensemble import Votes
from landslide_map.products.coverage import WindowRecord
from landslide_map.reasons import Reason
from landslide_map.sources import SceneInputs
from landslide_map.windows import WindowPlan

STAGE = "windows"
PIXEL_SLAB: Final = 512
"""Windows judged at once where pixels are needed: 200 kB each; weights are read again for each slab."""


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
    votes: list[Votes] = []
    valid: dict[str, list[npt.NDArray[np.float64]]] = {name: [] for name in GROUPS}
    progress(STAGE, 0, plan.count)
    done = 0
    for statistics, pixels in described_windows(inputs, plan, ensemble, wanted):
        votes.append(
            ensemble.vote(statistics, excluded=excluded, min_valid_fraction=min_valid_fraction, pixels=pixels)
        )
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


def described_windows(
    inputs: SceneInputs, plan: WindowPlan, ensemble: Bundle, channels: Sequence[str]
) -> Iterator[tuple[xr.DataArray, npt.NDArray[np.float32] | None]]:
    """Yield what an ensemble must know of the windows of `plan`, a few rows of windows at a time.

    Parameters
    ----------
    channels : sequence of str
        The channels that members may read here.

    Yields
    ------
    DataArray, ndarray or None
        Statistics ``(window, channel, statistic)`` of `channels` and of the quality channels; and pixels
        ``(window, y, x, 12)``, model bands, where some member judges pixels: NaN in bands that none needs.
    """
    seen = chain.from_iterable(m.channels for m in ensemble.members if m.input == "pixels")
    made_of = set(chain.from_iterable(INDEX_PAIRS.get(name, (name,)) for name in seen if name in channels))
    bands = [name for name in MODEL_BANDS if name in made_of]
    positions = [MODEL_BANDS.index(name) for name in bands]
    described = [*channels, *(name for name in bands if name not in channels), SNOW_OR_CLOUD, STEEP]
    for _, statistics, found in statistics_and_pixels(
        model_stack(inputs),
        plan,
        bands,
        channels=described,
        median=ensemble.needs_median,
        slab=PIXEL_SLAB if bands else SLAB,
    ):
        if not bands:
            yield statistics, None
            continue
        pixels = np.full((*found.shape[:3], len(MODEL_BANDS)), np.nan, np.float32)
        pixels[..., positions] = found
        yield statistics, pixels


def model_stack(inputs: SceneInputs) -> xr.DataArray:
    """Return the channels of a scene and its quality channels, lazy, ``(band, y, x)``."""
    acquired = stack.acquisitions(inputs)
    quality = (stack.snow_or_cloud(inputs, acquired), stack.steep(inputs))
    parts = [stack.channels(acquired), *(layer.expand_dims(band=[layer.name]) for layer in quality)]
    return xr.concat(parts, dim="band", coords="minimal", compat="override")


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
    flat = int((votes.reason == Reason.FLAT).sum())
    if flat:
        notices.append(
            Notice(
                "I380",
                f"{flat} of {len(votes.reason)} windows are flat ground, as the dem says: not analysed",
            )
        )
    return tuple(notices)
