"""``python -m benchmarks.verdicts``: how much verdicts on one map improve the next scene.

Two simulated events of one region: the first is mapped, and a number of its outlines are reviewed by the
truth, as a reviewer would. A bundle is trained on the published table of window statistics, with and without
the windows that these verdicts decide. Both bundles then predict the windows of the second event.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import click
import geopandas as gpd
import numpy as np
import pyogrio
import xarray as xr

from benchmarks.outlines import FOUR
from landslide_map import map_scene
from landslide_map.array_types import Labels
from landslide_map.datasets.cut_windows import LabelRule, cut_windows
from landslide_map.datasets.joined import read_training_data
from landslide_map.datasets.statistics_table import LabelledStatistics, read_statistics_table
from landslide_map.evaluation.member_votes import statistics_of
from landslide_map.evaluation.windows import evaluate
from landslide_map.models.bundle.folder import save_bundle
from landslide_map.models.bundle.load import Bundle, load_bundle
from landslide_map.products import LANDSLIDES
from landslide_map.products.columns import ANALYSED
from landslide_map.products.review_summary import verdicts_of
from landslide_map.training.statistics.recipe import Recipe, read_recipe
from landslide_map.training.statistics.train import train_on_statistics
from sample_scenes.simulator import simulate_event, varied

SEEDS: Final = (9401, 9402, 9403)
"""Used for nothing else."""
_NEXT: Final = 500
"""Added to the seed of the first event: other ground and slides, the same season, forest and contrast."""
_RULE: Final = LabelRule(positive=0.02)
_STRIDE: Final = 32


@dataclass(frozen=True)
class Known:
    """Windows with labels."""

    statistics: xr.DataArray
    labels: Labels


def one_scenario() -> Recipe:
    """Return the recipe of the default bundle with one scenario, all channels, and its LightGBM alone."""
    content = read_recipe("default").model_dump()
    content["channel_sets"] = {"all": {**content["channel_sets"]["all"], "models": ("lightgbm",)}}
    content["models"] = {"lightgbm": content["models"]["lightgbm"]}
    content["scenarios"] = [{"name": "all channels", "weights": {"all.lightgbm": 1.0}}]
    return Recipe.model_validate({**content, "name": "verdicts"})


def reviewed(scene: Path, truth: Path, folder: Path, count: int, rng: np.random.Generator) -> str:
    """Map an event and review up to `count` of its outlines by the truth; return how many are landslides."""
    map_scene(scene, folder)
    path = folder / LANDSLIDES
    frame = pyogrio.read_dataframe(path, layer="landslides")
    known = gpd.read_file(truth).to_crs(frame.crs).union_all()
    seen = rng.permutation(len(frame))[:count]
    inside = frame.geometry.intersection(known).area / frame.geometry.area >= 0.5
    frame.loc[seen, "review"] = np.where(inside.iloc[seen], "confirmed", "rejected")
    pyogrio.write_dataframe(frame, path, layer="landslides", append=False)
    return f"{int(inside.iloc[seen].sum())} of {len(seen)}"


def windows_of(folder: Path, bundle: Bundle) -> Known:
    """Return the statistics of windows on disk."""
    data = read_training_data([folder])
    return Known(statistics_of(data.windows, bundle), data.labels)


def trained(table: LabelledStatistics, more: Known | None, folder: Path) -> Path:
    """Train on the table, and on further windows if there are any."""
    channels = list(table.statistics["channel"].values)
    statistics, labels = table.statistics, table.labels
    if more is not None:
        own = more.statistics.sel(channel=channels, statistic=statistics["statistic"])
        own = own.transpose(*statistics.dims)
        plain = [part.drop_vars("window", errors="ignore") for part in (statistics, own)]
        statistics = xr.concat(plain, dim="window", coords="minimal", compat="override")
        labels = np.concatenate([labels, more.labels])
    made = train_on_statistics(statistics, labels, recipe=one_scenario())
    save_bundle(folder, made.document, made.contents, overwrite=True)
    return folder


def figures(
    seed: int, count: int, size: int, table: LabelledStatistics, work: Path
) -> Iterator[dict[str, Any]]:
    """Yield what bundles with and without verdicts of the first event say of the second."""
    options = varied(seed, 8, size=size, confusers=FOUR)
    first, second = work / f"{seed}", work / f"{seed}-next"
    scene = simulate_event(first, options)
    other = simulate_event(second, replace(options, seed=seed + _NEXT))
    rng = np.random.default_rng(seed)
    yes = reviewed(scene, first / "landslides_truth.gpkg", first / "map", count, rng)
    area = first / "area.gpkg"
    pyogrio.read_dataframe(first / "map" / LANDSLIDES, layer=ANALYSED).to_file(area)
    cut_windows(
        *(scene, verdicts_of(first / "map"), first / "windows"),
        area=area,
        stride=_STRIDE,
        rule=_RULE,
        allow_missing=True,
    )
    cut_windows(other, second / "landslides_truth.gpkg", second / "windows", stride=_STRIDE, rule=_RULE)
    default = load_bundle(work / "table")
    own, unseen = windows_of(first / "windows", default), windows_of(second / "windows", default)
    for name, bundle in {
        "the table": work / "table",
        "the table and verdicts": trained(table, own, work / f"{seed}-more"),
    }.items():
        found = evaluate(unseen.statistics, unseen.labels, bundle=load_bundle(bundle))
        yield {
            "seed": seed,
            "bundle": name,
            "confirmed": yes,
            "windows": (len(own.labels), int(own.labels.sum())),
            "evaluated": (len(unseen.labels), int(unseen.labels.sum())),
            **{key: found[key] for key in ("f1", "precision", "recall", "auc")},
        }


def _figure(value: float | None) -> str:
    """Return a figure, or a dash where no window is above the threshold."""
    return "–" if value is None else f"{value:.3f}"


@click.command()
@click.option(
    "--statistics", type=click.Path(path_type=Path, exists=True), required=True, help="Published table."
)
@click.option("--count", default=100, show_default=True, help="Verdicts.")
@click.option("--size", default=384, show_default=True, help="Edge of an event, pixels of 10 m.")
@click.option("--seed", "seeds", type=int, multiple=True, help="Take these seeds; several may be given.")
def main(statistics: Path, count: int, size: int, seeds: tuple[int, ...]) -> None:
    """Print a table of the windows of the next scene, predicted with and without verdicts."""
    table = read_statistics_table(statistics)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        trained(table, None, work / "table")
        click.echo(
            "| seed | trained on | confirmed | windows from verdicts | F1 | precision | recall | AUC |"
        )
        click.echo("|---|---|---|---|---|---|---|---|")
        for seed in seeds or SEEDS:
            for row in figures(seed, count, size, table, work):
                of, positive = row["windows"]
                cells = [seed, row["bundle"], row["confirmed"], f"{of}, {positive} landslide"]
                cells += [_figure(row[key]) for key in ("f1", "precision", "recall", "auc")]
                click.echo("| " + " | ".join(map(str, cells)) + " |")
            shutil.rmtree(work / f"{seed}", ignore_errors=True)


if __name__ == "__main__":
    main()
