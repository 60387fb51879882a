"""Choice of Sentinel-2 images: the clearest soon after the event, and a comparable one before it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from landslide_map.errors import Notice
from landslide_map.search.area import Area
from landslide_map.search.candidates import Optical, Rejected
from landslide_map.search.event_time import EventTime

AFTER: Final = timedelta(days=60)
"""Longest time from the event to an image."""
BEFORE: Final = timedelta(days=60)
MOST_INSPECTED: Final = 12
"""Number of images, the nearest to the event, with clouds counted inside the area."""
MOST_CLOUD: Final = 90.0
"""Cloud cover of a tile from which on it is left out, percent."""
CLOUDY: Final = 60.0
"""Cost above which an image is called a poor one."""
CLOUDY_BEFORE: Final = 40.0
"""Cloud inside the area from which on the year before is searched, percent."""
WHOLE: Final = 0.99
"""Share of the area that a single image should cover."""
SNOW_STEP: Final = 30.0
"""Increase of snow since the image before that makes an image costlier, percent of the area."""
_SNOW_COST: Final = 20.0
_LIKE_COST: Final = 5.0
"""Costs that differ by no more are alike."""
_OWN_PROCESSING: Final = 99
"""Major number of baselines of other processing than ESA's."""


@dataclass(frozen=True, slots=True)
class Clearness:
    """Cloud, snow and cover of an image inside the area, percent."""

    cloud: float
    """Clouds and their shadows."""
    nodata: float
    snow: float | None
    """None where there is no scene classification."""
    counted: bool
    """Whether it was counted on pixels; else it is the catalogue's figure for the whole tile."""


CloudCount = Callable[[Optical], Clearness]


@dataclass(frozen=True, slots=True)
class Ranked:
    """An image with its cost: the least is the best."""

    image: Optical
    clearness: Clearness
    covered: float
    """Share of the area inside the footprint."""
    days: float
    """Time from or to the event."""
    cost: float


@dataclass(frozen=True, slots=True)
class OpticalChoice:
    """The images that were chosen, None where there is none, and the others."""

    post: Ranked | None
    pre: Ranked | None
    rejected: tuple[Rejected, ...]
    notices: tuple[Notice, ...]


def choose_optical(
    images: Iterable[Optical], area: Area, event: EventTime, count_clouds: CloudCount
) -> OpticalChoice:
    """Choose an image after and one before the event.

    Cost of an image: percent cloud and shadow inside the area, and 0.5 for each day after the event (0.25
    before). Add 2 for each percent without data, and 20 where snow covers over 30 % more than before.

    Parameters
    ----------
    images : iterable of Optical
        Of any dates; versions of one image are recognised.
    area : Area
    event : EventTime
    count_clouds : callable
        Counts clouds inside the area; called for the nearest images only.
    """
    kept, rejected = _one_version(images)
    notices: list[Notice] = []
    unclear = [image for image in kept if event.unclear(image.start, image.end)]
    if unclear:
        ids = ", ".join(image.id for image in unclear)
        notices.append(
            Notice("W705", f"{ids}: taken so near the event that it may show before or after; left out.")
        )
        rejected += [
            Rejected(image.id, "its time does not say before or after the event") for image in unclear
        ]
    before = [i for i in kept if event.before(i.end)]
    after = [i for i in kept if event.after(i.start) and i.start <= event.latest + AFTER]
    too_late = [i for i in kept if event.after(i.start) and i.start > event.latest + AFTER]
    rejected += [Rejected(image.id, "more than 60 days after the event") for image in too_late]
    pre_ranked, pre_left = _ranked(before, area, event, count_clouds, 0.25)
    pre = pre_ranked[0] if pre_ranked else None
    post_ranked, post_left = _ranked(
        after, area, event, count_clouds, 0.5, None if pre is None else pre.clearness.snow
    )
    post = post_ranked[0] if post_ranked else None
    if post is not None:
        pre = _comparable(pre_ranked, post.image) or pre
        notices += _remarks(post)
    rejected += pre_left + post_left
    rejected += [
        Rejected(r.image.id, f"cost {r.cost:.0f} against {best.cost:.0f}: {_why(r)}")
        for best, ranked in ((post, post_ranked), (pre, pre_ranked))
        for r in ranked
        if best is not None and r.image.id != best.image.id
    ]
    return OpticalChoice(post, pre, tuple(rejected), tuple(notices))


