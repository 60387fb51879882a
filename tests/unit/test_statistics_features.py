from __future__ import annotations

import numpy as np
import pytest

from landslide_map.datasets.statistics_table import TABLE_CHANNELS
from landslide_map.models.statistics.features import feature_table
from tests.support.labelled import CHANGE, OPTICAL, made_up_statistics


def column(statistics, channels, name) -> float:
    table, names = feature_table(statistics, channels)
    return float(table[0, names.index(name)])


def test_features_by_hand() -> None:
    statistics, _ = made_up_statistics(3)

    def put(channel: str, **values: float) -> None:
        for statistic, value in values.items():
            statistics.loc[{"channel": channel, "statistic": statistic, "window": 0}] = value

    put("red", mean=1300.0, std=60.0, min=1100.0, max=1900.0)
    put("nir", mean=2200.0, std=240.0)
    put("desc_vv", mean=-9.0, std=4.0)
    put("desc_vh", mean=-15.0, std=2.0)
    put("desc_diff_vv", mean=1.5, std=3.0)
    put("asc_diff_vv", mean=-0.5, std=2.5)
    expected = {
        "red.mean": 1300.0,
        "red.range_std": 800 / 60,
        "red.upper_tail": 600 / 60,
        "red.std_mean": 60 / 300,  # DN 1000 is zero reflectance
        "red_nir.ratio": np.log(300 / 1200),
        "desc_pre_vv.mean": -10.5,  # post - (post - pre)
        "desc_diff_vv.std_post": 0.75,
        "desc.vv_vh_mean": 6.0,
        "desc.vv_vh_std": 2.0,
        "least_diff_vv.mean": -0.5,
        "most_diff_vv.mean": 1.5,
        "least_diff_vv.std": 2.5,
        "gap_diff_vv.mean": 2.0,
    }
    found = {name: column(statistics, TABLE_CHANNELS, name) for name in expected}
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("channels", [OPTICAL, CHANGE, ("desc_vv", "desc_vh"), ("asc_diff_vv",)])
def test_a_member_never_sees_a_channel_it_did_not_name(channels: tuple[str, ...]) -> None:
    statistics, _ = made_up_statistics(5)
    expected, names = feature_table(statistics, channels)
    poisoned = statistics.copy()
    poisoned.loc[{"channel": [c for c in TABLE_CHANNELS if c not in channels]}] = np.nan
    found, same_names = feature_table(poisoned, channels)
    assert names == same_names
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found, expected)


def test_the_order_of_channels_and_further_channels_change_nothing() -> None:
    statistics, _ = made_up_statistics(5)
    expected, _ = feature_table(statistics, OPTICAL)
    shuffled = statistics.isel(channel=slice(None, None, -1), statistic=slice(None, None, -1))
    np.testing.assert_array_equal(feature_table(shuffled, OPTICAL[::-1])[0], expected)


def test_swapping_the_tracks_keeps_what_is_symmetric() -> None:
    statistics, _ = made_up_statistics(5)
    swapped = statistics.copy()
    for name in ("vv", "vh", "diff_vv", "diff_vh"):
        swapped.loc[{"channel": f"desc_{name}"}] = statistics.sel(channel=f"asc_{name}")
        swapped.loc[{"channel": f"asc_{name}"}] = statistics.sel(channel=f"desc_{name}")
    (a, names), (b, _) = (feature_table(s, TABLE_CHANNELS) for s in (statistics, swapped))
    symmetric = [i for i, name in enumerate(names) if name.startswith(("least_", "most_"))]
    assert symmetric
    np.testing.assert_array_equal(a[:, symmetric], b[:, symmetric])


def test_dark_water_and_flat_windows_stay_finite() -> None:
    statistics, _ = made_up_statistics(4)
    statistics.loc[{"channel": list(OPTICAL), "statistic": "mean"}] = 990.0
    statistics.loc[{"statistic": "std"}] = 0.0
    assert np.isfinite(feature_table(statistics, TABLE_CHANNELS)[0]).all()
