"""``landslide-map train-pixels``: from images with masks to a bundle of pixel members."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .feedback import Console, feedback
from .grouped_help import command

_PATH = click.Path(path_type=Path)


@command("train-pixels")
@click.argument("data", nargs=-1, required=True, type=_PATH)
@click.option(
    "--recipe", default="small-pixels", show_default=True, help="Name of a recipe, or a .yaml file."
)
@click.option("-o", "--out", required=True, type=_PATH, help="Folder for the bundle.")
@click.option("--row", help="Of the recipe l4s: another row of the published table, e.g. mit_b1 or unet6.")
@click.option("--from-scratch", is_flag=True, help="Start encoders from random weights.")
@click.option("--grid", is_flag=True, help="Of the recipes ganerod-*: train all 90 networks.")
@click.option(
    "--pick",
    type=click.IntRange(1, 90),
    default=20,
    show_default=True,
    help="Number of best networks of the grid to keep.",
)
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Maximum training time.")
@click.option(
    "--epochs", type=click.IntRange(min=1), help="Maximum number of epochs, instead of the recipe's."
)
@click.option("--seed", type=click.IntRange(min=0, max=2**32 - 1), help="Instead of the recipe's.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", help="Device for networks.")
@click.option("--bfloat16", is_flag=True, help="Mixed precision on a GPU.")
@click.option("--correct-ranking", is_flag=True, help="Rank without the untrained network's score.")
@click.option("--restart", is_flag=True, help="Discard the work of an unfinished run.")
@click.option("--overwrite", is_flag=True, help="Replace an existing bundle.")
@feedback
def train_pixels(data: tuple[Path, ...], recipe: str, out: Path, console: Console, **options: Any) -> None:
    """Train pixel members on images with masks.

    \b
    landslide-map train-pixels TILES... --out BUNDLE              tiles of `landslide-map windows --tiles`
    landslide-map train-pixels DATA --recipe ganerod-s1s2 --out BUNDLE    train_val/{input,label}/*.tif
    landslide-map train-pixels DATA --recipe l4s --out BUNDLE             TrainData/{img,mask}/*.h5

    Training can be interrupted: the same command resumes from the last epoch. Figures are at pixel level.
    """  # noqa: D301 - click reads \b as the character, which keeps the lines apart
    from landslide_map.errors import UsageError, optional_packages
    from landslide_map.training.pixels.choose import chosen_recipe

    if options["bfloat16"] and options["device"] != "cuda":
        raise UsageError("E402", "--bfloat16 needs --device cuda.")
    with optional_packages("training pixel members needs", "networks"):
        from landslide_map.training.pixels.train import TrainingOptions
        from landslide_map.training.pixels.train import train_pixels as train
    how = {name: options.pop(name) for name in ("grid", "pick", "device", "bfloat16", "restart", "overwrite")}
    trained = train(
        data, chosen_recipe(recipe, **options), out, TrainingOptions(**how), progress=console.progress
    )
    console.finished(bundle=out, members=trained.members, figures=trained.figures)
    for name, figures in zip(trained.members, trained.figures, strict=True):
        f1, batches = figures["f1_pooled"], figures["f1_mean_of_batches"]
        click.echo(
            f"{name}: validation F1 {f1:.3f} pooled, {batches:.3f} mean of batches, "
            f"{figures['epochs']:.0f} epochs in {figures['seconds'] / 60:.1f} min (pixel level)"
        )
