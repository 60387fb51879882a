"""Windows unlike the training data: labelled windows, the same with faults, and real scenes.

``python -m benchmarks.unlike_training TABLE.csv`` prints Markdown tables of the distance from the training
range of the default bundle: of the labelled windows that it learned from, by scenario, then of the same
windows with faults that move their statistics exactly. ``--scenes`` adds real scenes of the data folder.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import xarray as xr

from landslide_map.array_types import Floats
from landslide_map.bands import DIFFERENCES, MODEL_BANDS, OPTICAL
from landslide_map.datasets.statistics_table import read_statistics_table
from landslide_map.inference.gather import assemble_result
from landslide_map.inference.rows import predict_rows
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.models.bundle.load import Bundle, load_bundle
from landslide_map.models.statistics.training_range import UNLIKE, TrainingRange
from landslide_map.scene.model import load_scene
from landslide_map.windows import plan_windows
from tests.support.real_scenes import BIGEARTHNET, TERRAMIND, write_scene

LEVEL = ["mean", "min", "max"]
Fault = Callable[[xr.DataArray], xr.DataArray]


def moved(names: tuple[str, ...], by: float) -> Fault:
    """Return a fault that adds a number to some bands."""

    def spoil(statistics: xr.DataArray) -> xr.DataArray:
        statistics.loc[{"channel": list(names), "statistic": LEVEL}] += by
        return statistics

    return spoil


def exchanged(one: str, other: str) -> Fault:
    """Return a fault that takes two bands for each other."""

    def spoil(statistics: xr.DataArray) -> xr.DataArray:
        first = statistics.sel(channel=one).copy()
        statistics.loc[{"channel": one}] = statistics.sel(channel=other)
        statistics.loc[{"channel": other}] = first
        return statistics

    return spoil


def smoothed(names: tuple[str, ...], by: float) -> Fault:
    """Return a fault that draws the values of some bands nearer to their mean."""

    def spoil(statistics: xr.DataArray) -> xr.DataArray:
        own = {"channel": list(names)}
        mean = statistics.sel(channel=list(names), statistic="mean")
        for name in ("min", "max"):
            at = {**own, "statistic": name}
            statistics.loc[at] = mean + by * (statistics.loc[at] - mean)
        statistics.loc[{**own, "statistic": "std"}] *= by
        return statistics

    return spoil


RADAR = tuple(name for name in MODEL_BANDS if name not in OPTICAL)
FAULTS: dict[str, Fault] = {
    "none": lambda statistics: statistics,
    "optical 1,000 DN too low (offset taken off twice)": moved(OPTICAL, -1000),
    "optical 1,000 DN too high": moved(OPTICAL, 1000),
    "red and nir exchanged": exchanged("red", "nir"),
    "VV and VH exchanged, descending": exchanged("desc_vv", "desc_vh"),
    "backscatter 10 dB too high": moved(("desc_vv", "desc_vh", "asc_vv", "asc_vh"), 10),
    "differences 3 dB too high (wet snow)": moved(DIFFERENCES, 3),
    "speckle filtered (half the spread of radar)": smoothed(RADAR, 0.5),
}


def row(name: str, share: Floats) -> str:
    """Return a row of figures of windows."""
    known = share[np.isfinite(share)]
    middle, high, highest = np.percentile(known, (50, 95, 99)) if known.size else (np.nan,) * 3
    figures = f"{middle:.3f} | {high:.3f} | {highest:.3f} | {np.mean(known > UNLIKE):.1%}"
    return f"| {name} | {known.size} | {figures} |"


def head(first: str) -> None:
    """Print the first two lines of a table."""
    click.echo(f"\n| {first} | windows | median | 95 % | 99 % | unlike |\n|---|---|---|---|---|---|")


def channels_of(bundle: Bundle, number: int) -> set[str]:
    """Return the channels that the members of a scenario read."""
    weights = bundle.scenarios[number].weights
    return {name for member in bundle.members if member.name in weights for name in member.channels}


@click.command()
@click.argument("table", type=click.Path(exists=True, dir_okay=False))
@click.option("--scenes", is_flag=True, help="Real scenes too (LANDSLIDE_MAP_DATA).")
def main(table: str, scenes: bool) -> None:
    """Print the tables."""
    bundle, data = load_bundle(), read_statistics_table(table)
    range_ = bundle.training_range
    assert isinstance(range_, TrainingRange)
    head("labelled windows, scenario")
    for number, scenario in enumerate(bundle.scenarios):
        click.echo(row(scenario.name, range_.distance(data.statistics, channels_of(bundle, number))))
    head("labelled windows, fault; all twelve bands")
    for name, spoil in FAULTS.items():
        click.echo(row(name, range_.distance(spoil(data.statistics.copy(deep=True)), MODEL_BANDS)))
    if scenes:
        head("real scene")
        with tempfile.TemporaryDirectory() as folder:
            for name in (*TERRAMIND, *BIGEARTHNET):
                inputs = open_inputs(load_scene(write_scene(Path(folder), name)))
                plan = plan_windows(inputs.grid.shape, 64)
                rows = predict_rows(inputs, bundle, plan, 0.75, plan.block_rows)
                share = assemble_result(rows, bundle, plan).record.unlike_training
                assert share is not None
                if np.isfinite(share).any():
                    click.echo(row(name, share))


if __name__ == "__main__":
    main()
