"""Alarms of the default bundle on real scenes without known landslides: ``python -m benchmarks.real_scenes``.

Prints the table of ``docs/real-scenes.md``. Needs the shared data folder (``LANDSLIDE_MAP_DATA``).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import numpy as np
import xarray as xr

from landslide_map import map_scene
from tests.support.real_scenes import BIGEARTHNET, TERRAMIND, write_scene


@click.command()
@click.option("--stride", default=64, show_default=True)
@click.option("--dem", is_flag=True, help="Give the elevation models, where there are any.")
def main(stride: int, dem: bool) -> None:
    """Map every scene and print one row for each."""
    click.echo(f"Stride {stride} px, {'with' if dem else 'without'} elevation models.\n")
    click.echo(
        "| scene | windows | analysed | snow or cloud | flat | above threshold | median p | highest p |"
    )
    click.echo("|---|---|---|---|---|---|---|---|")
    total = np.zeros(3, dtype=int)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for scene in (*TERRAMIND, *BIGEARTHNET):
            result = map_scene(write_scene(folder, scene, dem=dem), folder / "out" / scene, stride=stride)
            with xr.open_dataset(result.window_record, engine="scipy") as record:
                probability = record.probability.values[np.isfinite(record.probability.values)]
            middle, most = (np.median(probability), probability.max()) if probability.size else (np.nan,) * 2
            counts = result.windows["planned"], result.windows["analysed"], result.windows["landslide"]
            total += counts
            snowy, flat = (
                result.windows["not_analysed"].get(name, 0) for name in ("snow or cloud", "flat ground")
            )
            click.echo(
                f"| {scene} | {counts[0]} | {counts[1]} | {snowy} | {flat} | {counts[2]} | {middle:.3f} "
                f"| {most:.3f} |"
            )
    click.echo(f"| all | {total[0]} | {total[1]} | | | {total[2]} | | |")


if __name__ == "__main__":
    main()
