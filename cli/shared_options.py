"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from landslide_map.options import OperatingPoint, Voters

_Command = TypeVar("_Command", bound=Callable[..., Any])

bundle = click.option(
    "--bundle", type=click.Path(path_type=Path), help="Model bundle; by default the built-in one."
)
bundle_of_scene = click.option(
    "--bundle", type=click.Path(path_type=Path), help="Model bundle instead of the scene's."
)
stride = click.option("--stride", type=click.IntRange(8, 64), help="Step between windows, pixels (8 to 64).")
coregister = click.option(
    "--coregister",
    is_flag=True,
    help="Move displaced Sentinel-1 images of a track onto each other, where pixels show the displacement.",
)
members = click.option(
    "--members",
    type=click.Choice(get_args(Voters)),
    help="Members that vote on terrain-flattened backscatter: those trained for it (fitting), or all.",
)
profile = click.option(
    "--profile", help="Members that vote: all, networks, boosters, fastest-network, optical-only, sar-only."
)
operating_point = click.option(
    "--operating-point",
    type=click.Choice(get_args(OperatingPoint)),
    help="Instead of a threshold: best F1, 90 % of landslides found, or 90 % of alarms right.",
)
device = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Device for networks.",
)
precision = click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
    help="Precision of the networks' matrix products.",
)
formats = click.option(
    "--format",
    "formats",
    default="gpkg",
    show_default=True,
    help="Further formats of the outlines, comma-separated: geojson, geoparquet, flatgeobuf, kml, shp, cems, "
    "coolr, or a .yaml that names layers and columns.",
)
batch_size = click.option(
    "--batch-size", type=click.IntRange(1), help="Windows in one forward pass of a network."
)
exact_early_exit = click.option(
    "--exact-early-exit",
    is_flag=True,
    help="Skip networks where their vote cannot change the class; probabilities there are bounds.",
)
cascade = click.option(
    "--cascade",
    is_flag=True,
    help="Run networks only where the other members are uncertain: fast, loses a little recall.",
)


def format_words(formats: str) -> list[str]:
    """Return the words of ``--format``."""
    return [name.strip() for name in formats.split(",") if name.strip()]


def tls(command: _Command) -> _Command:
    """Certificates for a scheduler, as ``tls_ca``, ``tls_cert`` and ``tls_key``."""
    for name, what in (
        ("key", "Private key of --tls-cert, without a passphrase."),
        ("cert", "Certificate of this machine."),
        ("ca", "Certificate of the authority behind a tls:// scheduler and its workers."),
    ):
        command = click.option(f"--tls-{name}", type=click.Path(path_type=Path), help=what)(command)
    return command
