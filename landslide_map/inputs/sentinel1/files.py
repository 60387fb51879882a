"""One Sentinel-1 file: identity, bands, a sample of its pixels; and the image that files make."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from landslide_map.errors import InputError, Notice
from landslide_map.grid import Grid
from landslide_map.inputs.scene_inputs import RadarImage
from landslide_map.inputs.sentinel1 import units
from landslide_map.inputs.sentinel1.dimap import dimap_header
from landslide_map.inputs.sentinel1.ground_range import not_geocoded, recorded_of
from landslide_map.inputs.sentinel1.metadata import (
    Identity,
    Recorded,
    from_tags,
    from_text,
    identify,
    is_monthly_mosaic,
)
from landslide_map.inputs.sentinel1.sentinel_hub import requested
from landslide_map.raster.band import RasterBand
from landslide_map.raster.dataset import check_image_size
from landslide_map.raster.ground_range.product import ground_range_band
from landslide_map.raster.nodata import alpha_bands, read_valid
from landslide_map.raster.open import open_band, opened
from landslide_map.raster.sampling import PLACES, decimated, read_windows, refuse_to_search, sample_windows
from landslide_map.scene.model import RadarSpec
from landslide_map.untrusted.files import ZIP_ERRORS, inside_zip, member_header, read_bytes

_README_LIMIT: Final = 1 << 20
"""Longest README that is read, bytes."""
EDGE: Final = 32
"""Edge of the windows of a sample, pixels."""
_FOLDERS: Final = 4
"""Folder names above a file that may declare what it is."""


@dataclass(frozen=True, slots=True)
class RadarFile:
    """A raster file before its bands are read."""

    path: Path
    identity: Identity
    descriptions: tuple[str, ...]
    """Band descriptions, empty where a band has none."""
    placed: Grid | None = None
    """Grid of the pixels, if the product declares it outside of the raster."""
    nodata: tuple[float, ...] | None = None
    """Values that mean "no data", if the product says so elsewhere."""
    recorded: Recorded = ()
    """Properties from each source of metadata."""


@dataclass(frozen=True, slots=True)
class SampledBand:
    """A band, complete with every value that means "no data", and a sample of its pixels."""

    band: RasterBand
    pixels: npt.NDArray[np.float64]
    """Stored values, NaN where there is no data; the same places for every band of one grid."""


@dataclass(frozen=True, slots=True)
class OpenedImage:
    """An image with properties beyond those for alignment."""

    image: RadarImage
    spec: RadarSpec
    recorded: Identity
    """Properties from tags and names of its files, whatever scene.yaml declares."""
    vv_pixels: npt.NDArray[np.float64]
    """Sample of the first VV slice, stored values, NaN = no data."""
    vh_pixels: npt.NDArray[np.float64]
    """The same of VH."""
    notices: tuple[Notice, ...]

    @property
    def where(self) -> str:
        """The first file, for messages."""
        return shown(self.image.bands["vv"][0].path)


def shown(path: str | Path) -> str:
    """Return the name of a file in messages: that of its product if it is geocoded here."""
    geocoded = ground_range_band(path)
    return str(path) if geocoded is None else f"{geocoded.product} ({geocoded.polarisation.upper()})"


def inspect_file(path: Path) -> RadarFile:
    """Read the metadata of a file, and refuse all but geocoded backscatter.

    Raises
    ------
    InputError
        E101 missing or unreadable, E301 scaled or unsigned integers, E310 monthly mosaic, E320 GRD or SLC
        product that was never terrain-corrected.
    """
    if (geocoded_here := ground_range_band(path)) is not None:
        recorded = recorded_of(geocoded_here)
        return RadarFile(path, recorded[0][1], ("",), geocoded_here.grid, (), recorded)
    names = [path.name, *(parent.name for parent in list(path.parents)[:_FOLDERS])]
    if is_monthly_mosaic(names[:2]):
        raise InputError(
            "E310",
            f"{path}: Sentinel-1 mosaics mix both orbit directions and many dates; give single passes",
        )
    _refuse_product_folder(path)
    with opened(path) as dataset:
        tags, descriptions, kinds = dataset.tags(), dataset.descriptions, dataset.dtypes
        if dataset.count in alpha_bands(dataset) and dataset.count > 2:  # of two bands, the second is VH
            descriptions = descriptions[:-1]
        scaled = [s != 1 for s in dataset.scales] + [o != 0 for o in dataset.offsets]
        geocoded = bool(dataset.crs)  # a raw GRD is refused by open_band, with a clearer message
    if geocoded and (any(scaled) or any(kind.startswith("uint") for kind in kinds)):
        what, way_out = f"raw digital numbers ({kinds[0]})", "calibrate it (SNAP), or fetch it as RTC"
        if any(scaled):
            what = "scaled values"
            way_out = f"write them plainly with gdal_translate -unscale -ot Float32 {path.name} plain.tif"
        raise InputError(
            "E301",
            f"{path}: holds {what}; expected calibrated backscatter as plain floating-point dB, power or "
            f"amplitude: {way_out}",
        )
    header = dimap_header(path, len(kinds))
    recorded = (
        ("request.json", requested(path)),
        ("header of SNAP", Identity() if header is None else header.identity),
        ("tags", from_tags(tags)),
        ("name", identify(names)),
        ("README", beside(path)),
    )
    identity = reduce(Identity.completed, (one for _, one in recorded))
    if header is not None:
        return RadarFile(path, identity, header.descriptions, None, header.nodata, recorded)
    return RadarFile(path, identity, tuple(text or "" for text in descriptions), recorded=recorded)


def beside(path: Path) -> Identity:
    """Return the absolute orbit from the README of a HyP3 product, beside its rasters."""
    stem = re.sub(r"_(?:VV|VH|HH|HV)\.tiff?$", "", path.name, flags=re.IGNORECASE)
    if stem == path.name:
        return Identity()
    try:
        note = path.with_name(f"{stem}.README.md.txt")
        if (member := inside_zip(note)) is not None:
            text = member_header(member, _README_LIMIT)
        else:
            text = read_bytes(note, _README_LIMIT)
    except ZIP_ERRORS:
        return Identity()
    return from_text(text.decode("utf-8", "replace"))


def _refuse_product_folder(path: Path) -> None:
    """Refuse SAFE products (E320) and other folders or archives (E101)."""
    stem = path.name.upper()
    if (re.search(r"_(GRD|SLC)[FHM_]_", stem) and stem.endswith((".SAFE", ".ZIP"))) or (
        path.is_dir() and (path / "manifest.safe").exists()
    ):
        raise not_geocoded(path)
    if path.is_dir():
        raise InputError("E101", f"{path}: is a folder; give its GeoTIFFs as vv: and vh: in scene.yaml")


def polarisation_of(description: str) -> str | None:
    """Return ``vv`` or ``vh`` (or ``hh``, ``hv``) from a band description such as ``VV`` or ``Gamma0_VH``.

    >>> polarisation_of("Gamma0_VH"), polarisation_of("angle")
    ('vh', None)
    """
    found = re.findall(r"(?<![A-Za-z])(?:[VH]{2})(?![A-Za-z])", description.replace("_", " "), re.IGNORECASE)
    return found[0].lower() if len(found) == 1 else None


def sampled_band(
    path: Path,
    index: int,
    nodata: tuple[float, ...] | None,
    measured: Collection[int] = (),
    placed: Grid | None = None,
) -> tuple[SampledBand, list[Notice]]:
    """Open a band, find out which values mean "no data", and sample the rest.

    Parameters
    ----------
    path : Path
    index : int
        One-based band number.
    nodata : tuple of float, optional
        Declared in scene.yaml, instead of what the file says.
    measured : collection of int
        Bands of the file that hold measurements.
    placed : Grid, optional
        Where the pixels lie, if the product says so elsewhere.

    Raises
    ------
    InputError
        As :func:`~landslide_map.raster.open.open_band`; E106 where nothing is valid, E350.
    """
    band = open_band(path, index, nodata, measured=measured, placed=placed)
    check_image_size(band.path, band.grid.shape)
    pixels, integer = sample(band)
    values, notices = units.fill_values(pixels, f"{path} band {index}", integer)
    band = replace(band, nodata=(*band.nodata, *values))
    pixels = np.where(np.isin(pixels, values) | ~np.isfinite(pixels), np.nan, pixels)
    # A narrow swath can fall between the windows: search everywhere before a refusal as empty.
    if np.isnan(pixels).all():
        refuse_to_search(band)
    if np.isnan(pixels).all() and not np.isfinite(decimated(band)).any():
        raise InputError("E106", f"{path}: band {index} has no valid pixel (nodata: {_listed(band.nodata)})")
    return SampledBand(band, pixels), notices


def sample(band: RasterBand) -> tuple[npt.NDArray[np.float64], bool]:
    """Return stored values from windows spread over the band, and whether they are whole numbers.

    Full resolution and no overviews: averaging would hide speckle and dilute fill values.

    Returns
    -------
    pixels : ndarray, (windows * EDGE, EDGE) or, for a small raster, all of it; float64, nodata NaN
    integer : bool
    """
    height, width = band.grid.shape
    with opened(band.path) as dataset:
        integer = np.issubdtype(np.dtype(dataset.dtypes[band.index - 1]), np.integer)
        if windows_across(band.grid) is None:
            pixels = read_valid(dataset, band)
        else:
            windows = sample_windows((height, width), min(EDGE, height, width))
            pixels = read_windows(dataset, band, windows)
    return pixels.astype(np.float64), bool(integer)


def windows_across(grid: Grid) -> int | None:
    """Return how many windows lie in a row of the sample of a band; None if the sample is all of it."""
    if grid.height * grid.width <= (PLACES * EDGE) ** 2:
        return None
    windows = sample_windows(grid.shape, min(EDGE, *grid.shape))
    return len({window.col_off for window in windows})


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values) or "NaN"
