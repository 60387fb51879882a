"""``probability.tif`` and ``class.tif``: written strip by strip, finished as cloud-optimised GeoTIFFs.

Strips go into a plain tiled GeoTIFF beside the result; at the end the COG driver adds overviews and
statistics in one pass. The result is then read back and compared with what was handed in, because GDAL
does not always report a disk that filled up. The same data make the same bytes: nothing in the files
depends on the clock, the path or the size of the strips.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from rasterio._err import CPLE_BaseError  # what GDAL's own errors arrive as; there is no public name
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.windows import Window

from landslide_map import timings
from landslide_map.errors import ResourceError
from landslide_map.grid import Grid
from landslide_map.reasons import REASON_NAMES, Reason

NOT_LANDSLIDE: Final = 0
LANDSLIDE: Final = 1
CLASS_NAMES: Final[Mapping[int, str]] = {
    NOT_LANDSLIDE: "no landslide",
    LANDSLIDE: "landslide",
    **{int(reason): f"not analysed: {REASON_NAMES[reason]}" for reason in Reason if reason},
}
"""Value of ``class.tif`` -> meaning."""
CLASS_COLOURS: Final[Mapping[int, tuple[int, int, int, int]]] = {
    NOT_LANDSLIDE: (240, 240, 236, 255),  # the colour table of a TIFF has no transparency
    LANDSLIDE: (203, 24, 29, 255),
    Reason.FLAT: (217, 217, 200, 255),
    Reason.SNOW_OR_CLOUD: (158, 202, 225, 255),
    Reason.MISSING_CHANNELS: (189, 189, 189, 255),
    Reason.NO_DATA: (255, 255, 255, 0),
}
"""Value of ``class.tif`` -> red, green, blue, alpha."""

_REASONS = [int(reason) for reason in Reason if reason]
_TILE = 512
_ADVICE = "Is the disk full or faulty? Free some space, or choose another --out."
Strip = Callable[[npt.NDArray[Any]], None]
"""Takes the next rows, ``(rows, width)``, from the top of the grid downwards."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """How one raster is stored."""

    dtype: str
    nodata: float
    description: str
    unit: str
    overviews: str
    statistics: bool
    colours: Mapping[int, tuple[int, int, int, int]] | None = None


def classify(
    probability: npt.NDArray[np.floating], threshold: npt.ArrayLike, reason: npt.ArrayLike
) -> npt.NDArray[np.uint8]:
    """Return the class of every pixel.

    Parameters
    ----------
    probability : (rows, cols)
        NaN where there is none.
    threshold : float or (rows, cols)
        A pixel above the threshold is a landslide, one at it is not; only read where there is a probability.
    reason : int or (rows, cols)
        Why there is no probability, a ``Reason``; only read where there is none. Anything else there
        becomes ``NO_DATA``: a pixel without a probability is never "no landslide".

    Returns
    -------
    (rows, cols) uint8
        Values as in ``CLASS_NAMES``.

    Examples
    --------
    >>> classify(np.float32([[0.5, 0.6, np.nan, np.nan]]), 0.5, [[0, 0, 251, 0]]).tolist()
    [[0, 1, 251, 255]]
    """
    unanalysed = np.where(np.isin(reason, _REASONS), reason, Reason.NO_DATA)
    # As stored: whoever compares the file with the threshold finds the same class.
    probability = np.asarray(probability, dtype=np.float32)
    above = probability > np.asarray(threshold, dtype=np.float32)
    return np.where(np.isnan(probability), unanalysed, above).astype(np.uint8)


@contextmanager
def probability_raster(
    path: Path, grid: Grid, tags: Mapping[str, str], window_m: float = 640
) -> Iterator[Strip]:
    """Write a COG of probabilities (float32, NaN = none); overviews are means of what there is.

    Parameters
    ----------
    path : Path
        File to write; complete when the block ends, absent if it ends with an error.
    grid : Grid
        Every row must have been handed in, in order, when the block ends.
    tags : mapping of str to str
        Written as ``LANDSLIDE_MAP_<KEY>``; keys that start with ``TIFFTAG_`` are written as they are.
    window_m : float
        Edge of the window that a probability answers for, metres.

    Yields
    ------
    callable
        Takes the next strip, ``(rows, grid.width)`` float32, values in [0, 1] or NaN.

    Raises
    ------
    ResourceError
        E601: the file does not read back as it was written.
    ValueError
        The strips do not fit the grid, or a value is outside [0, 1].
    """
    description = f"landslide probability ({window_m:g} m window)"
    layer = _Layer("float32", np.nan, description, "1", "AVERAGE", statistics=True)
    with _cog(path, grid, layer, tags) as write:

        def write_checked(strip: npt.NDArray[Any]) -> None:
            if np.any(strip < 0) or np.any(strip > 1):
                raise ValueError(
                    f"probabilities from {np.nanmin(strip)} to {np.nanmax(strip)}, not in [0, 1]"
                )
            write(strip)

        yield write_checked


@contextmanager
def class_raster(path: Path, grid: Grid, tags: Mapping[str, str]) -> Iterator[Strip]:
    """Write a COG of classes (uint8, ``CLASS_NAMES``) with its colours; overviews are the commonest class.

    See Also
    --------
    probability_raster : same parameters, strips and errors.
    """
    layer = _Layer("uint8", Reason.NO_DATA, "landslide class", "", "MODE", False, CLASS_COLOURS)
    meanings = {f"class_{value}": name for value, name in CLASS_NAMES.items()}
    with _cog(path, grid, layer, {**tags, **meanings}) as write:
        yield write


@contextmanager
def _cog(path: Path, grid: Grid, layer: _Layer, tags: Mapping[str, str]) -> Iterator[Strip]:
    """Write strips to a temporary GeoTIFF, convert it to a COG and compare."""
    temporary = path.with_name(f".{path.stem}.strips.tif")
    checksum = 0
    next_row = 0
    options = {"BIGTIFF": "IF_SAFER", "TILED": "YES", "BLOCKXSIZE": _TILE, "BLOCKYSIZE": _TILE}
    try:
        with rasterio.open(
            temporary,
            "w",
            driver="GTiff",
            height=grid.height,
            width=grid.width,
            count=1,
            dtype=layer.dtype,
            crs=grid.crs,
            transform=grid.transform,
            nodata=layer.nodata,
            **options,
        ) as target:
            _describe(target, layer, tags)

            def write(strip: npt.NDArray[Any]) -> None:
                nonlocal checksum, next_row
                rows = strip.shape[0]
                if strip.shape != (rows, grid.width) or next_row + rows > grid.height:
                    raise ValueError(f"strip {strip.shape} at row {next_row} does not fit {grid.shape}")
                strip = np.ascontiguousarray(strip, dtype=layer.dtype)
                with _explained(path), timings.work("write rasters"):
                    target.write(strip, 1, window=Window(0, next_row, grid.width, rows))
                checksum = zlib.crc32(strip.data, checksum)
                next_row += rows

            yield write
            if next_row != grid.height:
                raise ValueError(f"{next_row} rows of {grid.height} were written to {path.name}")
        with _explained(path), timings.work("write rasters"):
            _convert(temporary, path, layer)
            written = _checksum(path)
        if written != checksum:
            raise ResourceError("E601", f"{path.name} does not read back as it was written. {_ADVICE}")
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn GDAL's failure to write or read our own files into E601."""
    try:
        yield
    except (RasterioError, CPLE_BaseError) as error:
        raise ResourceError("E601", f"{path.name} could not be written ({error}). {_ADVICE}") from error


