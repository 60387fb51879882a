"""Sentinel-2 image from a SAFE folder or zip, a multi-band raster or band files.

All end as training DN = 10000 * reflectance + 1000; whether the stored numbers carry that 1000 is
decided by the processing baseline and verified on pixels.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np

from landslide_map import bands
from landslide_map.errors import InputError, Notice
from landslide_map.grid import RESOLUTION_M, Grid
from landslide_map.inputs.scene_inputs import OpticalImage, UnopenedBand
from landslide_map.inputs.sentinel2 import checks, eopf, offset, safe
from landslide_map.inputs.sentinel2.band_files import (
    SATURATED,
    ZERO,
    baseline_in_names,
    check_band_name,
    dates_in_names,
    further_bands,
    open_files,
)
from landslide_map.inputs.sentinel2.fill import dn_limits, without_fill
from landslide_map.inputs.sentinel2.offset import BandSample, OffsetDecision
from landslide_map.inputs.sentinel2.parts import Found, joined, whole
from landslide_map.inputs.sentinel2.registration import registration_notices
from landslide_map.inputs.sentinel2.turned import turned_band_notices
from landslide_map.raster.band import RasterBand
from landslide_map.raster.dataset import check_image_size, files_in
from landslide_map.raster.open import open_band
from landslide_map.raster.sampling import sample_bands
from landslide_map.scene.model import OpticalSpec

FIRST_OFFSET_BASELINE = (4, 0)
"""Products from baseline 04.00 on carry +1000 (Sentinel-2 Products Specification, BOA_ADD_OFFSET)."""
CLOUDY = 0.2
LATE_DAYS = 60
LOW_SUN_ZENITH = 70.0
SPECIAL_VALUES = (*ZERO, SATURATED)
"""NODATA and SATURATED of ESA's products."""


def open_optical(
    spec: OpticalSpec, event_time: datetime, *, before: bool = False
) -> tuple[OpticalImage, list[Notice], tuple[Path, ...]]:
    """Open and check the post-event image that scene.yaml names, or one from before the event.

    Returns
    -------
    OpticalImage
        Its `bands` lack an entry for a band that the files do not have.
    list of Notice
    tuple of Path
        All files read, metadata included.

    Raises
    ------
    InputError
        E101 to E109 unusable files, E201 Level-1C, E204 offset, E205 units, E206 band order.
        E208 acquired before the event, E210 not acquired before it, where it has to be.
    """
    stated = spec
    spec, *more = whole(spec)
    found = joined([_found(part) for part in (spec, *more)])
    if found.reflectance:
        spec = spec.model_copy(update={"units": "reflectance"})
    optical = {name: raster for name, raster in found.rasters.items() if name in bands.OPTICAL}
    _check_one_grid(optical, found.rasters.get("scl"))
    for raster in found.rasters.values():
        check_image_size(raster.path, raster.grid.shape)
    acquired, notices = _acquired(found, spec.datetime)
    if before:
        _refuse_after(found.name, acquired, event_time)
    elif acquired is not None:
        notices += _late(found.name, acquired, event_time)
    decision, fill, seen = _pixel_findings(found, spec, optical)
    limits = dn_limits(decision.scale, decision.offset)
    optical = {
        name: replace(raster, nodata=tuple(dict.fromkeys((*raster.nodata, *fill))), limits=limits)
        for name, raster in optical.items()
    }
    image = OpticalImage(
        bands=optical,
        scale=decision.scale,
        offset=decision.offset,
        offset_reason=decision.reason,
        acquired=acquired,
        scene_classification=found.rasters.get("scl"),
        further={
            name: replace(band, like=next(iter(optical.values())).grid, limits=limits)
            for name, band in found.further.items()
        },
        product=found.name,
        baseline=found.baseline,
        sources=_sources(stated, spec, found),
    )
    paths = [band.path for band in found.rasters.values()]
    paths += [band.path for band in found.further.values()]
    files = dict.fromkeys([*found.metadata, *(file for path in paths for file in files_in(path))])
    return image, [*notices, *seen, *_season(found), *_missing(found.name, optical)], tuple(files)


def _sources(stated: OpticalSpec, spec: OpticalSpec, found: Found) -> dict[str, str]:
    """Return where each property is known from: scene.yaml, metadata of the product, or names."""
    product = "metadata" if found.metadata else "name"
    acquired = "scene.yaml" if stated.datetime else "metadata" if spec.datetime else product
    units = "metadata" if found.reflectance else "assumed"
    if "units" in stated.model_fields_set:
        units = "scene.yaml"
    return {
        "acquired": acquired,
        "baseline": product,
        "platform": "name",
        "relative_orbit": "name",
        "units": units,
        "nodata": "file and pixels" if stated.nodata is None else "scene.yaml",
    }


def _found(spec: OpticalSpec) -> Found:
    if spec.path is not None and eopf.is_store(spec.path):
        return _from_store(spec, spec.path)
    if spec.path is not None and safe.is_product(spec.path):
        return _from_product(spec, spec.path)
    return _from_files(spec)


