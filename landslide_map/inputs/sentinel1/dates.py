"""Dates of Sentinel-1 images: side of the event, and distance from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from landslide_map.errors import InputError, Notice
from landslide_map.inputs.sentinel1.files import OpenedImage
from landslide_map.inputs.sentinel1.metadata import has_time_of_day

PRE_DAYS, POST_DAYS = 60, 12
"""The training medians: up to 60 days before and 12 days after the event."""


def check_sides(pre: Sequence[OpenedImage], post: Sequence[OpenedImage], event_time: datetime) -> None:
    """Refuse images on the wrong side of the event (E302)."""
    late = [item for item in pre if item.image.acquired >= event_time]
    early = [item for item in post if item.image.acquired <= event_time]
    hint = "; pre and post look swapped" if pre and len(late) == len(pre) and len(early) == len(post) else ""
    for item, side, relation in [(i, "pre", "after") for i in late] + [(i, "post", "before") for i in early]:
        if _is_event_day(item, event_time):
            continue
        raise InputError(
            "E302",
            f"{item.where}: listed under {side}, but taken {item.image.acquired:%Y-%m-%d %H:%M} UTC, "
            f"{relation} the event ({event_time:%Y-%m-%d %H:%M} UTC){hint}; correct scene.yaml",
        )
    for item in (*pre, *post):
        if _is_event_day(item, event_time):
            raise InputError(
                "E302",
                f"{item.where}: taken on the day of the event ({event_time:%Y-%m-%d %H:%M} UTC), but its "
                "time of day is unknown; give datetime: with the time in scene.yaml",
            )


def compare_declarations(images: Sequence[OpenedImage], event_time: datetime) -> list[Notice]:
    """Compare declared track and date with those in tags and names, where there are both (W317, E302)."""
    notices = []
    for item in images:
        track = item.spec.relative_orbit
        if track and item.recorded.relative_orbit and track != item.recorded.relative_orbit:
            notices.append(
                Notice(
                    "W317",
                    f"{item.where}: declared relative orbit {track}, but its tags or name say "
                    f"{item.recorded.relative_orbit}; the declared one is used",
                )
            )
        recorded, declared = item.recorded.acquired, item.spec.datetime
        if recorded is None or declared is None or abs(recorded - declared) <= timedelta(days=1):
            continue
        message = f"{item.where}: declared {declared:%Y-%m-%d}, but its tags or name say {recorded:%Y-%m-%d}"
        if (recorded < event_time) != (declared < event_time):
            raise InputError("E302", f"{message}, on the other side of the event; correct scene.yaml")
        notices.append(Notice("W317", f"{message}; the declared date is used"))
    return notices


def distance_notices(
    orbit: str, pre: Sequence[OpenedImage], post: Sequence[OpenedImage], event_time: datetime
) -> list[Notice]:
    """Say which dates lie outside the window of the training medians (W319)."""
    notices = []
    for images, days, side in ((pre, PRE_DAYS, "before"), (post, POST_DAYS, "after")):
        gaps = [abs((item.image.acquired - event_time) / timedelta(days=1)) for item in images]
        if max(gaps, default=0) > days:
            notices.append(
                Notice(
                    "W319",
                    f"{orbit}: an image was taken {max(gaps):.0f} days {side} the event; training used "
                    f"at most {days}, so seasons and other changes may show",
                )
            )
    return notices


def _is_event_day(item: OpenedImage, event_time: datetime) -> bool:
    """Whether only the date is known, and it is the event's."""
    return not has_time_of_day(item.image.acquired) and item.image.acquired.date() == event_time.date()
