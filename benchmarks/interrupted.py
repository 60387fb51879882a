"""Runs killed (SIGKILL) at random moments and resumed, compared to the byte with an undisturbed run.

``python -m benchmarks.interrupted [--kills 100] [--scene scene.yaml]`` prints JSON and a sentence.
One undisturbed run keeps its files. Then the same command is started and killed, again and again in
the same output folder: half of the times when it has spent so much CPU time, drawn evenly from what the
undisturbed run spent (a busy machine stretches wall time at random), half of the times as soon as it has kept
one more row of blocks, as most of a short run is spent before the first. When a run ends, every file but
``run.json`` must have the bytes of the undisturbed one, and a new folder is begun; so is it where a kill came
too late and ``run.json``, which comes last, is there already. Linux only: the CPU time of another
process is read from ``/proc``.
"""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

import click

from landslide_map.mapping.checkpoint import FOLDER
from landslide_map.products import FILES, MANIFEST
from tests.support.tall_scene import write_tall_scene

COMMAND = Path(sys.executable).with_name("landslide-map")
THRESHOLD = 1e-4
"""About the median probability on the scene of the tests: half of the map is outlined."""


class Process(Protocol):
    """As of ``subprocess.Popen``."""

    pid: int

    @property
    def returncode(self) -> int | None: ...
    def poll(self) -> int | None: ...
    def wait(self) -> int: ...
    def kill(self) -> None: ...


@dataclass
class Endurance:
    """Result of a run that was killed repeatedly."""

    run_cpu_seconds: float
    """CPU time of an undisturbed run."""
    rows: int
    """Rows of blocks of the scene."""
    kills: dict[str, int] = field(default_factory=dict)
    """Progress at the kill -> number of kills."""
    finished: int = 0
    """Runs that ended, all with the same bytes."""
    resumed: int = 0
    """Rows of blocks that these took from runs that were killed."""
    cpu_seconds: float = 0.0
    """Sum over all runs."""


def _start(arguments: Sequence[str]) -> Process:
    command = [str(COMMAND), *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def endure(
    arguments: Sequence[str],
    folder: Path,
    kills: int,
    seed: int = 0,
    start: Callable[[Sequence[str]], Process] = _start,
) -> Endurance:
    """Kill ``landslide-map arguments --out ...`` and compare what it ends with; results go below `folder`.

    `start` begins the command with all of its arguments.

    Raises
    ------
    AssertionError
        If a run fails, half of a result passes for a whole one, or a file has other bytes.
    """
    undisturbed = folder / "undisturbed"
    run = start(_words(arguments, undisturbed))
    spent = _until(run, lambda _: False)
    assert run.wait() == 0
    found = Endurance(spent, _rows(undisturbed)["predicted"], cpu_seconds=spent)
    expected = _content(undisturbed)
    draw = random.Random(seed)
    moments = [(k + draw.random()) / kills if k % 2 else None for k in range(kills)]
    draw.shuffle(moments)
    disturbed = False  # whether the run in the present folder was killed before
    while moments or disturbed:
        out = folder / str(found.finished)
        kept = _kept(out)
        run = start(_words(arguments, out))

        def due(spent: float, out: Path = out, kept: int = kept) -> bool:
            moment = moments[-1] if moments else math.inf
            return _kept(out) > kept if moment is None else spent >= moment * found.run_cpu_seconds

        spent = _until(run, due)
        found.cpu_seconds += spent
        if run.poll() is None:
            run.kill()
        if run.wait() == -signal.SIGKILL:
            moments.pop()
            disturbed = True
            reached = _reached(out)
            found.kills[reached] = found.kills.get(reached, 0) + 1
        else:  # it had less to do: the same moment once more, in a new folder
            assert run.returncode == 0
            if not disturbed:
                found.run_cpu_seconds = min(found.run_cpu_seconds, spent)
        if (out / MANIFEST).exists():
            assert _content(out) == expected
            found.resumed += _rows(out)["resumed"]
            found.finished += 1
            disturbed = False
    return found


def _words(arguments: Sequence[str], out: Path) -> list[str]:
    return ["run", *arguments, "--quiet", "--out", str(out)]


def _until(run: Process, due: Callable[[float], bool]) -> float:
    """Wait until a process ends or is `due` for what it has spent; return its CPU time by then, seconds."""
    spent = 0.0
    while run.poll() is None and not due(spent):
        time.sleep(0.002)
        with suppress(FileNotFoundError):  # it has ended
            spent = _cpu(run)
    return spent


def _content(out: Path) -> dict[str, bytes]:
    """Return every file of a result but ``run.json``, which holds the time."""
    return {n: (out / n).read_bytes() for n in FILES if n != MANIFEST and (out / n).exists()}


def _rows(out: Path) -> dict[str, int]:
    rows: dict[str, int] = json.loads((out / MANIFEST).read_text())["counts"]["rows_of_blocks"]
    return rows


def _reached(out: Path) -> str:
    """Say how far a killed run was."""
    if (out / MANIFEST).exists():
        return "result in place"
    if any(out.glob(f".landslide-map-stage-*/old/{FOLDER}")):
        return "putting the result in place"
    return f"{_kept(out)} rows kept"


def _kept(out: Path) -> int:
    return len(list(out.glob(f"{FOLDER}/row-*.npz")))


def _cpu(run: Process) -> float:
    """Return the CPU time that a process has spent so far, seconds."""
    after_name = Path(f"/proc/{run.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


@click.command()
@click.option("--scene", type=click.Path(exists=True, path_type=Path), help="Instead of a small one.")
@click.option("--kills", default=100, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(scene: Path | None, kills: int, seed: int) -> None:
    """Kill runs, start them again, compare."""
    with tempfile.TemporaryDirectory(prefix="landslide-map-benchmark-") as folder:
        scene = scene or write_tall_scene(Path(folder) / "scene")
        found = endure([str(scene), "--threshold", str(THRESHOLD)], Path(folder), kills, seed)
    click.echo(json.dumps(asdict(found), indent=1))
    listed = ", ".join(f"{count} with {stage}" for stage, count in sorted(found.kills.items()))
    click.echo(
        f"\n{kills} kills of a run of {found.run_cpu_seconds:.1f} CPU seconds over {found.rows} rows "
        f"of blocks: {listed}. All {found.finished} runs that ended have the bytes of the undisturbed one; "
        f"{found.resumed} rows of blocks were not predicted again."
    )


if __name__ == "__main__":
    main()
