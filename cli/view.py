"""``landslide-map view``: a page in the browser to view and review a result, or to try patches."""

from __future__ import annotations

from pathlib import Path

import click

from .grouped_help import command


@command(short_help="Show a result, or patches, on a page in the browser.")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--bundle",
    "bundles",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Bundle with pixel members that score patches; may be given several times.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="By default any free one.")
@click.option("--browser", is_flag=True, help="Open the page in the browser as well.")
def view(paths: tuple[Path, ...], bundles: tuple[Path, ...], port: int, browser: bool) -> int:
    """Show RESULTS, the folder of a map, or PATCHES (.h5, .npy, .tif) on a page in the browser.

    The page is served to this machine alone, under an address with a random token, until Ctrl-C. It needs no
    internet. Verdicts go into the landslides.gpkg of RESULTS. Uploads are removed at the end.
    """
    from landslide_map.view.app import make_app
    from landslide_map.view.contents import opened
    from landslide_map.view.server import serve

    def announce(address: str) -> None:
        click.echo(f"open {address}\nstop with Ctrl-C")
        if browser:
            import webbrowser

            webbrowser.open(address)

    with opened(paths, bundles) as page:
        serve(make_app(page), port, announce)
    return 0
