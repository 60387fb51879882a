"""``landslide-map train``: from labelled windows to a bundle."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option(
    "--statistics",
    required=True,
    type=click.Path(path_type=Path),
    help="CSV table of labelled window statistics.",
)
@click.option("--recipe", default="default", show_default=True, help="Name of a recipe, or a .yaml file.")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder for the bundle.")
@click.option("--seed", type=click.IntRange(min=0), help="Instead of the recipe's.")
@click.option("--overwrite", is_flag=True, help="Replace an existing bundle.")
@click.option("-q", "--quiet", is_flag=True, help="Print only the summary.")
def train(statistics: Path, recipe: str, out: Path, seed: int | None, overwrite: bool, quiet: bool) -> None:
    """Train a model bundle on a table of labelled window statistics.

    The bundle holds its members, their calibration and thresholds, and figures estimated out of fold. The
    same table, recipe, seed and library versions give the same probabilities.
    """
    from contextlib import nullcontext
    from hashlib import sha256

    from landslide_map.models.bundle import check_free, save_bundle
    from landslide_map.progress import on_stderr, silent
    from landslide_map.training import read_statistics_table
    from landslide_map.training import train as train_bundle

    check_free(out, overwrite=overwrite)
    data = read_statistics_table(statistics)
    with nullcontext(silent) if quiet else on_stderr() as progress:
        trained = train_bundle(
            data.statistics,
            data.labels,
            recipe=recipe,
            seed=seed,
            ids=data.ids,
            provenance={"table_sha256": sha256(statistics.read_bytes()).hexdigest()},
            progress=progress,
        )
    save_bundle(out, trained.document, trained.contents, overwrite=overwrite)
    click.echo(
        f"{out}: {sum(map(len, trained.contents.values())) / 1e6:.1f} MB, out of fold at window level:"
    )
    for scenario in trained.document["scenarios"]:
        figures = scenario["metrics"]
        click.echo(
            f"  {scenario['name']}: F1 {figures['f1']:.3f}, precision {figures['precision']:.3f}, "
            f"recall {figures['recall']:.3f}, AUC {figures['auc']:.3f}, threshold {scenario['threshold']:.3f}"
        )
