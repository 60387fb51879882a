"""``landslide-map pixels``: the probability of every pixel of a scene, by pixel members."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import shared_options
from .feedback import Console, feedback
from .grouped_help import command

if TYPE_CHECKING:
    from landslide_map.options import Precision


@command(short_help="Map the pixels of a scene with the pixel members.")
@click.argument("scene", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="GeoTIFF to write.")
@click.option("--bundle", required=True, type=click.Path(path_type=Path), help="Bundle with pixel members.")
@click.option(
    "--near",
    type=click.Path(path_type=Path),
    help="Folder of results or file of polygons: leave out pixels farther than 320 m from its outlines.",
)
@click.option("--scenario", help="Scenario: members to average; by default the bundle's first.")
@click.option("--member", help="One member only.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", help="Device for networks.")
@shared_options.precision
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@feedback
def pixels(
    scene: Path,
    out: Path,
    bundle: Path,
    near: Path | None,
    scenario: str | None,
    member: str | None,
    device: str,
    precision: Precision,
    overwrite: bool,
    console: Console,
) -> None:
    """Map the pixels of SCENE (a scene.yaml) with the pixel members of a bundle.

    Writes probabilities as a cloud-optimised GeoTIFF, float32, NaN where not computed: pixel level.
    """
    from landslide_map.mapping.map_pixels import PixelMapOptions, map_pixels

    made = map_pixels(
        scene,
        bundle,
        out,
        PixelMapOptions(near=near, scenario=scenario, member=member, device=device, precision=precision),
        overwrite=overwrite,
        progress=console.progress,
    )
    console.notices(made.notices)
    console.finished(pixels=out, computed=made.computed, landslides=made.landslides, members=made.members)
    click.echo(
        f"{out}: {made.computed} pixels computed, {made.landslides} above 0.5, by {len(made.members)} "
        "members (pixel level)"
    )
