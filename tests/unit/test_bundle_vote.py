"""The vote on members with known answers, so that only the vote itself is tested."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from landslide_map.bands import BACKSCATTER, CHANNELS, SNOW_OR_CLOUD, STEEP
from landslide_map.models.voting.calibration import Calibration
from landslide_map.models.voting.ensemble import vote
from landslide_map.models.voting.scenario import Scenario
from landslide_map.reasons import Reason
from tests.support import messages
from tests.support.raised import raised

STATISTICS = ("valid_fraction", "mean", "std", "min", "max", "skew", "kurtosis")


@dataclass
class Constant:
    """Predicts the same everywhere, refuses NaN, and counts its windows."""

    name: str
    channels: tuple[str, ...]
    says: float
    input: str = "statistics"
    predicted: list[int] = field(default_factory=list)

    def predict(self, x: Any) -> np.ndarray:
        if self.input == "statistics":
            assert np.isfinite(x.sel(channel=list(self.channels)).values).all()
        self.predicted.append(len(x))
        return np.full(len(x), self.says)


def windows(count: int = 4) -> xr.DataArray:
    channels = [*CHANNELS, SNOW_OR_CLOUD]
    values = np.random.default_rng(0).normal(size=(count, len(channels), len(STATISTICS)))
    statistics = xr.DataArray(
        values,
        dims=("window", "channel", "statistic"),
        coords={"channel": channels, "statistic": list(STATISTICS)},
    )
    statistics.loc[{"statistic": "valid_fraction"}] = 1.0
    statistics.loc[{"channel": SNOW_OR_CLOUD, "statistic": "mean"}] = 0.0
    return statistics


ALL = Constant("all", ("red", "desc_vv", "desc_diff_vv"), 0.9)
CHANGE = Constant("change", ("red", "desc_diff_vv"), 0.6)
OPTICAL = Constant("optical", ("red",), 0.2)
MEMBERS = (ALL, CHANGE, OPTICAL)
SCENARIOS = (
    Scenario("all", {"all": 3, "change": 1}, threshold=0.5),
    Scenario("change", {"change": 1}, threshold=0.4),
    Scenario("optical", {"optical": 1}, threshold=0.3, clear_sky=True),
)


def test_a_window_takes_the_first_scenario_that_fits() -> None:
    statistics = windows(4)
    statistics.loc[{"channel": "desc_vv", "window": [1, 2]}] = np.nan
    statistics.loc[{"channel": "desc_diff_vv", "window": 2}] = np.nan
    statistics.loc[{"window": 3}] = np.nan
    votes = vote(MEMBERS, SCENARIOS, statistics)
    assert votes.scenario.tolist() == [0, 1, 2, -1]
    np.testing.assert_allclose(votes.probability, [(3 * 0.9 + 0.6) / 4, 0.6, 0.2, np.nan])
    np.testing.assert_allclose(votes.threshold, [0.5, 0.4, 0.3, np.nan])
    assert votes.landslide.tolist() == [True, True, False, False]
    np.testing.assert_allclose(
        votes.member_probability,
        [[0.9, 0.6, np.nan], [np.nan, 0.6, np.nan], [np.nan, np.nan, 0.2], [np.nan] * 3],
    )
    assert votes.reason.tolist() == [Reason.ANALYSED] * 3 + [Reason.NO_DATA]


def test_a_channel_needs_three_quarters_of_valid_pixels() -> None:
    statistics = windows(2)
    statistics.loc[{"channel": "desc_vv", "statistic": "valid_fraction"}] = [0.75, 0.7499]
    assert vote(MEMBERS, SCENARIOS, statistics).scenario.tolist() == [0, 1]
    assert vote(MEMBERS, SCENARIOS, statistics, min_valid_fraction=0.9).scenario.tolist() == [1, 1]


def test_excluded_channels_silence_their_members() -> None:
    votes = vote(MEMBERS, SCENARIOS, windows(2), excluded=BACKSCATTER)
    assert votes.scenario.tolist() == [1, 1]
    assert np.isnan(votes.member_probability[:, 0]).all()


def test_a_constant_channel_without_skewness_counts_as_missing() -> None:
    statistics = windows(1)
    statistics.loc[{"channel": "desc_diff_vv", "statistic": ["skew", "kurtosis"]}] = np.nan
    assert vote(MEMBERS, SCENARIOS, statistics).scenario.tolist() == [2]


def test_snow_or_cloud_silences_optical_windows_but_not_those_with_radar() -> None:
    statistics = windows(3)
    statistics.loc[{"channel": SNOW_OR_CLOUD, "statistic": "mean"}] = [0.6, 0.6, 0.5]
    statistics.loc[{"channel": ["desc_vv", "desc_diff_vv"], "window": [1, 2]}] = np.nan
    votes = vote(MEMBERS, SCENARIOS, statistics)
    assert votes.scenario.tolist() == [0, -1, 2]
    assert votes.reason.tolist() == [Reason.ANALYSED, Reason.SNOW_OR_CLOUD, Reason.ANALYSED]
    assert np.isnan(votes.probability[1])


def test_windows_with_some_data_but_no_scenario_say_so() -> None:
    statistics = windows(1)
    statistics.loc[{"channel": "red"}] = np.nan
    votes = vote(MEMBERS, SCENARIOS, statistics)
    assert votes.reason.tolist() == [Reason.MISSING_CHANNELS]
    assert not votes.landslide.any()


def test_a_scenario_of_any_members_renormalises_their_weights() -> None:
    statistics = windows(2)
    statistics.loc[{"channel": "desc_vv", "window": 1}] = np.nan
    mean = (Scenario("mean", {"all": 1, "change": 1, "optical": 2}, threshold=0.49, needs_all=False),)
    votes = vote(MEMBERS, mean, statistics)
    np.testing.assert_allclose(votes.probability, [(0.9 + 0.6 + 0.4) / 4, (0.6 + 0.4) / 3])


@pytest.mark.parametrize("above", [False, True])
def test_a_window_at_its_threshold_is_no_landslide(above: bool) -> None:
    """The published rule, and that of the rasters: above, not at."""
    threshold = np.nextafter(0.25, 0.0) if above else 0.25
    votes = vote([Constant("one", ("red",), 0.25)], [Scenario("one", {"one": 1}, threshold)], windows(1))
    assert votes.probability.tolist() == [0.25]
    assert votes.landslide.tolist() == [above]


def test_logits_are_averaged_where_the_scenario_says_so() -> None:
    scenario = (Scenario("s", {"all": 1, "optical": 1}, threshold=0.5, average="logit"),)
    odds = np.sqrt(0.9 / 0.1 * 0.2 / 0.8)  # mean of log-odds = geometric mean of odds
    found = vote(MEMBERS, scenario, windows(1)).probability
    np.testing.assert_allclose(found, [odds / (1 + odds)])


def test_calibration_is_applied_to_the_mean() -> None:
    scenario = (Scenario("s", {"all": 1}, threshold=0.5, calibration=Calibration(slope=0.5, shift=-1.0)),)
    odds = np.sqrt(9) * np.exp(-1)
    found = vote(MEMBERS, scenario, windows(1)).probability
    np.testing.assert_allclose(found, [odds / (1 + odds)])


def test_only_windows_that_need_a_member_reach_it() -> None:
    member = Constant("optical", ("red",), 0.2)
    statistics = windows(10)
    statistics.loc[{"channel": ["desc_vv", "desc_diff_vv"], "window": [3, 7]}] = np.nan
    vote((ALL, CHANGE, member), SCENARIOS, statistics)
    assert member.predicted == [2]


def test_members_on_pixels_get_them_and_are_refused_without() -> None:
    member = Constant("network", ("red",), 0.7, input="pixels")
    scenario = (Scenario("s", {"network": 1}, threshold=0.5),)
    pixels = np.zeros((3, 64, 64, 12), dtype=np.float32)
    assert vote((member,), scenario, windows(3), pixels=pixels).probability.tolist() == [0.7] * 3
    with raised(ValueError, messages.NETWORK_READS_PIXELS):
        vote((member,), scenario, windows(3))


def test_channels_that_the_statistics_lack_are_missing() -> None:
    statistics = windows(2).sel(channel=["red"])
    assert vote(MEMBERS, SCENARIOS, statistics).scenario.tolist() == [2, 2]


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=6))
def test_any_pattern_of_gaps_gives_a_probability_exactly_where_a_scenario_fits(pattern) -> None:
    statistics = windows(len(pattern))
    for window, gaps in enumerate(pattern):
        for channel, gap in zip(("red", "desc_vv", "desc_diff_vv"), gaps, strict=True):
            if gap:
                statistics.loc[{"channel": channel, "window": window}] = np.nan
    votes = vote(MEMBERS, SCENARIOS, statistics)
    np.testing.assert_array_equal(np.isfinite(votes.probability), votes.scenario >= 0)
    np.testing.assert_array_equal(votes.reason == Reason.ANALYSED, votes.scenario >= 0)
    np.testing.assert_array_equal(votes.scenario < 0, [gaps[0] for gaps in pattern])


def test_flat_ground_is_not_analysed_and_costs_no_vote() -> None:
    statistics = windows(4)
    steep = statistics.sel(channel=SNOW_OR_CLOUD).assign_coords(channel=STEEP).expand_dims("channel")
    statistics = xr.concat([statistics, steep.transpose("window", "channel", "statistic")], dim="channel")
    # Just flat, just not, elevation unknown, and flat without any image.
    statistics.loc[{"channel": STEEP, "statistic": "mean"}] = [0.09, 0.1, np.nan, 0.0]
    statistics.loc[{"channel": list(CHANNELS), "window": 3}] = np.nan
    member = Constant("optical", ("red",), 0.2)
    votes = vote([member], [Scenario("optical", {"optical": 1}, threshold=0.3)], statistics)
    assert votes.reason.tolist() == [Reason.FLAT, Reason.ANALYSED, Reason.ANALYSED, Reason.NO_DATA]
    assert votes.scenario.tolist() == [-1, 0, 0, -1]
    assert np.isnan(votes.probability[[0, 3]]).all()
    assert member.predicted == [2]
    # Where the elevation model ends, the flat corner that it knows does not decide for the window.
    statistics.loc[{"channel": STEEP, "statistic": "valid_fraction", "window": 0}] = 0.7
    votes = vote([member], [Scenario("optical", {"optical": 1}, threshold=0.3)], statistics)
    assert votes.reason.tolist() == [Reason.ANALYSED, Reason.ANALYSED, Reason.ANALYSED, Reason.NO_DATA]
