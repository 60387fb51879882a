"""Telling whoever watches how far a run is: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tqdm import tqdm

Report = Callable[[str, int, int], None]
"""Called as ``report(stage, done, total)``; `done` starts at 0 and ends at `total`."""

LINES_PER_STAGE = 10


def silent(stage: str, done: int, total: int) -> None:
    """Report nothing: the default of the library."""


def counter(report: Report, stage: str, total: int) -> Callable[[int], None]:
    """Return a function that is told of what was done since its last call, and reports the sum."""
    done = 0
    report(stage, 0, total)

    def tick(more: int) -> None:
        nonlocal done
        done += more
        report(stage, done, total)

    return tick


@contextmanager
def on_stderr() -> Iterator[Report]:
    """Yield a `Report` that draws a bar on a terminal and prints plain lines otherwise."""
    if sys.stderr.isatty():
        bars: dict[str, tqdm] = {}

        def draw(stage: str, done: int, total: int) -> None:
            bar = bars.get(stage)
            if bar is None:
                bar = bars[stage] = tqdm(desc=stage, total=total, leave=True)
            bar.update(done - bar.n)
            if done >= total:
                bar.close()

        try:
            yield draw
        finally:
            for bar in bars.values():
                bar.close()
    else:
        yield _plain_lines()


def _plain_lines() -> Report:
    started: dict[str, float] = {}
    printed: dict[str, int] = {}

    def line(stage: str, done: int, total: int) -> None:
        begin = started.setdefault(stage, time.monotonic())
        step = LINES_PER_STAGE if total <= 0 else done * LINES_PER_STAGE // total
        if printed.get(stage, -1) < step:
            printed[stage] = step
            share = 100 if total <= 0 else 100 * done // total
            print(f"{stage}: {share} % ({time.monotonic() - begin:.1f} s)", file=sys.stderr, flush=True)

    return line


@dataclass
class Stopwatch:
    """Wall-clock seconds of named stages, in order."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time spent inside to stage `name`."""
        begin = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - begin
