"""Distance of windows from the range of the training windows, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from landslide_map.bands import SNOW_OR_CLOUD
from landslide_map.datasets.statistics_table import TABLE_CHANNELS
from landslide_map.features.moments import STATISTICS
from landslide_map.inference.gather import assemble_result
from landslide_map.inference.rows import RowResult
from landslide_map.mapping.provenance import window_counts
from landslide_map.models.bundle.load import load_bundle
from landslide_map.models.statistics.features import feature_names, feature_table
from landslide_map.models.statistics.training_range import FARTHEST, UNLIKE, TrainingRange
from landslide_map.products.painting import WindowMosaic
from landslide_map.window_record import WindowRecord
from landslide_map.windows import plan_windows
from tests.support.labelled import made_up_statistics

SOME = ("desc_vv", "desc_vh")


def test_distance_is_the_mean_over_features_of_how_far_each_lies_beyond_its_range() -> None:
    statistics, _ = made_up_statistics(40)
    table, names = feature_table(statistics, SOME)
    middle = np.median(table, axis=0).astype(float)
    low, high = middle - table.std(axis=0) / 2 - 0.1, middle + table.std(axis=0) + 0.1
    found = TrainingRange(names, low, middle, high).distance(statistics, SOME)
    expected = []
    for row in table.astype(float):
        beyond = [
            min(max((a - x) / (b - a), (x - c) / (c - b), 0.0), FARTHEST)
            for x, a, b, c in zip(row, low, middle, high, strict=True)
        ]
        expected.append(sum(beyond) / len(beyond))
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert found.min() < found.max()


def test_a_window_has_the_same_bits_alone_and_a_missing_feature_does_not_count() -> None:
    statistics, _ = made_up_statistics(30)
    own = load_bundle().training_range
    assert own is not None
    together = own.distance(statistics, TABLE_CHANNELS)
    for i in (0, 7, 29):
        alone = own.distance(statistics.isel(window=[i]), TABLE_CHANNELS)
        assert alone.tobytes() == together[i : i + 1].tobytes()
    holed = statistics.copy(deep=True)
    holed.loc[{"channel": [*SOME]}] = np.nan
    others = [name for name in TABLE_CHANNELS if name not in SOME]
    assert np.isfinite(own.distance(holed, TABLE_CHANNELS)).all()
    assert np.isnan(own.distance(holed, SOME)).all()
    assert (own.distance(holed, others) <= FARTHEST).all()


def test_windows_in_other_units_are_far_and_the_labelled_ones_near() -> None:
    statistics, _ = made_up_statistics(60)
    bundle = load_bundle()
    assert bundle.training_range is not None
    for name, middle in zip(bundle.training_range.names, bundle.training_range.median, strict=True):
        channel, _, statistic = name.partition(".")
        if channel in TABLE_CHANNELS and statistic in STATISTICS:
            statistics.loc[{"channel": channel, "statistic": statistic}] = middle
    usual = bundle.vote(statistics)
    spoiled = statistics.copy(deep=True)
    radar = [name for name in TABLE_CHANNELS if name.startswith(("desc", "asc"))]
    spoiled.loc[{"channel": radar}] = np.abs(spoiled.sel(channel=radar)) * 40
    far = bundle.vote(spoiled)
    assert usual.unlike_training is not None
    assert far.unlike_training is not None
    assert SNOW_OR_CLOUD not in statistics.channel
    assert (np.isfinite(usual.unlike_training) == (usual.scenario >= 0)).all()
    assert usual.unlike_training.max() < UNLIKE < far.unlike_training.min()


@pytest.mark.parametrize(("unlike", "said"), [(0.0, False), (2 * UNLIKE, True)])
def test_a_scene_of_unlike_windows_says_so_and_counts_them(unlike: float, said: bool) -> None:
    plan, bundle = plan_windows((64, 640), 64), load_bundle()
    scenario = np.zeros(plan.count, np.int8)
    scenario[0] = -1
    record = WindowRecord(
        probability=np.where(scenario < 0, np.nan, 0.2),
        threshold=np.where(scenario < 0, np.nan, 0.4),
        scenario=scenario,
        reason=np.where(scenario < 0, 255, 0).astype(np.uint8),
        unlike_training=np.where(scenario < 0, np.nan, np.where(np.arange(plan.count) < 4, unlike, 0.0)),
        scenarios=tuple(own.name for own in bundle.scenarios),
    )
    result = assemble_result([RowResult(0, record)], bundle, plan)
    assert ("W342" in [notice.code for notice in result.notices]) == said
    found = window_counts(result.record)["unlike_training"]
    assert found == {"limit": UNLIKE, "windows": 3 if said else 0, "median": 0.0}


def test_the_mean_along_runs_is_that_of_their_pixels() -> None:
    rng = np.random.default_rng(3)
    patches = WindowMosaic(np.array([0, 3, 7, 9]), np.array([0, 2, 5, 11]))
    values = rng.random(patches.shape).astype(np.float32)
    values[1, 1] = np.nan
    pixels = patches.paint(values, 0, 9).astype(float)
    row, first = rng.integers(0, 9, 12), rng.integers(0, 10, 12)
    stop = first + 1 + rng.integers(0, 12, 12) % (11 - first)
    part_of = np.arange(12) % 3
    found = patches.means_along(values, row, first, stop, part_of)
    for thing in range(3):
        own = [pixels[r, a:b] for r, a, b, k in zip(row, first, stop, part_of, strict=True) if k == thing]
        assert found[thing] == pytest.approx(np.nanmean(np.concatenate(own)))


def test_the_range_covers_every_feature_that_a_scenario_reads() -> None:
    bundle = load_bundle()
    assert bundle.training_range is not None
    known = set(bundle.training_range.names)
    for scenario in bundle.scenarios:
        members = [member for member in bundle.members if member.name in scenario.weights]
        channels = tuple(dict.fromkeys(name for member in members for name in member.channels))
        assert set(feature_names(channels)) <= known, Path(scenario.name)