def _one_version(images: Iterable[Optical]) -> tuple[list[Optical], list[Rejected]]:
    """Keep the newest processing of each image: one datatake, strip and tile of one satellite."""
    groups: dict[tuple[str, str, str], list[Optical]] = defaultdict(list)
    for image in images:
        groups[image.platform, image.datatake.split("/")[0], image.tile].append(image)
    kept: list[Optical] = []
    rejected: list[Rejected] = []
    for group in groups.values():
        strips = sorted({i.datatake for i in group if not i.datatake.endswith("/")}) or [group[0].datatake]
        for strip in strips:
            versions = [
                i for i in group if i.datatake == strip or (strip == strips[0] and i.datatake[-1] == "/")
            ]
            best = max(versions, key=_version)
            kept.append(best)
            rejected += [
                Rejected(
                    i.id, f"another version of {best.id} (baseline {i.baseline[0]:02}.{i.baseline[1]:02})"
                )
                for i in versions
                if i is not best
            ]
    return kept, rejected


def _version(image: Optical) -> tuple[bool, tuple[int, int], str]:
    return image.baseline[0] != _OWN_PROCESSING, image.baseline, image.generated


def _ranked(
    images: Sequence[Optical],
    area: Area,
    event: EventTime,
    count_clouds: CloudCount,
    a_day: float,
    snow_before: float | None = None,
) -> tuple[list[Ranked], list[Rejected]]:
    """Return images with their costs, the best first, and the rejected ones."""
    covered = {image.id: area.covered(image.footprint) for image in images}
    rejected = [Rejected(i.id, "its footprint misses the area") for i in images if covered[i.id] == 0]
    rejected += [
        Rejected(i.id, f"{i.cloud:.0f} % of its tile is cloud")
        for i in images
        if covered[i.id] > 0 and i.cloud is not None and i.cloud >= MOST_CLOUD
    ]
    out = {one.id for one in rejected}
    left = [image for image in images if image.id not in out]
    whole = [image for image in left if covered[image.id] >= WHOLE]
    if whole:
        rejected += [
            Rejected(i.id, f"covers {covered[i.id]:.0%} of the area; others cover it all")
            for i in left
            if covered[i.id] < WHOLE
        ]
        left = whole
    left = sorted(left, key=lambda image: event.days(image.start))
    rejected += [
        Rejected(i.id, f"{MOST_INSPECTED} images are nearer the event") for i in left[MOST_INSPECTED:]
    ]
    ranked = []
    for image in left[:MOST_INSPECTED]:
        clear, days = count_clouds(image), event.days(image.start)
        snowy = snow_before is not None and clear.snow is not None and clear.snow - snow_before > SNOW_STEP
        cost = clear.cloud + a_day * days + 2 * clear.nodata + _SNOW_COST * snowy
        ranked.append(Ranked(image, clear, covered[image.id], days, cost))
    return sorted(ranked, key=lambda r: (r.cost, r.days)), rejected


def _comparable(ranked: Sequence[Ranked], post: Optical) -> Ranked | None:
    """Return the best image before: of like cost the one of the same orbit, then of like processing."""
    if not ranked:
        return None
    dearest = min(one.cost for one in ranked) + _LIKE_COST
    return min(
        (one for one in ranked if one.cost <= dearest),
        key=lambda r: (
            r.image.relative_orbit != post.relative_orbit,
            (r.image.baseline >= (4, 0)) != (post.baseline >= (4, 0)),
            r.cost,
        ),
    )


def _remarks(post: Ranked) -> list[Notice]:
    notices = []
    if post.covered < WHOLE:
        notices.append(
            Notice(
                "W702", f"{post.image.id}: the best Sentinel-2 tile covers {post.covered:.0%} of the area."
            )
        )
    if post.cost > CLOUDY:
        notices.append(
            Notice(
                "W704",
                f"{post.image.id}: the best Sentinel-2 image after the event is a poor one ({_why(post)}); "
                "search again in some days, or map with Sentinel-1 alone.",
            )
        )
    return notices


def _why(ranked: Ranked) -> str:
    clear = ranked.clearness
    where = "of the area" if clear.counted else "of the tile"
    snow = f", {clear.snow:.0f} % snow" if clear.snow else ""
    return (
        f"{clear.cloud:.0f} % cloud {where}{snow}, {clear.nodata:.0f} % without data, {ranked.days:.1f} days"
    )
