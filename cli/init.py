"""``landslide-map init``: a commented scene.yaml from what lies in a folder, or a template."""

from __future__ import annotations

import os
from pathlib import Path

import click

from .grouped_help import command


@command(short_help="Write a scene.yaml from the images in a folder.")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--event-time", metavar="T", help="E.g. 2024-04-02T23:58:00Z, with its zone.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, allow_dash=True),
    default=Path("scene.yaml"),
    show_default=True,
    help="File to write; - prints it.",
)
def init(folder: Path | None, event_time: str | None, out: Path) -> None:
    """Write a commented scene.yaml from the images in FOLDER, or a template without one.

    Sentinel-2 images and Sentinel-1 products are sorted by date, direction and track. An existing file is
    never replaced; `--out -` prints the text instead.
    """
    from landslide_map.inputs.describe_folder import TEMPLATE, describe_folder
    from landslide_map.scene.fields import read_time

    if str(out) != "-":
        _refuse_existing(out)
    missing: tuple[str, ...]
    if folder is None:
        text, missing = TEMPLATE, ("your images and the time of the event: edit the file",)
    else:
        time = None if event_time is None else read_time(event_time, "--event-time")
        described = describe_folder(folder, time, out)
        text, missing = described.text, described.missing
        for notice in described.notices:
            click.echo(f"note {notice}", err=True)
    if str(out) == "-":
        click.echo(text, nl=False)
    else:
        _write(text, out)
    for what in missing:
        click.echo(f"missing: {what}", err=str(out) == "-")
    if not missing and str(out) != "-":
        click.echo(f"next: landslide-map check {out}")


def _refuse_existing(out: Path) -> None:
    from landslide_map.errors import OutputExistsError

    if os.path.lexists(out):
        raise OutputExistsError(
            "E401", f"{out}: exists and is never replaced. Choose another --out, or print with --out -."
        )


def _write(text: str, out: Path) -> None:
    from landslide_map.errors import ResourceError
    from landslide_map.runtime.atomic import whole_file

    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        with whole_file(out) as partial:
            partial.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ResourceError(
            "E601", f"{out} cannot be written ({error.strerror}). Choose another --out."
        ) from error
    click.echo(f"written: {out}")
