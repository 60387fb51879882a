"""``landslide-map qgis``: the Processing provider for QGIS."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def qgis() -> None:
    """Use landslide-map inside QGIS."""


@qgis.command("install")
@click.option(
    "--profile",
    type=click.Path(path_type=Path),
    help="Profile folder; by default that of every QGIS found here.",
)
def install_plugin(profile: Path | None) -> None:
    """Install or update the algorithms "Map landslides", "Redraw outlines" and "Check scene".

    They start this installation of landslide-map. Restart QGIS afterwards: they are in the
    Processing toolbox.
    """
    from landslide_map.qgis.install import install

    for folder in install(profile):
        click.echo(f"installed {folder}")
    click.echo("Restart QGIS: the algorithms are in the Processing toolbox, under landslide-map.")
