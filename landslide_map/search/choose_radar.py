"""Choice of Sentinel-1 passes: per direction the track with the best passes before and after the event."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import shapely

from landslide_map.errors import Notice
from landslide_map.search.area import Area
from landslide_map.search.candidates import Rejected, Slice
from landslide_map.search.event_time import EventTime

BEFORE: Final = timedelta(days=60)
"""Search period before the event, as in training: 60 days."""
AFTER_DAYS: Final = (12, 24, 36)
"""Days after the event that are searched: those of training first, more only where they hold no pass."""
COVERED: Final = (0.9, 0.5)
"""Share of the area that a pass must cover: the second only where no track reaches the first."""
STATES: Final = ("descending", "ascending")
_ENOUGH_BEFORE: Final = 3
_APART: Final = timedelta(days=2)
"""Passes nearer than this, of two satellites on one track, count as one date."""
_ONE_PASS: Final = timedelta(minutes=20)
"""Slices of one pass follow each other within this, where no orbit number is known."""
_SAME_PRODUCT: Final = 62
"""Length of a Sentinel-1 product name up to its datatake; what follows differs between catalogues."""


@dataclass(frozen=True, slots=True)
class Pass:
    """The slices that one satellite took of the area in one orbit."""

    slices: tuple[Slice, ...]
    """Slices in order of time."""
    covered: float
    """Share of the area, of the union of the slices."""

    @property
    def first(self) -> Slice:
        """The first slice, for platform, family and time."""
        return self.slices[0]

    @property
    def start(self) -> datetime:
        """Start of the first slice."""
        return self.first.start

    @property
    def end(self) -> datetime:
        """End of the last slice."""
        return max(one.end for one in self.slices)

    @property
    def track(self) -> tuple[str | None, int | None, str]:
        """Direction, relative orbit and product family: passes of one track can be compared."""
        number = next((one.relative_orbit for one in self.slices if one.relative_orbit), None)
        state = next((one.state for one in self.slices if one.state), None)
        return state, number, self.first.family


@dataclass(frozen=True, slots=True)
class Track:
    """Passes of one track on both sides of the event."""

    state: str
    relative_orbit: int
    family: str
    pre: tuple[Pass, ...]
    """Nearest to the event first."""
    post: tuple[Pass, ...]
    """Nearest to the event first."""
    days: int
    """Days after the event within which the passes after it lie."""

    @property
    def covered(self) -> float:
        """Share of the area that the best pass of the poorer side covers."""
        return min(max(p.covered for p in self.pre), max(p.covered for p in self.post))

    @property
    def name(self) -> str:
        """Name for messages."""
        return f"{self.state} track {self.relative_orbit}"


@dataclass(frozen=True, slots=True)
class RadarChoice:
    """One track for each direction that has any, and the rejected passes."""

    tracks: dict[str, Track]
    runners_up: dict[str, Track]
    rejected: tuple[Rejected, ...]
    notices: tuple[Notice, ...]


def choose_radar(slices: Iterable[Slice], area: Area, event: EventTime, most: int = 3) -> RadarChoice:
    """Choose per direction the track with the passes that compare best.

    A track is valid with a pass on each side that covers 90 % of the area. Valid tracks are ranked by
    coverage (in steps of 5 %), then three or more dates before. Then come the same satellite on both sides,
    and the nearest pass after.

    Parameters
    ----------
    slices : iterable of Slice
    area : Area
    event : EventTime
    most : int
        Passes of each side that are taken at most, the nearest to the event.
    """
    passes, rejected = passes_of(slices, area)
    notices: list[Notice] = []
    unclear = [p for p in passes if event.unclear(p.start, p.end)]
    if unclear:
        names = ", ".join(f"{p.first.platform} {p.start:%Y-%m-%d %H:%M}" for p in unclear)
        notices.append(Notice("W705", f"{names}: Sentinel-1 pass at the time of the event; left out."))
    rejected += _all_of(unclear, "taken at the time of the event")
    raw = [p for p in passes if not p.first.geocoded]
    usable = [p for p in passes if p.first.geocoded and p not in unclear]
    rejected += _all_of(raw, "not geocoded (GRD); a terrain-corrected product is needed")
    lost = [p for p in usable if p.track[0] is None or p.track[1] is None]
    rejected += _all_of(lost, "its track is not known")
    tracks: dict[str, Track] = {}
    runners_up: dict[str, Track] = {}
    for state in STATES:
        ranked = _valid_tracks([p for p in usable if p.track[0] == state and p not in lost], event, most)
        if ranked:
            tracks[state] = ranked[0]
            notices += _remarks(ranked[0])
        else:
            notices.append(_missing(state, [p for p in usable if p.track[0] == state], event))
        if len(ranked) > 1:
            runners_up[state] = ranked[1]
    notices += _gaps(raw, usable, event)
    rejected += _not_taken([p for p in usable if p not in lost], tracks, event)
    return RadarChoice(tracks, runners_up, tuple(rejected), tuple(notices))


def passes_of(slices: Iterable[Slice], area: Area) -> tuple[list[Pass], list[Rejected]]:
    """Group slices by satellite and orbit, not by day: a pass may cross midnight. Join their footprints."""
    once: dict[tuple[str, str], Slice] = {}
    rejected = []
    for one in slices:
        key = (one.product[:_SAME_PRODUCT], one.family)
        if key in once:
            rejected.append(Rejected(one.id, f"the same product as {once[key].id}"))
        else:
            once[key] = one
    groups: dict[tuple[str, str, object], list[Slice]] = defaultdict(list)
    latest: dict[tuple[str, str], tuple[datetime, object]] = {}
    for one in sorted(once.values(), key=lambda s: s.start):
        kind = (one.platform, one.family)
        orbit: object = one.absolute_orbit
        if orbit is None:
            before = latest.get(kind)
            orbit = before[1] if before and one.start - before[0] < _ONE_PASS else one.start
            latest[kind] = (one.start, orbit)
        groups[*kind, orbit].append(one)
    passes = []
    for group in groups.values():
        near = [one for one in group if one.footprint.intersects(area.shape)]
        rejected += [Rejected(one.id, "its footprint misses the area") for one in group if one not in near]
        if near:
            union = shapely.union_all([one.footprint for one in near])
            passes.append(Pass(tuple(near), area.covered(union)))
    return passes, rejected


def _valid_tracks(passes: Sequence[Pass], event: EventTime, most: int) -> list[Track]:
    """Return the valid tracks of one direction, the best first; shorter time after the event goes first."""
    groups: dict[tuple[str | None, int | None, str], list[Pass]] = defaultdict(list)
    for one in passes:
        groups[one.track].append(one)
    for least in COVERED:
        for days in AFTER_DAYS:
            tracks = [
                track
                for group in groups.values()
                if (track := _track(group, event, least, days, most)) is not None
            ]
            if tracks:
                return sorted(tracks, key=lambda track: _rank(track, event), reverse=True)
    return []


def _track(passes: Sequence[Pass], event: EventTime, least: float, days: int, most: int) -> Track | None:
    good = sorted((p for p in passes if p.covered >= least), key=lambda p: event.days(p.start))
    pre = [p for p in good if event.before(p.end) and p.start >= event.earliest - BEFORE]
    post = [p for p in good if event.after(p.start) and p.start <= event.latest + timedelta(days=days)]
    state, number, family = passes[0].track
    if not pre or not post or state is None or number is None:
        return None
    return Track(state, number, family, tuple(pre[:most]), tuple(post[:most]), days)


def _rank(track: Track, event: EventTime) -> tuple[int, bool, bool, float]:
    """Return the sort key of a track, the most important part first."""
    same = {p.first.platform for p in track.pre} & {p.first.platform for p in track.post}
    enough = _dates(track.pre) >= _ENOUGH_BEFORE
    return int(track.covered * 20 + 1e-6), enough, bool(same), -event.days(track.post[0].start)


def _dates(passes: Sequence[Pass]) -> int:
    """Return how many dates passes have: two satellites a day apart see the same ground."""
    count, last = 0, None
    for one in sorted(passes, key=lambda p: p.start):
        if last is None or one.start - last > _APART:
            count, last = count + 1, one.start
    return count


def _remarks(track: Track) -> list[Notice]:
    notices = []
    if track.covered < COVERED[0]:
        notices.append(
            Notice("W702", f"the best {track.name} covers {track.covered:.0%} of the area on both sides.")
        )
    if track.days > AFTER_DAYS[0]:
        notices.append(
            Notice(
                "W706",
                f"{track.name}: no pass within {AFTER_DAYS[0]} days after the event, as in training; the "
                f"nearest is of {track.post[0].start:%Y-%m-%d}.",
            )
        )
    return notices


def _missing(state: str, passes: Sequence[Pass], event: EventTime) -> Notice:
    """Return the notice why a direction has no track."""
    before = any(event.before(p.end) for p in passes)
    after = any(event.after(p.start) for p in passes)
    why = "no pass"
    if before and after:
        why = "no track has passes on both sides that cover half of the area"
    elif before:
        why = "passes before the event only; search again when the next ones are published"
    elif after:
        why = "passes after the event only"
    return Notice("W701", f"Sentinel-1 {state}: left out, {why}.")


def _gaps(raw: Sequence[Pass], usable: Sequence[Pass], event: EventTime) -> list[Notice]:
    """Return notices of passes without geocoded products: a neighbouring track is no replacement."""
    have = {(p.first.platform, p.first.absolute_orbit) for p in usable}
    gone = [
        p for p in raw if (p.first.platform, p.first.absolute_orbit) not in have and p.covered >= COVERED[-1]
    ]
    if not gone:
        return []
    named = ", ".join(
        f"{p.first.platform} {p.start:%Y-%m-%d} (track {p.track[1]}, "
        f"{'after' if event.after(p.start) else 'before'})"
        for p in sorted(gone, key=lambda p: event.days(p.start))[:5]
    )
    return [
        Notice(
            "W703",
            f"{len(gone)} Sentinel-1 passes exist as GRD only, the nearest: {named}. Order them as RTC from "
            "ASF (HyP3, or OPERA RTC-S1), and search with --catalog of the folder they are in.",
        )
    ]


def _not_taken(passes: Sequence[Pass], tracks: dict[str, Track], event: EventTime) -> list[Rejected]:
    rejected = []
    for one in passes:
        track = tracks.get(str(one.track[0]))
        if track is not None and one in (*track.pre, *track.post):
            continue
        reason = "no pass of its track on the other side of the event"
        if track is not None and one.track != (track.state, track.relative_orbit, track.family):
            reason = f"{track.name} was chosen"
        elif one.covered < COVERED[-1]:
            reason = f"covers {one.covered:.0%} of the area"
        elif track is not None:
            late = event.after(one.start) and event.days(one.start) > track.days
            reason = f"later than {track.days} days" if late else "other passes are nearer the event"
        rejected += _all_of([one], reason)
    return rejected


def _all_of(passes: Iterable[Pass], reason: str) -> list[Rejected]:
    return [Rejected(one.id, reason) for p in passes for one in p.slices]
