"""Choice among candidates: the worked edge cases of the rule, and its order of importance."""

from __future__ import annotations

from datetime import timedelta

import pytest

from landslide_map.errors import SearchError
from landslide_map.search.area import Area
from landslide_map.search.candidates import Optical, Slice
from landslide_map.search.choose_optical import Clearness, choose_optical
from landslide_map.search.choose_radar import choose_radar, passes_of
from landslide_map.search.event_time import EventTime
from landslide_map.search.items import Source, read_item
from tests.support.stac_items import BOX, sentinel1, sentinel2, utc

AREA = Area.of_box(*BOX)


def event(text: str, hours: float = 0.0) -> EventTime:
    return EventTime(utc(text), timedelta(hours=hours))


def slices(*items: dict) -> list[Slice]:
    found = [read_item(item, AREA, Source("test")) for item in items]
    assert all(isinstance(one, Slice) for one in found), found
    return found  # type: ignore[return-value]


def images(*items: dict) -> list[Optical]:
    found = [read_item(item, AREA, Source("test")) for item in items]
    assert all(isinstance(one, Optical) for one in found), found
    return found  # type: ignore[return-value]


def by_catalogue(image: Optical) -> Clearness:
    return Clearness(image.cloud or 0.0, 0.0, None, False)


def chosen(found: list[Optical], when: EventTime, count=by_catalogue):
    return choose_optical(found, AREA, when, count)


def codes(choice) -> set[str]:
    return {notice.code for notice in choice.notices}


def passes_every_12_days(first: str, count: int, orbit: int, **more) -> list[dict]:
    step = timedelta(days=12)
    return [sentinel1(utc(first) + i * step, orbit=orbit + 175 * i, **more) for i in range(count)]


def test_the_track_with_passes_on_both_sides_is_taken_and_its_neighbour_is_named():
    whole = passes_every_12_days("2024-03-05T21:55", 4, 53000, relative=105)
    part = passes_every_12_days("2024-03-09T22:03", 4, 53058, relative=32, box=(119, 22.9, 121.49, 24.9))
    choice = choose_radar(slices(*whole, *part), AREA, event("2024-04-02T23:58"))
    track = choice.tracks["descending"]
    assert (track.relative_orbit, len(track.pre), len(track.post)) == (105, 3, 1)
    assert choice.runners_up["descending"].relative_orbit == 32
    assert codes(choice) == {"W701"}, "no ascending pass"
    assert "chosen" in next(r.reason for r in choice.rejected if "_053058_" in r.id)


def test_coverage_goes_before_the_number_of_dates():
    whole = passes_every_12_days("2024-03-29T21:55", 2, 53000, relative=105)
    part = passes_every_12_days("2024-02-20T22:03", 5, 53058, relative=32, box=(119, 22.9, 121.475, 24.9))
    choice = choose_radar(slices(*whole, *part), AREA, event("2024-04-02T23:58"))
    assert choice.tracks["descending"].relative_orbit == 105


def test_a_satellite_that_was_lost_leaves_its_track():
    """S1B flew its last orbit on 23 December 2021: its track has no pass after the event."""
    lost = passes_every_12_days("2021-11-20T21:47", 3, 29000, platform="S1B", relative=32)
    other = passes_every_12_days("2021-12-10T21:55", 4, 41000, relative=105)
    when = event("2022-01-05T00:00")
    assert choose_radar(slices(*lost, *other), AREA, when).tracks["descending"].relative_orbit == 105
    alone = choose_radar(slices(*lost), AREA, when)
    assert not alone.tracks
    assert codes(alone) == {"W701"}


def test_passes_before_by_one_satellite_and_after_by_another_of_the_same_track():
    """S1C was moved in June 2026: pre by S1C, post by S1D of the same relative orbit."""
    before = passes_every_12_days("2026-05-01T21:55", 3, 7618, platform="S1C", relative=None)
    number = slices(before[0])[0].relative_orbit
    orbit = 42 + number - 1 + 175 * 20
    after = [sentinel1(utc("2026-06-20T21:54"), orbit=orbit, platform="S1D", relative=None)]
    track = choose_radar(slices(*before, *after), AREA, event("2026-06-14T00:00")).tracks["descending"]
    assert track.relative_orbit == number
    assert {p.first.platform for p in track.post} == {"S1D"}


def test_the_moved_satellite_changes_its_relative_orbit_with_its_place():
    found = slices(
        sentinel1(utc("2026-06-24T10:00"), orbit=8018, platform="S1C", relative=None),
        sentinel1(utc("2026-06-24T12:00"), orbit=8019, platform="S1C", relative=None),
    )
    assert [one.relative_orbit for one in found] == [147, 46]


