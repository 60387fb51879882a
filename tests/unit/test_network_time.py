"""Notices before networks start on a CPU, against a clock that voting moves by hand."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import xarray as xr

from landslide_map.bands import CHANNELS
from landslide_map.errors import Notice
from landslide_map.inference.score import score
from landslide_map.models.bundle.load import Bundle, load_bundle
from landslide_map.models.bundle.profiles import with_profile
from landslide_map.models.networks.network_member import NetworkMember
from landslide_map.models.published.import_weights import import_nasios
from landslide_map.models.run_time import network_notice, seconds_per_window
from landslide_map.runtime import timings
from tests.support.raised import raised
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
        self.calls: list[tuple[str, int, int]] = []

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class TimedNetwork(NetworkMember):
    """Votes in a time of its own."""

    clock: Clock = field(default_factory=Clock)

    @property
    def side_by_side(self) -> int:
        return 3

    def predict(self, x: Any) -> npt.NDArray[np.float64]:
        if self.name not in {name for name, _, _ in self.clock.calls}:
            self.clock.now += ONCE
        self.clock.calls.append((self.name, len(self.folds), len(x)))
        self.clock.now += READING
        self.clock.now += COST[self.name] * len(self.folds) * len(x)
        return np.zeros(len(x))


@dataclass(frozen=True)
class TimedTrees:
    """Vote on statistics, a millisecond for each window."""

    clock: Clock
    name: str = "trees"
    input: str = "statistics"

    def predict(self, x: xr.DataArray) -> npt.NDArray[np.float64]:
        assert np.isfinite(x.sel(channel=list(CHANNELS))).all()
        self.clock.now += 1e-3 * x.sizes["window"]
        return np.zeros(x.sizes["window"])


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
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed(bundle: Bundle, clock: Clock) -> Bundle:
    """The bundle with networks that take a time of their own."""
    networks: list[Any] = [*bundle.members]
    members = (TimedNetwork(own.name, own.spec, own.folds, own.runtime, clock=clock) for own in networks)
    return replace(bundle, members=tuple(members))


def test_each_architecture_is_measured_once_after_warming_up(timed: Bundle, clock: Clock) -> None:
    reported: list[tuple[str, int, int]] = []
    found = seconds_per_window(list(timed.members), lambda *news: reported.append(news), clock=clock)
    assert found == {"v10": 1.0, "v20": 1.0, "v31": 0.25, "v33": 0.25}
    assert sorted(clock.calls) == sorted(
        (name, 1, windows) for name in ("v10", "v20", "v31") for windows in (0, 1, 3)
    )
    assert reported == [("time members", done, 4) for done in range(5)]


def test_long_work_is_announced_with_the_profile_that_is_quicker(timed: Bundle, clock: Clock) -> None:
    with timings.collected() as spent:
        notice = network_notice(timed, 29_241, rest_seconds=120, clock=clock)
    assert notice is not None
    assert notice.code == "I610"
    assert "predicting 29241 windows with networks (4 of them) takes" in notice.message
    assert "about 20 h 20 min at most" in notice.message  # 29,241 x 2.5 s + 120 s = 73,222 s
    assert "--profile fastest-network about 2 h 4 min" in notice.message  # v31: 7,310 s + 120 s
    assert "boosters" not in notice.message  # the bundle has none
    assert list(spent.stages) == ["time members"]


def test_a_profile_that_saves_little_is_not_offered(timed: Bundle, clock: Clock) -> None:
    only = with_profile(timed, "fastest-network")
    notice = network_notice(only, 29_241, rest_seconds=120, clock=clock)
    assert notice is not None
    assert "about 2 h 4 min" in notice.message
    assert "--profile" not in notice.message


def test_short_work_is_not_announced(timed: Bundle, clock: Clock) -> None:
    assert network_notice(timed, 10, rest_seconds=1e6, clock=clock) is None
    assert clock.calls == []  # not even measured
    few = with_profile(timed, "fastest-network")
    assert network_notice(few, 200, rest_seconds=9.0, clock=clock) is None  # 200 x 0.25 s + 9 s
    assert network_notice(few, 200, rest_seconds=11.0, clock=clock) is not None


def test_nothing_is_measured_without_networks_or_on_a_gpu(timed: Bundle, clock: Clock) -> None:
    assert network_notice(load_bundle(), 1_000_000, 1e6) is None

    class Card:
        def torch_device(self) -> torch.device:
            return torch.device("cuda")

    on_card = tuple(replace(member, runtime=Card()) for member in timed.members)  # type: ignore[type-var]
    assert network_notice(replace(timed, members=on_card), 1_000_000, 1e6) is None
    assert clock.calls == []


def test_real_networks_are_measured_in_the_time_they_take(bundle: Bundle) -> None:
    networks: list[Any] = [member for member in bundle.members if member.name in ("v10", "v20")]
    found = seconds_per_window(networks)
    assert set(found) == {"v10", "v20"}
    assert all(0 <= seconds < 30 for seconds in found.values())


def test_members_on_statistics_count_with_all_their_folds(timed: Bundle, clock: Clock) -> None:
    trees: Any = TimedTrees(clock)
    both = replace(timed, members=(*timed.members, trees))
    assert seconds_per_window(both.members, clock=clock)[trees.name] == pytest.approx(1e-3)
    notice = network_notice(both, 29_241, rest_seconds=120, clock=clock)
    assert notice is not None
    assert "about 20 h 21 min" in notice.message  # 29 s more


def test_scoring_announces_before_it_reads(bundle: Bundle) -> None:
    """Windows of a minute, all the same one; the first is not finite, so that reading them ends it."""
    many = np.broadcast_to(np.full(WINDOWS.shape[1:], np.inf), (20_001, *WINDOWS.shape[1:]))
    announced: list[Notice] = []
    with raised("E141"):
        score(many, bundle, profile="fastest-network", device="cpu", announce=announced.append)
    (notice,) = announced
    assert notice.code == "I610"
    assert "predicting 20001 windows with networks (1 of them)" in notice.message
