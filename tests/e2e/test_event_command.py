"""`landslide-map event`: from a time and a box to a map, resumed at each step, and watched."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import cli
from landslide_map.errors import LandslideMapError
from landslide_map.search.area import Area
from landslide_map.search.event import Plan, Worth, follow
from landslide_map.search.event_time import EventTime
from landslide_map.search.find_images import Query
from landslide_map.search.network import Network
from tests.e2e.test_find_command import bounds, served_sample
from tests.support.loopback import Fault, Loopback, loopback
from tests.support.stac_items import BOX, sentinel1, sentinel2, utc


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    with served_sample(tmp_path_factory.mktemp("served")) as served:
        yield served


def run_event(served: Loopback, out: Path, *more: str) -> Result:
    west, south, east, north = bounds()
    box = [f"{value:.6f}" for value in (west + 0.002, south + 0.002, east - 0.002, north - 0.002)]
    arguments = [
        "event",
        "--event-time",
        "2024-08-20T03:12:00Z",
        "--bbox",
        *box,
        "--no-dem",
        "--out",
        str(out),
    ]
    return CliRunner().invoke(cli, [*arguments, "--catalog", f"{served.url}/api", *more])


def test_found_downloaded_and_mapped_and_the_same_command_goes_on(catalogue: Loopback, tmp_path: Path):
    out = tmp_path / "event"
    victim = next(i["assets"]["vh"]["href"] for i in catalogue.items if "vh" in i["assets"])
    path = victim.removeprefix(catalogue.url)
    catalogue.fail(path, Fault(), Fault(404))  # the size is requested first
    broken = run_event(catalogue, out, "--stride", "64")
    assert isinstance(broken.exception, LandslideMapError)
    scene = (out / "scene.yaml").read_text()
    searches = len(catalogue.searches)
    result = run_event(catalogue, out, "--stride", "64")
    assert result.exception is None, result.output
    assert len(catalogue.searches) == searches, "the search is not repeated"
    assert (out / "scene.yaml").read_text() == scene
    assert (out / "results" / "run.json").exists()
    assert (out / "results" / "landslides.gpkg").exists()
    again = run_event(catalogue, out)
    assert again.exception is None
    assert "mapped before" in again.stderr
    other = run_event(catalogue, out, "--passes", "1")
    assert isinstance(other.exception, LandslideMapError)
    assert other.exception.code == "E715"


class Days:
    """A clock that sleep moves on, and what happens on each day."""

    def __init__(self, start: datetime, news: dict[int, list[dict]], served: Loopback) -> None:
        self.now, self.start, self.news, self.served = start, start, news, served

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.served.items += self.news.pop((self.now - self.start).days, [])


def watched(
    items: list[dict], news: dict[int, list[dict]], out: Path, every: int = 1
) -> tuple[list[Plan], Days, list[str]]:
    plans: list[Plan] = []
    reported: list[str] = []
    query_event = EventTime(utc("2024-04-02T23:58"))
    with loopback() as served, Network(sleep=lambda _s: None) as network:
        served.items = items
        days = Days(utc("2024-04-03T00:00"), news, served)
        follow(
            Query(query_event, Area.of_box(*BOX), (f"{served.url}/api",)),
            out,
            network,
            plans.append,
            every=timedelta(days=every),
            show=reported.append,
            sleep=days.sleep,
            clock=lambda: days.now,
        )
    return plans, days, reported


def test_watching_waits_for_the_first_image_and_maps_again_for_a_better_one(tmp_path: Path):
    before = [
        sentinel1(utc("2024-03-29T21:55"), orbit=53000),
        sentinel1(utc("2024-03-30T09:58"), orbit=53010, state="ascending", relative=69),
    ]
    news = {
        3: [sentinel2(utc("2024-04-05T02:25"), cloud=60)],
        5: [sentinel2(utc("2024-04-07T02:25"), cloud=58)],
        8: [sentinel1(utc("2024-04-10T21:55"), orbit=53175)],
        9: [sentinel1(utc("2024-04-11T09:58"), orbit=53185, state="ascending", relative=69)],
        12: [sentinel2(utc("2024-04-15T02:25"), cloud=3)],
    }
    plans, days, reported = watched(before, news, tmp_path)
    assert [plan.folder.name for plan in plans] == [tmp_path.name, "update-2", "update-3", "update-4"]
    assert [plan.worth.tracks for plan in plans] == [0, 1, 2, 2]
    assert (days.now - days.start).days == 12, "nothing better is worth waiting for"
    assert any("E707" in text for text in reported)
    assert all(plan.scene.exists() for plan in plans)


def test_watching_ends_after_sixty_days(tmp_path: Path):
    plans, days, _ = watched([sentinel2(utc("2024-04-05T02:25"), cloud=60)], {}, tmp_path, every=10)
    assert len(plans) == 1
    assert 60 <= (days.now - days.start).days <= 70


def test_without_watching_nothing_is_waited_for(tmp_path: Path):
    with loopback() as served, Network() as network:
        served.items = [sentinel1(utc("2024-03-29T21:55"), orbit=53000)]
        query = Query(EventTime(utc("2024-04-02T23:58")), Area.of_box(*BOX), (f"{served.url}/api",))
        with pytest.raises(LandslideMapError) as error:
            follow(query, tmp_path, network, lambda _plan: None)
    assert error.value.code == "E707"


@pytest.mark.parametrize(
    ("new", "old", "better"),
    [
        (Worth(30, 1), Worth(30, 0), True),
        (Worth(30, 1), Worth(None, 1), True),
        (Worth(None, 2), Worth(30, 1), False),
        (Worth(25, 1), Worth(30, 1), False),
        (Worth(20, 1), Worth(30, 1), True),
        (Worth(5, 1), Worth(30, 2), False),
    ],
)
def test_what_is_worth_another_map(new: Worth, old: Worth, better: bool):
    assert new.better_than(old) is better


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"query": {}, "downloads": [{"url": "x", "target": "../../a", "size": 1, "checksum": null}], '
        '"elevation": [], "worth": {"cost": null, "tracks": 0}}',
    ],
)
def test_a_spoiled_state_is_refused(tmp_path: Path, text: str):
    (tmp_path / "event.json").write_text(text)
    query = Query(EventTime(utc("2024-04-02T23:58")), Area.of_box(*BOX), ("absent",))
    with Network() as network, pytest.raises(LandslideMapError) as error:
        follow(query, tmp_path, network, lambda _plan: None)
    assert error.value.code == "E101"
