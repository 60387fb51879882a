"""Probabilities of ready windows: arrays in, one row per window out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Final, Unpack

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from landslide_map.bands import CHANNELS, GROUPS
from landslide_map.datasets.window_arrays import Windows, checked_chunks
from landslide_map.errors import InputError, Notice
from landslide_map.features.ready_windows import eighteen_channels
from landslide_map.features.window_statistics import array_statistics
from landslide_map.models.bundle.load import Bundle, load_bundle
from landslide_map.models.bundle.options import BundleFields, PredictionOptions, with_fields
from landslide_map.models.bundle.skipped import skipped_notices, vote_counts
from landslide_map.models.run_time import network_notice
from landslide_map.models.voting.early_exit import decided_windows
from landslide_map.runtime import timings
from landslide_map.runtime.atomic import whole_file
from landslide_map.runtime.notices import Notices
from landslide_map.runtime.progress import Report, Stage, counter, silent
from landslide_map.runtime.transaction import refuse_unfit_file
from landslide_map.window_record import WindowRecord, joined

SCORE: Final = Stage("score windows", "windows")
SECONDS_PER_WINDOW: Final = 3e-3
"""Time of statistics and of the default bundle's members, on one core."""


def score(
    windows: Windows | npt.NDArray[np.floating],
    bundle: Bundle | str | PathLike[str] | None = None,
    *,
    prediction: PredictionOptions = PredictionOptions(),
    progress: Report = silent,
    announce: Callable[[Notice], object] = lambda _: None,
    **given: Unpack[BundleFields],
) -> pd.DataFrame:
    """Return the probability of landslide of every window, and that of each member.

    Parameters
    ----------
    windows : ndarray, (window, 64, 64, 12), or Windows
        Model bands in the order and units of ``bands.MODEL_BANDS``. A band that is NaN in the whole window
        is a sensor without data there; a band that is NaN in places is refused.
    bundle : Bundle or path, optional
        The default bundle if not given.
    prediction : PredictionOptions
        Profile, threshold or operating point, device, precision, batch size, and what may be skipped.
    progress : callable
        Called as ``progress(stage, done, total)``.
    announce : callable
        Called before long work with an estimate of its duration (I610).
    **given
        Fields of `prediction`, such as ``operating_point="recall90"``.

    Returns
    -------
    DataFrame
        ``id``. ``probability``, calibrated, NaN where no member could vote. ``landslide``, 1 where it is
        above the threshold and NA where it is NaN. One ``p_<member>`` for each member, uncalibrated, NaN
        where it did not vote. If votes may be skipped, also ``probability_low`` and
        ``probability_high``, between which the vote of all lies. ``attrs["notices"]`` are the notices,
        window level. ``attrs["votes"]`` counts the windows in which each member voted and was skipped.

    Raises
    ------
    InputError
        E140 wrong shape, E141 missing or infinite pixels.
    BundleError
        E540 no rule for a cascade.
    ResourceError
        E610 CUDA requested and absent, E611 memory of the GPU exhausted, E613 numbers too large for
        the precision.
    """
    source = windows if isinstance(windows, Windows) else Windows.of_array(windows)
    prediction = with_fields(prediction, given)
    loaded = bundle if isinstance(bundle, Bundle) else load_bundle(bundle or prediction.bundle)
    ready = prediction.apply(loaded, progress)
    notices = Notices(announce, [*ready.notices])
    if forecast := network_notice(ready, len(source.ids), SECONDS_PER_WINDOW * len(source.ids), progress):
        notices.announce(forecast)
    tick = counter(progress, SCORE, len(source.ids))
    parts = []
    with timings.stage(SCORE):
        for ids, chunk in checked_chunks(source):
            parts.append(_predicted(ready, chunk))
            tick(len(ids))
    record = joined(parts)
    table = _table(source.ids, record)
    notices.about_inputs += [*_missing_votes(ready, record), *skipped_notices(ready, record)]
    table.attrs["notices"] = list(notices.all)
    table.attrs["votes"] = vote_counts(ready, record)
    return table


def submission(table: pd.DataFrame) -> pd.DataFrame:
    """Return the two columns of the competition, ``ID`` and ``label``, from a table of :func:`score`.

    Raises
    ------
    InputError
        E143 if some window has no probability.
    """
    without_class = table["landslide"].isna()
    if without_class.any():
        raise InputError(
            "E143",
            f"window {table['id'][without_class].iloc[0]} ({int(without_class.sum())} in all): no "
            f"member of the bundle "
            "could predict it, but a submission needs a label for each. Use members that need fewer sensors.",
        )
    return pd.DataFrame({"ID": table["id"], "label": table["landslide"].astype(int)})


def check_output(path: str | PathLike[str], *, overwrite: bool, inputs: Iterable[Path | None] = ()) -> None:
    """Refuse a CSV file that must not be written, before any work.

    Raises
    ------
    OutputExistsError
        E401 if it exists and `overwrite` is false, E404 if it is no table of :func:`score`.
    UsageError
        E402 if it is a folder, or one of `inputs` or the tables in such a folder.
    """
    read = [own for own in inputs if own is not None]
    read += [table for own in read if own.is_dir() for table in own.glob("*.csv")]
    signs = (b"id,probability,landslide", b"ID,label")
    refuse_unfit_file(Path(path), overwrite=overwrite, signs=signs, inputs=read)


def write_csv(table: pd.DataFrame, path: str | PathLike[str]) -> None:
    """Write a table; the file appears complete or not at all (E601 where it cannot be written)."""
    with whole_file(Path(path)) as staged:
        table.to_csv(staged, index=False)


def chunk_statistics(bundle: Bundle, chunk: npt.NDArray[np.floating]) -> xr.DataArray:
    """Return the statistics of ready windows for the bundle's members, ``(window, channel, statistic)``."""
    return array_statistics(eighteen_channels(chunk), CHANNELS, median=bundle.needs_median)


def _predicted(bundle: Bundle, chunk: npt.NDArray[np.floating]) -> WindowRecord:
    statistics = chunk_statistics(bundle, chunk)
    # A ready window is what it is: the published procedure predicts constant bands too.
    return bundle.vote(statistics, pixels=chunk, constants_are_fill=False, stop=decided_windows)


def _table(ids: Sequence[str], record: WindowRecord) -> pd.DataFrame:
    landslide = pd.array(record.landslide.astype(np.int64), dtype="Int64")
    landslide[np.isnan(record.probability)] = pd.NA
    columns = {"id": list(ids), "probability": record.probability, "landslide": landslide}
    if record.probability_low is not None:
        columns |= {"probability_low": record.probability_low, "probability_high": record.probability_high}
    columns |= {f"p_{name}": record.member_probability[:, i] for i, name in enumerate(record.members)}
    return pd.DataFrame(columns)


def _missing_votes(bundle: Bundle, record: WindowRecord) -> list[Notice]:
    """Return a notice (W141) of windows without a vote that every complete window has."""
    predicted = np.isfinite(record.probability)
    wanted = [member.name in bundle.scenarios[0].weights for member in bundle.members]
    some = (np.isnan(record.member_probability) & ~record.skipped)[:, wanted].any(axis=1)
    fewer, none = int((some & predicted).sum()), int((~predicted).sum())
    if not fewer and not none:
        return []
    return [
        Notice(
            "W141",
            f"of {len(predicted)} windows {fewer} are predicted by fewer or other members than complete "
            f"ones and {none} by none: a sensor ({', '.join(GROUPS)}) has no data there.",
        )
    ]
