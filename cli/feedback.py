"""What a command says on standard error while it works, for people or for machines."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from .refusals import Refusal, refusal_of

if TYPE_CHECKING:
    from landslide_map.errors import Notice
    from landslide_map.runtime.progress import Report
    from landslide_map.runtime.timings import Timings


@dataclass
class Feedback:
    """Passed to every command that takes long, as ``tell``."""

    progress: Report
    timings: Timings
    as_json: bool
    quiet: bool
    verbose: bool
    _close: Callable[[], object]
    _told: set[str] = field(default_factory=set)

    def say(self, text: str) -> None:
        """Say one line about what is going on; not if quiet was asked for."""
        if not self.quiet:
            self._write("message", text, text=text)

    def notice(self, notice: Notice) -> None:
        """Say a notice, once: it may be told before long work, and come back with the result."""
        if str(notice) not in self._told:
            self._told.add(str(notice))
            self._write("notice", f"note {notice}", code=notice.code, message=notice.message)

    def refused(self, what: str, refusal: Refusal) -> None:
        """Say that one of several things could not be done; the command goes on."""
        self._write("refused", f"{what}: {refusal}", what=what, code=refusal.code, message=refusal.message)

    def finished(self, exit_status: int = 0, **result: Any) -> None:
        """End the display; machines are told the result, verbose people where the time went."""
        self._close()
        if self.as_json:
            self._write("finished", "", exit_status=exit_status, **result, timings=self.timings.as_json())
        elif self.verbose:
            self._write("timings", self.timings.as_text())

    def _write(self, event: str, shown: str, **facts: Any) -> None:
        from landslide_map.runtime.progress import stderr_line

        stderr_line(json.dumps({"event": event, **facts}, default=str) if self.as_json else shown)


@contextmanager
def _feedback(quiet: bool, verbose: bool, as_json: bool) -> Iterator[Feedback]:
    from landslide_map.runtime import progress, timings

    with ExitStack() as display, timings.collected() as spent:
        report: Report = progress.silent
        if as_json and not quiet:
            report = progress.json_lines(progress.stderr_line)
        elif not quiet:
            report = display.enter_context(progress.on_stderr())
        tell = Feedback(report, spent, as_json, quiet, verbose, display.close)
        try:
            yield tell
        except click.exceptions.Exit:
            raise
        except (Exception, KeyboardInterrupt) as error:
            if not as_json:
                raise
            refusal = refusal_of(error)
            tell._write(
                "failed", "", exit_status=refusal.exit_status, code=refusal.code, message=refusal.message
            )
            raise click.exceptions.Exit(refusal.exit_status) from error


def feedback(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of its display, and `tell`, a :class:`Feedback`."""

    @click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
    @click.option("-v", "--verbose", is_flag=True, help="Show where the time went.")
    @click.option("--json-progress", is_flag=True, help="Tell machines: one JSON object a line on stderr.")
    @functools.wraps(command)
    def with_feedback(*, quiet: bool, verbose: bool, json_progress: bool, **options: Any) -> Any:
        with _feedback(quiet, verbose, json_progress) as tell:
            return command(tell=tell, **options)

    return with_feedback
