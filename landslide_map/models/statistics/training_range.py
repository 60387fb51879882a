"""Range of features in training windows, and how far a window lies beyond it.

Members on statistics that map features to normal scores store quantiles of every feature in their training
windows. The outermost two make a range that 97 % of the training windows lie in, feature by feature. A window
of a trained kind leaves few of these ranges, and not far.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr

from landslide_map.array_types import Floats
from landslide_map.models.member import Member
from landslide_map.models.statistics.boosters import StatisticsMember
from landslide_map.models.statistics.features import feature_names, feature_table
from landslide_map.models.statistics.perceptron import Perceptron

UNLIKE: Final = 0.1
"""Distance above which a window is unlike the training data. That are 0.2 to 2.2 % of the labelled windows of
the default bundle, by scenario (``python -m benchmarks.unlike_training``)."""
FARTHEST: Final = 3.0
"""A feature farther out counts as this: one wild number must not decide alone."""
_NARROWEST: Final = 0.05
"""Least distance from the median to either end, as part of the range."""
_ROWS: Final = 4096
"""Windows at a time: bounds memory."""


@dataclass(frozen=True, eq=False)
class TrainingRange:
    """Least, median and greatest usual value of features in training windows."""

    names: tuple[str, ...]
    """Features, as of :func:`~landslide_map.models.statistics.features.feature_names`."""
    least: Floats
    median: Floats
    greatest: Floats

    def distance(self, statistics: xr.DataArray, channels: Collection[str]) -> Floats:
        """Return how far windows lie beyond the range, ``(window,)``: the mean over their features.

        A feature inside its range counts 0, one beyond it the distance to the range, in units of that from
        the median to this end of the range, at most :data:`FARTHEST`.

        Parameters
        ----------
        statistics : xr.DataArray, (window, channel, statistic)
        channels : collection of str

        Returns
        -------
        ndarray
            NaN where no feature is known. Features that are NaN do not count.
        """
        count = statistics.sizes["window"]
        parts = [
            self._distance(statistics.isel(window=slice(start, start + _ROWS)), channels)
            for start in range(0, count, _ROWS)
        ]
        return np.concatenate([np.empty(0), *parts])

    def _distance(self, statistics: xr.DataArray, channels: Collection[str]) -> Floats:
        features, names = feature_table(statistics, channels)
        place = {name: i for i, name in enumerate(self.names)}
        known = [i for i, name in enumerate(names) if name in place]
        of = [place[names[i]] for i in known]
        low, middle, high = self.least[of], self.median[of], self.greatest[of]
        narrowest = np.maximum(_NARROWEST * (high - low), np.finfo(np.float32).tiny)
        # Contiguous, so that a row is summed in one order, whatever rows are beside it.
        values = np.ascontiguousarray(features[:, known], dtype=np.float64)
        below = (low - values) / np.maximum(middle - low, narrowest)
        above = (values - high) / np.maximum(high - middle, narrowest)
        beyond = np.maximum(below, above).clip(0, FARTHEST)
        finite = np.isfinite(values)
        count = finite.sum(axis=1)
        mean: Floats = np.where(finite, beyond, 0).sum(axis=1) / np.where(count, count, np.nan)
        return mean


def training_range(members: Sequence[Member]) -> TrainingRange | None:
    """Return the range that the member with most channels stores; None if none stores any."""
    storing = [own for own in members if isinstance(own, StatisticsMember) and own.kind == "perceptron"]
    if not storing:
        return None
    member = max(storing, key=lambda own: len(own.channels))
    knots = Perceptron.from_bytes(member.folds[0]).knots.astype(np.float64)
    middle = knots[:, knots.shape[1] // 2]
    return TrainingRange(feature_names(member.channels), knots[:, 0], middle, knots[:, -1])
