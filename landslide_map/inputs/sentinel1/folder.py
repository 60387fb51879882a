"""Folder of Sentinel-1 products, sorted by direction, track and side of the event."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from landslide_map.errors import InputError, Notice
from landslide_map.inputs.sentinel1.consistency import centre
from landslide_map.inputs.sentinel1.families import Product, as_specs, expanded, passes, products_in
from landslide_map.inputs.sentinel1.metadata import direction, has_time_of_day, time_of_day_gap
from landslide_map.inputs.shards import shards_of
from landslide_map.scene.model import Radar, RadarSpec, TrackSpec

BEFORE_DAYS: Final = 60.0
AFTER_DAYS: Final = 36.0
"""Passes of a folder that are farther from the event are left out; those of training are within 12 days."""
_ENOUGH: Final = 3
_SAME_TRACK_S: Final = 60.0
"""Times of day of passes of one track agree within this, where no orbit number is known."""

Passes = list[list[Product]]


def sorted_radar(radar: Radar, event_time: datetime) -> tuple[dict[str, TrackSpec], list[Notice]]:
    """Return orbit direction -> track: as scene.yaml lists them, with folders opened, or those of a folder.

    Raises
    ------
    InputError
        E101 no product, E302 a folder without a pass after the event, E318 an unknown direction.
    """
    if radar.folder is None:
        return {orbit: _expanded(track) for orbit, track in radar.tracks.items()}, []
    found = products_in(radar.folder)
    if not found:
        raise InputError(
            "E101",
            f"{radar.folder}: holds no Sentinel-1 raster that is named VV and VH; expected RTC products "
            "(HyP3, OPERA, Planetary Computer). Or list files under descending: and ascending: in scene.yaml",
        )
    directions: dict[str, Passes] = defaultdict(list)
    for group in passes(found):
        directions[_direction(group)].append(group)
    tracks: dict[str, TrackSpec] = {}
    notices: list[Notice] = []
    for orbit, groups in sorted(directions.items(), reverse=True):
        track, added = _best_track(orbit, groups, event_time)
        notices += added
        if track is not None:
            tracks[orbit] = track
    if not tracks:
        raise InputError(
            "E302",
            f"{radar.folder}: none of its {len(passes(found))} passes was taken within {AFTER_DAYS:.0f} days "
            f"after the event ({event_time:%Y-%m-%d %H:%M} UTC); correct event.time, or fetch later images",
        )
    return tracks, notices


def _expanded(track: TrackSpec) -> TrackSpec:
    def items(specs: Sequence[RadarSpec] | None) -> tuple[RadarSpec, ...] | None:
        if specs is None:
            return None
        each = [one for spec in specs for one in expanded(spec)]
        # Shards of one export that are listed one by one: the first stands for all.
        exports = [shards_of(one.path) if one.path is not None else [] for one in each]
        return tuple(
            one
            for i, (one, shards) in enumerate(zip(each, exports, strict=True))
            if len(shards) < 2 or shards not in exports[:i]
        )

    if track.composite is not None:
        return track
    return track.model_copy(update={"pre": items(track.pre), "post": items(track.post)})


def _direction(group: Sequence[Product]) -> str:
    """Return the direction of a pass: from its tags or name, else from the local time of the day."""
    first = group[0]
    recorded = next((one.identity.orbit for one in group if one.identity.orbit), None)
    if recorded is None and has_time_of_day(first.acquired):
        longitude, latitude = centre(first.grid)
        recorded = direction(first.acquired, longitude, latitude)
    if recorded is None:
        raise InputError(
            "E318",
            f"{first.files['vv']}: neither tags nor name nor time of day show whether the pass is ascending; "
            "list it under descending: or ascending: in scene.yaml",
        )
    return recorded


def _best_track(orbit: str, groups: Passes, event_time: datetime) -> tuple[TrackSpec | None, list[Notice]]:
    """Return the best track of a direction, and say which passes were left out."""
    tracks: list[Passes] = []
    for group in groups:
        same = next((t for t in tracks if _same_track(t[0][0], group[0])), None)
        if same is None:
            tracks.append([group])
        else:
            same.append(group)
    ranked = sorted(((_rank(t, event_time), t) for t in tracks), key=lambda item: item[0], reverse=True)
    notices = [
        Notice(
            "I320",
            f"{orbit}: {len(track)} passes of {_name(track)} were left out; {_name(ranked[0][1])} has "
            "better passes on both sides of the event",
        )
        for _, track in ranked[1:]
    ]
    pre, post, far = _sides(ranked[0][1], event_time)
    if far:
        notices.append(
            Notice(
                "I320",
                f"{orbit}: {len(far)} passes farther than {BEFORE_DAYS:.0f} days before or {AFTER_DAYS:.0f} "
                "days after the event were left out",
            )
        )
    if not post:
        notices.append(
            Notice(
                "W360", f"{orbit}: no pass after the event in the folder; members that need it do not vote"
            )
        )
        return None, notices
    listed = [tuple(spec for group in side for spec in as_specs(group)) for side in (pre, post)]
    return TrackSpec(pre=listed[0] or None, post=listed[1]), notices


def _same_track(one: Product, other: Product) -> bool:
    """Whether two passes can be compared: one family, and one relative orbit, or else one time of day."""
    if one.identity.family != other.identity.family:
        return False
    if one.relative_orbit is not None and other.relative_orbit is not None:
        return one.relative_orbit == other.relative_orbit
    return time_of_day_gap(one.acquired, other.acquired) <= _SAME_TRACK_S


def _sides(track: Passes, event_time: datetime) -> tuple[Passes, Passes, Passes]:
    """Return passes before and after the event, and those too far from it."""
    pre: Passes = []
    post: Passes = []
    far: Passes = []
    for group in track:
        days = (group[0].acquired - event_time).total_seconds() / 86400
        if not -BEFORE_DAYS <= days <= AFTER_DAYS:
            far.append(group)
        else:
            (pre if days < 0 else post).append(group)
    return pre, post, far


def _rank(track: Passes, event_time: datetime) -> tuple[bool, bool, int, float]:
    """Return the sort key of a track, the most important part first."""
    pre, post, _ = _sides(track, event_time)
    nearest = min((abs((g[0].acquired - event_time).total_seconds()) for g in post), default=float("inf"))
    return bool(pre and post), bool(post), min(len(pre), _ENOUGH), -nearest


def _name(track: Passes) -> str:
    first = track[0][0]
    family = first.identity.family or "unknown make"
    if first.relative_orbit is not None:
        return f"track {first.relative_orbit} ({family})"
    return f"the track of {first.acquired:%H:%M} UTC ({family})"
