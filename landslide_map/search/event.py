"""An event followed from its time to its map: found, downloaded, mapped, and again when a better image comes.

Each step leaves a file behind, so that the same command goes on where it was interrupted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from landslide_map.errors import InputError, SearchError, UsageError
from landslide_map.runtime.atomic import whole_file
from landslide_map.runtime.progress import Report, silent
from landslide_map.search.choose_optical import AFTER
from landslide_map.search.download import Download
from landslide_map.search.elevation_tiles import ElevationTiles
from landslide_map.search.find_images import Query, fetch_files, find_images, write_selection
from landslide_map.search.network import Network
from landslide_map.search.selection import Selection
from landslide_map.untrusted.json_text import read_json

STATE: Final = "event.json"
IMAGES: Final = "images"
WAIT_FOR: Final = {"E706", "E707"}
"""Codes of a search that finds no image yet."""
_PASSING: Final = {"E700", "E701", "E702"}
"""Codes of a catalogue that may answer the next time."""
CHEAPER: Final = 10.0
"""Least reduction of cost that is worth another map, percent of cloud or the like."""
CLEAR: Final = 20.0
"""Cost of a Sentinel-2 image that needs no better one."""
_BOTH: Final = 2


@dataclass(frozen=True, slots=True)
class Worth:
    """Value of a selection, for comparison with another."""

    cost: float | None
    """Cost of the Sentinel-2 image after the event; None without one."""
    tracks: int
    """Orbit directions with passes before and after."""

    def better_than(self, other: Worth) -> bool:
        """Whether a new map pays: a sensor or direction more, or a much clearer image."""
        if self.tracks < other.tracks or (self.cost is None and other.cost is not None):
            return False
        if self.tracks > other.tracks or (other.cost is None and self.cost is not None):
            return True
        return self.cost is not None and other.cost is not None and self.cost <= other.cost - CHEAPER

    @property
    def best(self) -> bool:
        """Whether nothing better is worth waiting for."""
        return self.cost is not None and self.cost <= CLEAR and self.tracks == _BOTH


@dataclass(frozen=True, slots=True)
class Plan:
    """Scene of an event, and the files that it needs, as in ``event.json``."""

    folder: Path
    """Folder of scene.yaml."""
    images: Path
    downloads: tuple[Download, ...]
    elevation: tuple[str, ...]
    """Tiles of the elevation model."""
    worth: Worth

    @property
    def scene(self) -> Path:
        """The scene.yaml."""
        return self.folder / "scene.yaml"


Finish = Callable[[Plan], None]
"""Downloads and maps a plan; does nothing where that is done."""


def plan_of(query: Query, out: Path, network: Network, progress: Report = silent) -> Plan:
    """Return the plan of an event: the one that is there, or a new one from a search.

    Raises
    ------
    UsageError
        E715 the folder is of another event.
    InputError
        E101 its event.json cannot be read.
    SearchError
        As :func:`~landslide_map.search.find_images.find_images`.
    """
    folder = _latest(out)
    if (folder / STATE).exists():
        return _read(query, folder, out / IMAGES)
    selection = find_images(query, network, out / IMAGES, progress)
    return _written(query, selection, folder, out / IMAGES)


def follow(
    query: Query,
    out: Path,
    network: Network,
    finish: Finish,
    *,
    every: timedelta | None = None,
    show: Callable[[str], object] = lambda _text: None,
    sleep: Callable[[float], object] = time.sleep,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Plan:
    """Find, finish, and if `every` is given, search again at that interval.

    Watching ends when the image is clear and both directions have a track, or 60 days after the event. A
    better selection gets a folder of its own (``update-2`` ...); earlier maps stay.

    Parameters
    ----------
    query : Query
    out : Path
        Folder of the event.
    network : Network
    finish : callable
        Downloads and maps.
    every : timedelta, optional
        Time between two searches; None searches once.
    show, sleep, clock : callable
        Called with each message, to wait, and for the time.
    """
    end = query.event.latest + AFTER
    while True:
        try:
            plan = plan_of(query, out, network)
            break
        except SearchError as error:
            if every is None or error.code not in WAIT_FOR | _PASSING or clock() > end:
                raise
            show(f"{error.code}: {error.message} Searching again in {every}.")
            sleep(every.total_seconds())
    finish(plan)
    while every is not None and not plan.worth.best and clock() <= end:
        show(f"waiting for a better image; searching again in {every}")
        sleep(every.total_seconds())
        try:
            selection = find_images(query, network, out / IMAGES)
        except SearchError as error:
            if error.code not in WAIT_FOR | _PASSING:
                raise
            show(f"{error.code}: {error.message}")
            continue
        if worth_of(selection).better_than(plan.worth):
            plan = _written(query, selection, _next(out), out / IMAGES)
            show(f"better images: {plan.scene}")
            finish(plan)
    return plan


def fetch_plan(plan: Plan, query: Query, network: Network, progress: Report, *, allowed: int) -> None:
    """Download the files of a plan and join its elevation tiles; existing files are kept."""
    fetch_files(
        list(plan.downloads), list(plan.elevation), query, plan.images, network, progress, allowed=allowed
    )


def worth_of(selection: Selection) -> Worth:
    """Return the value of a selection."""
    post = selection.optical.post
    return Worth(None if post is None else post.cost, len(selection.radar.tracks))


def _latest(out: Path) -> Path:
    """Return the folder of the newest plan, `out` itself for the first."""
    updates = sorted(
        (int(path.name.removeprefix("update-")), path)
        for path in out.glob("update-*")
        if path.name.removeprefix("update-").isdigit() and (path / STATE).exists()
    )
    return updates[-1][1] if updates else out


def _next(out: Path) -> Path:
    number = 2
    while (out / f"update-{number}").exists():
        number += 1
    return out / f"update-{number}"


def _written(query: Query, selection: Selection, folder: Path, images: Path) -> Plan:
    """Write scene.yaml and its companions, and last the plan: its presence means that they are complete."""
    write_selection(selection, folder / "scene.yaml", images)
    plan = Plan(
        folder,
        images,
        tuple(selection.downloads(images, image_before=False)),
        selection.elevation,
        worth_of(selection),
    )
    document = {
        "query": _query_json(query),
        "downloads": [
            {
                "url": one.url,
                "target": one.target.relative_to(images).as_posix(),
                "size": one.size,
                "checksum": one.checksum,
            }
            for one in plan.downloads
        ],
        "elevation": list(plan.elevation),
        "worth": {"cost": plan.worth.cost, "tracks": plan.worth.tracks},
    }
    with whole_file(folder / STATE) as partial:
        partial.write_text(json.dumps(document, indent=1), encoding="utf-8")
    return plan


def _read(query: Query, folder: Path, images: Path) -> Plan:
    path = folder / STATE
    try:
        document: Any = read_json(path)
        same = document["query"] == _query_json(query)
        plan = Plan(
            folder,
            images,
            tuple(
                Download(one["url"], images / one["target"], one["size"], one["checksum"])
                for one in document["downloads"]
            ),
            tuple(document["elevation"]),
            Worth(document["worth"]["cost"], int(document["worth"]["tracks"])),
        )
        inside = all(one.target.resolve().is_relative_to(images.resolve()) for one in plan.downloads)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError("E101", f"{path}: cannot be read ({error}); delete it to search again.") from None
    if not inside:
        raise InputError("E101", f"{path}: names files outside of {images}; delete it to search again.")
    if not same:
        raise UsageError(
            "E715",
            f"{folder}: holds an event of another time, area or catalogue ({path}); choose another --out.",
        )
    return plan


def _query_json(query: Query) -> dict[str, Any]:
    base = query.elevation.base if isinstance(query.elevation, ElevationTiles) else None
    return {
        "event_time": query.event.time.isoformat(),
        "uncertainty_s": query.event.uncertainty.total_seconds(),
        "area": query.area.shape.wkt,
        "catalogues": list(query.catalogues),
        "passes": query.passes,
        "elevation": base,
    }
