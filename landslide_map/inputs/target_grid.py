"""Choice of the target grid, from scene.yaml and the Sentinel-2 image."""

from __future__ import annotations

from math import isclose
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyproj
import shapely
from affine import Affine
from pyproj import Proj, Transformer
from rasterio.crs import CRS
from rasterio.errors import CRSError

from landslide_map.errors import InputError
from landslide_map.grid import RESOLUTION_M, Grid
from landslide_map.inputs.scene_inputs import OpticalImage, RadarTrack
from landslide_map.raster.band import RasterBand
from landslide_map.scene.model import GridSpec
from landslide_map.vector.dataset import UNREADABLE, readable
from landslide_map.vector.layers import spatial_layers, unclosed_rings
from landslide_map.vector.reproject import no_degrees, on_one_turn, projected

if TYPE_CHECKING:
    import geopandas as gpd

MIN_PIXELS, MAX_PIXELS = 64, 60_000
"""Edge of a grid: one window at least, and not wider than a map projection can bear."""
STRETCH = 0.05
"""A metre of the grid may differ so much from one on the ground. Web maps differ by 1.0 at 60 degrees."""

FARTHEST_M = 1_100_000
"""Greatest distance of a grid's centre from the central meridian of its UTM zone: 10 degrees at the equator.
That includes the next zone. An easting of 2,000,000 is an error, and its metres are 3 % too long."""


def decide_grid(spec: GridSpec | None, optical: OpticalImage | None, tracks: dict[str, RadarTrack]) -> Grid:
    """Return the one grid that everything is read into.

    Raises
    ------
    InputError
        E102 not a 10 m projected north-up grid of usable size. E107 nothing to decide it from, E101 an
        area of interest that cannot be read.
    """
    image = None if optical is None else next(iter(optical.bands.values()))
    if spec is None:
        if image is None:
            raise _no_grid(tracks)
        grid = image.grid
        where = f"{image.path} (the target grid)"
    elif spec.aoi is not None:
        grid, where = _around(spec.aoi, spec.epsg, image), f"{spec.aoi} (the target grid)"
    else:
        grid = _explicit(spec)
        where = "grid in scene.yaml"
    check_target(grid, where)
    return grid


def check_target(grid: Grid, where: str) -> None:
    """Refuse (E102) a grid that is not 10 m, projected in metres, and of usable size."""
    t = grid.transform
    if not _in_metres(grid.crs) or not all(isclose(size, RESOLUTION_M, rel_tol=1e-3) for size in (t.a, -t.e)):
        units = grid.crs.linear_units if grid.crs.is_projected else "degrees"
        raise InputError(
            "E102",
            f"{where}: pixels of {t.a:g} x {-t.e:g} {units} in {grid.crs.to_string()[:60]}; expected a "
            "projected north-up grid of 10 m, such as UTM. Write grid: {aoi: ...} or grid: {epsg, ulx, uly, "
            "width, height}",
        )
    if not all(MIN_PIXELS <= edge <= MAX_PIXELS for edge in grid.shape):
        raise InputError(
            "E102",
            f"{where}: is {grid.width} x {grid.height} pixels of 10 m; expected {MIN_PIXELS} to "
            f"{MAX_PIXELS} a side",
        )
    if (far := _from_meridian_m(grid)) > FARTHEST_M:
        raise InputError(
            "E102",
            f"{where}: lies {far / 1000:.0f} km from the central meridian of {grid.crs.to_string()[:60]}; "
            f"expected {FARTHEST_M / 1000:.0f} km or less. Correct the easting, or use the place's UTM zone",
        )
    most, least = _stretches(grid)
    if most > 1 + STRETCH or least < 1 - STRETCH:
        across = f"{RESOLUTION_M / most:.1f}"
        if not isclose(most, least, rel_tol=0.01):
            across += f" by {RESOLUTION_M / least:.1f}"
        raise InputError(
            "E102",
            f"{where}: its pixels are {across} m on the ground, because {grid.crs.to_string()[:60]} does not "
            "keep lengths there; expected 10 m. Write grid: {aoi: ..., epsg: ...} with the place's UTM zone",
        )


def _in_metres(crs: CRS) -> bool:
    return bool(crs.is_projected) and isclose(crs.linear_units_factor[1], 1.0)


def _fits_metres(grid: Grid) -> bool:
    """Return whether a metre of a grid is one on the ground: no degrees, feet or web map."""
    return _in_metres(grid.crs) and all(abs(stretch - 1) <= STRETCH for stretch in _stretches(grid))


def _from_meridian_m(grid: Grid) -> float:
    """Return how far the centre is from the meridian of a transverse Mercator projection; 0 for others."""
    operation = pyproj.CRS.from_wkt(grid.crs.to_wkt()).coordinate_operation
    if operation is None or operation.method_name != "Transverse Mercator":
        return 0.0
    meridian = next(float(p.value) for p in operation.params if p.name == "False easting")
    return float(abs((grid.bounds[0] + grid.bounds[2]) / 2 - meridian))


def _stretches(grid: Grid) -> tuple[float, float]:
    """Return the greatest and the least scale of the grid against the ground, at its centre."""
    left, bottom, right, top = grid.bounds
    projection = Proj(grid.crs.to_wkt())
    to_degrees = Transformer.from_crs(projection.crs, projection.crs.geodetic_crs, always_xy=True)
    centre = to_degrees.transform((left + right) / 2, (bottom + top) / 2)
    factors = projection.get_factors(*centre)
    return float(factors.tissot_semimajor), float(factors.tissot_semiminor)


