"""Make a simulated landslide event with everything that ``landslide-map`` reads, and its true outlines.

Usage, from the repository root:
``python -m sample_scenes.make_scene [--out FOLDER] [--seed N] [--size PIXELS]``
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from affine import Affine
from pyproj import Transformer

from sample_scenes.simulator import optical, radar
from sample_scenes.simulator.cover import Cover, make_cover
from sample_scenes.simulator.files import Lattice, write_outlines, write_raster, write_scene
from sample_scenes.simulator.noise import Field, power_law_field
from sample_scenes.simulator.scars import Scars, make_scars
from sample_scenes.simulator.terrain import COARSE, PIXEL_M, Relief, make_relief

HERE = Path(__file__).parent
SEED, SIZE = 7, 704
MARGIN = 96
"""Pixels simulated around the scene: what falls into it by layover, and the corners of the turned grid."""
EPSG, ULX, ULY = 32651, 800_040.0, 2_660_040.0
"""125.95 E, 24.0 N: nothing but sea, next to the border of UTM zones 51 and 52."""
SLIDES_PER_KM2 = 75.0
"""Over the whole map. About half of them are left when none starts where another has slid."""

EVENT = "2024-08-20T03:12:00Z"
OPTICAL_TIME = "2024-09-03T02:07:00Z"


@dataclass(frozen=True, slots=True)
class Track:
    """Sentinel-1 passes of one relative orbit; 06 h and 18 h local solar time."""

    orbit: str
    epsg: int
    incidence: float
    """Degrees."""
    relative_orbit: int
    pre: tuple[str, ...]
    post: tuple[str, ...]


TRACKS = (
    Track(  # in the neighbouring zone, so that every run aligns
        orbit="descending",
        epsg=32652,
        incidence=38.5,
        relative_orbit=134,
        pre=("2024-07-16T21:31:00Z", "2024-07-28T21:31:00Z", "2024-08-09T21:31:00Z"),
        post=("2024-08-21T21:31:00Z",),
    ),
    Track(
        orbit="ascending",
        epsg=EPSG,
        incidence=39.5,
        relative_orbit=98,
        pre=("2024-07-24T09:38:00Z", "2024-08-05T09:38:00Z", "2024-08-17T09:38:00Z"),
        post=("2024-08-29T09:38:00Z",),
    ),
)


@dataclass(frozen=True, slots=True)
class World:
    """The ground before and after the event, margin included."""

    relief: Relief
    scars: Scars
    before: Cover
    after: Cover

    @property
    def ground_after(self) -> Field:
        """Elevation after the event, m."""
        return self.relief.elevation + self.scars.elevation_change


def _lattice(epsg: int, size: int) -> Lattice:
    """Return the scene's own grid, or in another zone the 10 m grid that covers it with 3 pixels more."""
    if epsg == EPSG:
        return Lattice(epsg, Affine(PIXEL_M, 0, ULX, 0, -PIXEL_M, ULY), size, size)
    edge = size * PIXEL_M
    left, bottom, right, top = Transformer.from_crs(EPSG, epsg, always_xy=True).transform_bounds(
        ULX, ULY - edge, ULX + edge, ULY, densify_pts=21
    )
    x0, y0 = (np.floor(left / PIXEL_M) - 3) * PIXEL_M, (np.ceil(top / PIXEL_M) + 3) * PIXEL_M
    width, height = int((right - x0) / PIXEL_M) + 4, int((y0 - bottom) / PIXEL_M) + 4
    return Lattice(epsg, Affine(PIXEL_M, 0, x0, 0, -PIXEL_M, y0), width, height)


def _positions(lattice: Lattice) -> tuple[Field, Field]:
    """Return row and column in the simulated map (with margin) of every pixel centre of `lattice`."""
    col, row = np.meshgrid(np.arange(lattice.width) + 0.5, np.arange(lattice.height) + 0.5)
    x = lattice.transform.c + col * lattice.transform.a
    y = lattice.transform.f + row * lattice.transform.e
    if lattice.epsg != EPSG:
        x, y = Transformer.from_crs(lattice.epsg, EPSG, always_xy=True).transform(x, y)
    return (ULY - y) / PIXEL_M - 0.5 + MARGIN, (x - ULX) / PIXEL_M - 0.5 + MARGIN


def _write_optical(out: Path, world: World, size: int, rng: np.random.Generator) -> dict[str, str]:
    """Write the four bands after the event; return what scene.yaml says of them."""
    numbers = optical.digital_numbers(world.after, world.scars, world.ground_after, rng)
    inner = np.s_[MARGIN : MARGIN + size, MARGIN : MARGIN + size]
    for band, image in zip(optical.BANDS, numbers, strict=True):
        write_raster(
            out / "s2" / f"{band}.tif",
            image[inner],
            _lattice(EPSG, size),
            description=f"{band} 10000 * reflectance + 1000",
            DATETIME=OPTICAL_TIME,
        )
    return {band: f"s2/{band}.tif" for band in optical.BANDS} | {"datetime": OPTICAL_TIME}


