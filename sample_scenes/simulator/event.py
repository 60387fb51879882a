"""A simulated event from its options to the folder that a user would have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from affine import Affine
from pyproj import Transformer

from sample_scenes.simulator import optical, radar
from sample_scenes.simulator.confusers import PAINTERS, make_land
from sample_scenes.simulator.cover import Cover, make_cover
from sample_scenes.simulator.files import (
    PixelGrid,
    SceneText,
    write_elevation,
    write_outlines,
    write_raster,
    write_scene,
)
from sample_scenes.simulator.noise import Field, power_law_field
from sample_scenes.simulator.options import EventOptions
from sample_scenes.simulator.scars import Scars, make_scars
from sample_scenes.simulator.seasons import sun_position
from sample_scenes.simulator.sky import make_sky, scene_classification
from sample_scenes.simulator.terrain import PIXEL_M, Relief, make_relief

MARGIN = 96
"""Pixels simulated around the scene: what falls into it by layover, and the corners of the turned grid."""
EPSG, ULX, ULY = 32651, 800_040.0, 2_660_040.0
"""125.95 E, 24.0 N: nothing but sea, next to the border of UTM zones 51 and 52."""
OPTICAL_PASS, POST_DELAY = timedelta(minutes=-65), timedelta(days=14)
"""Time from the event to the hour of Sentinel-2, and to the first clear image after it."""
CLOUD_SHARE = (0.02, 0.10)
"""Share of the map, where clouds are requested."""


@dataclass(frozen=True, slots=True)
class Track:
    """Sentinel-1 passes of one relative orbit; 06 h and 18 h local solar time."""

    orbit: str
    epsg: int
    incidence: float
    """Degrees."""
    relative_orbit: int
    first: timedelta
    """Time from the event to the first pass after it; three passes before it, twelve days apart."""


TRACKS = (
    Track("descending", 32652, 38.5, 134, timedelta(days=1, hours=18, minutes=19)),  # every run aligns
    Track("ascending", EPSG, 39.5, 98, timedelta(days=9, hours=6, minutes=26)),
)
REPEAT = timedelta(days=12)
PASSES_BEFORE = 3


@dataclass(frozen=True, slots=True)
class World:
    """The ground before and after the event, margin included."""

    relief: Relief
    scars: Scars
    unslid: Scars
    """The same without a scar."""
    before: Cover
    after: Cover
    texture: optical.Texture

    @property
    def ground_after(self) -> Field:
        """Elevation after the event, m."""
        return self.relief.elevation + self.scars.elevation_change


def simulate_event(folder: str | Path, options: EventOptions) -> Path:
    """Simulate an event and write it to `folder`; the same options give the same bytes.

    Parameters
    ----------
    folder : path
        For ``scene.yaml``, ``s2/``, ``s1/``, ``dem.tif`` and ``landslides_truth.gpkg``; made if absent.
    options : EventOptions
        What to simulate.

    Returns
    -------
    Path
        The ``scene.yaml``. ``dem.tif`` (elevation before the event, m) is not named there.
    """
    out = Path(folder)
    streams = iter(np.random.default_rng(options.seed).spawn(12))
    world = make_world(options, streams)
    inner = _inner(options.size)
    grid = _pixel_grid(EPSG, options.size)
    write_outlines(
        out / "landslides_truth.gpkg", world.scars.label[inner] > 0, grid, _grounds(world.before, inner)
    )
    write_elevation(out / "dem.tif", world.relief.elevation[inner], grid)
    sky = next(streams)
    post = _write_image(out, world, options, options.time + OPTICAL_PASS + POST_DELAY, sky)
    pre = [
        _write_image(out, world, options, options.time + OPTICAL_PASS - timedelta(days=days), sky)
        for days in options.pre_days
    ]
    listed = {track.orbit: _write_track(out, world, options, track, next(streams)) for track in TRACKS}
    text = SceneText(
        options.seed, f"{options.time:%Y-%m-%dT%H:%M:%SZ}", post, pre if options.list_pre else [], listed
    )
    write_scene(out / "scene.yaml", text)
    return out / "scene.yaml"


def make_world(options: EventOptions, streams: Iterator[np.random.Generator]) -> World:
    """Simulate the ground: relief, cover, what confuses, and slides."""
    shape = (options.size + 2 * MARGIN,) * 2
    relief = make_relief(shape, next(streams))
    land = make_land(relief, make_cover(relief, next(streams)))
    slides, confusing, texture = next(streams), next(streams), next(streams)
    own = dict(zip(PAINTERS, confusing.spawn(len(PAINTERS)), strict=True))
    for name, paint in PAINTERS.items():
        if name in options.confusers and name != "snow":
            land = paint(land, own[name])
    count = round(options.slides_per_km2 * land.km2)
    scars = make_scars(relief, slides, count=count, tail=options.tail)
    before, slid = land.before, land.after.painted("scar", scars.fraction)
    if "snow" in options.confusers:  # on top of the slides
        land = PAINTERS["snow"](replace(land, after=slid), own["snow"])
        before, slid = land.before, land.after
    zero = np.zeros(shape)
    unslid = Scars(np.zeros(shape, np.int32), zero, zero, zero, zero, zero)
    return World(relief, scars, unslid, before, slid, optical.make_texture(shape, texture))


def _inner(size: int) -> tuple[slice, slice]:
    return np.s_[MARGIN : MARGIN + size, MARGIN : MARGIN + size]


def _grounds(before: Cover, inner: tuple[slice, slice]) -> dict[str, Field]:
    return {name: fraction[inner] for name, fraction in before.fractions.items()}


def _pixel_grid(epsg: int, size: int) -> PixelGrid:
    """Return the scene's own grid, or in another zone the 10 m grid that covers it with 3 pixels more."""
    if epsg == EPSG:
        return PixelGrid(epsg, Affine(PIXEL_M, 0, ULX, 0, -PIXEL_M, ULY), size, size)
    edge = size * PIXEL_M
    left, bottom, right, top = Transformer.from_crs(EPSG, epsg, always_xy=True).transform_bounds(
        ULX, ULY - edge, ULX + edge, ULY, densify_pts=21
    )
    x0, y0 = (np.floor(left / PIXEL_M) - 3) * PIXEL_M, (np.ceil(top / PIXEL_M) + 3) * PIXEL_M
    width, height = int((right - x0) / PIXEL_M) + 4, int((y0 - bottom) / PIXEL_M) + 4
    return PixelGrid(epsg, Affine(PIXEL_M, 0, x0, 0, -PIXEL_M, y0), width, height)


