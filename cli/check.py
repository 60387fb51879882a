"""``landslide-map check``: validate a scene and print what was understood, without mapping it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from . import shared_options
from .grouped_help import command
from .importing import importing


@command(short_help="Check a scene.yaml and every file that it names.")
@click.argument("scene", type=click.Path(path_type=Path))
@shared_options.bundle_of_scene
@shared_options.stride
@shared_options.coregister
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(scene: Path, bundle: Path | None, stride: int | None, coregister: bool, as_json: bool) -> None:
    """Check SCENE (a scene.yaml) and everything it names, without mapping it.

    Prints date, orbit, units, nodata and projection of every file, and how the Sentinel-2 offset was
    decided. Prints the distribution of every band next to the training data's, the number of windows and
    the expected cost.
    """
    with importing():
        from landslide_map.check.check_scene import check_scene
        from landslide_map.check.report import report_lines

    report = check_scene(scene, bundle=bundle, stride=stride, coregister=coregister)
    if as_json:
        click.echo(json.dumps(report, indent=2, allow_nan=False))
    else:
        for line in report_lines(report):
            click.echo(line)