def _write_track(
    out: Path, world: World, track: Track, size: int, rng: np.random.Generator
) -> dict[str, list[dict[str, str]]]:
    """Write all acquisitions of one track; return what scene.yaml lists under ``pre`` and ``post``."""
    shape = world.relief.elevation.shape
    geometry = radar.Geometry(track.orbit, track.incidence, world.relief.elevation)
    lattice = _lattice(track.epsg, size)
    where = _positions(lattice)
    texture = {"pre": radar.texture(shape, rng)}
    debris = radar.DEBRIS_DB * power_law_field(shape, rng, exponent=0.7, longest=12)
    texture["post"] = texture["pre"] + debris * world.scars.fraction
    cover = {"pre": world.before, "post": world.after}
    facets = {
        "pre": geometry.facets(world.before, world.relief.elevation),
        "post": geometry.facets(world.after, world.ground_after),
    }
    listed: dict[str, list[dict[str, str]]] = {"pre": [], "post": []}
    for side, time in [("pre", t) for t in track.pre] + [("post", t) for t in track.post]:
        wetness = rng.normal(0, 0.35) + 0.4 * power_law_field(shape, rng, exponent=1.8, longest=150)
        files = {}
        for polarisation in ("vv", "vh"):
            sent = radar.gamma0(cover[side], texture[side], wetness, polarisation)
            image = radar.acquire(geometry, facets[side].power(sent), polarisation, where, rng)
            files[polarisation] = f"s1/{track.orbit[:-6]}_{time[:10].replace('-', '')}_{polarisation}.tif"
            write_raster(
                out / files[polarisation],
                image,
                lattice,
                description=f"{polarisation.upper()} sigma0 dB",
                DATETIME=time,
                ORBIT=track.orbit,
                RELATIVE_ORBIT=str(track.relative_orbit),
            )
        listed[side].append(
            files | {"datetime": time, "relative_orbit": str(track.relative_orbit), "platform": "S1A"}
        )
    return listed


def make_world(size: int, streams: Iterator[np.random.Generator], slides_per_km2: float) -> World:
    """Simulate the ground: relief, cover and slides."""
    shape = (size + 2 * MARGIN, size + 2 * MARGIN)
    relief = make_relief(shape, next(streams))
    before = make_cover(relief, next(streams))
    area_km2 = shape[0] * shape[1] * PIXEL_M**2 / 1e6
    scars = make_scars(relief, next(streams), count=round(slides_per_km2 * area_km2))
    return World(relief, scars, before, before.with_scars(scars.fraction))


def make_scene(
    out: str | Path, *, seed: int = SEED, size: int = SIZE, slides_per_km2: float = SLIDES_PER_KM2
) -> Path:
    """Simulate an event and write it to `out`; the same arguments give the same bytes.

    Parameters
    ----------
    out : path
        Folder for ``scene.yaml``, ``s2/``, ``s1/`` and ``landslides_truth.gpkg``; made if absent.
    seed : int
        Seed of relief, cover, slides, weather and speckle.
    size : int
        Edge of the square scene in 10 m pixels, a multiple of 4, at least 64.
    slides_per_km2 : float
        Slides drawn per km2 of the map, nearly all in one rock unit; those drawn in a scar are left out.

    Returns
    -------
    Path
        The ``scene.yaml``.

    Raises
    ------
    ValueError
        If `size` is smaller than a window or no multiple of 4.
    """
    if size < 64 or size % COARSE:
        raise ValueError(f"size={size} px must be a multiple of {COARSE} and at least 64")
    out = Path(out)
    streams = iter(np.random.default_rng(seed).spawn(8))
    world = make_world(size, streams, slides_per_km2)
    inner = np.s_[MARGIN : MARGIN + size, MARGIN : MARGIN + size]
    write_outlines(out / "landslides_truth.gpkg", world.scars.fraction[inner] >= 0.5, _lattice(EPSG, size))
    optical_files = _write_optical(out, world, size, next(streams))
    listed = {track.orbit: _write_track(out, world, track, size, next(streams)) for track in TRACKS}
    write_scene(out / "scene.yaml", event=EVENT, seed=seed, optical=optical_files, radar=listed)
    return out / "scene.yaml"


def main() -> None:
    """Make the scene that the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "simulated_event")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--size", type=int, default=SIZE)
    arguments = parser.parse_args()
    print(make_scene(arguments.out, seed=arguments.seed, size=arguments.size))


if __name__ == "__main__":
    main()