def test_two_satellites_a_day_apart_are_two_passes_and_one_date():
    items = [
        sentinel1(utc("2026-04-20T21:55"), orbit=7000, platform="S1C"),
        sentinel1(utc("2026-04-21T21:55"), orbit=2500, platform="S1D"),
        sentinel1(utc("2026-05-14T21:55"), orbit=7350, platform="S1C"),
    ]
    three = passes_every_12_days("2026-04-02T22:03", 5, 2000, platform="S1D", relative=32)
    choice = choose_radar(slices(*items, *three), AREA, event("2026-05-10T00:00"))
    own = choose_radar(slices(*items), AREA, event("2026-05-10T00:00")).tracks["descending"]
    assert len(own.pre) == 2
    assert choice.tracks["descending"].relative_orbit == 32, "three dates before count more than two in one"


def test_a_pass_across_midnight_is_one_pass():
    items = [
        sentinel1(utc("2024-04-10T23:59:50"), orbit=53400, box=(119.8, 24.0, 122.6, 25.5)),
        sentinel1(utc("2024-04-11T00:00:15"), orbit=53400, box=(119.8, 22.0, 122.6, 24.05)),
    ]
    (one,), _ = passes_of(slices(*items), AREA)
    assert one.covered == pytest.approx(1)
    for item in items:
        item["properties"].pop("sat:absolute_orbit")
    unnumbered = [one for one in slices(*items)]
    assert len(passes_of(unnumbered, AREA)[0]) == 1


def test_the_time_after_the_event_is_widened_only_where_it_must_be():
    before = passes_every_12_days("2024-03-05T21:55", 3, 53000)
    late = sentinel1(utc("2024-04-22T21:55"), orbit=53700)
    choice = choose_radar(slices(*before, late), AREA, event("2024-04-02T23:58"))
    assert choice.tracks["descending"].days == 24
    assert "W706" in codes(choice)
    very_late = sentinel1(utc("2024-05-16T21:55"), orbit=54050)
    assert not choose_radar(slices(*before, very_late), AREA, event("2024-04-02T23:58")).tracks


def test_half_an_area_is_taken_with_a_remark_and_less_is_not():
    half = passes_every_12_days("2024-03-29T21:55", 2, 53000, box=(119, 22.9, 121.38, 24.9))
    choice = choose_radar(slices(*half), AREA, event("2024-04-02T23:58"))
    assert choice.tracks["descending"].covered == pytest.approx(0.6, abs=0.01)
    assert "W702" in codes(choice)
    less = passes_every_12_days("2024-03-29T21:55", 2, 53000, box=(119, 22.9, 121.3, 24.9))
    assert not choose_radar(slices(*less), AREA, event("2024-04-02T23:58")).tracks


def test_a_missing_product_is_reported_and_no_neighbour_takes_its_place_in_silence():
    before = passes_every_12_days("2024-03-05T21:55", 3, 53000)
    raw = sentinel1(utc("2024-04-10T21:55"), orbit=53525, rtc=False)
    choice = choose_radar(slices(*before, raw), AREA, event("2024-04-02T23:58"))
    assert not choice.tracks
    assert codes(choice) >= {"W703", "W701"}
    (message,) = (n.message for n in choice.notices if n.code == "W703")
    assert "2024-04-10" in message
    assert "105" in message


def test_a_pass_at_the_time_of_the_event_is_left_out():
    before = passes_every_12_days("2024-03-05T21:55", 3, 53000)
    at = sentinel1(utc("2024-04-02T21:55"), orbit=53408)
    after = sentinel1(utc("2024-04-14T21:55"), orbit=53583)
    choice = choose_radar(slices(*before, at, after), AREA, event("2024-04-02T23:58", hours=6))
    assert "W705" in codes(choice)
    track = choice.tracks["descending"]
    assert all(p.first.absolute_orbit != 53408 for p in (*track.pre, *track.post))


def test_the_number_of_passes_is_limited_to_the_nearest():
    items = passes_every_12_days("2024-02-04T21:55", 6, 53000)
    track = choose_radar(slices(*items), AREA, event("2024-04-02T23:58"), most=2).tracks["descending"]
    assert [p.start for p in track.pre] == [utc("2024-03-23T21:55"), utc("2024-03-11T21:55")]


def test_a_datatake_that_began_before_the_event_may_have_seen_the_tile_after_it():
    image = sentinel2(utc("2024-04-10T09:52"))
    choice = chosen(images(image), event("2024-04-10T10:00"))
    assert choice.post is None
    assert codes(choice) == {"W705"}
    exact = sentinel2(utc("2024-04-10T09:52"))
    exact["properties"]["datetime"] = "2024-04-10T10:01:10Z"  # Earth Search: the time of the tile
    assert chosen(images(exact), event("2024-04-10T10:00")).post is not None


