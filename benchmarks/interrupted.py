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
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click

from landslide_map.mapping.checkpoint import FOLDER
from landslide_map.products import FILES, MANIFEST
from tests.support.tall_scene import write_tall_scene

COMMAND = Path(sys.executable).with_name("landslide-map")
THRESHOLD = 1e-4
"""About the median probability on the scene of the tests: half of the map is outlined."""


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


def endure(arguments: Sequence[str], folder: Path, kills: int, seed: int = 0) -> Endurance:
    """Kill ``landslide-map arguments --out ...`` and compare what it ends with; results go below `folder`.

    Raises
    ------
    AssertionError
        If a run fails, half of a result passes for a whole one, or a file has other bytes.
    """
    begin = _children_cpu()
    undisturbed = folder / "undisturbed"
    assert _start(arguments, undisturbed).wait() == 0
    found = Endurance(_children_cpu() - begin, _rows(undisturbed)["predicted"])
    expected = _content(undisturbed)
    draw = random.Random(seed)
    moments = [(k + draw.random()) / kills if k % 2 else None for k in range(kills)]
    draw.shuffle(moments)
    disturbed = False  # whether the run in the present folder was killed before
    while moments or disturbed:
        out = folder / str(found.finished)
        used, kept = _children_cpu(), _kept(out)
        run = _start(arguments, out)
        while run.poll() is None and not (
            moments
            and (
                _kept(out) > kept if moments[-1] is None else _cpu(run) >= moments[-1] * found.run_cpu_seconds
            )
        ):
            time.sleep(0.002)
        if run.returncode is None:
            run.kill()
        if run.wait() == -signal.SIGKILL:
            moments.pop()
            disturbed = True
            reached = _reached(out)
            found.kills[reached] = found.kills.get(reached, 0) + 1
        else:  # it had less to do: the same moment once more, in a new folder
            assert run.returncode == 0
            if not disturbed:
                found.run_cpu_seconds = min(found.run_cpu_seconds, _children_cpu() - used)
        if (out / MANIFEST).exists():
            assert _content(out) == expected
            found.resumed += _rows(out)["resumed"]
            found.finished += 1
            disturbed = False
    found.cpu_seconds = _children_cpu() - begin
    return found


def _start(arguments: Sequence[str], out: Path) -> subprocess.Popen[bytes]:
    command = [str(COMMAND), "run", *arguments, "--quiet", "--out", str(out)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


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


def _cpu(run: subprocess.Popen[bytes]) -> float:
    """Return the CPU time that a child, not yet waited for, has spent so far."""
    after_name = Path(f"/proc/{run.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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
