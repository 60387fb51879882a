"""Progress reporting: terminal bars, log lines or JSON lines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from tqdm import tqdm

Report = Callable[[str, int, int], None]
"""Called as ``report(stage, done, total)``; `done` starts at 0 and ends at `total`."""

JSON_EVERY_S: Final = 1.0
"""Seconds between two JSON lines of a stage; its first and its last are always written."""
LINE_EVERY_S: Final = (5.0, 60.0)
"""Least and greatest pause between two plain lines of a stage, seconds: a tenth of the time gone by."""
RESUMED_S: Final = 0.5
"""Seconds after the start of a stage: work done by then is from an interrupted run."""


class Stage(str):
    """Name of a stage that also says what is counted in it, e.g. ``Stage("classify windows", "windows")``.

    A stage of one step has the total 1 and no unit.
    """

    unit: str

    def __new__(cls, name: str, unit: str = "") -> Stage:  # noqa: D102
        stage = super().__new__(cls, name)
        stage.unit = unit
        return stage


@dataclass(frozen=True, slots=True)
class Standing:
    """Progress of a stage."""

    stage: str
    unit: str
    done: int
    total: int
    elapsed: float
    """Seconds since the stage began."""
    rate: float | None
    """Units per second since the stage began; None while nothing is done."""

    @property
    def remaining(self) -> float | None:
        """Seconds at this rate until the stage ends; None while unknown."""
        return (self.total - self.done) / self.rate if self.rate else None

    @property
    def ended(self) -> bool:
        """Whether all is done."""
        return self.done >= self.total


@dataclass
class Watch:
    """Reads the clock at each report."""

    clock: Callable[[], float] = time.monotonic
    _began: dict[str, float] = field(default_factory=dict)
    _first: dict[str, int] = field(default_factory=dict)
    _latest: dict[str, int] = field(default_factory=dict)

    def standing(self, stage: str, done: int, total: int) -> Standing:
        """Return how far `stage` is; one that falls back, or begins half done, is timed from there."""
        now = self.clock()
        if done < self._latest.get(stage, done + 1):
            self._began[stage], self._first[stage] = now, done
        self._latest[stage] = done
        elapsed = now - self._began[stage]
        if elapsed < RESUMED_S and done < total:
            self._first[stage] = done
        worked = done - self.first(stage)
        rate = worked / elapsed if worked > 0 and elapsed > 0 else None
        return Standing(stage, getattr(stage, "unit", ""), done, total, elapsed, rate)

    def first(self, stage: str) -> int:
        """Return how much of `stage` was done before."""
        return self._first[stage]


def silent(stage: str, done: int, total: int) -> None:
    """Report nothing: the default of the library."""


def counter(report: Report, stage: str, total: int) -> Callable[[int], None]:
    """Return a function that takes the amount done since its last call and reports the sum."""
    done = 0
    report(stage, 0, total)

    def tick(more: int) -> None:
        nonlocal done
        done += more
        report(stage, done, total)

    return tick


@contextmanager
def step(report: Report, stage: str) -> Iterator[None]:
    """Report the block as a stage that cannot be divided."""
    report(stage, 0, 1)
    yield
    report(stage, 1, 1)


@contextmanager
def bars() -> Iterator[Report]:
    """Yield a `Report` that draws one bar on the terminal for each stage."""
    drawn: dict[str, tqdm] = {}
    watch = Watch()

    def draw(stage: str, done: int, total: int) -> None:
        now = watch.standing(stage, done, total)
        bar = drawn.get(stage)
        if bar is None:
            layout = None if total > 1 or now.unit else "{desc}: {elapsed}"
            # Rates since the beginning: windows come in bursts, and a smoothed rate would jump with them.
            bar = drawn[stage] = tqdm(
                desc=stage, total=total, unit=f" {now.unit}", smoothing=0, bar_format=layout
            )
        elif done < bar.n:
            bar.reset(total)
        bar.initial = watch.first(stage)
        bar.update(done - bar.n)
        if done >= total:
            bar.refresh()

    try:
        yield draw
    finally:
        for bar in drawn.values():
            bar.close()


def plain_lines(write: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> Report:
    """Return a `Report` that now and then writes a line: share done, rate, time that remains."""
    watch = Watch(clock)
    last_written: dict[str, float] = {}
    finished: set[str] = set()

    def line(stage: str, done: int, total: int) -> None:
        now = watch.standing(stage, done, total)
        pause = min(max(LINE_EVERY_S[0], now.elapsed / 10), LINE_EVERY_S[1])
        due = clock() - last_written.setdefault(stage, clock()) >= pause
        # A stage may come again and again, as a network's does for every few windows.
        if due or (now.ended and stage not in finished):
            last_written[stage] = clock()
            write(_sentence(now))
        if now.ended:
            finished.add(stage)

    return line


def json_lines(write: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> Report:
    """Return a `Report` that writes one JSON object a line, at most one a second for each stage."""
    watch = Watch(clock)
    last_written: dict[str, float] = {}

    def line(stage: str, done: int, total: int) -> None:
        now = watch.standing(stage, done, total)
        if 0 < now.elapsed < last_written.get(stage, 0.0) + JSON_EVERY_S and not now.ended:
            return
        last_written[stage] = now.elapsed
        write(
            json.dumps(
                {
                    "event": "progress",
                    "stage": str(now.stage),
                    "done": now.done,
                    "total": now.total,
                    "unit": now.unit or None,
                    "rate": _rounded(now.rate),
                    "remaining_seconds": _rounded(now.remaining),
                    "elapsed_seconds": _rounded(now.elapsed),
                }
            )
        )

    return line


@contextmanager
def on_stderr() -> Iterator[Report]:
    """Yield a `Report` that draws bars on a terminal and writes plain lines otherwise."""
    if sys.stderr.isatty():
        with bars() as report:
            yield report
    else:
        yield plain_lines(stderr_line)


def stderr_line(text: str) -> None:
    """Write a line to standard error at once, between bars if there are any."""
    with tqdm.external_write_mode(sys.stderr):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def duration(seconds: float) -> str:
    """Return a time as text.

    >>> duration(40), duration(160), duration(11000), duration(1e6)
    ('about 40 s', 'about 3 min', 'about 3 h 3 min', 'about 12 days')
    """
    if seconds < 100:
        return f"about {seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"about {minutes} min"
    if minutes < 4 * 24 * 60:
        return f"about {minutes // 60} h {minutes % 60} min"
    return f"about {minutes / (24 * 60):.0f} days"


def _sentence(now: Standing) -> str:
    if now.total <= 1 and not now.unit:
        return f"{now.stage}: {now.elapsed:.1f} s"
    share = 100 if now.total <= 0 else 100 * now.done // now.total
    unit = f" {now.unit}" if now.unit else ""
    pace = "" if now.rate is None else f", {_speed(now.rate)}{unit}/s"
    if now.ended:
        return f"{now.stage}: {share} % ({now.total:,}{unit} in {now.elapsed:.1f} s{pace})"
    left = "" if now.remaining is None else f", {duration(now.remaining)} left"
    return f"{now.stage}: {share} % ({now.done:,} of {now.total:,}{unit}{pace}{left})"


def _speed(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
