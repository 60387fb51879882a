"""``landslide-map train``: from labelled windows to a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import shared_options
from .feedback import Console, feedback
from .grouped_help import command

if TYPE_CHECKING:
    from landslide_map.runtime.progress import Report
    from landslide_map.training.statistics.train import TrainedBundle

_PATH = click.Path(path_type=Path)
_FOR_NETWORKS = ("members", "folds", "weights", "from_scratch", "device", "precision", "restart")


@command()
@click.argument("data", nargs=-1, type=_PATH)
@click.option("--statistics", type=_PATH, help="CSV table of labelled window statistics, instead of DATA.")
@click.option("--recipe", default="default", show_default=True, help="Name of a recipe, or a .yaml file.")
@click.option("-o", "--out", required=True, type=_PATH, help="Folder for the bundle.")
@click.option("--members", help="Train only these, e.g. v31,v37.")
@click.option("--folds", type=click.Choice(["shuffled", "grouped"]), help="Instead of the recipe's.")
@click.option(
    "--weights", type=_PATH, help="Folder with the pretrained encoders, for machines without timm's hub."
)
@click.option("--from-scratch", is_flag=True, help="Start encoders from random weights.")
@shared_options.device
@shared_options.precision
@click.option("--seed", type=click.IntRange(min=0, max=2**32 - 1), help="Instead of the recipe's.")
@click.option("--restart", is_flag=True, help="Discard the work of an unfinished run.")
@click.option("--overwrite", is_flag=True, help="Replace an existing bundle.")
@feedback
def train(
    data: tuple[Path, ...],
    statistics: Path | None,
    recipe: str,
    out: Path,
    console: Console,
    **options: Any,
) -> None:
    """Train a model bundle on labelled windows.

    \b
    landslide-map train DATA --recipe nasios-9 --out BUNDLE     networks and boosters, on pixels
    landslide-map train DATA --out BUNDLE                       the default recipe, on their statistics
    landslide-map train --statistics TABLE.csv --out BUNDLE     the same, from a table of statistics

    DATA holds Train.csv (ID,label) and train_data/<ID>.npy, as the competition's data and as what
    `landslide-map windows` writes; several folders are joined. The bundle holds its members, thresholds and
    figures estimated out of fold. Training networks can be interrupted: the same command resumes.
    """  # noqa: D301 - click reads \b as the character, which keeps the lines apart
    from landslide_map.models.bundle.folder import check_free
    from landslide_map.training.statistics.recipe import recipe_content, trains_on_windows

    if bool(data) == (statistics is not None):
        raise click.UsageError("give either DATA or --statistics TABLE.csv")
    check_free(out, overwrite=options["overwrite"])
    on_windows = trains_on_windows(recipe_content(recipe)[1])
    if on_windows and data:
        scenarios, summary = _train_on_windows(data, recipe, out, console, **options)
    else:
        scenarios, summary = _train_on_statistics(data, statistics, recipe, out, console, **options)
    console.finished(bundle=out)
    click.echo(summary)
    for scenario in scenarios:
        shown = {name: _shown(scenario["metrics"].get(name)) for name in ("f1", "precision", "recall", "auc")}
        click.echo(
            f"  {scenario['name']}: F1 {shown['f1']}, precision {shown['precision']}, "
            f"recall {shown['recall']}, AUC {shown['auc']}, threshold {scenario['threshold']:.3f}"
        )


_MACHINE = ("seed", "weights", "from_scratch", "device", "precision")


def _train_on_windows(
    data: tuple[Path, ...], recipe: str, out: Path, console: Console, **options: Any
) -> tuple[list[dict[str, Any]], str]:
    from landslide_map.datasets.joined import read_training_data
    from landslide_map.errors import optional_packages
    from landslide_map.training.windows.workspace import work_folder

    with optional_packages("training on windows needs", "networks"):
        from landslide_map.training.windows.train import TrainingOptions
        from landslide_map.training.windows.train import train as train_windows
    known = read_training_data(data)

    try:
        console.show_log()
        trained = train_windows(
            known.windows,
            known.labels,
            out,
            recipe=recipe,
            options=TrainingOptions(
                members=options["members"].split(",") if options["members"] else None,
                division=options["folds"],
                **{name: options[name] for name in _MACHINE},
            ),
            groups=known.groups,
            origin=known.origin,
            provenance=known.provenance,
            restart=options["restart"],
            overwrite=options["overwrite"],
            progress=console.progress,
        )
    except KeyboardInterrupt:
        kept = work_folder(out)
        goes_on = f"{kept} keeps what is finished; the same command goes on" if kept.exists() else ""
        raise KeyboardInterrupt(goes_on) from None
    console.notices(trained.notices)
    members = len(trained.document["members"])
    return trained.document["scenarios"], f"{out}: {members} members, out of fold at window level:"


def _train_on_statistics(
    data: tuple[Path, ...], statistics: Path | None, recipe: str, out: Path, console: Console, **options: Any
) -> tuple[list[dict[str, Any]], str]:
    from landslide_map.models.bundle.folder import save_bundle

    if needless := [name for name in _FOR_NETWORKS if options[name] not in (None, False, "auto", "float32")]:
        raise click.UsageError(
            f"recipe {recipe} trains on statistics; --{needless[0].replace('_', '-')} is for networks"
        )
    trained = (
        _from_table(statistics, recipe, options["seed"], console.progress)
        if statistics is not None
        else _from_windows(data, recipe, options["seed"], console)
    )
    save_bundle(out, trained.document, trained.contents, overwrite=options["overwrite"])
    size = sum(map(len, trained.contents.values())) / 1e6
    return trained.document["scenarios"], f"{out}: {size:.1f} MB, out of fold at window level:"


def _from_table(table: Path, recipe: str, seed: int | None, progress: Report) -> TrainedBundle:
    from hashlib import file_digest

    from landslide_map.datasets.statistics_table import read_statistics_table
    from landslide_map.training.statistics.train import train_on_statistics

    known = read_statistics_table(table)
    with table.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    return train_on_statistics(
        known.statistics,
        known.labels,
        recipe=recipe,
        seed=seed,
        ids=known.ids,
        provenance={"table_sha256": digest},
        progress=progress,
    )


def _from_windows(data: tuple[Path, ...], recipe: str, seed: int | None, console: Console) -> TrainedBundle:
    from landslide_map.datasets.folds import overlap_notices
    from landslide_map.datasets.joined import complete_statistics, read_training_data
    from landslide_map.training.statistics.train import train_on_statistics

    known = read_training_data(data)
    trained = train_on_statistics(
        complete_statistics(known, console.progress),
        known.labels,
        recipe=recipe,
        seed=seed,
        ids=known.windows.ids,
        provenance=known.provenance,
        progress=console.progress,
    )
    cure = "Cut windows with a stride of 64 px, and evaluate on scenes that it was not trained on."
    console.notices(overlap_notices(known.origin, trained.folds, cure))
    return trained


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
