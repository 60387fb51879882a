"""Search for the images of an event: catalogues, choice, downloads, scene.yaml."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from landslide_map.errors import Notice, OutputExistsError, SearchError
from landslide_map.runtime.atomic import whole_file
from landslide_map.runtime.progress import Report, Stage, silent, step
from landslide_map.search import choose_optical, choose_radar
from landslide_map.search.area import Area
from landslide_map.search.candidates import Candidate
from landslide_map.search.catalogues import Found, Period, search
from landslide_map.search.clouds import CloudCounter
from landslide_map.search.download import Download, fetch, remaining, with_sizes
from landslide_map.search.elevation_tiles import ElevationTiles, join_tiles
from landslide_map.search.event_time import EventTime
from landslide_map.search.footprints import draw
from landslide_map.search.network import Network
from landslide_map.search.scene_file import scene_text
from landslide_map.search.selection import Selection

YEAR = timedelta(days=365)
_MONTH = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Query:
    """Parameters of a search."""

    event: EventTime
    area: Area
    catalogues: tuple[str, ...]
    passes: int = 3
    """Passes of each side of a track at most."""
    elevation: ElevationTiles | None = None
    """None for no elevation model."""


def find_images(query: Query, network: Network, folder: Path, progress: Report = silent) -> Selection:
    """Search catalogues and choose.

    Parameters
    ----------
    query : Query
    network : Network
    folder : Path
        Folder for the scene classifications.
    progress : Report

    Raises
    ------
    SearchError
        E700 to E702 the catalogue; E705 the area is at sea; E706 no image at all; E707 none after the event.
    """
    event, area = query.event, query.area
    found = Found()
    periods = {
        "optical": Period(event.earliest - choose_optical.BEFORE, event.latest + choose_optical.AFTER),
        "radar": Period(
            event.earliest - choose_radar.BEFORE,
            event.latest + timedelta(days=choose_radar.AFTER_DAYS[-1]),
        ),
    }
    progress(Stage("search", "catalogues"), 0, len(query.catalogues))
    for number, catalogue in enumerate(query.catalogues, 1):
        search(catalogue, area, periods, network, found)
        progress(Stage("search", "catalogues"), number, len(query.catalogues))
    tiles, notices = _elevation(query, network, bool(found.optical))
    count_clouds = CloudCounter(area, network, folder)
    with step(progress, "count clouds"):
        optical = choose_optical.choose_optical(found.optical, area, event, count_clouds)
        pre = optical.pre
        if optical.post and (pre is None or pre.clearness.cloud > choose_optical.CLOUDY_BEFORE):
            last_year = {"optical": Period(event.time - YEAR - _MONTH, event.time - YEAR + _MONTH)}
            for catalogue in query.catalogues:
                search(catalogue, area, last_year, network, found)
            optical = choose_optical.choose_optical(found.optical, area, event, count_clouds)
    radar = choose_radar.choose_radar(found.radar, area, event, query.passes)
    if optical.post is None and not radar.tracks:
        raise _nothing(found, event, area, radar.notices)
    if optical.post is None:
        notices.append(Notice("W704", "no Sentinel-2 image within 60 days after the event is usable."))
    every = [*found.notices, *notices, *dict.fromkeys(count_clouds.notices), *optical.notices, *radar.notices]
    return Selection(
        event,
        area,
        query.catalogues,
        optical,
        radar,
        tuple(found.rejected),
        tuple(tiles),
        tuple(every),
        network.hosts,
    )


def _elevation(query: Query, network: Network, images: bool) -> tuple[list[str], list[Notice]]:
    """Return the tiles of the area; none of them, and no image of Sentinel-2 either, means open sea."""
    if query.elevation is None:
        return [], []
    tiles = query.elevation.there(query.area, network)
    if tiles:
        return tiles, []
    longitude, latitude = query.area.centre
    if not images:
        raise SearchError(
            "E705",
            f"the area around {latitude:.2f} N, {longitude:.2f} E is at sea: it has no elevation and no "
            "Sentinel-2 image of land. Check the order of the numbers of --bbox (west, south, east, north).",
        )
    return [], [
        Notice(
            "W707", f"no elevation tile at {query.elevation.base} for the area; flat ground is analysed too."
        )
    ]


def _nothing(found: Found, event: EventTime, area: Area, notices: tuple[Notice, ...]) -> SearchError:
    """Return the refusal of a search without a mappable image; it names those that exist."""
    candidates: list[Candidate] = [*found.optical, *found.radar]
    hits = [one for one in candidates if area.covered(one.footprint) > 0]
    before = [one for one in hits if event.before(one.end)]
    after = [one for one in hits if event.after(one.start)]
    why = " ".join(notice.message for notice in notices)
    if not hits:
        lost = f" {len(found.rejected)} items were unusable." if found.rejected else ""
        return SearchError(
            "E706",
            f"no Sentinel-1 or Sentinel-2 image of the area within 60 days of {event.time:%Y-%m-%d}.{lost} "
            "Check time and area, or take another catalogue with --catalog.",
        )
    side, other = ("before", "after") if before and not after else ("after", "before")
    if bool(before) != bool(after):
        return SearchError(
            "E707",
            f"all {len(hits)} images of the area are from {side} the event, none from {other} it. {why} "
            "Search again later (landslide-map event --watch waits), or take another catalogue.",
        )
    return SearchError(
        "E706",
        f"none of {len(hits)} images of the area can be used: {why} Take another catalogue with --catalog.",
    )


def write_selection(
    selection: Selection, scene: Path, images: Path, *, overwrite: bool = False, name: str | None = None
) -> list[Path]:
    """Write scene.yaml and, beside it, the area, the selection and a picture; return the files.

    Raises
    ------
    OutputExistsError
        E401 a scene.yaml is there; it is replaced only with `overwrite`.
    """
    if scene.exists() and not overwrite:
        raise OutputExistsError(
            "E401", f"{scene}: exists; choose another --out, or replace it with --overwrite."
        )
    folder = scene.parent
    texts = {
        folder / "area.geojson": json.dumps(selection.area.geojson()),
        folder / "selection.json": json.dumps(selection.as_json(), indent=1),
        scene: scene_text(selection, folder, images, name=name),
    }
    for path, text in texts.items():
        with whole_file(path) as partial:
            partial.write_text(text, encoding="utf-8")
    written = [scene, folder / "selection.json"]
    try:
        draw(selection, folder / "footprints.png")
    except ModuleNotFoundError:  # matplotlib, which the extras `search` and `report` bring
        return written
    return [*written, folder / "footprints.png"]


def download(
    selection: Selection,
    query: Query,
    images: Path,
    network: Network,
    progress: Report,
    *,
    allowed: int,
    image_before: bool = False,
) -> None:
    """Download the files of a selection and join the elevation tiles; see :func:`fetch_files`."""
    wanted = selection.downloads(images, image_before=image_before)
    fetch_files(wanted, list(selection.elevation), query, images, network, progress, allowed=allowed)


def fetch_files(
    wanted: list[Download],
    tiles: list[str],
    query: Query,
    images: Path,
    network: Network,
    progress: Report,
    *,
    allowed: int,
) -> None:
    """Download files, and the elevation tiles, which are joined to one raster.

    Parameters
    ----------
    allowed : int
        Bytes that may be downloaded without confirmation.

    Raises
    ------
    SearchError
        E711 more than `allowed`; otherwise as :func:`~landslide_map.search.download.fetch`.
    """
    joined = images / "dem.tif"
    elevation = None if joined.exists() else query.elevation
    if elevation is not None:
        wanted = [*wanted, *elevation.downloads(tiles, images)]
    wanted = with_sizes(wanted, network)
    size = remaining(wanted)
    if size > allowed:
        raise SearchError(
            "E711",
            f"{size / 1e9:.1f} GB in {len(wanted)} files are to be downloaded, more than {allowed / 1e9:.1f} "
            "GB. Add --yes to download them, or take fewer passes (--passes 1).",
        )
    fetch(wanted, network, progress)
    if elevation is not None and tiles:
        join_tiles(elevation.files(tiles, images), query.area, joined)
