"""``landslide-map find``: search catalogues for the images of an event, and write their scene.yaml."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .feedback import Console, feedback
from .grouped_help import command

if TYPE_CHECKING:
    from landslide_map.search.area import Area
    from landslide_map.search.find_images import Query
    from landslide_map.search.network import Network

_SEARCH_OPTIONS: list[Callable[[Any], Any]] = [
    click.option(
        "--event-time", required=True, metavar="T", help="E.g. 2024-04-02T23:58:00Z, with its zone."
    ),
    click.option(
        "--time-uncertainty",
        type=click.FloatRange(0, 24 * 366),
        default=0.0,
        metavar="HOURS",
        help="Uncertainty of the event time, before and after it.",
    ),
    click.option("--aoi", type=click.Path(path_type=Path), help="Area: polygons in any vector file."),
    click.option(
        "--bbox",
        type=float,
        nargs=4,
        metavar="W S E N",
        help="Area: degrees; west > east crosses the antimeridian.",
    ),
    click.option(
        "--catalog",
        "catalogs",
        multiple=True,
        metavar="NAME|URL|FOLDER",
        help="planetary-computer (default), earth-search, cdse, a STAC address or a folder; may be repeated.",
    ),
    click.option(
        "--passes",
        type=click.IntRange(1, 20),
        default=3,
        show_default=True,
        help="Maximum number of Sentinel-1 passes before, and after, per direction.",
    ),
    click.option(
        "--dem/--no-dem", default=True, help="Elevation (Copernicus GLO-30), for slopes. [default: dem]"
    ),
    click.option(
        "--dem-source", metavar="URL|FOLDER", help="Source of its tiles, instead of the public one."
    ),
    click.option("--name", help="Name of the event, for titles."),
]


def search_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a search."""
    for option in reversed(_SEARCH_OPTIONS):
        command = option(command)
    return command


@command(short_help="Search for images of an event; write scene.yaml.")
@search_options
@click.option("--out", type=click.Path(path_type=Path), default=Path("scene.yaml"), show_default=True)
@click.option(
    "--download", "folder", type=click.Path(path_type=Path), help="Download the images to this folder."
)
@click.option("--image-before", is_flag=True, help="Download the Sentinel-2 image before the event as well.")
@click.option("--yes", is_flag=True, help="Download more than 5 GB without a question.")
@click.option("--overwrite", is_flag=True, help="Replace a scene.yaml.")
@feedback
def find(
    out: Path,
    folder: Path | None,
    image_before: bool,
    yes: bool,
    overwrite: bool,
    console: Console,
    **options: Any,
) -> None:
    """Search for the images of an event and write their scene.yaml.

    Takes the clearest Sentinel-2 image soon after the event, and per direction the Sentinel-1 track with the
    best passes before and after it. Prints the rejected images with the reason; selection.json has the whole
    list. Uses the network, like `event`, and names every server that it contacts.
    """
    require_search()
    from landslide_map.errors import OutputExistsError
    from landslide_map.search.find_images import download, find_images, write_selection

    if out.exists() and not overwrite:
        raise OutputExistsError(
            "E401", f"{out}: exists; choose another --out, or replace it with --overwrite."
        )
    query = prepared(options)
    images = folder or out.parent / "images"
    kept: AbstractContextManager[str] = (
        nullcontext(str(folder)) if folder else tempfile.TemporaryDirectory(prefix="landslide-map-")
    )
    with network_of(console) as network:
        with kept as place:
            selection = find_images(query, network, Path(place), console.progress)
        console.notices(selection.notices)
        for line in selection.table():
            click.echo(line)
        written = write_selection(selection, out, images, overwrite=overwrite, name=options["name"])
        if folder is not None:
            fetching = partial(
                download, selection, query, folder, network, console.progress, image_before=image_before
            )
            confirming(lambda allowed: fetching(allowed=allowed), yes=yes)
    if folder is not None:
        click.echo(f"next: landslide-map check {out}")
    else:
        click.echo(f"images are not downloaded yet: the same command with --overwrite --download {images}")
    click.echo(f"written: {', '.join(map(str, written))}")


def network_of(console: Console) -> Network:
    """Return a client that prints the hosts it connects to."""
    from landslide_map.search.access import CopernicusDataSpace, PlanetaryComputer
    from landslide_map.search.network import Network

    return Network(console.show, (PlanetaryComputer(), CopernicusDataSpace()))


def prepared(options: dict[str, Any]) -> Query:
    """Return what is searched for."""
    from landslide_map.search.elevation_tiles import GLO30, ElevationTiles
    from landslide_map.search.event_time import EventTime
    from landslide_map.search.find_images import Query

    event = EventTime.read(options["event_time"], options["time_uncertainty"])
    return Query(
        event,
        _area(options["aoi"], options["bbox"]),
        options["catalogs"] or ("planetary-computer",),
        options["passes"],
        ElevationTiles(options["dem_source"] or GLO30) if options["dem"] else None,
    )


def _area(aoi: Path | None, bbox: tuple[float, float, float, float] | None) -> Area:
    from landslide_map.search.area import Area

    if (aoi is None) == (bbox is None):
        raise click.UsageError("give the area: either --aoi FILE or --bbox W S E N")
    return Area.of_file(aoi) if aoi is not None else Area.of_box(*bbox or (0, 0, 0, 0))


def confirming(fetching: Callable[[int], None], *, yes: bool) -> None:
    """Call `fetching` with the bytes it may download; at a terminal, more needs a confirmation."""
    import sys

    from landslide_map.errors import SearchError
    from landslide_map.search.download import CONFIRM_ABOVE

    try:
        fetching(_ANYTHING if yes else CONFIRM_ABOVE)
    except SearchError as error:
        if error.code != "E711" or not sys.stdin.isatty() or not click.confirm(error.message + " Go on?"):
            raise
        fetching(_ANYTHING)


_ANYTHING = 1 << 62


def require_search() -> None:
    """Refuse, with a message, where the packages for the network are not installed."""
    from landslide_map.errors import optional_packages

    with optional_packages("a search needs", "search"):
        import pystac_client
        import requests
    del pystac_client, requests
