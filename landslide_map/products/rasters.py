"""``probability.tif`` and ``class.tif``: cells painted strip by strip into cloud-optimised GeoTIFFs.

A finished file is read back and compared with what was painted, because GDAL does not always report a disk
that filled up. The same data make the same bytes: nothing in the files depends on the clock, the path, the
cells or the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from landslide_map.errors import ResourceError
from landslide_map.grid import Grid
from landslide_map.products import cog
from landslide_map.products.painting import WindowMosaic
from landslide_map.raster.dataset import open_dataset
from landslide_map.reasons import REASON_NAMES, Reason
from landslide_map.runtime import timings

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


Strips: TypeAlias = Callable[[], Iterator[tuple[int, npt.NDArray[Any]]]]
"""Gives ``(first row, (rows, width) pixels)`` from the top downwards, the same ones every time."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """Storage of one raster."""

    dtype: str
    nodata: float
    description: str
    unit: str
    overviews: str
    colours: Mapping[int, tuple[int, int, int, int]] | None = None
    statistics: Mapping[str, str] = field(default_factory=dict)


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
    # As stored: comparing the file with the threshold gives the same class.
    probability = np.asarray(probability, dtype=np.float32)
    above = probability > np.asarray(threshold, dtype=np.float32)
    return np.where(np.isnan(probability), unanalysed, above).astype(np.uint8)


def write_probability(
    path: Path,
    values: npt.NDArray[np.float32],
    mosaic: WindowMosaic,
    grid: Grid,
    tags: Mapping[str, str],
    window_m: float = 640,
) -> None:
    """Write a COG of probabilities (float32, NaN = none); overviews are means of valid pixels.

    Parameters
    ----------
    path : Path
        File to write; absent if anything goes wrong.
    values : float32, ``mosaic.shape``
        In [0, 1] or NaN.
    mosaic : WindowMosaic
        Of `grid`.
    grid : Grid
        Where the pixels lie.
    tags : mapping of str to str
        Written as ``LANDSLIDE_MAP_<KEY>``; keys that start with ``TIFFTAG_`` are written as they are.
    window_m : float
        Edge of the window that a probability describes, metres.

    Raises
    ------
    ResourceError
        E601: the file cannot be written, or does not read back as it was written.
    ValueError
        The cells are not those of the grid, or a value is outside [0, 1].
    """
    if np.any(values < 0) or np.any(values > 1):
        raise ValueError(f"probabilities from {np.nanmin(values)} to {np.nanmax(values)}, not in [0, 1]")
    description = f"landslide probability ({window_m:g} m window)"
    layer = _Layer("float32", np.nan, description, "1", "AVERAGE", statistics=_statistics(values, mosaic))
    _write(path, grid, layer, tags, _painted(values, mosaic, grid, layer))


def write_classes(
    path: Path, values: npt.NDArray[np.uint8], mosaic: WindowMosaic, grid: Grid, tags: Mapping[str, str]
) -> None:
    """Write a COG of classes (uint8, ``CLASS_NAMES``) with its colours; overviews show the majority.

    See Also
    --------
    write_probability : same parameters and errors.
    """
    layer = _Layer("uint8", Reason.NO_DATA, "landslide class", "", "MODE", CLASS_COLOURS)
    meanings = {f"class_{value}": name for value, name in CLASS_NAMES.items()}
    _write(path, grid, layer, {**tags, **meanings}, _painted(values, mosaic, grid, layer))


def write_outline_probability(
    path: Path,
    paint: Callable[[int, npt.NDArray[np.float32]], None] | None,
    codes: npt.NDArray[np.uint8],
    mosaic: WindowMosaic,
    grid: Grid,
    tags: Mapping[str, str],
) -> None:
    """Write a COG of the probability of the object that a pixel is in, 0 in none, NaN where not analysed.

    Parameters
    ----------
    path, mosaic, grid, tags
        As of :func:`write_probability`.
    paint : callable or None
        Called as ``paint(first row, (rows, width) pixels)``, writes the probability of objects onto some rows
        of the grid. None where the scene has no optical image: all is NaN then.
    codes : uint8, ``mosaic.shape``
        Scenario index, or the ``Reason`` why a place was not analysed.
    """
    analysed = np.where(np.isin(codes, _REASONS) | (paint is None), np.nan, 0.0).astype(np.float32)

    def strips() -> Iterator[tuple[int, npt.NDArray[Any]]]:
        for start, strip in _strips(analysed, mosaic):
            if paint is not None:
                paint(start, strip)
            yield start, strip

    layer = _Layer("float32", np.nan, "probability of the landslide object at a pixel", "1", "AVERAGE")
    _write(path, grid, layer, tags, strips)


def _painted(values: npt.NDArray[Any], mosaic: WindowMosaic, grid: Grid, layer: _Layer) -> Strips:
    if mosaic.grid_shape != grid.shape:
        raise ValueError(f"a mosaic of a grid of {mosaic.grid_shape} pixels, not of {grid.shape}")
    values = values.astype(layer.dtype, copy=False)
    return lambda: _strips(values, mosaic)


@timings.work("write rasters")
def _write(path: Path, grid: Grid, layer: _Layer, tags: Mapping[str, str], strips: Strips) -> None:
    """Paint a plain GeoTIFF, finish it as a COG, and compare; `strips` is called twice."""
    temporary = path.with_name(f".{path.stem}.plain.tif")
    try:
        with cog.explained(Path(path.name)):
            with cog.plain(temporary, grid, 1, layer.dtype, layer.nodata) as target:
                _describe(target, layer, tags)
                for start, strip in strips():
                    target.write(strip, 1, window=_rows(start, strip))
            # Values of cells are either equal or unrelated: predicting one from its neighbour costs more
            # than it saves.
            cog.finish(temporary, path, overviews=layer.overviews, predictor=False)
            _compare(path, strips)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _strips(values: npt.NDArray[Any], mosaic: WindowMosaic) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """Yield ``(first row, (rows, width) pixels)`` from the top downwards, a row of tiles at a time."""
    height = mosaic.grid_shape[0]
    for start in range(0, height, cog.TILE):
        with timings.work("paint"):
            strip = mosaic.paint(values, start, min(start + cog.TILE, height))
        yield start, strip


def _rows(start: int, strip: npt.NDArray[Any]) -> Window:
    return Window(0, start, strip.shape[1], strip.shape[0])


def _compare(path: Path, strips: Strips) -> None:
    """Refuse a file of which not every pixel reads back as it was painted."""
    with rasterio.open(path) as source:
        for start, painted in strips():
            bits = f"u{painted.dtype.itemsize}"  # by which NaN equals NaN
            found = source.read(1, window=_rows(start, painted))
            if not np.array_equal(found.view(bits), painted.view(bits)):
                raise ResourceError("E601", f"{path.name} does not read back as it was written. {cog.ADVICE}")


def _describe(target: Any, layer: _Layer, tags: Mapping[str, str]) -> None:
    target.set_band_description(1, layer.description)
    target.set_band_unit(1, layer.unit)
    if layer.colours is not None:
        target.write_colormap(1, layer.colours)
        target.colorinterp = [ColorInterp.palette]
    cog.tag(target, tags)
    target.update_tags(1, **layer.statistics)


def _statistics(values: npt.NDArray[np.float32], mosaic: WindowMosaic) -> dict[str, str]:
    """Return statistics of the pixels under the names of GDAL."""
    valid = ~np.isnan(values)
    if not valid.any():
        return {}
    found, pixels = values[valid].astype(np.float64), mosaic.pixels
    mean = np.average(found, weights=pixels[valid])
    deviation = np.sqrt(np.average((found - mean) ** 2, weights=pixels[valid]))
    return {
        "STATISTICS_MINIMUM": f"{found.min():.14g}",
        "STATISTICS_MAXIMUM": f"{found.max():.14g}",
        "STATISTICS_MEAN": f"{mean:.14g}",
        "STATISTICS_STDDEV": f"{deviation:.14g}",
        "STATISTICS_VALID_PERCENT": f"{100 * pixels[valid].sum() / pixels.sum():.4g}",
    }


def strips_of(path: Path) -> Iterator[npt.NDArray[Any]]:
    """Yield ``(rows, width)`` pixels of the only band of a raster, from the top downwards."""
    with open_dataset(path) as source:
        for start in range(0, source.height, cog.TILE):
            rows = min(cog.TILE, source.height - start)
            yield source.read(1, window=Window(0, start, source.width, rows))
