"""Effect of resampling kernels on the speckle of real radar: ``python -m benchmarks.radar_resampling``.

Prints the tables of ``docs/decisions/0052-radar-by-nearest-pixels.md``: real geocoded pixels are put into
degrees as SNAP does, and read back into their own grid by both kernels. Then the sample scene is classified
with quieter VV and VH differences. Needs the shared data folder (``LANDSLIDE_MAP_DATA``).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path

import click
import geopandas as gpd
import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.features import rasterize
from rasterio.warp import Resampling, calculate_default_transform, reproject
from sklearn.metrics import roc_auc_score

from landslide_map.bands import DIFFERENCES, MODEL_BANDS
from landslide_map.grid import Block, Grid
from landslide_map.inference.score import chunk_statistics
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.sentinel1.backscatter import to_db, to_power
from landslide_map.models.bundle.load import load_bundle
from landslide_map.raster.band import RasterBand
from landslide_map.raster.resample import read_block
from landslide_map.scene.model import load_scene
from landslide_map.stack.channels import lazy_channels
from tests.support.real_scenes import BIGEARTHNET, TERRAMIND
from tests.support.shared_data import shared_data

DEGREES = 8.983152841195215e-05
"""Pixels of SNAP and Earth Engine: 10 m at the equator."""
EDGE = 8
SAMPLE = Path(__file__).resolve().parents[1] / "sample_scenes" / "simulated_event"


def real_radar() -> list[Path]:
    """Return real VV images in dB, geocoded to 10 m: terrain-flattened and sigma0."""
    terramind = [shared_data("real", "terramind", "S1RTC", f"{site}.tif") for site in TERRAMIND]
    folder = shared_data("real", "bigearthnet", "BigEarthNet-S1-Example")
    return terramind + [folder / name / f"{name}_VV.tif" for name in BIGEARTHNET.values()]


def in_degrees(source: Path, target: Path, kernel: Resampling) -> RasterBand:
    """Write `source`, dB, as power in degrees."""
    with rasterio.open(source) as file:
        power, bounds = 10 ** (file.read(1).astype(np.float32) / 10), file.bounds
        crs, transform, shape = file.crs, file.transform, file.shape
    placed, width, height = calculate_default_transform(
        crs, "EPSG:4326", shape[1], shape[0], *bounds, resolution=DEGREES
    )
    out = np.full((height, width), np.nan, np.float32)
    where = {"src_transform": transform, "src_crs": crs, "dst_transform": placed, "dst_crs": "EPSG:4326"}
    reproject(power, out, **where, src_nodata=np.nan, dst_nodata=np.nan, resampling=kernel)
    profile = {"width": width, "height": height, "count": 1, "dtype": "float32", "nodata": np.nan}
    with rasterio.open(target, "w", driver="GTiff", crs="EPSG:4326", transform=placed, **profile) as file:
        file.write(out, 1)
    return RasterBand(str(target), Grid(rasterio.crs.CRS.from_epsg(4326), placed, width, height))


def read_back(band: RasterBand, like: Path, *, nearest: bool) -> npt.NDArray[np.float32]:
    """Return `band` on the grid of `like`, dB, without its edges."""
    with rasterio.open(like) as file:
        grid = Grid(file.crs, file.transform, file.width, file.height)
    power = read_block(
        band, grid, Block(0, 0, *grid.shape), decode=partial(to_power, units="power"), nearest=nearest
    )
    return to_db(power)[EDGE:-EDGE, EDGE:-EDGE]


def roughness(decibels: npt.NDArray[np.float32]) -> float:
    """Return the range of the middle half of differences between pixels three columns apart, dB."""
    steps = decibels[:, 3:] - decibels[:, :-3]
    low, high = np.quantile(steps[np.isfinite(steps)], (0.25, 0.75))
    return float(high - low)


def quieter() -> Iterator[str]:
    """Yield rows of a table: the sample scene, its differences drawn nearer to each window's mean."""
    bundle = load_bundle()
    inputs = open_inputs(load_scene(SAMPLE / "scene.yaml"))
    stack = lazy_channels(inputs, MODEL_BANDS).compute().sel(band=list(MODEL_BANDS))
    corners = list(product(range(0, 641, 64), repeat=2))
    windows = np.stack([stack[:, r : r + 64, c : c + 64].transpose("y", "x", "band") for r, c in corners])
    outlines = gpd.read_file(SAMPLE / "landslides_truth.gpkg").to_crs(inputs.grid.crs).geometry
    slides = rasterize(outlines, inputs.grid.shape, transform=inputs.grid.transform)
    held = np.array([slides[r : r + 64, c : c + 64].mean() > 0.01 for r, c in corners])
    statistics = chunk_statistics(bundle, windows)
    differences = {"channel": list(DIFFERENCES), "statistic": "std"}
    low, high = np.quantile(stack.sel(band="asc_diff_vv"), (0.25, 0.75))
    for share in (1.0, 0.95, 0.9, 0.85, 0.8):
        drawn = statistics.copy()
        drawn.loc[differences] *= share
        record = bundle.vote(drawn, pixels=windows, constants_are_fill=False)
        curve = roc_auc_score(held, record.probability)
        found = int(record.landslide.sum())
        yield f"| {share:.2f} | {share * (high - low):.2f} dB | {found} | {curve:.3f} |"


@click.command()
def main() -> None:
    """Print what is left of the roughness of eleven real images, and how many neighbours are equal."""
    click.echo("| interpolated by others | nearest pixel by us | bilinear by us |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for kernel in (Resampling.nearest, Resampling.bilinear, Resampling.cubic):
            left: list[tuple[float, float]] = []
            for source in real_radar():
                with rasterio.open(source) as file:
                    itself = roughness(file.read(1)[EDGE:-EDGE, EDGE:-EDGE])
                band = in_degrees(source, Path(folder) / "degrees.tif", kernel)
                left.append(
                    (
                        roughness(read_back(band, source, nearest=True)) / itself,
                        roughness(read_back(band, source, nearest=False)) / itself,
                    )
                )
            ours = " | ".join(f"{np.median(share):.2f}" for share in zip(*left, strict=True))
            click.echo(f"| {kernel.name} | {ours} |")
    click.echo(
        "\n| range of differences | middle half, ascending VV | windows above | area under the curve |"
    )
    click.echo("|---|---|---|---|")
    for row in quieter():
        click.echo(row)
    window = np.load(shared_data("zindi", "ID_005GY8.npy"))
    for number, name in ((4, "descending VV"), (8, "ascending VV")):
        band = window[..., number]
        across, down = (band[:, 1:] == band[:, :-1]).mean(), (band[1:] == band[:-1]).mean()
        click.echo(f"training window, {name}: {across:.1%} of neighbours across are equal, {down:.1%} down")


if __name__ == "__main__":
    main()
