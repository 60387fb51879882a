"""What is said before networks start on a processor, against a clock that voting moves by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from landslide_map.errors import Notice
from landslide_map.inference.score import score
from landslide_map.models import run_time as network_time
from landslide_map.models.bundle.load import Bundle, load_bundle
from landslide_map.models.bundle.profiles import with_profile
from landslide_map.models.networks.network_member import NetworkMember
from landslide_map.models.published.import_weights import import_nasios
from landslide_map.models.run_time import network_notice, seconds_per_window
from landslide_map.models.statistics.boosters import StatisticsMember
from landslide_map.runtime import timings
from tests.support.tiny_ensemble import WINDOWS, use_tiny_encoders, write_weights

COST = {"v10": 0.5, "v31": 0.25, "v33": 0.25, "v20": 1.0}
"""Seconds of one fold for one window."""
ONCE = 30.0
"""Seconds that a network takes to be made and loaded, the first time."""
READING = 2.0
"""Seconds that reading its weights takes, every time."""


class Clock:
    """Time that passes only while members vote."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked: list[tuple[str, int, int]] = []

    def __call__(self) -> float:
        return self.now

    def predict(self, member: Any, x: np.ndarray) -> np.ndarray:
        if member.name not in {name for name, _, _ in self.asked}:
            self.now += ONCE
        self.asked.append((member.name, len(member.folds), len(x)))
        self.now += READING
        self.now += COST[member.name] * len(member.folds) * len(x)
        return np.zeros(len(x))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Four networks, two of them of one architecture; v10 has two folds."""
    folder = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        use_tiny_encoders(patch)
        for version in COST:
            write_weights(folder, version, 1)
        write_weights(folder, "v10", 2)
        import_nasios(folder, folder / "bundle")
    return load_bundle(folder / "bundle")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(network_time.time, "perf_counter", clock)
    monkeypatch.setattr(NetworkMember, "predict", lambda member, x: clock.predict(member, x))
    monkeypatch.setattr(NetworkMember, "side_by_side", 3)
    return clock


def test_each_architecture_is_measured_once_after_warming_up(bundle: Bundle, clock: Clock) -> None:
    reported: list[tuple[str, int, int]] = []
    found = seconds_per_window(list(bundle.members), lambda *news: reported.append(news))
    assert found == {"v10": 1.0, "v20": 1.0, "v31": 0.25, "v33": 0.25}
    assert sorted(clock.asked) == sorted(
        (name, 1, windows) for name in ("v10", "v20", "v31") for windows in (0, 1, 3)
    )
    assert reported == [("time members", done, 4) for done in range(5)]


@pytest.mark.usefixtures("clock")
def test_long_work_is_announced_with_the_profile_that_is_quicker(bundle: Bundle) -> None:
    with timings.collected() as spent:
        notice = network_notice(bundle, 29_241, rest_seconds=120)
    assert notice is not None
    assert notice.code == "I610"
    assert "predicting 29241 windows with networks (4 of them) takes" in notice.message
    assert "about 20 h 20 min at most" in notice.message  # 29,241 x 2.5 s + 120 s = 73,222 s
    assert "--profile fastest-network about 2 h 4 min" in notice.message  # v31: 7,310 s + 120 s
    assert "boosters" not in notice.message  # the bundle has none
    assert list(spent.stages) == ["time members"]


@pytest.mark.usefixtures("clock")
def test_a_profile_that_saves_little_is_not_offered(bundle: Bundle) -> None:
    only = with_profile(bundle, "fastest-network")
    notice = network_notice(only, 29_241, rest_seconds=120)
    assert notice is not None
    assert "about 2 h 4 min" in notice.message
    assert "--profile" not in notice.message


def test_short_work_is_not_announced(bundle: Bundle, clock: Clock) -> None:
    assert network_notice(bundle, 10, rest_seconds=1e6) is None
    assert clock.asked == []  # not even measured
    few = with_profile(bundle, "fastest-network")
    assert network_notice(few, 200, rest_seconds=9.0) is None  # 200 x 0.25 s + 9 s
    assert network_notice(few, 200, rest_seconds=11.0) is not None


def test_nothing_is_measured_without_networks_or_on_a_graphics_card(bundle: Bundle, clock: Clock) -> None:
    assert network_notice(load_bundle(), 1_000_000, 1e6) is None

    class Card:
        def torch_device(self) -> torch.device:
            return torch.device("cuda")

    on_card = tuple(replace(member, runtime=Card()) for member in bundle.members)  # type: ignore[type-var]
    assert network_notice(replace(bundle, members=on_card), 1_000_000, 1e6) is None
    assert clock.asked == []


def test_real_networks_are_measured_in_the_time_they_take(bundle: Bundle) -> None:
    networks: list[Any] = [member for member in bundle.members if member.name in ("v10", "v20")]
    found = seconds_per_window(networks)
    assert set(found) == {"v10", "v20"}
    assert all(0 < seconds < 30 for seconds in found.values())


def test_members_on_statistics_count_with_all_their_folds(
    bundle: Bundle, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def predict(member: StatisticsMember, x: xr.DataArray) -> np.ndarray:
        assert np.isfinite(x.sel(channel=list(member.channels))).all()
        clock.now += 1e-3 * x.sizes["window"]
        return np.zeros(x.sizes["window"])

    monkeypatch.setattr(StatisticsMember, "predict", predict)
    trees = load_bundle().members[0]
    assert isinstance(trees, StatisticsMember)
    both = replace(bundle, members=(*bundle.members, trees))
    assert seconds_per_window(both.members)[trees.name] == pytest.approx(1e-3)
    notice = network_notice(both, 29_241, rest_seconds=120)
    assert notice is not None
    assert "about 20 h 21 min" in notice.message  # 29 s more


def test_scoring_announces_before_it_scores(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def ahead(ready: Bundle, windows: int, rest_seconds: float, _report: object) -> Notice:
        assert [member.name for member in ready.members] == ["v31"]
        assert rest_seconds > 0
        return Notice("I610", f"{windows} windows")

    monkeypatch.setattr("landslide_map.inference.score.network_notice", ahead)
    table = score(
        WINDOWS,
        bundle,
        profile="fastest-network",
        device="cpu",
        progress=lambda stage, done, _: order.append(f"{stage} {done}"),
        announce=lambda notice: order.append(str(notice)),
    )
    assert order[0] == "I610: 4 windows"
    assert order[1] == "score windows 0"
    assert order[-1] == "score windows 4"
    assert not [notice for notice in table.attrs["notices"] if notice.code == "I610"]
