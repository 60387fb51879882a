"""Location and time of geocoded Sentinel-1 GRD: ``python -m benchmarks.ground_range``.

Prints the figures of ``docs/decisions/0064-geocoding-grd.md``. The annotation is that of a real product in
the shared data folder (``LANDSLIDE_MAP_DATA``). Its pixels are made here: speckle, and bright samples where
ESA's processor says that a tie point was seen.
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import pyproj
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.windows import Window

from landslide_map.grid import Grid
from landslide_map.raster.band import RasterBand
from landslide_map.raster.geoid import geoid_height
from landslide_map.raster.ground_range.annotation import Annotation
from landslide_map.raster.ground_range.product import GroundRangeBand, annotation_of
from landslide_map.raster.handles import OpenFiles
from landslide_map.raster.resample import read_block
from tests.support.shared_data import shared_data

EPSG = 32633
STRIP = 500
EVERY = 11
"""Step between the tie points that are used."""


def write_product(folder: Path, bright: list[int]) -> tuple[Path, Annotation]:
    """Write a product with the real annotation, for VV and VH, and pixels of speckle."""
    real = next(shared_data("fixtures", "s1_grd_safe_sarsen").glob("*.SAFE"))
    annotation = annotation_of(real, "vv")
    product = folder / real.name
    (product / "annotation" / "calibration").mkdir(parents=True)
    (product / "measurement").mkdir()
    (product / "manifest.safe").write_text("")
    for polarisation in ("vv", "vh"):
        for source in real.glob("annotation/**/*-vv-*.xml"):
            if "rfi" not in source.parts:
                target = product / source.relative_to(real)
                target.with_name(target.name.replace("-vv-", f"-{polarisation}-")).write_bytes(
                    source.read_bytes()
                )
        name = next(real.glob("measurement/*-vv-*.tiff")).name.replace("-vv-", f"-{polarisation}-")
        _write_image(product / "measurement" / name, annotation, bright)
    return product, annotation


def _write_image(path: Path, annotation: Annotation, bright: list[int]) -> None:
    timing, points = annotation.timing, annotation.tie_points
    looks = np.random.default_rng(1).gamma(4.4, 1 / 4.4, (STRIP, timing.samples))
    speckle = (np.sqrt(looks) * 160 + 1).astype(np.uint16)
    profile = {"width": timing.samples, "height": timing.lines, "count": 1, "dtype": "uint16"}
    corner = [GroundControlPoint(0, 0, float(points.longitude[0]), float(points.latitude[0]))]
    with rasterio.open(
        path, "w", driver="GTiff", compress="zstd", blockysize=1, gcps=corner, crs="EPSG:4326", **profile
    ) as file:
        for top in range(0, timing.lines, STRIP):
            strip = speckle[: min(STRIP, timing.lines - top)].copy()
            for point in bright:
                line, sample = int(points.line[point]) - top, int(points.sample[point])
                if 0 <= line < len(strip):
                    strip[line, sample] = 20_000
            file.write(strip, 1, window=Window(0, top, timing.samples, len(strip)))


def write_dem(
    path: Path, height: float, corner: tuple[float, float], pixels: int, noise: float = 0.0
) -> Path:
    """Write heights of one second of arc, above the sea."""
    heights = height + noise * np.random.default_rng(2).random((pixels, pixels))
    with rasterio.open(
        path, "w", driver="GTiff", width=pixels, height=pixels, count=1, dtype="float32", crs="EPSG:4326",
        transform=Affine(1 / 3600, 0, corner[0], 0, -1 / 3600, corner[1]), tiled=True, compress="deflate",
    ) as file:  # fmt: skip
        file.write(heights.astype(np.float32), 1)
    return path


def distances(folder: Path, product: Path, annotation: Annotation, bright: list[int]) -> list[float]:
    """Return how far on the map bright samples lie from their tie points, metres."""
    to_grid = pyproj.Transformer.from_crs(4326, EPSG, always_xy=True)
    points, found = annotation.tie_points, []
    for point in bright:
        lon, lat = float(points.longitude[point]), float(points.latitude[point])
        above_sea = float(points.height[point] - geoid_height([lon], [lat])[0])
        dem = write_dem(folder / f"{point}.tif", above_sea, (lon - 60 / 3600, lat + 60 / 3600), 120)
        x, y = to_grid.transform(lon, lat)
        grid = Grid(
            CRS.from_epsg(EPSG), Affine(10, 0, round(x, -1) - 640, 0, -10, round(y, -1) + 640), 128, 128
        )
        band = RasterBand(GroundRangeBand(product, "vv", str(dem), grid).name, grid)
        power = read_block(band, grid, next(grid.blocks()))
        rows, cols = np.nonzero(power > 100 * np.nanmedian(power))
        found.append(float(np.hypot(grid.x[cols].mean() - x, grid.y[rows].mean() - y)))
    return found


@click.command()
def main() -> None:
    """Print how far bright points lie from their places, and what a full tile takes."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        real = annotation_of(next(shared_data("fixtures", "s1_grd_safe_sarsen").glob("*.SAFE")), "vv")
        points, timing = real.tie_points, real.timing
        inside = (points.line > 100) & (points.line < timing.lines - 100)
        inside &= (points.sample > 100) & (points.sample < timing.samples - 100)
        bright = np.flatnonzero(inside)[::EVERY].tolist()
        product, annotation = write_product(folder, bright)
        metres = np.array(distances(folder, product, annotation, bright))
        print(f"{len(metres)} points: {np.sqrt(np.mean(metres**2)):.1f} m rms, {metres.max():.1f} m at most")
        dem = write_dem(folder / "tile.tif", 500.0, (12.5, 42.8), 7200, 3.0)
        grid = Grid(CRS.from_epsg(EPSG), Affine(10, 0, 300_000, 0, -10, 4_700_040), 10_980, 10_980)
        files = OpenFiles()
        for polarisation in ("vv", "vh"):
            started, spent = time.perf_counter(), time.process_time()
            band = RasterBand(GroundRangeBand(product, polarisation, str(dem), grid).name, grid)
            valid = sum(int(np.isfinite(read_block(band, grid, b, files=files)).sum()) for b in grid.blocks())
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            print(
                f"{polarisation} of a tile: {time.perf_counter() - started:.0f} s, CPU "
                f"{time.process_time() - spent:.0f} s, {valid / 10_980**2:.0%} seen, {memory:.1f} GB at most"
            )


if __name__ == "__main__":
    main()
