"""``landslide-map stack``: write the aligned acquisitions and model channels of a scene."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("scene", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="File to write, a GeoTIFF.")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@click.option("-q", "--quiet", is_flag=True, help="Print only the summary.")
def stack(scene: Path, out: Path, overwrite: bool, quiet: bool) -> None:
    """Align everything SCENE (a scene.yaml) names and write it as one cloud-optimised GeoTIFF.

    The bands are the aligned acquisitions (optical as 10000 * reflectance + 1000, radar in dB before and
    after the event), the channels that models read from them (differences, indices), and a mask of snow
    and cloud. Every band carries its name and unit; missing pixels are NaN.
    """
    from contextlib import nullcontext

    from landslide_map.products.stack_cog import BANDS, write_stack
    from landslide_map.progress import on_stderr, silent
    from landslide_map.readers import open_inputs
    from landslide_map.scene import load_scene

    inputs = open_inputs(load_scene(scene))
    for notice in inputs.notices:
        click.echo(f"note {notice}", err=True)
    with nullcontext(silent) if quiet else on_stderr() as progress:
        path = write_stack(inputs, out, overwrite=overwrite, progress=progress)
    click.echo(f"{path}: {len(BANDS)} bands, {inputs.grid.width} x {inputs.grid.height} pixels")
