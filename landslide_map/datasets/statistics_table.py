"""Reader of the published table of window statistics.

The table has one row per labelled 64 x 64 window: ``ID``, ``label`` and six statistics of twelve bands and
two indices. The statistics are mean, std, min, max, kurt and skew. The column ``ndvi`` is the index of
band 1, which is blue (docs/decisions/0020), without the + 0.5 of the published formula. The column
``ndwi = (G - NIR) / (G + NIR)`` is the mirror image of GNDVI. Both become the channels that a map run
computes: one model serves both.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from landslide_map.bands import MODEL_BANDS
from landslide_map.datasets.labelled_windows import checked_labels
from landslide_map.errors import InputError
from landslide_map.features.moments import STATISTICS

TABLE_CHANNELS: Final = (*MODEL_BANDS, "bndvi", "gndvi")
"""Channels that the table describes: the twelve model bands and two of the six indices."""

_SUFFIXES: Final = {
    "mean": "mean",
    "std": "std",
    "min": "min",
    "max": "max",
    "skew": "skew",
    "kurtosis": "kurt",
}
_PREFIXES: Final = {
    **{name: f"band{number}" for number, name in enumerate(MODEL_BANDS, start=1)},
    "bndvi": "ndvi",
    "gndvi": "ndwi",
}


@dataclass(frozen=True, slots=True)
class LabelledStatistics:
    """Windows with known answers."""

    statistics: xr.DataArray
    """``(window, channel, statistic)``, float64."""
    labels: npt.NDArray[np.int8]
    """``(window,)``; 1 is landslide."""
    ids: npt.NDArray[np.str_]
    """``(window,)``, unique."""


def read_statistics_table(path: str | Path) -> LabelledStatistics:
    """Read a labelled table of window statistics.

    Parameters
    ----------
    path : path
        CSV with columns ``ID, label`` and ``<band1..band12|ndvi|ndwi>_<mean|std|min|max|kurt|skew>``.
        Other columns are ignored.

    Returns
    -------
    LabelledStatistics
        Channels :data:`TABLE_CHANNELS`, statistics :data:`.moments.STATISTICS`
        (``valid_fraction`` is 1: the table's windows are complete).

    Raises
    ------
    InputError
        E120 missing, unreadable or of another layout. E121 missing or infinite values.
        E122 labels other than 0 and 1, or one class only. E123 an ID more than once.
    """
    path = Path(path)
    table = _read_csv(path)
    labels = checked_labels(table["label"], str(path))
    ids = table["ID"].astype(str).to_numpy(dtype=np.str_)
    names, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise InputError(
            "E123",
            f"{path}: {int((counts > 1).sum())} IDs occur more than once (first: {names[counts > 1][0]}); "
            "every window must have one row. Remove the duplicates.",
        )
    return LabelledStatistics(_statistics(_numbers(table, path)), labels, ids)


def _read_csv(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise InputError("E120", f"{path}: no such file; expected a CSV table of window statistics.")
    try:
        # IDs are names: "007" must not become 7.
        table = pd.read_csv(path, dtype={"ID": str})
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError("E120", f"{path}: cannot be read as a CSV table ({error}).") from error
    missing = [name for name in ("ID", "label", *_columns()) if name not in table.columns]
    if missing:
        raise InputError(
            "E120",
            f"{path}: {len(missing)} of {2 + len(_columns())} columns are missing: {', '.join(missing[:6])}"
            f"{' ...' if len(missing) > 6 else ''}. Expected ID, label and the mean, std, min, max, kurt and "
            "skew of band1 to band12, ndvi and ndwi.",
        )
    if table.empty:
        raise InputError("E120", f"{path}: the table has a header but no rows.")
    return table


def _columns() -> list[str]:
    return [f"{prefix}_{suffix}" for prefix in _PREFIXES.values() for suffix in _SUFFIXES.values()]


def _numbers(table: pd.DataFrame, path: Path) -> dict[str, npt.NDArray[np.float64]]:
    numbers = {
        name: pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64) for name in _columns()
    }
    bad = {name: int((~np.isfinite(values)).sum()) for name, values in numbers.items()}
    worst = max(bad, key=lambda name: bad[name])
    if bad[worst]:
        row = table["ID"].to_numpy()[~np.isfinite(numbers[worst])][0]
        raise InputError(
            "E121",
            f"{path}: {sum(bad.values())} values are missing, infinite or no numbers, most in {worst} "
            f"({bad[worst]}, first at ID {row}); a labelled window must be complete. Remove such rows.",
        )
    return numbers


def _statistics(numbers: dict[str, npt.NDArray[np.float64]]) -> xr.DataArray:
    count = len(next(iter(numbers.values())))
    values = np.empty((count, len(TABLE_CHANNELS), len(STATISTICS)))
    for i, channel in enumerate(TABLE_CHANNELS):
        own = {name: numbers[f"{_PREFIXES[channel]}_{suffix}"] for name, suffix in _SUFFIXES.items()}
        own["valid_fraction"] = np.ones(count)
        if channel == "bndvi":
            own = _shift(own, 0.5)
        elif channel == "gndvi":  # 0.5 - ndwi: a mirror image has its least and its greatest value swapped
            own |= {"mean": -own["mean"], "min": -own["max"], "max": -own["min"], "skew": -own["skew"]}
            own = _shift(own, 0.5)
        for j, statistic in enumerate(STATISTICS):
            values[:, i, j] = own[statistic]
    return xr.DataArray(
        values,
        dims=("window", "channel", "statistic"),
        coords={"channel": list(TABLE_CHANNELS), "statistic": list(STATISTICS)},
    )


def _shift(own: dict[str, npt.NDArray[np.float64]], by: float) -> dict[str, npt.NDArray[np.float64]]:
    return own | {name: own[name] + by for name in ("mean", "min", "max")}