def _positions(grid: PixelGrid) -> tuple[Field, Field]:
    """Return row and column in the simulated map (with margin) of every pixel centre of `grid`."""
    col, row = np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5)
    x = grid.transform.c + col * grid.transform.a
    y = grid.transform.f + row * grid.transform.e
    if grid.epsg != EPSG:
        x, y = Transformer.from_crs(grid.epsg, EPSG, always_xy=True).transform(x, y)
    return (ULY - y) / PIXEL_M - 0.5 + MARGIN, (x - ULX) / PIXEL_M - 0.5 + MARGIN


def _write_image(
    out: Path, world: World, options: EventOptions, time: datetime, rng: np.random.Generator
) -> dict[str, str]:
    """Write one Sentinel-2 image, its bands and SCL; return what scene.yaml says of it."""
    slid = time > options.time
    ground = optical.Ground(
        world.after if slid else world.before,
        world.scars if slid else world.unslid,
        world.ground_after if slid else world.relief.elevation,
        world.texture,
    )
    share = float(rng.uniform(*CLOUD_SHARE)) if "clouds" in options.confusers else 0.0
    sky = make_sky(ground.elevation.shape, sun_position(time, options.latitude), share, rng)
    seen = optical.reflectance(ground, sky, options, time, rng)
    inner = _inner(options.size)
    classes = scene_classification(seen, sky, rng)[tuple(slice(s.start // 2, s.stop // 2) for s in inner)]
    names = (
        {band: band for band in optical.BANDS} if slid else {b: f"{time:%Y%m%d}_{b}" for b in optical.BANDS}
    )
    grid, stamp = _pixel_grid(EPSG, options.size), f"{time:%Y-%m-%dT%H:%M:%SZ}"
    for band, image in zip(optical.BANDS, optical.digital_numbers(seen), strict=True):
        write_raster(
            out / "s2" / f"{names[band]}.tif",
            image[inner],
            grid,
            description=f"{band} 10000 * reflectance + 1000",
            DATETIME=stamp,
        )
    scl = "s2/SCL.tif" if slid else f"s2/{time:%Y%m%d}_SCL.tif"
    write_raster(out / scl, classes, grid.coarser(2), description="scene classification", DATETIME=stamp)
    return {band: f"s2/{name}.tif" for band, name in names.items()} | {"SCL": scl, "datetime": stamp}


def _write_track(
    out: Path, world: World, options: EventOptions, track: Track, rng: np.random.Generator
) -> dict[str, list[dict[str, str]]]:
    """Write all acquisitions of one track; return what scene.yaml lists under ``pre`` and ``post``."""
    shape = world.relief.elevation.shape
    grid = _pixel_grid(track.epsg, options.size)
    where = _positions(grid)
    geometry = radar.Geometry(track.orbit, track.incidence, world.relief.elevation)
    lasting = radar.texture(shape, rng)
    debris = radar.DEBRIS_DB * power_law_field(shape, rng, exponent=0.7, longest=12)
    debris = (debris + radar.SLIDE_DB * world.scars.backscatter) * world.scars.fraction
    clean = {
        "pre": radar.clean_images(geometry, world.before, world.relief.elevation, lasting),
        "post": radar.clean_images(geometry, world.after, world.ground_after, lasting + debris),
    }
    listed: dict[str, list[dict[str, str]]] = {"pre": [], "post": []}
    passes = [("pre", track.first - n * REPEAT) for n in range(PASSES_BEFORE, 0, -1)] + [
        ("post", track.first)
    ]
    for side, after in passes:
        stamp = options.time + after
        files = {}
        for polarisation, image in radar.acquire(geometry, clean[side], where, rng).items():
            files[polarisation] = f"s1/{track.orbit[:-6]}_{stamp:%Y%m%d}_{polarisation}.tif"
            write_raster(
                out / files[polarisation],
                image,
                grid,
                description=f"{polarisation.upper()} sigma0 dB",
                DATETIME=f"{stamp:%Y-%m-%dT%H:%M:%SZ}",
                ORBIT=track.orbit,
                RELATIVE_ORBIT=str(track.relative_orbit),
            )
        listed[side].append(
            files
            | {
                "datetime": f"{stamp:%Y-%m-%dT%H:%M:%SZ}",
                "relative_orbit": str(track.relative_orbit),
                "platform": "S1A",
            }
        )
    return listed
