"""``landslide-map compare``: whether two results are the same, and how they differ."""

from __future__ import annotations

from pathlib import Path

import click

from .grouped_help import command


@command(short_help="Compare two finished maps.")
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Largest difference of a probability that counts as none.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def compare(first: Path, second: Path, tolerance: float, as_json: bool) -> int:
    """Compare two finished maps: inputs, options, versions, rasters, outlines.

    Exit status 0 if nothing differs, 1 if something does.
    """
    import json

    from landslide_map.products.compare import compare_results

    found = compare_results(first, second, tolerance)
    if as_json:
        differences = [{"what": one.what, "message": one.message} for one in found]
        click.echo(json.dumps({"same": not found, "differences": differences}, sort_keys=True))
    else:
        for one in found:
            click.echo(f"{one.what:<9} {one.message}")
        click.echo(
            "the same" if not found else "1 difference" if len(found) == 1 else f"{len(found)} differences"
        )
    return int(bool(found))