def _explicit(spec: GridSpec) -> Grid:
    if spec.ulx is None or spec.uly is None or spec.width is None or spec.height is None:
        raise AssertionError("GridSpec holds aoi or all of the corner")
    transform = Affine(RESOLUTION_M, 0, spec.ulx, 0, -RESOLUTION_M, spec.uly)
    return Grid(_crs(spec.epsg), transform, spec.width, spec.height)


def _crs(epsg: int | None) -> CRS:
    try:
        return CRS.from_epsg(epsg)
    except CRSError:
        raise InputError(
            "E102", f"grid.epsg: EPSG:{epsg} is not known; expected a projected one such as 32633"
        ) from None


def _around(aoi: Path, epsg: int | None, image: RasterBand | None) -> Grid:
    """Return the smallest grid around an area of interest, on the image's lattice where it has one."""
    import geopandas as gpd

    if not aoi.exists():
        raise InputError("E101", f"{aoi}: no such file; correct grid.aoi in scene.yaml")
    try:
        with readable(aoi) as local, unclosed_rings():
            layers = spatial_layers(local)
            if len(layers) > 1:
                raise InputError(
                    "E101",
                    f"{aoi}: holds {len(layers)} layers ({', '.join(layers)}); expected the area of interest "
                    "alone, export it to a file of its own",
                )
            area = gpd.read_file(local, layer=next(iter(layers), None))
    except (*UNREADABLE, shapely.errors.ShapelyError) as error:
        raise InputError("E101", f"{aoi}: cannot be read as an area of interest ({error})") from None
    outline = area.geometry[~(area.geometry.isna() | area.geometry.is_empty)] if len(area.columns) else area
    if not len(outline):
        raise InputError("E101", f"{aoi}: holds no geometry; expected a polygon around the area of interest")
    if outline.crs is None:
        raise InputError("E103", f"{aoi}: has no coordinate reference system; write one, or use GeoJSON")
    whole = gpd.GeoSeries([shapely.geometrycollections(outline.to_numpy())], crs=outline.crs)
    if wrong := no_degrees(whole):
        raise InputError("E102", f"{aoi}: {wrong}")
    of_image = image.grid.crs if image is not None and _fits_metres(image.grid) else None
    crs = _crs(epsg) if epsg else of_image or _utm_zone(whole, aoi)
    bounds = tuple(projected(whole, crs.to_wkt()).total_bounds)
    if not np.isfinite(bounds).all():
        raise InputError(
            "E102",
            f"{aoi}: lies where {crs.to_string()[:60]} is not defined (its bounds are "
            f"{', '.join(f'{end:.10g}' for end in whole.total_bounds)}); correct grid.epsg in scene.yaml, or "
            "leave it out",
        )
    return _snapped(crs, bounds, image)


def _utm_zone(outline: gpd.GeoSeries, aoi: Path) -> CRS:
    """Return the UTM zone of the middle of an area, E102 where there is none."""
    outline = on_one_turn(outline) if outline.crs.is_geographic else outline
    left, bottom, right, top = outline.total_bounds
    to_degrees = Transformer.from_crs(outline.crs, "EPSG:4326", always_xy=True)
    longitude, latitude = to_degrees.transform((left + right) / 2, (bottom + top) / 2)
    if not -80 <= latitude <= 84:
        raise InputError(
            "E102",
            f"{aoi}: lies at a latitude of {latitude:.1f} degrees, where there is no UTM zone. Write grid: "
            "{aoi: ..., epsg: ...} with a polar projection such as 3413 or 3031",
        )
    zone = int((longitude + 180) % 360 // 6) + 1
    return CRS.from_epsg((32600 if latitude >= 0 else 32700) + zone)


def _snapped(crs: CRS, bounds: tuple[float, float, float, float], image: RasterBand | None) -> Grid:
    """Return the grid around `bounds`, one window at least, on the image's lattice or multiples of 10 m."""
    left, bottom, right, top = bounds
    grow_x, grow_y = (max(0.0, MIN_PIXELS * RESOLUTION_M - size) / 2 for size in (right - left, top - bottom))
    origin = image.grid.transform if image is not None and image.grid.crs == crs else Affine.identity()
    shift_x, shift_y = origin.c % RESOLUTION_M, origin.f % RESOLUTION_M
    grid = Grid.covering(
        crs,
        (
            left - grow_x - shift_x,
            bottom - grow_y - shift_y,
            right + grow_x - shift_x,
            top + grow_y - shift_y,
        ),
    )
    t = grid.transform
    return Grid(crs, Affine(t.a, 0, t.c + shift_x, 0, t.e, t.f + shift_y), grid.width, grid.height)


_NO_GRID: Final = (
    "scene.yaml names no Sentinel-2 image to take the grid from; write grid: {aoi: area.geojson} or "
    "grid: {epsg, ulx, uly, width, height}"
)


def _no_grid(tracks: dict[str, RadarTrack]) -> InputError:
    """Say how to give a grid when there is no Sentinel-2 image to take it from."""
    if not tracks:
        return InputError("E107", _NO_GRID)
    track = next(iter(tracks.values()))
    source = (track.composite.bands["post_vv"] if track.composite else track.post[0].bands["vv"][0]).grid
    t, epsg = source.transform, source.crs.to_epsg()
    hint = ""
    if source.crs.is_projected and epsg and isclose(t.a, RESOLUTION_M, rel_tol=1e-3):
        corner = (
            f"epsg: {epsg}, ulx: {t.c:.10g}, uly: {t.f:.10g}, width: {source.width}, height: {source.height}"
        )
        hint = f"; for the grid of the {track.orbit} track: grid: {{{corner}}}"
    return InputError(
        "E107",
        f"{_NO_GRID}{hint}",
    )
