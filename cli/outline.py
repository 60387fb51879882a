"""``landslide-map outline``: landslides drawn anew from what a run stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .feedback import Console, feedback


@click.command()
@click.argument("results", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Folder for the new outlines.")
@click.option("--threshold", type=float, help="Least probability of an outline, between 0 and 1.")
@click.option("--min-area", "min_area_m2", type=click.FloatRange(0), default=0.0, help="Least area, m2.")
@click.option("--mask", type=click.Path(path_type=Path), help="Polygons to cut out of outlines, e.g. water.")
@click.option("--subtract", type=click.Path(path_type=Path), help="Earlier outlines to leave out.")
@click.option(
    "--stride", type=int, help="Step between windows of the layer `windows`: a multiple of the run's."
)
@click.option("--overwrite", is_flag=True, help="Replace the outlines in RESULTS; reviews are kept.")
@feedback
def outline(results: Path, console: Console, **options: Any) -> int:
    """Redraw the landslides of RESULTS: another threshold, a mask, without an earlier map.

    Reads what the run stored (candidates.gpkg, with --stride windows.nc), no pixels and no model. Writes
    landslides.gpkg and outline.json, which names the run. report.html and quicklook.png keep the outlines of
    the run; the QGIS project shows the new ones.
    """
    from landslide_map.mapping.redraw import redraw
    from landslide_map.products import QUICKLOOK, REPORT

    made = redraw(results, **options)
    console.notices(made.notices)
    console.finished(out=made.out, landslides=made.landslides, before=made.before)
    click.echo(f"{made.landslides} landslides outlined, {made.before} before. Results in {made.out}")
    if options["overwrite"] and (made.out / REPORT).exists():
        click.echo(f"{REPORT} and {QUICKLOOK} still show the outlines of the run.")
    return 0
