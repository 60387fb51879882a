"""``landslide-map stack``: write the aligned acquisitions and model channels of a scene."""

from __future__ import annotations

from pathlib import Path

import click

from .feedback import Console, feedback
from .grouped_help import command


@command(short_help="Write the aligned bands of a scene as one COG.")
@click.argument("scene", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="File to write, a GeoTIFF.")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@feedback
def stack(scene: Path, out: Path, overwrite: bool, console: Console) -> None:
    """Align everything SCENE (a scene.yaml) names and write it as one cloud-optimised GeoTIFF.

    The first bands are the aligned acquisitions: optical as 10000 * reflectance + 1000, radar in dB before
    and after the event. Then come the channels that models read from them (differences, indices), and a
    mask of snow and cloud. Every band carries its name and unit. Missing pixels are NaN.
    """
    from landslide_map.inputs.open_inputs import open_inputs
    from landslide_map.products.stack_file import BANDS, write_stack
    from landslide_map.scene.model import load_scene

    inputs = open_inputs(load_scene(scene))
    console.notices(inputs.notices)
    path = write_stack(inputs, out, overwrite=overwrite, progress=console.progress)
    console.finished(stack=path)
    click.echo(f"{path}: {len(BANDS)} bands, {inputs.grid.width} x {inputs.grid.height} pixels")
