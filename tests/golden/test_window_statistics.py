"""Statistics against numbers that this project did not compute."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from landslide_map.bands import CHANNELS, MODEL_BANDS
from landslide_map.features.ready_windows import eighteen_channels
from landslide_map.features.window_statistics import array_statistics
from landslide_map.models.statistics.published_boosters import published_features
from tests.support.shared_data import shared_data

TABLE_NAMES = {"mean": "mean", "std": "std", "min": "min", "max": "max", "kurtosis": "kurt", "skew": "skew"}
PUBLISHED_ORDER = ["mean", "median", "min", "max", "std", "skew", "kurtosis"]


def test_a_real_window_gives_its_row_of_the_competition_table():
    window = np.load(shared_data("zindi", "ID_005GY8.npy"))
    table = pd.read_csv(shared_data("zindi", "patch_statistics.csv"), index_col="ID")
    row = table.loc["ID_005GY8"]
    # The table's statistics are those of float32 arrays, its NDWI is the negative of GNDVI.
    got = array_statistics(eighteen_channels(window[np.newaxis].astype(np.float32)), CHANNELS)[0]
    for band, name in enumerate(MODEL_BANDS, start=1):
        for statistic, column in TABLE_NAMES.items():
            expected = row[f"band{band}_{column}"]
            assert float(got.sel(channel=name, statistic=statistic)) == pytest.approx(expected, rel=1e-4)
    ndvi, gndvi = got.sel(channel="bndvi"), got.sel(channel="gndvi")
    for statistic, column in TABLE_NAMES.items():
        shift = 0.5 if statistic in ("mean", "min", "max") else 0.0
        found = float(ndvi.sel(statistic=statistic)) - shift
        assert found == pytest.approx(row[f"ndvi_{column}"], rel=1e-4)
    mirrored = {
        "mean": 0.5 - gndvi.sel(statistic="mean"),
        "std": gndvi.sel(statistic="std"),
        "min": 0.5 - gndvi.sel(statistic="max"),
        "max": 0.5 - gndvi.sel(statistic="min"),
        "kurt": gndvi.sel(statistic="kurtosis"),
        "skew": -gndvi.sel(statistic="skew"),
    }
    for column, found in mirrored.items():
        assert float(found) == pytest.approx(row[f"ndwi_{column}"], rel=1e-4)


def published_windows(count=3, seed=11):
    """Return the synthetic windows that the published pipeline's features were recorded for."""
    mean = [1851.85963, 1928.38193, 1867.25082, 3117.47824, -10.5585540, -18.8282667]
    mean += [-0.960078930, -0.749858269, -11.3484484, -20.1162665, 0.581196265, -0.275804596]
    std = [1341.69370135, 1273.92620502, 1278.76344252, 1466.91812707, 8.34187043, 10.65859149]
    std += [4.33202752, 5.08455682, 6.43914294, 9.9298614, 2.93451315, 4.50931721]
    rng = np.random.default_rng([seed, 4096])
    windows = np.empty((count, 64, 64, 12))
    for band in range(12):
        base = rng.normal(mean[band], std[band] * 0.5, size=(count, 1, 1))
        coarse = rng.normal(0, std[band] * 0.4, size=(count, 8, 8)).repeat(8, 1).repeat(8, 2)
        windows[..., band] = base + coarse + rng.normal(0, std[band] * 0.3, size=(count, 64, 64))
    windows[..., :4] = np.rint(np.clip(windows[..., :4], 1, 20000))
    return windows


def test_the_126_features_of_the_published_boosters_are_reproduced():
    with Path(__file__).with_name("published_features.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    expected = np.array([[float(row[name]) for name in PUBLISHED_ORDER] for row in rows])
    statistics = array_statistics(eighteen_channels(published_windows()), CHANNELS, median=True)
    features = published_features(statistics)
    assert features.shape == (3, 126)
    np.testing.assert_allclose(features, expected.reshape(3, 126), rtol=1e-9)