def _from_store(spec: OpticalSpec, path: Path) -> Found:
    store = eopf.read_store(path)
    # Fill of reflectance is NaN; 0 is a measurement there.
    known = () if store.reflectance else SPECIAL_VALUES
    nodata = known if spec.nodata is None else spec.nodata
    rasters = {
        name: open_band(array, nodata=SPECIAL_VALUES if name == "scl" else nodata, placed=grid)
        for name, (array, grid) in store.arrays.items()
    }
    further = {
        name: UnopenedBand(array, nodata=nodata, placed=grid) for name, (array, grid) in store.further.items()
    }
    taken_off = OffsetDecision(
        bands.DN_PER_REFLECTANCE, bands.DN_OFFSET, "reflectance of GeoZarr, its offset taken off", own=True
    )
    # Stored numbers are those of the SAFE product: the scale and offset of the store are not applied.
    return Found(
        store.name,
        rasters,
        further | _listed(spec),
        taken_off if store.reflectance else _offset_of(store.baseline),
        store.acquired,
        store.baseline,
        None,
        (store.metadata,),
        store.reflectance,
    )


def _from_product(spec: OpticalSpec, path: Path) -> Found:
    product = safe.read_product(path)
    nodata = SPECIAL_VALUES if spec.nodata is None else spec.nodata
    rasters = {
        name: open_band(image, nodata=SPECIAL_VALUES if name == "scl" else nodata)
        for name, image in product.images.items()
    }
    for name in bands.OPTICAL:
        grid = rasters[name].grid
        if product.grid is not None and not _equal(product.grid, grid):
            raise InputError(
                "E109",
                f"{rasters[name].path}: lies at {_place(grid)}, MTD_TL.xml says {_place(product.grid)}; "
                "the product contradicts itself, fetch it again",
            )
    return Found(
        product.name,
        rasters,
        {name: UnopenedBand(image, nodata=nodata) for name, image in product.further.items()} | _listed(spec),
        _offset_of_product(product),
        product.acquired,
        product.baseline,
        product.sun_zenith,
        product.metadata,
    )


def _offset_of_product(product: safe.SafeProduct) -> OffsetDecision:
    scale = bands.DN_PER_REFLECTANCE / product.quantification
    if product.add_offset is None:
        reason = f"no BOA_ADD_OFFSET, baseline {product.baseline}"
        return OffsetDecision(scale, bands.DN_OFFSET, reason, own=True)
    message = f"BOA_ADD_OFFSET {product.add_offset:g}, baseline {product.baseline}"
    return OffsetDecision(scale, bands.DN_OFFSET + product.add_offset * scale, message, own=True)


def _from_files(spec: OpticalSpec) -> Found:
    rasters = open_files(spec)
    paths = [raster.path for raster in rasters.values()]
    baseline = baseline_in_names(paths)
    further = further_bands(spec) | _listed(spec)
    return Found(Path(paths[0]).name, rasters, further, _offset_of(baseline), dates_in_names(paths), baseline)


def _listed(spec: OpticalSpec) -> dict[str, UnopenedBand]:
    """Return the bands of 20 m and 60 m that scene.yaml lists as files."""
    for name, path in spec.further_files.items():
        check_band_name(name, path)
    nodata = SPECIAL_VALUES if spec.nodata is None else spec.nodata
    return {name: UnopenedBand(str(path), nodata=nodata) for name, path in spec.further_files.items()}


def _offset_of(baseline: str | None) -> OffsetDecision | None:
    """Return the offset of a processing baseline."""
    if baseline is None:
        return None
    carries = tuple(int(part) for part in baseline.split(".")) >= FIRST_OFFSET_BASELINE
    return OffsetDecision(1.0, 0.0 if carries else bands.DN_OFFSET, f"processing baseline {baseline}")


def _check_one_grid(rasters: dict[str, RasterBand], classes: RasterBand | None) -> None:
    """Bands must share their pixels, and the classification their ground."""
    first, *others = rasters.values()
    for other in others:
        if not _equal(first.grid, other.grid):
            raise InputError(
                "E109",
                f"{other.path}: lies at {_place(other.grid)}, {Path(first.path).name} at "
                f"{_place(first.grid)}; expected the 10 m bands of one image, on one grid",
            )
    if classes is not None:
        ends = zip(classes.grid.bounds, first.grid.bounds, strict=True)
        pixel = abs(classes.grid.transform.a)
        if classes.grid.crs != first.grid.crs or any(abs(a - b) > pixel for a, b in ends):
            raise InputError(
                "E109",
                f"{classes.path}: lies at {_place(classes.grid)}, {Path(first.path).name} at "
                f"{_place(first.grid)}; expected the SCL of the same image",
            )


def _equal(a: Grid, b: Grid) -> bool:
    corners = zip((*a.bounds, *a.shape), (*b.bounds, *b.shape), strict=True)
    tolerance = 1e-3 * abs(a.transform.a)
    return a.crs == b.crs and all(math.isclose(x, y, rel_tol=0, abs_tol=tolerance) for x, y in corners)


