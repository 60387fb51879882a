"""Statistics of windows that are in memory already."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from landslide_map.bands import INDEX_PAIRS, MODEL_BANDS


def eighteen_channels(windows: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Return bands and indices of windows ``(n, y, x, 12)`` as ``(n, 18, y, x)``, indices of raw values."""
    bands = np.moveaxis(np.asarray(windows, dtype=np.float64), -1, 1)
    by_name = {name: bands[:, i] for i, name in enumerate(MODEL_BANDS)}
    pairs = [(by_name[a], by_name[b]) for a, b in INDEX_PAIRS.values()]
    # Not `indices.normalised_difference`, which rounds to float32: the published features do not.
    indices = [(a - b) / (a + b + 1e-10) + 0.5 for a, b in pairs]
    return np.concatenate([bands, np.stack(indices, axis=1)], axis=1)
