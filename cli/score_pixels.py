"""``landslide-map score-pixels``: probabilities of the pixels of ready arrays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import shared_options
from .feedback import Console, feedback
from .grouped_help import command

if TYPE_CHECKING:
    from landslide_map.datasets.pixel_arrays import Layout


@command("score-pixels", short_help="Score the pixels of arrays (.npy, .h5).")
@click.argument("arrays", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help=".npy file to write.")
@click.option("--bundle", required=True, type=click.Path(path_type=Path), help="Bundle with pixel members.")
@click.option("--scenario", help="Scenario: members to average; by default the bundle's first.")
@click.option("--member", help="One member only.")
@click.option("--logits", is_flag=True, help="Write logits; of one network only.")
@click.option("--scaled", is_flag=True, help="The arrays are scaled already, as the networks read them.")
@click.option("--raw", is_flag=True, help="Landslide4Sense bands are DN, degrees, metres: divide them.")
@click.option(
    "--layout",
    type=click.Choice(["auto", "channels-first", "channels-last"]),
    default="auto",
    help="Where the channels are, if the shape leaves it open.",
)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", help="Device for networks.")
@shared_options.precision
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@feedback
def score_pixels(
    arrays: Path,
    out: Path,
    bundle: Path,
    scenario: str | None,
    member: str | None,
    layout: Layout,
    overwrite: bool,
    console: Console,
    **options: Any,
) -> None:
    """Score the pixels of ARRAYS: .npy, Landslide4Sense .h5 or GeoTIFF.

    ARRAYS has shape (n, channels, rows, columns), (n, rows, columns, channels) or is one such image. Its
    channels are those of the members, in their order, or all the published bands. Writes probabilities
    (n, rows, columns) as float32: pixel level.
    """
    from landslide_map.inference.pixels import PixelOptions, score_pixels_of_file
    from landslide_map.models.bundle.load import load_bundle

    ready = load_bundle(bundle, pixel_members_suffice=True)
    count, names = score_pixels_of_file(
        arrays,
        out,
        ready,
        scenario=scenario,
        member=member,
        layout=layout,
        options=PixelOptions(**options),
        overwrite=overwrite,
        progress=console.progress,
    )
    console.finished(pixels=out, images=count, members=names)
    click.echo(f"{out}: {count} images, {len(names)} members (pixel level)")
