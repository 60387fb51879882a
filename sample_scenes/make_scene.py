"""Make a simulated landslide event with everything that ``landslide-map`` reads, and its true outlines.

Usage, from the repository root: ``python -m sample_scenes.make_scene [--out FOLDER] [--seed N] [--size PIXELS]``
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from affine import Affine
from pyproj import Transformer

from sample_scenes.simulator import optical, radar
from sample_scenes.simulator.cover import make_cover
from sample_scenes.simulator.files import Lattice, write_outlines, write_raster, write_scene
from sample_scenes.simulator.noise import power_law_field
from sample_scenes.simulator.scars import make_scars
from sample_scenes.simulator.terrain import PIXEL_M, make_relief

HERE = Path(__file__).parent
SEED, SIZE = 7, 704
MARGIN = 96
"""Pixels simulated around the scene: what falls into it by layover, and the corners of the turned grid."""
EPSG, ULX, ULY = 32651, 800_040.0, 2_660_040.0
"""125.95 E, 24.0 N: nothing but sea, next to the border of UTM zones 51 and 52."""
SLIDES_PER_KM2 = 22.0

EVENT = "2024-08-20T03:12:00Z"
OPTICAL_TIME = "2024-09-03T02:07:00Z"
TRACKS = {
    "descending": dict(
        epsg=32652,
        incidence=39.0,
        relative_orbit=134,
        platform="S1A",
        pre=("2024-07-16T21:31:00Z", "2024-07-28T21:31:00Z", "2024-08-09T21:31:00Z"),
        post=("2024-08-21T21:31:00Z",),
    ),
    "ascending": dict(
        epsg=EPSG,
        incidence=37.0,
        relative_orbit=98,
        platform="S1A",
        pre=("2024-07-24T09:38:00Z", "2024-08-05T09:38:00Z", "2024-08-17T09:38:00Z"),
        post=("2024-08-29T09:38:00Z",),
    ),
}


def _lattice(epsg: int, size: int) -> Lattice:
    """Return the scene's own grid, or the smallest 10 m grid of another zone that covers it with 3 pixels more."""
    if epsg == EPSG:
        return Lattice(epsg, Affine(PIXEL_M, 0, ULX, 0, -PIXEL_M, ULY), size, size)
    edge = size * PIXEL_M
    left, bottom, right, top = Transformer.from_crs(EPSG, epsg, always_xy=True).transform_bounds(
        ULX, ULY - edge, ULX + edge, ULY, densify_pts=21
    )
    x0, y0 = (np.floor(left / PIXEL_M) - 3) * PIXEL_M, (np.ceil(top / PIXEL_M) + 3) * PIXEL_M
    width, height = int((right - x0) / PIXEL_M) + 4, int((y0 - bottom) / PIXEL_M) + 4
    return Lattice(epsg, Affine(PIXEL_M, 0, x0, 0, -PIXEL_M, y0), width, height)


def _positions(lattice: Lattice) -> tuple[np.ndarray, np.ndarray]:
    """Return row and column in the simulated map (with margin) of every pixel centre of `lattice`."""
    col, row = np.meshgrid(np.arange(lattice.width) + 0.5, np.arange(lattice.height) + 0.5)
    x, y = lattice.transform * (col, row)
    if lattice.epsg != EPSG:
        x, y = Transformer.from_crs(lattice.epsg, EPSG, always_xy=True).transform(x, y)
    return (ULY - y) / PIXEL_M - 0.5 + MARGIN, (x - ULX) / PIXEL_M - 0.5 + MARGIN


