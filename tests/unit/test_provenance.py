"""What files say of a run: which dates stand for a scene of several images."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from landslide_map.inputs.scene_inputs import RadarImage, RadarTrack, SceneInputs
from landslide_map.mapping.provenance import acquisition_dates
from tests.support.rasters import grid_at

EVENT = datetime(2024, 4, 2, 23, 58, tzinfo=UTC)


@pytest.mark.parametrize("orbit", ["descending", "ascending"])
def test_the_dates_of_a_track_are_those_next_to_the_event(orbit: str) -> None:
    def images(*days: int) -> tuple[RadarImage, ...]:
        return tuple(RadarImage({}, "db", "sigma0", EVENT + timedelta(days=d), orbit) for d in days)

    track = RadarTrack(orbit, images(-30, -6, -18), images(18, 6))
    dates = acquisition_dates(SceneInputs(grid_at(32651, 0, 0, (64, 64)), EVENT, None, {orbit: track}))
    assert dates.pop("event_time") == EVENT
    assert dates.pop(f"{orbit}_pre") == EVENT - timedelta(days=6)
    assert dates.pop(f"{orbit}_post") == EVENT + timedelta(days=6)
    assert set(dates.values()) == {None}