def _place(grid: Grid) -> str:
    epsg = grid.crs.to_epsg()
    left, _, _, top = grid.bounds
    where = f"EPSG:{epsg}" if epsg else "its own CRS"
    return (
        f"{where}, corner {left:.10g} {top:.10g}, {grid.width} x {grid.height} pixels of {grid.transform.a:g}"
    )


def _pixel_findings(
    found: Found, spec: OpticalSpec, rasters: dict[str, RasterBand]
) -> tuple[OffsetDecision, tuple[float, ...], list[Notice]]:
    """Check the pixels, find fill, and let them confirm or overrule the metadata about the offset."""
    name = found.name
    stored = sample_bands(found.rasters)
    seen, fill, notices = without_fill(
        name, {band: stored[band] for band in rasters}, spec.units, zero=spec.nodata is None
    )
    sample = BandSample(seen, stored.get("scl"))
    if not sample.valid.any():
        raise InputError("E106", f"{name}: no pixel has a value in all bands; the image is empty")
    checks.check_bands_differ(name, sample)
    checks.check_units(name, spec.units, sample)
    # Numbers are often divided by 10000 with the offset still in them: the pixels decide here, too.
    reflectance = OffsetDecision(bands.DN_PER_REFLECTANCE, bands.DN_OFFSET, "reflectance, as scene.yaml says")
    metadata = reflectance if spec.units == "reflectance" and not found.reflectance else found.offset
    decision = offset.decide_offset(name, spec.offset, metadata, sample)
    in_dn = BandSample(
        {band: values * decision.scale for band, values in sample.bands.items()}, sample.classes
    )
    order = checks.check_band_order(name, in_dn)
    return (
        decision,
        fill,
        [
            *notices,
            *order,
            *decision.notices,
            *checks.mixed_offset_notices(name, sample, decision.scale),
            *checks.condition_notices(name, in_dn),
            *checks.classification_notices(name, in_dn, decision.offset),
            *registration_notices(name, sample.without_clouds()),
            *([] if _cloudy(sample) else turned_band_notices(name, rasters)),
        ],
    )


def _cloudy(sample: BandSample) -> bool:
    """Return whether so much is cloud that samples at full resolution may show little else."""
    return sample.classes is not None and bool(np.isin(sample.classes, offset.CLOUD_CLASSES).mean() > CLOUDY)


def _acquired(found: Found, stated: datetime | None) -> tuple[datetime | None, list[Notice]]:
    """Return the time of the image, scene.yaml before names."""
    name, notices = found.name, []
    if stated and found.acquired and abs((stated - found.acquired).total_seconds()) > 86400:
        dates = f"scene.yaml says {stated:%Y-%m-%d}, the product {found.acquired:%Y-%m-%d}"
        notices.append(Notice("W213", f"{name}: {dates}; that of scene.yaml is used"))
    acquired = stated or found.acquired
    if acquired is None:
        message = "its date is unknown and was not checked against the event; write datetime in scene.yaml"
        return None, [Notice("W213", f"{name}: {message}")]
    return acquired, notices


def _refuse_after(name: str, acquired: datetime | None, event_time: datetime) -> None:
    """Refuse an image of which it is not sure that it was taken before the event."""
    if acquired is None or acquired >= event_time:
        when = "its date is unknown" if acquired is None else f"was taken {acquired:%Y-%m-%d %H:%M} UTC"
        raise InputError(
            "E210",
            f"{name}: {when}; s2.pre needs images from before the event ({event_time:%Y-%m-%d %H:%M} UTC). "
            "Write datetime in scene.yaml, or leave the image out.",
        )


def _late(name: str, acquired: datetime, event_time: datetime) -> list[Notice]:
    """Refuse an image from before the event, and say when one is from long after it."""
    days = (acquired - event_time).total_seconds() / 86400
    if days <= 0:
        raise InputError(
            "E208",
            f"{name}: was taken {acquired:%Y-%m-%d %H:%M} UTC, {-days:.1f} days before the event "
            f"({event_time:%Y-%m-%d %H:%M} UTC); a post-event image is needed",
        )
    if days > LATE_DAYS:
        message = f"was taken {days:.0f} days after the event; plants may hide the scars again"
        return [Notice("W209", f"{name}: {message}")]
    return []


def _season(found: Found) -> list[Notice]:
    if found.sun_zenith is None or found.sun_zenith <= LOW_SUN_ZENITH:
        return []
    message = f"the sun stood {90 - found.sun_zenith:.0f} degrees high; long shadows look like change"
    return [Notice("W209", f"{found.name}: {message}")]


def _missing(name: str, rasters: dict[str, RasterBand]) -> list[Notice]:
    """Notice bands that are not there, and pixels that are not those of Sentinel-2."""
    notices = []
    missing = " and ".join(band for band in bands.OPTICAL if band not in rasters)
    if missing:
        notices.append(Notice("W211", f"{name}: lacks {missing}; members that need it do not vote"))
    grid = next(iter(rasters.values())).grid
    if grid.crs.is_projected and not math.isclose(grid.transform.a, RESOLUTION_M, rel_tol=0.05):
        message = f"its pixels are {grid.transform.a:g} wide; the models know pixels of 10 m"
        notices.append(Notice("W214", f"{name}: {message}"))
    return notices
