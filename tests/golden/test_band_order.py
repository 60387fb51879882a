"""The labelled windows hold blue first: a model that knows their order predicts real scenes.

Everything published says red first (docs/decisions/0020). No labels exist for this question, so the table
labels it itself: its rows as they are against the same rows with bands 1 and 3 exchanged.
"""

from __future__ import annotations

import lightgbm
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import rasterio

from landslide_map.features.window_statistics import array_statistics
from tests.support.real_scenes import BIGEARTHNET, SNOWY, TERRAMIND
from tests.support.shared_data import shared_data

COLUMNS = {"mean": "mean", "std": "std", "min": "min", "max": "max", "skew": "skew", "kurtosis": "kurt"}
WITH_OFFSET = "433D_629L_3_1"
Floats = npt.NDArray[np.float64]


def described(statistics: Floats) -> Floats:
    """``(window, band, statistic)`` -> features, with what the outer bands say against each other."""
    first, third = statistics[:, 0, :4], statistics[:, 2, :4]
    offset = np.array([1000, 0, 1000, 1000])
    ratio = (first - offset) / np.where(third == offset, 1, third - offset)
    return np.hstack([statistics.reshape(len(statistics), -1), first - third, ratio])


def exchanged(statistics: Floats) -> Floats:
    return statistics[:, [2, 1, 0, 3]]


def scene_windows(name: str) -> Floats:
    """Return B02, B03, B04, B08 of a real scene as windows, ``(window, band, 64, 64)``, training DN."""
    if name in TERRAMIND:
        with rasterio.open(shared_data("real", "terramind", "S2L2A", f"{name}.tif")) as source:
            pixels = source.read([2, 3, 4, 8]).astype(float)
    else:
        folder = shared_data("real", "bigearthnet", "BigEarthNet-S2-Example", name)
        layers = []
        for band in ("B02", "B03", "B04", "B08"):
            with rasterio.open(folder / f"{name}_{band}.tif") as source:
                layers.append(source.read(1).astype(float))
        pixels = np.stack(layers)
    pixels += 0 if name == WITH_OFFSET else 1000
    starts = [range(0, length - 63, 16) for length in pixels.shape[1:]]
    return np.stack([pixels[:, r : r + 64, c : c + 64] for r in starts[0] for c in starts[1]])


@pytest.fixture(scope="module")
def order_model() -> lightgbm.Booster:
    table = pd.read_csv(shared_data("zindi", "patch_statistics.csv"))
    values = np.stack(
        [table[[f"band{band}_{c}" for c in COLUMNS.values()]].to_numpy() for band in (1, 2, 3, 4)], axis=1
    )
    features = np.vstack([described(values), described(exchanged(values))])
    order = np.repeat([0.0, 1.0], len(values))
    held_out = np.tile(np.arange(len(values)) % 5 == 0, 2)
    settings = {"objective": "binary", "num_leaves": 15, "verbose": -1, "num_threads": 2, "seed": 0}
    model = lightgbm.train(settings, lightgbm.Dataset(features[~held_out], order[~held_out]), 40)
    right = (model.predict(features[held_out]) > 0.5) == order[held_out]
    assert right.mean() > 0.95, "the order does not follow from the table"
    return model


def test_real_scenes_look_like_the_table_with_blue_first(order_model: lightgbm.Booster) -> None:
    bands, reported = ["blue", "green", "red", "nir"], {}
    for name in (*TERRAMIND, *BIGEARTHNET):
        if name not in SNOWY:  # snow is white
            found = array_statistics(scene_windows(name), bands).sel(statistic=list(COLUMNS)).values
            reported[name] = [order_model.predict(described(v)) < 0.5 for v in (found, exchanged(found))]
    for name, (blue_first, red_first) in reported.items():
        assert blue_first.mean() > 0.5 > red_first.mean(), name
    assert np.concatenate([blue_first for blue_first, _ in reported.values()]).mean() > 0.9
    assert np.concatenate([red_first for _, red_first in reported.values()]).mean() < 0.1
