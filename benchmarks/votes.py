"""Cost of votes of members on statistics, one thread, per fold and window, beside other libraries.

``python -m benchmarks.votes [--rows 1000000]`` prints a Markdown table for the first fold of the three
members of the default bundle that read all channels. Features are drawn from the training quantiles that
the small networks keep. Trees compiled by tl2cgen are measured too where treelite, tl2cgen and gcc are
at hand (they are no dependency).
"""

from __future__ import annotations

import importlib.util
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import xarray as xr

from landslide_map.bands import CHANNELS
from landslide_map.models.bundle.load import load_bundle
from landslide_map.models.statistics.boosters import (
    Predictor,
    StatisticsMember,
    lightgbm_predictor,
    slow_lightgbm_predictor,
    slow_xgboost_predictor,
    xgboost_predictor,
)
from landslide_map.models.statistics.features import BASE_STATISTICS, feature_table
from landslide_map.models.statistics.perceptron import Perceptron, normal_scores, one_blas_thread

BATCH = 16384
"""Windows drawn, and predicted again and again: many times more than fit into a fast cache."""
Features = npt.NDArray[np.float32]
Work = Callable[[Features], object]


def drawn(knots: npt.NDArray[np.float32], count: int) -> Features:
    """Draw windows: every feature alone, evenly between the quantiles, and some beyond the outermost."""
    last = knots.shape[1] - 1
    place = np.random.default_rng(0).uniform(-0.5, last + 0.5, (count, len(knots)))
    below = np.clip(place.astype(int), 0, last - 1)
    feature = np.arange(len(knots))
    low, high = knots[feature, below], knots[feature, below + 1]
    windows: Features = (low + (high - low) * (place - below)).astype(np.float32)
    return windows


def per_window(work: Work, windows: Features, count: int) -> float:
    """Return CPU microseconds for a window."""
    work(windows[:64])  # compiles
    begin = time.process_time()
    for start in range(0, count, BATCH):
        work(windows[: count - start])
    return 1e6 * (time.process_time() - begin) / count


def in_parts(predict: Predictor, size: int) -> Predictor:
    """Return a predictor that is given so many windows at a time."""
    return lambda windows: np.concatenate(
        [predict(windows[start : start + size]) for start in range(0, len(windows), size)]
    )


def interpolated(windows: Features, network: Perceptron) -> Features:
    """Return normal scores by numpy, feature by feature."""
    columns = []
    for values, knots in zip(windows.T, network.knots, strict=True):
        distinct, first = np.unique(knots, return_index=True)
        columns.append(np.interp(values, distinct, network.scores[first]))
    return np.stack(columns, axis=1).astype(np.float32)


def compiled_trees(text: str, folder: Path) -> tuple[Predictor, float]:
    """Return the predictor of trees turned into C, and the seconds it took to compile."""
    import tl2cgen
    import treelite

    source = folder / "model.txt"
    source.write_text(text)
    begin = time.perf_counter()
    model = treelite.frontend.load_lightgbm_model(source)
    tl2cgen.export_lib(model, toolchain="gcc", libpath=folder / "model.so", params={"parallel_comp": 4})
    seconds = time.perf_counter() - begin
    library = tl2cgen.Predictor(folder / "model.so", nthread=1)

    def predict(windows: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        table = tl2cgen.DMatrix(windows, dtype="float32")
        return np.asarray(library.predict(table), dtype=np.float64).ravel()

    return predict, seconds


def lines(count: int, folder: Path) -> Iterator[str]:
    """Measure; yield the rows of the table."""
    members = {member.name: member for member in load_bundle().members}
    models: dict[str, bytes] = {}
    for kind in ("lightgbm", "xgboost", "perceptron"):
        member = members[f"all.{kind}"]
        assert isinstance(member, StatisticsMember)
        models[kind] = member.folds[0]
    network = Perceptron.from_bytes(models["perceptron"])
    text = models["lightgbm"].decode()
    windows = drawn(network.knots, BATCH)

    def line(name: str, work: Work, like: Work | None = None) -> str:
        same = ""
        if like is not None:
            apart = float(np.abs(np.asarray(work(windows)) - np.asarray(like(windows))).max())
            same = "same bits" if apart == 0 else f"{apart:.1g} apart"
        return f"| {name} | {per_window(work, windows, count):.2f} | {same} |"

    walking, xgboost = slow_lightgbm_predictor(text), slow_xgboost_predictor(models["xgboost"])
    yield line("LightGBM: this package", lightgbm_predictor(models["lightgbm"]), walking)
    yield line(f"LightGBM: its own `predict`, {BATCH:,} windows at a time", walking)
    yield line("LightGBM: its own `predict`, 1,024 windows at a time", in_parts(walking, 1024), walking)
    if importlib.util.find_spec("tl2cgen") and importlib.util.find_spec("treelite"):
        predict, seconds = compiled_trees(text, folder)
        yield line(f"LightGBM: compiled by tl2cgen (in {seconds:.0f} s)", predict, walking)
    yield line("XGBoost: this package", xgboost_predictor(models["xgboost"]), xgboost)
    yield line("XGBoost: its own `inplace_predict`", xgboost)
    yield line("Small networks: this package", network.probability)
    yield line(
        "of which normal scores",
        lambda x: normal_scores(x, network.knots, network.scores),
        lambda x: interpolated(x, network),
    )
    statistics = xr.DataArray(
        np.random.default_rng(0).uniform(1, 2, (BATCH, len(CHANNELS), len(BASE_STATISTICS))),
        dims=("window", "channel", "statistic"),
        coords={"channel": list(CHANNELS), "statistic": list(BASE_STATISTICS)},
    )
    channels = members["all.lightgbm"].channels
    yield line("Normal scores by `numpy.interp`", lambda x: interpolated(x, network))
    yield line(
        "Features, once for all folds of all three",
        lambda x: feature_table(statistics.isel(window=slice(len(x))), channels)[0],
    )


@click.command()
@click.option("--rows", type=click.IntRange(min=BATCH), default=1_000_000, show_default=True)
def main(rows: int) -> None:
    """Print a Markdown table."""
    click.echo(
        f"| one fold, {rows:,} windows, one thread | us a window | against the library |\n|---|---|---|"
    )
    with one_blas_thread(), tempfile.TemporaryDirectory() as folder:
        for row in lines(rows, Path(folder)):
            click.echo(row)


if __name__ == "__main__":
    main()
