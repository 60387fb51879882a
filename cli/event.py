"""``landslide-map event``: from the time and place of an event to its map, in one command."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from . import shared_options
from .feedback import Console, feedback
from .find import confirming, network_of, prepared, require_search, search_options
from .grouped_help import command

_MAP_OPTIONS = ("bundle", "stride", "operating_point", "profile", "members", "memory")


@command(short_help="Find, download, check and map the images of an event.")
@search_options
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder of the event.")
@click.option("--yes", is_flag=True, help="Download more than 5 GB without a question.")
@click.option(
    "--watch", is_flag=True, help="Wait for the first image, and map again when a better one comes."
)
@click.option(
    "--every",
    type=click.FloatRange(0.01, 24 * 12),
    default=6.0,
    show_default=True,
    metavar="HOURS",
    help="Time between two searches of --watch.",
)
@shared_options.bundle_of_scene
@shared_options.stride
@shared_options.operating_point
@shared_options.profile
@shared_options.members
@click.option("--memory", help="Memory limit, e.g. 2GB.")
@feedback
def event(out: Path, yes: bool, watch: bool, every: float, console: Console, **options: Any) -> None:
    """Find, download, check and map the images of an event.

    Writes scene.yaml, the images and results/ into --out. The same command resumes where it was interrupted:
    it searches once, downloads what is missing, and maps what is not mapped. With --watch, better images get
    folders of their own (update-2 ...).
    """
    require_search()
    from landslide_map.products import MANIFEST
    from landslide_map.search.event import Plan, fetch_plan, follow

    from .run import compiled_ahead, map_one

    mapping = {name: options.pop(name) for name in _MAP_OPTIONS}
    query = prepared(options)
    with network_of(console) as network:

        def finish(plan: Plan) -> None:
            confirming(
                lambda allowed: fetch_plan(plan, query, network, console.progress, allowed=allowed), yes=yes
            )
            results = plan.folder / "results"
            if (results / MANIFEST).exists():
                console.show(f"{results}: mapped before")
                return
            with compiled_ahead(alone=mapping["memory"] is None):
                map_one(plan.scene, results, console, **mapping)

        follow(
            query,
            out,
            network,
            finish,
            every=timedelta(hours=every) if watch else None,
            show=console.show,
        )
