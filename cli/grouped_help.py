"""Help of a command with its options under headings: required ones first, display last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

_MESSAGES: Final = "Progress and messages"
_HEADINGS: Final = {
    "bundle": "Model and inputs",
    "profile": "Model and inputs",
    "members": "Model and inputs",
    "stride": "Model and inputs",
    "coregister": "Model and inputs",
    "everywhere": "Model and inputs",
    "scenarios": "Model and inputs",
    "out_of_fold": "Model and inputs",
    "ablation": "Model and inputs",
    "memory": "Time and memory",
    "workers": "Time and memory",
    "device": "Time and memory",
    "precision": "Time and memory",
    "batch_size": "Time and memory",
    "exact_early_exit": "Time and memory",
    "cascade": "Time and memory",
    "scheduler": "Other machines",
    "tls_ca": "Other machines",
    "tls_cert": "Other machines",
    "tls_key": "Other machines",
    "quiet": _MESSAGES,
    "verbose": _MESSAGES,
    "json_progress": _MESSAGES,
    "log_file": _MESSAGES,
}
"""Parameter -> heading; any other option is among the first."""
_FIRST: Final = "Options"
_FEW: Final = 9
"""Options up to which headings would only be in the way."""


class GroupedCommand(click.Command):
    """A command with a help that lists options under headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, in the order of the command, heading by heading."""
        options = [one for one in self.get_params(ctx) if isinstance(one, click.Option)]
        shown = [(one, record) for one in options if (record := one.get_help_record(ctx)) is not None]
        headings = _HEADINGS if len(shown) > _FEW else {}
        sections: dict[str, list[tuple[str, str]]] = {name: [] for name in (_FIRST, *_HEADINGS.values())}
        for one, record in shown:
            sections[headings.get(str(one.name), _FIRST)].append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def command(
    name: str | None = None, *, short_help: str | None = None
) -> Callable[[Callable[..., Any]], GroupedCommand]:
    """Return a decorator like ``click.command``, with options under headings."""
    return click.command(name, cls=GroupedCommand, short_help=short_help)
