"""``landslide-map evaluate``: score a bundle on labelled windows."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.option(
    "--statistics",
    required=True,
    type=click.Path(path_type=Path),
    help="CSV table of labelled window statistics.",
)
@click.option("--bundle", type=click.Path(path_type=Path), help="Model bundle; the default one if not given.")
@click.option("--threshold", type=click.FloatRange(0, 1), help="Instead of the scenario's own.")
@click.option(
    "--scenarios",
    is_flag=True,
    help="Also every other scenario, on its own channels, as if the rest were missing.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def evaluate(
    statistics: Path, bundle: Path | None, threshold: float | None, scenarios: bool, as_json: bool
) -> None:
    """Score a bundle on a table of labelled window statistics. Figures are at window level."""
    from landslide_map.evaluation import evaluate as score
    from landslide_map.models.bundle import load_bundle
    from landslide_map.training import read_statistics_table

    data = read_statistics_table(statistics)
    loaded = load_bundle(bundle)
    result = score(
        data.statistics, data.labels, bundle=loaded, threshold=threshold, ids=data.ids, everyone=scenarios
    )
    if result["trained_on"]:
        click.echo(
            f"note: the bundle was trained on {result['trained_on_windows']} of these windows, so these "
            "figures flatter it; bundle.json holds out-of-fold figures",
            err=True,
        )
    if as_json:
        click.echo(json.dumps(result, allow_nan=False))
    else:
        _print(result)


def _print(result: dict[str, object]) -> None:
    click.echo(f"{result['bundle']}, {result['unit']}")
    for name in ("n", "positives", "threshold", "f1", "precision", "recall", "auc", "brier", "ece"):
        value = result[name]
        click.echo(f"  {name:10} {value:.4f}" if isinstance(value, float) else f"  {name:10} {value}")
