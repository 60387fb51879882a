"""``landslide-map windows``: labelled windows from a scene and an inventory."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from .feedback import Console, feedback
from .grouped_help import command


@command(short_help="Cut labelled windows from a scene.")
@click.argument("scene", type=click.Path(path_type=Path))
@click.option(
    "--labels",
    required=True,
    type=click.Path(path_type=Path),
    help="Polygons of landslides, or the folder of a reviewed map.",
)
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder for the windows.")
@click.option("--layer", help="Layer of --labels; by default its first.")
@click.option(
    "--area", type=click.Path(path_type=Path), help="Polygons of the complete part of the inventory."
)
@click.option("--stride", type=click.IntRange(8, 64), default=64, show_default=True, help="Step, pixels.")
@click.option(
    "--positive", default=0.25, show_default=True, help="Minimum covered share of a landslide window."
)
@click.option(
    "--negative", default=0.0, show_default=True, help="Maximum covered share of a window without landslide."
)
@click.option(
    "--between",
    type=click.Choice(["leave-out", "positive", "negative"]),
    default="leave-out",
    show_default=True,
    help="Label of windows between the two shares.",
)
@click.option("--allow-missing", is_flag=True, help="Keep windows that lack bands; these are NaN there.")
@click.option(
    "--group-km",
    type=click.FloatRange(min=0.64),
    default=5.0,
    show_default=True,
    help="Edge of squares, km: `train --folds grouped` keeps the windows of a square together.",
)
@click.option("--tiles", is_flag=True, help="Cut tiles of 128 px with masks instead, for `train-pixels`.")
@click.option(
    "--channels", help="Channels of --tiles: names, comma-separated; by default of the recipe small-pixels."
)
@click.option("--name", help="Beginning of the windows' IDs; by default the event's name.")
@click.option("--overwrite", is_flag=True, help="Replace windows that were cut before.")
@feedback
def windows(
    scene: Path,
    labels: Path,
    out: Path,
    layer: str | None,
    area: Path | None,
    stride: int,
    positive: float,
    negative: float,
    between: Literal["leave-out", "positive", "negative"],
    allow_missing: bool,
    group_km: float,
    tiles: bool,
    channels: str | None,
    name: str | None,
    overwrite: bool,
    console: Console,
) -> None:
    """Cut labelled windows from SCENE (a scene.yaml), to train or evaluate with.

    Writes Train.csv (ID, label, and where each window lies) and one 64 x 64 x 12 array for each window.
    `train` and `evaluate` read this layout. Windows that no polygon touches count as free of landslides:
    where the inventory is not complete, say so with --area.

    With the folder of a map that was reviewed in QGIS as --labels, its verdicts decide. Confirmed and drawn
    outlines are landslides. Windows with rejected ones alone are none. Undecided windows are left out.
    """
    if tiles:
        _cut_tiles(scene, labels, out, channels, name, overwrite, console)
        return
    if channels is not None:
        raise click.UsageError("--channels belongs to --tiles")
    from landslide_map.datasets.cut_windows import LabelRule, cut_windows
    from landslide_map.products.review_summary import verdicts_of

    cut = cut_windows(
        scene,
        verdicts_of(labels) if (labels / "landslides.gpkg").is_file() else labels,
        out,
        layer=layer,
        area=area,
        stride=stride,
        rule=LabelRule(positive, negative, between),
        allow_missing=allow_missing,
        group_km=group_km,
        name=name,
        overwrite=overwrite,
        progress=console.progress,
    )
    console.notices(cut.notices)
    console.finished(folder=out, windows=cut.windows, landslides=cut.landslides)
    click.echo(
        f"{out}: {cut.windows} windows, {cut.landslides} of them landslides, in {cut.groups} spatial groups; "
        f"left out: {cut.unlabelled} without a clear label, {cut.incomplete} incomplete"
    )


def _cut_tiles(
    scene: Path,
    labels: Path,
    out: Path,
    channels: str | None,
    name: str | None,
    overwrite: bool,
    console: Console,
) -> None:
    from landslide_map.datasets.cut_tiles import cut_tiles
    from landslide_map.training.pixels.recipe import load_pixel_recipe

    names = channels.split(",") if channels else load_pixel_recipe("small-pixels").channels
    cut = cut_tiles(scene, labels, out, names, name=name, overwrite=overwrite, progress=console.progress)
    console.notices(cut.notices)
    console.finished(folder=out, tiles=cut.tiles, landslide_pixels=cut.landslide_pixels)
    click.echo(f"{out}: {cut.tiles} tiles, {cut.landslide_pixels} landslide pixels")
