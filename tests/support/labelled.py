"""Small labelled tables and bundles for tests: made up, learnable, quick."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from landslide_map.datasets.statistics_table import TABLE_CHANNELS
from landslide_map.features.moments import STATISTICS
from landslide_map.models.bundle.folder import save_bundle
from landslide_map.models.bundle.load import Bundle, load_bundle
from landslide_map.training.statistics.recipe import Recipe
from landslide_map.training.statistics.train import train_on_statistics

OPTICAL = ("red", "green", "blue", "nir", "bndvi", "gndvi")
CHANGE = ("desc_diff_vv", "desc_diff_vh", "asc_diff_vv", "asc_diff_vh")


def made_up_statistics(count: int = 120, seed: int = 0) -> tuple[xr.DataArray, np.ndarray]:
    """Statistics of windows in which landslides are redder, less green and rougher."""
    generator = np.random.default_rng(seed)
    labels = (np.arange(count) % 3 == 0).astype(np.int8)
    values = generator.normal(size=(count, len(TABLE_CHANNELS), len(STATISTICS)))
    statistics = xr.DataArray(
        values,
        dims=("window", "channel", "statistic"),
        coords={"channel": list(TABLE_CHANNELS), "statistic": list(STATISTICS)},
    )
    statistics.loc[{"statistic": "valid_fraction"}] = 1.0
    statistics.loc[{"statistic": "std"}] = np.abs(statistics.sel(statistic="std")) + 1
    statistics.loc[{"statistic": "min"}] = statistics.sel(statistic="mean") - 3 * statistics.sel(
        statistic="std"
    )
    statistics.loc[{"statistic": "max"}] = statistics.sel(statistic="mean") + 3 * statistics.sel(
        statistic="std"
    )
    statistics.loc[{"statistic": "mean", "channel": "bndvi"}] -= 1.5 * labels
    statistics.loc[{"statistic": "std", "channel": "desc_diff_vv"}] += 1.5 * labels
    return statistics, labels


def tiny_recipe(**changes: Any) -> Recipe:
    """Three kinds of members, two scenarios, seconds to train."""
    trees = {"trees": 20, "learning_rate": 0.2, "num_leaves": 4, "min_data_in_leaf": 5}
    return Recipe.model_validate(
        {
            "name": "tiny",
            "version": "0.1",
            "description": "for tests",
            "data": {"licence": "none", "source": "made up"},
            "folds": 3,
            "seed": 1,
            "models": {
                "lightgbm": {"kind": "lightgbm", "settings": trees},
                "xgboost": {"kind": "xgboost", "settings": {"trees": 20, "eta": 0.2, "max_depth": 2}},
                "perceptron": {
                    "kind": "perceptron",
                    "settings": {"networks": 2, "hidden": [8], "epochs": 20, "batch": 16},
                },
            },
            "channel_sets": {
                "both": {"channels": [*OPTICAL, *CHANGE], "models": ["lightgbm", "xgboost", "perceptron"]},
                "optical": {"channels": OPTICAL, "models": ["lightgbm"]},
            },
            "scenarios": [
                {
                    "name": "optical and change",
                    "weights": {"both.lightgbm": 1, "both.xgboost": 1, "both.perceptron": 2},
                },
                {"name": "optical", "weights": {"optical.lightgbm": 1}, "clear_sky": True},
            ],
        }
        | changes
    )


def tiny_bundle(folder: Path) -> Bundle:
    """Train, save and load a tiny bundle."""
    statistics, labels = made_up_statistics()
    ids = [f"ID_{i}" for i in range(len(labels))]
    trained = train_on_statistics(statistics, labels, recipe=tiny_recipe(), ids=ids)
    save_bundle(folder, trained.document, trained.contents)
    return load_bundle(folder)


def write_table(path: Path, count: int = 40, **columns: Any) -> Path:
    """Write a table in the published layout, with some columns replaced."""
    generator = np.random.default_rng(0)
    names = [f"band{i}" for i in range(1, 13)] + ["ndvi", "ndwi"]
    table = {"ID": [f"ID_{i:04}" for i in range(count)], "label": [i % 2 for i in range(count)]}
    table |= {
        f"{name}_{what}": generator.uniform(0.1, 0.2, count) + (what == "max") - (what == "min")
        for name in names
        for what in ("mean", "std", "min", "max", "kurt", "skew")
    }
    table |= columns
    pd.DataFrame({k: v for k, v in table.items() if v is not None}).to_csv(path, index=False)
    return path
