"""Predictions for the windows of a scene, one row of 1024 px blocks after another.

A row of blocks is the unit of resuming and of cluster tasks. The results of the windows that end in it have
the same bits whether the rows above were predicted just before, in another run, or on another machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from landslide_map.bands import (
    CLOUD_CLASS,
    GROUPS,
    HIDING_CLASSES,
    INDEX_PAIRS,
    MODEL_BANDS,
    SHADOW_CLASS,
    SNOW_CLASS,
    SNOW_OR_CLOUD,
    STEEP,
    group,
)
from landslide_map.delineation.pixels import Strip
from landslide_map.features.accumulator import PixelWindows
from landslide_map.features.window_statistics import PIXEL_SLAB, SLAB, statistics_and_pixels
from landslide_map.inference.kept_pixels import NOTHING, Collectors, Kept
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.models.bundle.load import Bundle
from landslide_map.models.voting.early_exit import decided_windows_and_pixels
from landslide_map.models.voting.schedule import Pixels
from landslide_map.stack.channels import is_classified, model_stack, outside_training_domain
from landslide_map.stack.pixel_sample import PixelSample, Sampled, sampling_step
from landslide_map.window_record import WindowRecord, joined
from landslide_map.windows import WindowPlan

_FRACTIONS = {
    "snow_or_cloud_fraction": SNOW_OR_CLOUD,
    "cloud_fraction": CLOUD_CLASS,
    "snow_fraction": SNOW_CLASS,
    "shadow_fraction": SHADOW_CLASS,
}
"""Number of a window -> the channel of which it is the mean."""

Tick = Callable[[int], None]
"""Called with the number of windows predicted since its last call."""


@dataclass(frozen=True)
class RowResult:
    """Results of the windows that end in one row of blocks, row-major."""

    block_row: int
    record: WindowRecord
    sample: Sampled = field(default_factory=dict)
    """Sample of the pixels of the model bands that were read."""
    strip: Strip | None = None
    """Pixels that may belong to a landslide, where they are wanted and there is an optical image."""
    display: Mapping[str, bytes] = field(default_factory=dict)
    """Pixels for display as small GeoTIFFs (:func:`~landslide_map.stack.display.display_strips`)."""


RowPredictor = Callable[[Sequence[int], Tick], Iterator[RowResult]]
"""Predicts rows of blocks, given by number, here or on a cluster; results may come in any order."""


def predict_rows(
    inputs: SceneInputs,
    ensemble: Bundle,
    plan: WindowPlan,
    min_valid_fraction: float,
    block_rows: Sequence[int],
    tick: Tick = lambda _: None,
    *,
    read_ahead: bool = True,
    kept: Kept = NOTHING,
) -> Iterator[RowResult]:
    """Predict the windows that end in some rows of blocks, in this process.

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
    block_rows : sequence of int
        Of ``plan.block_rows``, increasing. Pixels of neighbouring rows are read once.
    tick : callable
        Called after every few rows of windows.
    read_ahead : bool
        Read the next row of blocks while the last one is voted on: faster, and more in memory.
    kept : Kept
        Of the pixels.

    Yields
    ------
    RowResult
        In the order of `block_rows`.
    """
    excluded = outside_training_domain(inputs)
    wanted = [name for name in ensemble.channels if group(name) in inputs.sensors]
    wanted = [name for name in wanted if name not in excluded]
    for numbers in _consecutive(block_rows):
        parts: list[WindowRecord] = []
        waiting = list(numbers)
        sample = PixelSample(MODEL_BANDS, sampling_step(inputs.grid.shape))
        collectors = kept.collectors(inputs)
        for first, statistics, pixels in described_windows(
            inputs,
            plan,
            ensemble,
            wanted,
            numbers,
            read_ahead=read_ahead,
            sample=sample,
            collectors=collectors,
        ):
            count = statistics.sizes["window"]
            rows = range(first, first + count // plan.grid_shape[1])
            part = ensemble.vote(
                statistics,
                excluded=excluded,
                min_valid_fraction=min_valid_fraction,
                pixels=pixels,
                stop=partial(
                    decided_windows_and_pixels, plan=plan, rows=rows, elsewhere=ensemble.widest_margin
                ),
            )
            valid = _valid_fraction(statistics, wanted)
            parts.append(replace(part, valid_fraction=valid, groups=tuple(GROUPS), **_fractions(statistics)))
            tick(count)
            if rows.stop == plan.ending_in(waiting[0]).stop:
                number = waiting.pop(0)
                yield RowResult(number, joined(parts), sample.taken(number), **collectors.taken(number))
                parts = []


def described_windows(
    inputs: SceneInputs,
    plan: WindowPlan,
    ensemble: Bundle,
    channels: Sequence[str],
    block_rows: range | None = None,
    *,
    read_ahead: bool = True,
    sample: PixelSample | None = None,
    collectors: Collectors | None = None,
) -> Iterator[tuple[int, xr.DataArray, Pixels | None]]:
    """Yield statistics and pixels of the windows of `plan`, a few rows of windows at a time.

    Parameters
    ----------
    channels : sequence of str
        The channels that members may read here.
    block_rows : range, optional
        Only the windows that end in these rows of blocks.
    read_ahead : bool
        As of :func:`predict_rows`.
    sample : PixelSample, optional
        Where a sample of the pixels is kept.
    collectors : optional
        Where pixels are kept for outlines and images.

    Yields
    ------
    int, DataArray, Pixels or None
        The first row of windows; statistics ``(window, channel, statistic)`` of `channels` and of the quality
        channels; and pixels ``(window, y, x, 12)``. Pixels are of model bands, where some member reads
        pixels, and NaN in bands that none needs. Where the ensemble skips votes, all windows that end in a
        row of blocks come at once. Which votes are skipped then depends on the scene alone.
    """
    seen = chain.from_iterable(m.channels for m in ensemble.members if m.input == "pixels")
    made_of = set(chain.from_iterable(INDEX_PAIRS.get(name, (name,)) for name in seen if name in channels))
    bands = [name for name in MODEL_BANDS if name in made_of]
    positions = [MODEL_BANDS.index(name) for name in bands]
    described = {*channels, *bands, SNOW_OR_CLOUD, STEEP}
    described |= set(HIDING_CLASSES) if is_classified(inputs) else set()
    read = described if collectors is None else described | collectors.channels
    halo = 0 if block_rows is None else int(plan.row_starts[plan.ended_by(block_rows.start * plan.block)])
    lazy = model_stack(inputs, read, halo)
    lazy = lazy if sample is None else sample.of(lazy)
    for first, statistics, found in statistics_and_pixels(
        lazy if collectors is None else collectors.of(lazy),
        plan,
        bands,
        channels=[str(name) for name in lazy["band"].values if name in described],
        median=ensemble.needs_median,
        slab=(plan.count if ensemble.skips else PIXEL_SLAB) if bands else SLAB,
        block_rows=block_rows,
        read_ahead=read_ahead,
        computed=read - described,
    ):
        if not bands:
            yield first, statistics, None
            continue
        pixels = _ModelPixels(found, positions)
        # All members need the same pixels: extract them once.
        yield first, statistics, pixels if ensemble.skips else pixels[np.arange(len(found))]


@dataclass(frozen=True)
class _ModelPixels:
    """Pixels of windows in the order of the model bands, cut out when indexed."""

    found: PixelWindows
    positions: Sequence[int]
    """Positions of the bands found, among the model bands."""

    def __getitem__(self, windows: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
        found = self.found[windows]
        pixels = np.full((*found.shape[:3], len(MODEL_BANDS)), np.nan, np.float32)
        pixels[..., self.positions] = found
        return pixels


def _valid_fraction(statistics: xr.DataArray, names: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return the valid fraction of the poorest of each group's channels in `names`, ``(window, group)``."""
    fractions = np.zeros((statistics.sizes["window"], len(GROUPS)))
    for i, sensor in enumerate(GROUPS):
        if own := [name for name in names if group(name) == sensor]:
            fractions[:, i] = statistics.sel(channel=own, statistic="valid_fraction").values.min(axis=1)
    return fractions


def _fractions(statistics: xr.DataArray) -> dict[str, Any]:
    """Return the fractions of windows from quality channels, ``(window,)`` each."""
    there = set(statistics["channel"].values.tolist())
    means = statistics.sel(statistic="mean")
    return {name: means.sel(channel=of).values for name, of in _FRACTIONS.items() if of in there}


def _consecutive(numbers: Sequence[int]) -> Iterator[range]:
    """Split increasing numbers into ranges without a gap."""
    start = 0
    for i, number in enumerate(numbers):
        if i + 1 == len(numbers) or numbers[i + 1] != number + 1:
            yield range(numbers[start], number + 1)
            start = i + 1
