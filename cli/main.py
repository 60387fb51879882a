"""The ``landslide-map`` command group; ``run`` is the command if none is named."""

from __future__ import annotations

import re
import sys
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import Final, NoReturn

import click

from landslide_map._version import __version__
from landslide_map.runtime.address_space import refuse_small_address_space
from landslide_map.runtime.read_limit import Overdue

from .check import check
from .compare import compare
from .evaluate import evaluate
from .evaluate_pixels import evaluate_pixels
from .event import event
from .find import find
from .init import init
from .models import models
from .outline import outline
from .pixels import pixels
from .projections import use_own_data
from .qgis import qgis
from .refusals import refusal_of
from .review import review
from .run import run
from .score import score
from .score_pixels import score_pixels
from .signals import handle_stops, stop, watch
from .stack import stack
from .streams import outlive_readers
from .train import train
from .train_pixels import train_pixels
from .view import view
from .windows import windows

_GROUPS: Final[dict[str, tuple[click.Command, ...]]] = {
    "From an event to inputs": (init, find, event, check),
    "Map and review": (run, view, outline, pixels, review, compare, qgis),
    "Data, training and evaluation": (
        *(stack, windows, train, train_pixels),
        *(evaluate, evaluate_pixels, score, score_pixels, models),
    ),
}
"""Heading of the help -> commands, in the order in which people need them."""

_LONGEST: Final = 1000
"""Letters of a line about a command: it is wrapped, never cut."""


class DefaultToRun(click.Group):
    """Group of commands; the first argument may also be a scene or an option of ``run``."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands by what people do."""
        for heading, commands in _GROUPS.items():
            with formatter.section(heading):
                formatter.write_dl([(str(one.name), one.get_short_help_str(_LONGEST)) for one in commands])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put ``run`` in front unless a command, ``--help`` or ``--version`` comes first."""
        if args and args[0] not in {*self.commands, "--help", "-h", "--version"}:
            self._refuse_mistyped(ctx, args[0])
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def _refuse_mistyped(self, ctx: click.Context, first: str) -> None:
        """Refuse a word that is no file: a command that does not exist would be taken for a scene."""
        if not re.fullmatch(r"[A-Za-z][A-Za-z_-]*", first) or Path(first).exists():
            return
        near = get_close_matches(first.lower().replace("_", "-"), self.commands, n=1)
        meant = f"did you mean {near[0]}?" if near else "see landslide-map --help for the commands."
        raise click.UsageError(f"there is no command and no file {first!r}; {meant}", ctx)


@click.group(cls=DefaultToRun, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="landslide-map")
def cli() -> None:
    """Landslide maps from post-event Sentinel-2 and pre/post Sentinel-1 scenes.

    \b
    landslide-map scene.yaml --out results/   map a scene (`run` needs no name)
    landslide-map check scene.yaml            validate first, without inference
    """  # noqa: D301
    refuse_small_address_space()  # before libraries are imported that would crash in it


for command in chain(*_GROUPS.values()):
    cli.add_command(command)


def main(args: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with its documented status; no traceback reaches a user."""
    outlive_readers()
    watch(Overdue().found)
    use_own_data()
    sys.exit(_status(args))


def _status(args: list[str] | None) -> int:
    try:
        handle_stops(stop)  # a stop raises from here on, and its message is below
        result = cli.main(args=args, prog_name="landslide-map", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (Exception, KeyboardInterrupt) as error:
        refusal = refusal_of(error)
        click.echo(refusal, err=True)
        return refusal.exit_status
    return result if isinstance(result, int) else 0