def _describe(target: Any, layer: _Layer, tags: Mapping[str, str]) -> None:
    target.set_band_description(1, layer.description)
    target.set_band_unit(1, layer.unit)
    if layer.colours is not None:
        target.write_colormap(1, layer.colours)
        target.colorinterp = [ColorInterp.palette]
    prefixed = {
        key if key.startswith("TIFFTAG_") else f"LANDSLIDE_MAP_{key.upper()}": str(value)
        for key, value in tags.items()
    }
    target.update_tags(AREA_OR_POINT="Area", **dict(sorted(prefixed.items())))


def _convert(source: Path, path: Path, layer: _Layer) -> None:
    rasterio.shutil.copy(
        os.fspath(source),
        os.fspath(path),
        driver="COG",
        BLOCKSIZE=_TILE,
        COMPRESS="DEFLATE",  # ZSTD is smaller, but older GDAL and ArcGIS builds cannot read it
        PREDICTOR="YES",
        OVERVIEW_RESAMPLING=layer.overviews,
        STATISTICS="YES" if layer.statistics else "NO",
        BIGTIFF="IF_SAFER",
        NUM_THREADS="ALL_CPUS",
    )


def _checksum(path: Path) -> int:
    checksum = 0
    for _, strip in strips(path):
        checksum = zlib.crc32(np.ascontiguousarray(strip).data, checksum)
    return checksum


def strips(path: Path, rows: int = _TILE) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """Yield ``(first row, (rows, width) array)`` of the first band, from the top downwards."""
    with rasterio.open(path) as source:
        for row in range(0, source.height, rows):
            height = min(rows, source.height - row)
            yield row, source.read(1, window=Window(0, row, source.width, height))
