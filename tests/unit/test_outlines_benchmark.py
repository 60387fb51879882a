"""The benchmark of outlines: what it sums up, and the scenes that it maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyproj
import pytest
import rasterio
from shapely.geometry import box

from benchmarks.outlines import CASES, REPORT_SEEDS, TUNING_SEEDS, Setting, Total, event_of, hidden, scene_of
from landslide_map.evaluation.inventory_match import compare
from landslide_map.scene.model import load_scene
from sample_scenes.simulator import EventOptions, simulate_event

CRS = pyproj.CRS.from_epsg(32651)
AREA = box(500_000, 0, 510_000, 10_000)


@pytest.fixture(scope="module")
def event(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("event")
    simulate_event(folder, EventOptions(seed=2, size=64, slides_per_km2=20, pre_days=(9,), list_pre=True))
    return folder


def test_sums_are_of_areas_and_counts_not_of_shares() -> None:
    total = Total()
    for known, mapped in (
        ([box(500_000, 0, 500_100, 100)], [box(500_000, 0, 500_100, 50)]),
        ([], [box(501_000, 0, 501_100, 100)]),
        ([box(502_000, 0, 502_100, 100), box(503_000, 0, 503_010, 100)], []),
    ):
        shapes = (np.array(own, dtype=object) for own in (mapped, known))
        compared = compare(*shapes, AREA, CRS)
        total.add(compared | {"clear": {"landslides": len(mapped), "held": len(mapped)}})
    iou, precision, recall, held, clear, touching, outlined = total.cells()
    assert iou == f"{5000 / (5000 + 5000 + 10_000 + 11_000):.2f} (0.00)"  # in brackets the worst event
    assert precision == f"{5000 / 15_000:.2f}"
    assert recall == f"{5000 / 21_000:.2f}"
    assert held == "0.50 (0.00)"  # one of two of at least 2,000 m2
    assert clear == "1.00 (1.00)"
    assert touching == "0.50 (0.00) of 2"
    assert outlined == f"{100 * 15_000 / 3e8:.3f} %"


def test_bodies_under_cloud_are_counted_apart_from_those_in_clear_sight(event: Path) -> None:
    with rasterio.open(event / "s2" / "SCL.tif") as source:
        profile, codes = source.profile, source.read(1)
    codes[:] = 4
    codes[:8] = 9  # 16 rows of 10 m
    path = event / "SCL.tif"
    with rasterio.open(path, "w", **profile) as target:
        target.write(codes, 1)
    left, top = profile["transform"].c, profile["transform"].f
    bodies = [
        box(left, top - stop, left + 100, top - start) for start, stop in ((0, 100), (80, 240), (240, 300))
    ]
    shares = hidden(path, np.array(bodies, dtype=object))
    assert shares.tolist() == [1.0, 0.5, 0.0]


def test_seeds_of_the_report_are_not_those_of_tuning() -> None:
    assert not set(REPORT_SEEDS) & set(TUNING_SEEDS)
    assert {case.slides_per_km2 for case in CASES} == {0, 1, 2, 8, 25}
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize(
    ("sensors", "optical", "tracks"),
    [
        ("all", True, {"descending", "ascending"}),
        ("optical", True, set()),
        ("radar", False, {"descending", "ascending"}),
        ("descending", True, {"descending"}),
    ],
)
def test_a_scene_names_the_requested_sensors(
    event: Path, sensors: str, optical: bool, tracks: set[str]
) -> None:
    setting = Setting(event, 64, sensors, kind=True, pre=False, dem=True)
    scene = load_scene(scene_of(event, setting))
    assert (scene.s2 is not None) is optical
    assert (set(scene.s1.tracks) if scene.s1 else set()) == tracks
    assert scene.dem == (event / "dem.tif",)


def test_kind_events_are_the_default_options_and_varied_ones_are_drawn(event: Path) -> None:
    kind, varied = (Setting(event, 64, "all", own, pre=True, dem=False) for own in (True, False))
    assert event_of(CASES[0], 9001, kind).contrast == 1.0
    assert event_of(CASES[0], 9001, varied) != event_of(CASES[0], 9002, varied)
    assert event_of(CASES[4], 9001, varied).confusers == CASES[4].confusers