def test_of_two_versions_of_an_image_the_newer_processing_counts():
    old = sentinel2(utc("2020-07-01T02:25"), baseline="02.14")
    new = sentinel2(utc("2020-07-01T02:25"), baseline="05.00")
    own = sentinel2(utc("2020-07-01T02:25"), baseline="99.99")
    new["id"], own["id"] = "new", "own"
    choice = chosen(images(old, new, own), event("2020-06-28T00:00"))
    assert choice.post is not None
    assert choice.post.image.id == "new"
    assert choice.post.image.baseline == (5, 0)
    assert len(choice.rejected) == 2
    assert chosen(images(own), event("2020-06-28T00:00")).post is not None


def test_two_strips_of_one_datatake_are_two_images():
    one = sentinel2(utc("2024-04-10T02:25"), cloud=40)
    other = sentinel2(utc("2024-04-10T02:25"), cloud=20)
    other["id"] = "other"
    other["properties"]["s2:datastrip_id"] = "S2B_OPER_MSI_L2A_DS_MSFT_20240410T0900_S20240410T022800_N05.10"
    choice = chosen(images(one, other), event("2024-04-02T23:58"))
    assert choice.post is not None
    assert choice.post.image.id == "other"
    assert not any("version" in r.reason for r in choice.rejected)


def test_clouds_inside_the_area_count_and_not_those_of_the_tile():
    near = sentinel2(utc("2024-04-05T02:25"), cloud=80)
    far = sentinel2(utc("2024-04-20T02:25"), cloud=2)
    inside = {near["id"]: 1.0, far["id"]: 70.0}
    count = lambda image: Clearness(inside[image.id], 0.0, 0.0, True)  # noqa: E731
    choice = chosen(images(near, far), event("2024-04-02T23:58"), count)
    assert choice.post is not None
    assert choice.post.image.id == near["id"]


def test_a_day_costs_half_a_percent_of_cloud_and_the_nearer_wins_a_tie():
    near = sentinel2(utc("2024-04-04T23:58"), cloud=12)
    far = sentinel2(utc("2024-04-12T23:58"), cloud=7)
    choice = chosen(images(near, far), event("2024-04-02T23:58"))
    assert choice.post is not None
    assert choice.post.cost == pytest.approx(12, abs=0.1)  # 7 + 0.5 * 10
    assert choice.post.image.id == far["id"]
    far["properties"]["eo:cloud_cover"] = 8.0
    assert chosen(images(near, far), event("2024-04-02T23:58")).post.image.id == near["id"]


def test_an_image_that_covers_all_is_preferred_to_a_clearer_part():
    whole = sentinel2(utc("2024-04-10T02:25"), cloud=30)
    part = sentinel2(utc("2024-04-05T02:25"), cloud=0, box=(120.9, 23.4, 121.45, 24.4))
    assert chosen(images(whole, part), event("2024-04-02T23:58")).post.image.id == whole["id"]
    alone = chosen(images(part), event("2024-04-02T23:58"))
    assert alone.post is not None
    assert codes(alone) == {"W702"}


def test_a_cloudy_best_image_is_taken_with_a_remark():
    choice = chosen(images(sentinel2(utc("2024-04-10T02:25"), cloud=85)), event("2024-04-02T23:58"))
    assert choice.post is not None
    assert codes(choice) == {"W704"}


def test_an_image_before_of_the_same_orbit_compares_better():
    post = sentinel2(utc("2024-04-10T02:25"), orbit=46)
    same = sentinel2(utc("2024-03-20T02:25"), orbit=46, cloud=6)
    other = sentinel2(utc("2024-03-25T02:25"), orbit=3, cloud=5)
    choice = chosen(images(post, same, other), event("2024-04-02T23:58"))
    assert choice.pre is not None
    assert choice.pre.image.relative_orbit == 46


def test_an_event_of_tomorrow_is_refused():
    now = utc("2024-04-02T00:00")
    with pytest.raises(SearchError) as caught:
        EventTime.read("2024-04-03T00:00:00Z", now=now)
    assert caught.value.code == "E703"
    assert EventTime.read("2024-04-01T23:59:59Z", now=now).time == utc("2024-04-01T23:59:59")


def test_an_area_across_the_antimeridian_is_requested_in_two_boxes():
    area = Area.of_box(179.5, -17.0, -179.5, -16.0)
    assert area.boxes() == [(179.5, -17.0, 180.0, -16.0), (-180.0, -17.0, -179.5, -16.0)]
    for box, tile in (((179.0, -18.0, 180.0, -15.0), "60KXG"), ((-180.0, -18.0, -179.0, -15.0), "01KAB")):
        item = sentinel2(utc("2024-04-10T02:25"), tile=tile, box=box)
        found = read_item(item, area, Source("test"))
        assert isinstance(found, Optical)
        assert area.covered(found.footprint) == pytest.approx(0.5, abs=0.01)
    around_the_world = sentinel2(utc("2024-04-10T02:25"), tile="01KAB", box=(-150.0, -18.0, 20.0, -15.0))
    assert not isinstance(read_item(around_the_world, area, Source("test")), Optical)