def make_scene(
    out: Path, *, seed: int = SEED, size: int = SIZE, slides_per_km2: float = SLIDES_PER_KM2
) -> Path:
    """Simulate an event and write it to `out`; the same arguments give the same pixels.

    Parameters
    ----------
    out : Path
        Folder for ``scene.yaml``, ``s2/``, ``s1/`` and ``landslides_truth.gpkg``; made if absent.
    seed : int
        Seed of relief, cover, slides, weather and speckle.
    size : int
        Edge of the square scene in 10 m pixels, a multiple of 4.
    slides_per_km2 : float
        Mean density of the slides.

    Returns
    -------
    Path
        The ``scene.yaml``.
    """
    streams = iter(np.random.default_rng(seed).spawn(32))
    shape = (size + 2 * MARGIN,) * 2
    relief = make_relief(shape, next(streams))
    before = make_cover(relief, next(streams))
    area_km2 = shape[0] * shape[1] * PIXEL_M**2 / 1e6
    scars = make_scars(relief, next(streams), count=round(slides_per_km2 * area_km2))
    after = before.with_scars(scars.fraction)
    ground_after = relief.elevation + scars.elevation_change
    inner = np.s_[MARGIN : MARGIN + size, MARGIN : MARGIN + size]

    grid = _lattice(EPSG, size)
    numbers = optical.digital_numbers(after, scars, ground_after, next(streams))
    for band, image in zip(optical.BANDS, numbers, strict=True):
        write_raster(
            out / "s2" / f"{band}.tif",
            image[inner],
            grid,
            description=f"{band} 10000 * reflectance + 1000",
            DATETIME=OPTICAL_TIME,
            PROCESSING_BASELINE="none (simulated, offset as in 04.00 and later)",
        )
    write_outlines(
        out / "landslides_truth.gpkg",
        np.where(scars.fraction >= 0.5, scars.label, 0)[inner].astype(np.int32),
        grid,
    )

    listed: dict[str, dict[str, list[dict[str, str]]]] = {}
    for orbit, track in TRACKS.items():
        geometry = radar.Geometry(orbit, track["incidence"], relief.elevation)
        lattice = _lattice(track["epsg"], size)
        where = _positions(lattice)
        rng = next(streams)
        lasting = radar.texture(shape, rng)
        debris = 0.9 * power_law_field(shape, rng, exponent=0.7, longest=12)
        lasting_after = lasting + debris * (scars.fraction > 0)
        facets = {
            "pre": geometry.facets(before, relief.elevation),
            "post": geometry.facets(after, ground_after),
        }
        listed[orbit] = {"pre": [], "post": []}
        for side, time in [("pre", t) for t in track["pre"]] + [("post", t) for t in track["post"]]:
            texture, cover = (lasting, before) if side == "pre" else (lasting_after, after)
            wetness = rng.normal(0, 0.6) + 0.4 * power_law_field(shape, rng, exponent=1.8, longest=150)
            stem = f"s1/{orbit[:4].rstrip('e')}_{time[:10].replace('-', '')}"
            files = {}
            for polarisation in ("vv", "vh"):
                clean = facets[side].power(radar.gamma0(cover, texture, wetness, polarisation))
                image = radar.acquire(geometry, clean, polarisation, where, rng)
                files[polarisation] = f"{stem}_{polarisation}.tif"
                write_raster(
                    out / files[polarisation],
                    image,
                    lattice,
                    description=f"{polarisation.upper()} sigma0 dB",
                    DATETIME=time,
                    ORBIT=orbit,
                    RELATIVE_ORBIT=str(track["relative_orbit"]),
                )
            listed[orbit][side].append(
                files
                | dict(datetime=time, relative_orbit=str(track["relative_orbit"]), platform=track["platform"])
            )
    optical_files = {band: f"s2/{band}.tif" for band in optical.BANDS} | {"datetime": OPTICAL_TIME}
    write_scene(out / "scene.yaml", event=EVENT, seed=seed, optical=optical_files, radar=listed)
    return out / "scene.yaml"


def main() -> None:
    """Make the scene that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "simulated_event")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--size", type=int, default=SIZE)
    arguments = parser.parse_args()
    print(make_scene(arguments.out, seed=arguments.seed, size=arguments.size))


if __name__ == "__main__":
    main()
