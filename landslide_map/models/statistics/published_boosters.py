"""The two published boosters: trees on 126 statistics, medians included, indices of raw values."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from landslide_map.bands import CHANNELS
from landslide_map.models.statistics.boosters import ParsedFolds, mean_vote

STATISTICS: Final = ("mean", "median", "min", "max", "std", "skew", "kurtosis")
"""Order of the features within a channel; channels in the order of ``bands.CHANNELS``."""
FEATURES: Final = len(CHANNELS) * len(STATISTICS)


def published_features(statistics: xr.DataArray) -> npt.NDArray[np.float64]:
    """Return the 126 features of windows, ``(window, feature)``, from statistics with medians."""
    ordered = statistics.sel(channel=list(CHANNELS), statistic=list(STATISTICS))
    return ordered.transpose("window", "channel", "statistic").values.reshape(-1, FEATURES)


class PublishedBooster(ParsedFolds):
    """One published booster; a :class:`~landslide_map.models.member.Member`.

    Missing features (the skewness of a constant channel) are left to the trees, as the author does.
    """

    @cached_property
    def one_window(self) -> npt.NDArray[np.float64]:
        """126 zeros."""
        return np.zeros((1, FEATURES))

    def predict(self, x: xr.DataArray) -> npt.NDArray[np.float64]:
        """Return the mean over the folds, ``(window,)``."""
        return mean_vote(self.predictors, published_features(x))


def load_published_booster(entry: Any, contents: Mapping[str, bytes | Path]) -> PublishedBooster:
    """Return the member that a bundle's entry describes; `contents` are its verified files."""
    if tuple(entry.channels) != CHANNELS:
        raise ValueError("a booster on the published 126 features reads all 18 channels, in their order")
    folds = tuple(content for name in entry.files if isinstance(content := contents[name], bytes))
    return PublishedBooster(entry.name, entry.kind.removesuffix("-126"), CHANNELS, folds)
