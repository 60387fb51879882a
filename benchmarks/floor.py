"""Lower bound of the time of a run: decoding, resampling and network arithmetic alone, on this machine.

``python -m benchmarks.floor SCENE`` decodes every optical raster once and warps every radar raster once onto
the grid (GDAL, bilinear, with its fast exact-kernel settings), on the requested number of threads, and prints
JSON. With ``--bundle`` it also counts the operations of the bundle's networks (one pass of one window) and
measures how many operations a matrix product achieves: their quotient is the least time that networks take.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import rasterio
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from landslide_map.grid import BLOCK, Block, Grid
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.raster.band import RasterBand
from landslide_map.runtime.process_memory import peak_memory
from landslide_map.scene.model import load_scene

CACHE = 256 << 20
"""GDAL's cache, bytes (rasterio hands a number on as it is): source blocks are decoded once."""


def decode(band: RasterBand, blocks: list[Block]) -> None:
    """Read blocks of an optical raster."""
    with rasterio.open(band.path) as source:
        for block in blocks:
            source.read(band.index, window=Window(block.col, block.row, block.width, block.height))


def warp(band: RasterBand, grid: Grid, blocks: list[Block]) -> None:
    """Warp blocks of a radar raster onto the grid."""
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
            XSCALE=1,
            YSCALE=1,
        ) as warped,
    ):
        for block in blocks:
            warped.read(band.index, window=Window(block.col, block.row, block.width, block.height))


def parts(grid: Grid, count: int) -> list[list[Block]]:
    """Divide the blocks of a grid among `count` threads: rows of blocks that lie together."""
    blocks = list(grid.blocks())
    rows = math.ceil(grid.height / BLOCK)
    step = math.ceil(rows / min(count, rows))
    return [[b for b in blocks if first <= b.row // BLOCK < first + step] for first in range(0, rows, step)]


def timed(work: Callable[[], object]) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}


def input_floor(inputs: SceneInputs, threads: int) -> dict[str, dict[str, float]]:
    """Return seconds of decoding and of warping every pixel once; fewer bands than threads are divided."""
    grid = inputs.grid
    optical = list(inputs.optical.bands.values()) if inputs.optical else []
    radar = [band for track in inputs.tracks.values() for band in track.raster_bands]

    def each(bands: list[RasterBand], work: Callable[[RasterBand, list[Block]], None]) -> None:
        pieces = parts(grid, math.ceil(threads / max(len(bands), 1)))
        with rasterio.Env(GDAL_CACHEMAX=CACHE), ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda job: work(*job), [(band, piece) for band in bands for piece in pieces]))

    return {
        "decode": timed(lambda: each(optical, decode)),
        "warp": timed(lambda: each(radar, lambda band, blocks: warp(band, grid, blocks))),
    }


def network_floor(bundle: Path | None, device: str, precision: str) -> dict[str, Any] | None:
    """Return the operations of a bundle's networks for one window, and what a matrix product achieves."""
    from landslide_map.models.bundle.load import load_bundle

    ensemble = load_bundle(bundle)
    if not ensemble.needs_pixels:
        return None
    from landslide_map.models.networks.network_member import NetworkMember
    from landslide_map.models.networks.preprocessing import FLIPS
    from landslide_map.models.networks.runtime import Runtime

    where = Runtime(device).torch_device()  # type: ignore[arg-type]
    passes = {m.name: len(m.folds) * len(FLIPS) for m in ensemble.members if isinstance(m, NetworkMember)}
    flop = {m.name: flop_of(m.spec) for m in ensemble.members if isinstance(m, NetworkMember)}
    return {
        "device": str(where),
        "precision": precision,
        "flop_per_pass": flop,
        "passes_per_window": passes,
        "flop_per_window": sum(flop[name] * passes[name] for name in flop),
        "flop_per_second": matrix_product_rate(str(where), precision),
    }


def flop_of(spec: Any) -> int:
    """Return the operations of one forward pass of one window, counted by torch (a multiplication and an
    addition are two)."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from landslide_map.models.networks.architecture import build_network
    from landslide_map.models.networks.preprocessing import planes

    network = build_network(spec).eval().to("meta")
    image = torch.empty(1, len(planes(spec)), spec.image_size, spec.image_size, device="meta")
    # Attention as plain products, which every version of torch counts.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(image)
    return int(counter.get_total_flops())


def matrix_product_rate(device: str, precision: str, seconds: float = 1.0) -> float:
    """Return the operations per second of the product of two large square matrices, the best of several."""
    import torch

    size = 8192 if device.startswith("cuda") else 2048
    kind = getattr(torch, precision)
    a, b = (torch.randn(size, size, device=device).to(kind) for _ in range(2))
    best, begin = math.inf, time.perf_counter()
    while time.perf_counter() - begin < seconds or not math.isfinite(best):
        best = min(best, _product_seconds(a, b))
    return 2 * size**3 / best


def _product_seconds(a: Any, b: Any) -> float:
    import torch

    if a.device.type == "cuda":
        torch.cuda.synchronize()
    begin = time.perf_counter()
    a @ b
    if a.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


@click.command()
@click.argument("scene", type=click.Path(exists=True, path_type=Path))
@click.option("--threads", default=os.cpu_count(), show_default=True)
@click.option("--bundle", type=click.Path(path_type=Path), help="Also the floor of this bundle's networks.")
@click.option("--device", default="auto", show_default=True)
@click.option("--precision", default="float32", show_default=True)
def main(scene: Path, threads: int, bundle: Path | None, device: str, precision: str) -> None:
    """Measure the floor of SCENE once and print JSON."""
    inputs = open_inputs(load_scene(scene))
    found: dict[str, Any] = {
        "grid": inputs.grid.shape,
        "threads": threads,
        "input_bytes": sum(path.stat().st_size for path in inputs.files),
        **input_floor(inputs, threads),
        "networks": None if bundle is None else network_floor(bundle, device, precision),
        "peak_memory_bytes": peak_memory(),
    }
    click.echo(json.dumps(found))


if __name__ == "__main__":
    main()
