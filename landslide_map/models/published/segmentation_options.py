"""Options of an import of segmentation networks: channel statistics and the content of channels."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from landslide_map.errors import BundleError
from landslide_map.models.published import ganerod
from landslide_map.models.segmentation.channels import PIXEL_CHANNELS
from landslide_map.models.segmentation.scaling import channel_statistics
from landslide_map.raster.dataset import open_unplaced

_ROWS: Final = 256

Statistics = tuple[list[float], list[float]]
"""Mean and standard deviation of each of the 15 published bands; NaN where not needed."""


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """Facts that published weight files do not hold."""

    network: str | None = None
    """Published name of a single file."""
    setting: str | None = None
    """Setting of the heterogeneous ensemble, for a check of the files."""
    statistics: Path | None = None
    """CSV with columns band (0 to 14), mean, std."""
    data: Path | None = None
    """Folder of the published data, from which statistics are computed."""
    scaled_inputs: bool = False
    """Whether the members will read numbers that are scaled already."""
    channel_map: Path | None = None
    """CSV with columns band (0 to 14), channel."""


def statistics_of(options: ImportOptions, needed: Sequence[int]) -> Statistics | None:
    """Return the channel statistics that `options` give.

    Raises
    ------
    BundleError
        E551 if they are missing, given twice or invalid.
    """
    given = [options.statistics is not None, options.data is not None, options.scaled_inputs]
    if sum(given) != 1:
        raise BundleError(
            "E551",
            "the checkpoints do not hold mean and standard deviation of their channels. Give exactly one of "
            "--statistics FILE (band, mean, std), --data FOLDER (the published data, to compute them) and "
            "--scaled-inputs (arrays are scaled already).",
        )
    if options.statistics is not None:
        return _read_statistics(options.statistics, needed)
    if options.data is not None:
        return dataset_statistics(options.data)
    return None


def read_channel_map(path: Path, needed: Sequence[int]) -> tuple[str, ...]:
    """Return a channel name for each of the 15 published bands; bands not `needed` may be left out.

    Raises
    ------
    BundleError
        E551.
    """
    names = list(ganerod.BAND_NAMES)
    for band, row in _table(path, ("band", "channel")):
        name = row["channel"].strip()
        if name not in PIXEL_CHANNELS:
            raise BundleError(
                "E551", f"{path}: band {band}: no channel {name!r}; channels are {', '.join(PIXEL_CHANNELS)}."
            )
        names[band] = name
    if lacking := [band for band in needed if names[band] == ganerod.band_name(band)]:
        raise BundleError("E551", f"{path}: says nothing of band {lacking[0]} ({len(lacking)} are missing).")
    used = [names[band] for band in needed]
    if len(set(used)) < len(used):
        raise BundleError("E551", f"{path}: names a channel twice; every band is another one.")
    return tuple(names)


def dataset_statistics(folder: Path) -> Statistics:
    """Return mean and standard deviation of each band over all areas of the published data set.

    Parameters
    ----------
    folder : path
        Holds ``train_val/input/*.tif``, or the ``.tif`` files themselves.

    Raises
    ------
    BundleError
        E551 if there are none, or one has other than 15 bands.
    """
    inner = folder / "train_val" / "input"
    paths = sorted((inner if inner.is_dir() else folder).glob("*.tif"))
    if not paths:
        raise BundleError("E551", f"{folder}: holds no train_val/input/*.tif; expected the published data.")
    mean, std = channel_statistics(block for path in paths for block in _blocks(path))
    if not np.isfinite(mean).all():
        raise BundleError("E551", f"{folder}: band {int(np.argmin(np.isfinite(mean)))} has no finite pixel.")
    return list(map(float, mean)), list(map(float, std))


def _blocks(path: Path) -> Iterator[npt.NDArray[Any]]:
    from rasterio.errors import RasterioError
    from rasterio.windows import Window

    try:
        with open_unplaced(path) as raster:
            if raster.count != ganerod.BANDS:
                raise BundleError("E551", f"{path}: has {raster.count} bands, expected {ganerod.BANDS}.")
            for top in range(0, raster.height, _ROWS):
                window = Window(0, top, raster.width, min(_ROWS, raster.height - top))
                pixels = raster.read(window=window, masked=True).astype(np.float64).filled(np.nan)
                yield np.moveaxis(pixels, 0, -1)
    except (RasterioError, OSError) as error:
        raise BundleError("E551", f"{path}: cannot be read ({str(error)[:200]}).") from error


def _read_statistics(path: Path, needed: Sequence[int]) -> Statistics:
    mean, std = [math.nan] * ganerod.BANDS, [math.nan] * ganerod.BANDS
    for band, row in _table(path, ("band", "mean", "std")):
        try:
            mean[band], std[band] = float(row["mean"]), float(row["std"])
        except ValueError:
            raise BundleError("E551", f"{path}: band {band}: mean and std must be numbers.") from None
    for band in needed:
        if not (math.isfinite(mean[band]) and math.isfinite(std[band]) and std[band] > 0):
            raise BundleError(
                "E551", f"{path}: band {band} needs a finite mean and a standard deviation above 0."
            )
    return mean, std


def _table(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if not set(columns) <= set(reader.fieldnames or ()):
                raise BundleError("E551", f"{path}: expected a CSV file with columns {', '.join(columns)}.")
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BundleError("E551", f"{path}: cannot be read as a CSV file ({error}).") from error
    seen = set()
    for row in rows:
        text = (row["band"] or "").strip()
        if not text.isdecimal() or int(text) >= ganerod.BANDS or text in seen:
            raise BundleError("E551", f"{path}: band {text!r} is not from 0 to 14, or stands there twice.")
        seen.add(text)
        yield int(text), {column: row[column] or "" for column in columns}
