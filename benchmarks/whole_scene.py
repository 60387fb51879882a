"""Time and memory of a whole scene, beside the floor measured on the same machine in the same run.

``python -m benchmarks.whole_scene SCENE [--stride 64 --stride 16]`` prints JSON and a Markdown table. The
floor is what no mapper can avoid: decode every optical raster once, and warp every radar raster once onto
the grid (GDAL, bilinear, with its fast exact-kernel settings), on as many threads as the run uses. The run
itself is the installed command in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import rasterio
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from landslide_map.grid import Grid
from landslide_map.readers import open_inputs
from landslide_map.scene import load_scene
from landslide_map.sources import RasterBand, SceneInputs


def radar_bands(inputs: SceneInputs) -> Iterator[RasterBand]:
    for track in inputs.tracks.values():
        for image in (*track.pre, *track.post):
            for slices in image.bands.values():
                yield from slices


def decode(band: RasterBand, grid: Grid) -> None:
    """Read every pixel of an optical raster once, block by block."""
    with rasterio.open(band.path) as source:
        for block in grid.blocks():
            source.read(band.index, window=Window(block.col, block.row, block.width, block.height))


def warp(band: RasterBand, grid: Grid) -> None:
    """Warp a radar raster once onto the grid, block by block."""
    options = {"XSCALE": 1, "YSCALE": 1}
    with (
        rasterio.open(band.path) as source,
        WarpedVRT(
            source,
            crs=grid.crs,
            transform=grid.transform,
            width=grid.width,
            height=grid.height,
            resampling=Resampling.bilinear,
            nodata=float("nan"),
            dtype="float32",
            tolerance=1e-3,
            **options,
        ) as warped,
    ):
        for block in grid.blocks():
            warped.read(band.index, window=Window(block.col, block.row, block.width, block.height))


def floor_seconds(inputs: SceneInputs, threads: int) -> dict[str, float]:
    """Return wall and processor seconds of decoding and of warping."""
    seconds = {}
    optical = list(inputs.optical.bands.values()) if inputs.optical else []
    with rasterio.Env(GDAL_CACHEMAX=256), ThreadPoolExecutor(threads) as pool:
        for name, work, bands in (("decode", decode, optical), ("warp", warp, list(radar_bands(inputs)))):
            begin, cpu = time.perf_counter(), time.process_time()
            list(pool.map(lambda band, work=work: work(band, inputs.grid), bands))
            seconds[name] = time.perf_counter() - begin
            seconds[f"{name}_cpu"] = time.process_time() - cpu
    return seconds


def run(scene: Path, stride: int, extra: tuple[str, ...]) -> dict[str, Any]:
    """Map `scene` with the installed command; return wall seconds, peak memory and the run's own timings."""
    folder = Path(tempfile.mkdtemp(prefix="landslide-map-benchmark-"))
    command = [str(Path(sys.executable).with_name("landslide-map")), "run", str(scene), "--quiet"]
    command += ["--out", str(folder / "results"), "--stride", str(stride), *extra]
    try:
        begin = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - begin
        if os.waitstatus_to_exitcode(status):
            raise click.ClickException(f"{' '.join(command)} failed")
        manifest = json.loads((folder / "results" / "run.json").read_text())
    finally:
        shutil.rmtree(folder)
    return {
        "stride": stride,
        "seconds": wall,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_gib": usage.ru_maxrss / 2**20,
        "stages": manifest["seconds"],
        "windows": manifest["counts"]["windows"]["planned"],
    }


@click.command()
@click.argument("scene", type=click.Path(exists=True, path_type=Path))
@click.option("--stride", "strides", multiple=True, default=(64, 16), show_default=True)
@click.option("--threads", default=os.cpu_count(), show_default=True, help="Threads of the floor.")
@click.option("--extra", multiple=True, help="Further arguments of the run.")
def main(scene: Path, strides: tuple[int, ...], threads: int, extra: tuple[str, ...]) -> None:
    """Measure the floor, then the run at each stride."""
    inputs = open_inputs(load_scene(scene))
    floor = floor_seconds(inputs, threads)
    least, least_cpu = floor["decode"] + floor["warp"], floor["decode_cpu"] + floor["warp_cpu"]
    runs = [run(scene, stride, extra) for stride in strides]
    report = {"grid": inputs.grid.shape, "threads": threads, "floor_seconds": floor, "runs": runs}
    click.echo(json.dumps(report, indent=1))
    shape = f"{inputs.grid.height} x {inputs.grid.width}"
    click.echo(
        f"\n| {shape} | seconds | CPU seconds | of the floor (CPU) | peak GiB |\n|---|---|---|---|---|"
    )
    click.echo(
        f"| floor: decode {floor['decode']:.1f} s + warp {floor['warp']:.1f} s "
        f"| {least:.1f} | {least_cpu:.1f} | 1.00 | |"
    )
    for row in runs:
        wall, cpu = row["seconds"], row["cpu_seconds"]
        click.echo(
            f"| stride {row['stride']} | {wall:.1f} | {cpu:.1f} | {wall / least:.2f} ({cpu / least_cpu:.2f}) "
            f"| {row['peak_gib']:.2f} |"
        )
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    click.echo(f"\nThe floor itself used {own:.2f} GiB.")


if __name__ == "__main__":
    main()
