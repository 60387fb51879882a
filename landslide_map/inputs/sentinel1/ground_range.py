"""Sentinel-1 GRD products in scene.yaml: identity, and bands on the grid of the scene."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import shapely
from affine import Affine
from rasterio.crs import CRS

from landslide_map.bands import POLARISATIONS
from landslide_map.errors import InputError, Notice
from landslide_map.grid import Grid
from landslide_map.inputs.sentinel1.metadata import Identity, Recorded, identify
from landslide_map.raster.coordinates import source_coordinates
from landslide_map.raster.ground_range.geometry import has_sarsen
from landslide_map.raster.ground_range.product import (
    GroundRangeBand,
    annotation_of,
    is_ground_range,
    orbit_file_of,
    orbit_files,
)
from landslide_map.scene.model import RadarSpec, TrackSpec

_ALONG: Final = 9
"""Points along each axis of a grid that show whether an image covers some of it."""


def not_geocoded(path: Path) -> InputError:
    """Return the refusal (E320) of a product in radar geometry that is not geocoded here."""
    level = "SLC" if "_SLC_" in path.name.upper() else "GRD"
    own = " Or install landslide-map[grd], which geocodes GRD products with the dem of the scene."
    return InputError(
        "E320",
        f"{path}: a Sentinel-1 {level} product is not terrain-corrected. Take the same pass from Planetary "
        "Computer as RTC (landslide-map find), from Earth Engine's COPERNICUS/S1_GRD, or from ASF HyP3 as "
        f"RTC (docs/your-scene.md).{own if level == 'GRD' else ''}",
    )


def identity_of(product: Path) -> Identity:
    """Return the properties in the annotation and the name of a product."""
    annotation = annotation_of(product, "vv")
    annotated = Identity(
        platform=annotation.platform if re.fullmatch(r"S1[ABCD]", annotation.platform) else None,
        absolute_orbit=annotation.absolute_orbit,
        orbit=annotation.direction if annotation.direction in {"ascending", "descending"} else None,
        family="GRD",
        units="power",
        quantity="sigma0",
        filtered=False,
    )
    return annotated.completed(identify([product.name]))


def recorded_of(band: GroundRangeBand) -> Recorded:
    """Return the sources of metadata of a band, the first in precedence first."""
    known = replace(identity_of(band.product), polarisation=band.polarisation.upper())
    return (("annotation", known),)


def rough_grid(product: Path) -> Grid:
    """Return a grid of one pixel around a product, degrees: where it lies, roughly."""
    points = annotation_of(product, "vv").tie_points
    left, right, bottom, top = (
        float(end(of)) for of in (points.longitude, points.latitude) for end in (np.min, np.max)
    )
    return Grid(CRS.from_epsg(4326), Affine(right - left, 0, left, 0, bottom - top, top), 1, 1)


def has_ground_range(tracks: Mapping[str, TrackSpec]) -> bool:
    """Return whether a track lists a GRD product that can be geocoded."""
    return any(one.path is not None and is_ground_range(one.path) for one in _items(tracks)) and has_sarsen()


def on_grid(
    tracks: Mapping[str, TrackSpec], grid: Grid, dem: str | None, orbits: Sequence[Path] = ()
) -> tuple[dict[str, TrackSpec], list[Notice]]:
    """Return tracks with the bands of GRD products on the grid in place of the products.

    Parameters
    ----------
    tracks : mapping of str to TrackSpec
    grid : Grid
        That of the scene.
    dem : str, optional
        What opens its elevation model.
    orbits : sequence of Path
        Orbit files, or folders of such, beside those that lie beside a product.

    Raises
    ------
    InputError
        E322 without an elevation model; E105 where no product of a side covers any of the grid; E101 where
        `orbits` holds no orbit file.
    """
    notices: dict[Notice, None] = {}
    given = orbit_files(orbits)

    def side(specs: Sequence[RadarSpec] | None) -> tuple[RadarSpec, ...] | None:
        raw = [one.path for one in specs or () if one.path is not None and is_ground_range(one.path)]
        if not raw:
            return None if specs is None else tuple(specs)
        if dem is None:
            raise InputError(
                "E322",
                f"{raw[0]}: a GRD product is placed on the ground by heights; add dem: to scene.yaml, e.g. "
                "the tiles of Copernicus GLO-30 (landslide-map find fetches them)",
            )
        covering = {path for path in raw if _covers(path, grid)}
        if not covering:
            raise InputError(
                "E105", f"{raw[0]}: lies beside the grid, as do all GRD products of its list; take others"
            )
        orbit_of = {path: orbit_file_of(path, annotation_of(path, "vv"), given) for path in sorted(covering)}
        notices.update(dict.fromkeys(_orbit_notice(*one) for one in orbit_of.items()))
        return tuple(
            _banded(one, grid, dem, orbit_of)
            for one in specs or ()
            if one.path is None or not is_ground_range(one.path) or one.path in covering
        )

    changed = {
        orbit: track.model_copy(update={"pre": side(track.pre), "post": side(track.post)})
        for orbit, track in tracks.items()
    }
    return changed, list(notices)


def _items(tracks: Mapping[str, TrackSpec]) -> Iterator[RadarSpec]:
    for track in tracks.values():
        yield from (*(track.pre or ()), *(track.post or ()))


def _banded(spec: RadarSpec, grid: Grid, dem: str, orbit_of: Mapping[Path, Path | None]) -> RadarSpec:
    """Return an item with its bands on the grid in place of the product."""
    product = spec.path
    assert product is not None
    bands = {pol: GroundRangeBand(product, pol, dem, grid, orbit_of[product]) for pol in POLARISATIONS}
    names = {pol: (Path(band.name),) for pol, band in bands.items()}
    return spec.model_copy(update={"path": None, "bands": None, **names})


def _covers(product: Path, grid: Grid) -> bool:
    """Return whether an image shows some of a grid."""
    points = annotation_of(product, "vv").tie_points
    middle = float(points.longitude[0])
    longitude = middle + (points.longitude - middle + 180.0) % 360.0 - 180.0
    swath = shapely.MultiPoint(np.column_stack([longitude, points.latitude])).convex_hull
    rows, cols = np.meshgrid(np.linspace(0, grid.height, _ALONG), np.linspace(0, grid.width, _ALONG))
    earth = Grid(CRS.from_epsg(4326), Affine(1, 0, -180, 0, -1, 90), 360, 180)
    down, across = source_coordinates(earth, grid, rows, cols)
    at = middle + (across - 180.0 - middle + 180.0) % 360.0 - 180.0
    area = shapely.MultiPoint(np.column_stack([at.ravel(), 90.0 - down.ravel()])).convex_hull
    return bool(swath.intersects(area))


def _orbit_notice(product: Path, orbit: Path | None) -> Notice:
    """Return the notice (I324) that a product is geocoded here, and by which orbit."""
    by = f"the orbit file {orbit.name}" if orbit else "the orbit of the product, as no orbit file covers it"
    return Notice("I324", f"{product.name}: is geocoded on the grid with the dem and {by}")
