"""Console output of a command: progress, notices, log records; for people or as JSON lines."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .refusals import Refusal, refusal_of

if TYPE_CHECKING:
    from landslide_map.errors import Notice
    from landslide_map.runtime.progress import Report
    from landslide_map.runtime.timings import Timings


@dataclass
class Console:
    """Passed to every command that takes long, as ``console``."""

    progress: Report
    timings: Timings
    as_json: bool
    quiet: bool
    verbose: int
    _close: Callable[[], object]
    _log: logging.Handler
    _shown: set[str] = field(default_factory=set)

    def show(self, text: str) -> None:
        """Print one line of status, unless `quiet` is set."""
        if not self.quiet:
            self._write("message", text, text=text)

    def show_log(self) -> None:
        """Show what a long step logs at INFO without ``-v``, such as the epochs of a training."""
        logging.getLogger("landslide_map").setLevel(logging.INFO)
        self._log.setLevel(min(self._log.level, logging.INFO))

    def notice(self, notice: Notice) -> None:
        """Print a notice once: it may come before long work and again with the result."""
        if str(notice) not in self._shown:
            self._shown.add(str(notice))
            self._write("notice", f"note {notice}", code=notice.code, message=notice.message)

    def notices(self, found: Iterable[Notice]) -> None:
        """Print each notice once."""
        for notice in found:
            self.notice(notice)

    def refused(self, what: str, refusal: Refusal) -> None:
        """Say that one of several things could not be done; the command goes on."""
        self._write("refused", f"{what}: {refusal}", what=what, code=refusal.code, message=refusal.message)

    def finished(self, exit_status: int = 0, **result: Any) -> None:
        """End the display; write the result as JSON, or the timings if `verbose`."""
        self._close()
        if self.as_json:
            self._write("finished", "", exit_status=exit_status, **result, timings=self.timings.as_json())
        elif self.verbose:
            self._write("timings", self.timings.as_text(work=self.verbose > 1))

    def _write(self, event: str, shown: str, **facts: Any) -> None:
        from landslide_map.runtime.progress import stderr_line

        stderr_line(json.dumps({"event": event, **facts}, default=str) if self.as_json else shown)


class _Lines(logging.Handler):
    """Log records as lines between the progress bars."""

    show: Callable[[str], object] = staticmethod(lambda _: None)

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record."""
        self.show(record.getMessage())


@contextmanager
def _logging(shown: logging.Handler, path: Path | None) -> Iterator[None]:
    """Send log records to the display, and all of them to a file if one was named."""
    logger = logging.getLogger("landslide_map")
    handlers, level = [shown], logger.level
    if path is not None:
        try:
            file = logging.FileHandler(path, encoding="utf-8")
        except OSError as error:
            raise click.BadParameter(f"{path}: {error.strerror}", param_hint="--log-file") from None
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        handlers.append(file)
    logger.setLevel(logging.DEBUG if path is not None else shown.level)
    for handler in handlers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        logger.setLevel(level)
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()


@contextmanager
def _feedback(quiet: bool, verbose: int, as_json: bool, log_file: Path | None) -> Iterator[Console]:
    from landslide_map.runtime import progress, timings

    shown = _Lines()
    shown.setLevel(logging.WARNING - 10 * min(verbose, 2))
    with ExitStack() as display, _logging(shown, log_file), timings.collected() as spent:
        report: Report = progress.silent
        if as_json and not quiet:
            report = progress.json_lines(progress.stderr_line)
        elif not quiet:
            report = display.enter_context(progress.on_stderr())
        console = Console(report, spent, as_json, quiet, verbose, display.close, shown)
        shown.show = console.show
        try:
            yield console
        except click.exceptions.Exit:
            raise
        except (Exception, KeyboardInterrupt) as error:
            if not as_json:
                raise
            refusal = refusal_of(error)
            console._write(
                "failed", "", exit_status=refusal.exit_status, code=refusal.code, message=refusal.message
            )
            raise click.exceptions.Exit(refusal.exit_status) from error


def feedback(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of its display, and `console`, a :class:`Console`."""

    @click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
    @click.option(
        "-v", "--verbose", count=True, help="Log each step and show its seconds; -vv: also each kind of work."
    )
    @click.option(
        "--json-progress", is_flag=True, help="Write progress as JSON, one object per line, to stderr."
    )
    @click.option(
        "--log-file", type=click.Path(path_type=Path), help="Add the log of all steps to this file."
    )
    @functools.wraps(command)
    def with_feedback(
        *, quiet: bool, verbose: int, json_progress: bool, log_file: Path | None, **options: Any
    ) -> Any:
        with _feedback(quiet, verbose, json_progress, log_file) as console:
            return command(console=console, **options)

    return with_feedback
