"""Progress reports of a run: every figure against a clock that the test moves by hand."""

from __future__ import annotations

import json

import pytest

from landslide_map.runtime.progress import Report, Stage, bars, counter, json_lines, plain_lines, step

WINDOWS = Stage("classify windows", "windows")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def reported(report: Report, clock: Clock, *moments: tuple[float, int], total: int = 1000) -> None:
    for seconds, done in moments:
        clock.now = 100.0 + seconds
        report(WINDOWS, done, total)


def test_a_plain_line_gives_share_rate_and_remaining_time() -> None:
    lines: list[str] = []
    clock = Clock()
    reported(plain_lines(lines.append, clock), clock, (0, 0), (2, 50), (10, 250), (40, 1000))
    assert lines == [
        "classify windows: 25 % (250 of 1,000 windows, 25 windows/s, about 30 s left)",
        "classify windows: 100 % (1,000 windows in 40.0 s, 25 windows/s)",
    ]


def test_plain_lines_come_less_often_the_longer_a_stage_takes() -> None:
    lines: list[str] = []
    clock = Clock()
    moments = [(float(second), second) for second in range(10_001)]
    reported(plain_lines(lines.append, clock), clock, *moments, total=10_001)
    first_minute = [line for line in lines if int(line.split("(")[1].split(" ")[0].replace(",", "")) <= 60]
    assert 5 <= len(first_minute) <= 12
    assert 150 <= len(lines) <= 250  # one a minute later on


def test_a_stage_that_goes_on_from_half_way_is_timed_from_there() -> None:
    lines: list[str] = []
    clock = Clock()
    reported(plain_lines(lines.append, clock), clock, (0, 600), (10, 700))
    reported(plain_lines(lines.append, clock), clock, (0, 0), (0.2, 300), (0.4, 600), (10, 700))
    assert lines == ["classify windows: 70 % (700 of 1,000 windows, 10 windows/s, about 30 s left)"] * 2


def test_a_stage_that_comes_again_and_again_does_not_flood_the_log() -> None:
    lines: list[str] = []
    clock = Clock()
    report = plain_lines(lines.append, clock)
    for turn in range(100):
        reported(report, clock, (turn * 0.1, 0), (turn * 0.1 + 0.05, 1000))
    assert 2 <= len(lines) <= 4
    assert "in 0.1 s" in lines[0] or "in 0.0 s" in lines[0]


def test_a_step_says_how_long_it_took() -> None:
    lines: list[str] = []
    clock = Clock()
    with step(plain_lines(lines.append, clock), Stage("check inputs")):
        clock.now += 1.5
    assert lines == ["check inputs: 1.5 s"]


def test_machines_get_first_last_and_at_most_one_a_second() -> None:
    lines: list[str] = []
    clock = Clock()
    reported(
        json_lines(lines.append, clock), clock, (0, 0), (0.75, 1), (0.9, 2), (1.25, 50), (1.5, 60), (2, 1000)
    )
    lines_read = [json.loads(line) for line in lines]
    assert [(one["done"], one["elapsed_seconds"]) for one in lines_read] == [(0, 0), (50, 1.25), (1000, 2)]
    assert lines_read[0]["rate"] is None
    assert lines_read[0]["remaining_seconds"] is None
    assert lines_read[1] == {
        "event": "progress",
        "stage": "classify windows",
        "done": 50,
        "total": 1000,
        "unit": "windows",
        "rate": 40.0,
        "remaining_seconds": 23.75,
        "elapsed_seconds": 1.25,
    }
    assert lines_read[2]["remaining_seconds"] == 0


def test_a_stage_without_a_unit_has_no_count() -> None:
    lines: list[str] = []
    json_lines(lines.append, Clock())("training", 0, 7)
    assert json.loads(lines[0])["unit"] is None


def test_bars_show_rate_and_start_again_with_a_stage(capsys: pytest.CaptureFixture[str]) -> None:
    with bars() as report:
        tick = counter(report, WINDOWS, 40)
        tick(40)
        report(WINDOWS, 0, 80)
        report(WINDOWS, 20, 80)
    shown = capsys.readouterr().err.replace("\n", "\r").split("\r")
    assert any("40/40" in line and "windows/s" in line for line in shown)
    assert any("20/80" in line and "25%" in line for line in shown)
