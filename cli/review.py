"""``landslide-map review``: how many outlines are confirmed or rejected, and a file of the confirmed ones."""

from __future__ import annotations

from pathlib import Path

import click

from .grouped_help import command


@command(short_help="Count the reviews of a result, export the confirmed.")
@click.argument("result", type=click.Path(path_type=Path))
@click.option(
    "--export", type=click.Path(path_type=Path), help="Write the confirmed and drawn outlines here (.gpkg)."
)
@click.option("--overwrite", is_flag=True, help="Replace the file of --export.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def review(result: Path, export: Path | None, overwrite: bool, as_json: bool) -> None:
    """Count the reviews in RESULT, the folder of a map.

    Precision is the share of landslides among the confirmed and rejected outlines, with its 95 % interval.
    It holds for outlines like those that were reviewed.
    """
    import json

    from landslide_map.products.review_summary import export_confirmed, reviewed_outlines, summary
    from landslide_map.products.reviews import tally

    frame = reviewed_outlines(result)
    found = tally(frame)
    if as_json:
        click.echo(json.dumps({"result": str(result), **found.as_json()}, sort_keys=True))
    else:
        click.echo(summary(found))
    if export is not None:
        count = export_confirmed(frame, export, overwrite=overwrite)
        click.echo(f"{count} outlines in {export}", err=as_json)
