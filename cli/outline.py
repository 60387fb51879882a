"""``landslide-map outline``: outlines redrawn from a stored result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import shared_options
from .feedback import Console, feedback
from .grouped_help import command


@command(short_help="Redraw outlines: another threshold, a mask, only new ones.")
@click.argument("results", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Folder for the new outlines.")
@click.option(
    "--from",
    "source",
    type=click.Choice(["objects", "pixels", "both"]),
    help="Draw candidates (objects), pixels above a probability of the pixel members, or both joined.",
)
@click.option(
    "--threshold", type=float, help="Least probability of an outline, or of a pixel, between 0 and 1."
)
@click.option(
    "--min-area", "min_area_m2", type=click.FloatRange(0), help="Least area, m2; by default that of the run."
)
@click.option("--mask", type=click.Path(path_type=Path), help="Polygons to cut out of outlines, e.g. water.")
@click.option("--subtract", type=click.Path(path_type=Path), help="Earlier outlines to leave out.")
@click.option(
    "--stride", type=int, help="Step between windows of the layer `windows`: a multiple of the run's."
)
@shared_options.formats
@click.option("--overwrite", is_flag=True, help="Replace the outlines in RESULTS; reviews are kept.")
@feedback
def outline(results: Path, console: Console, formats: str, **options: Any) -> int:
    """Redraw the landslides of RESULTS: another threshold, a mask, without an earlier map.

    Reads what the run stored, no inputs and no model. Writes landslides.gpkg, report.html, quicklook.png and
    outline.json, which names the run. With --overwrite also the QGIS project, item.json and the further
    formats that RESULTS has. Reviews in RESULTS and in --out are kept.
    """
    from landslide_map.mapping.redraw import redraw

    made = redraw(results, formats=shared_options.format_words(formats), **options)
    console.notices(made.notices)
    console.finished(out=made.out, landslides=made.landslides, before=made.before)
    click.echo(f"{made.landslides} landslides outlined, {made.before} before. Results in {made.out}")
    return 0
