"""The first run on a machine, with nothing compiled, beside later ones.

``python -m benchmarks.first_run [--repeats 3]`` maps the sample scene with default options by the installed
command, with a new empty cache of compiled loops, then with the full one. It prints wall and CPU seconds.
The files of the map must be alike.
"""

from __future__ import annotations

import filecmp
import sys
import tempfile
from pathlib import Path

import click

from benchmarks.measured import Measured, run

SCENE = Path(__file__).parents[1] / "sample_scenes" / "simulated_event" / "scene.yaml"
COMMAND = Path(sys.executable).with_name("landslide-map")
ALIKE = ("probability.tif", "class.tif", "outline_probability.tif")


def first_and_later(scene: Path) -> tuple[Measured, Measured]:
    """Return what a run took with an empty cache, and again with the full one."""
    with tempfile.TemporaryDirectory() as folder:
        cache, first, later = (Path(folder, name) for name in ("cache", "first", "later"))
        command = ["env", f"NUMBA_CACHE_DIR={cache}", COMMAND, scene, "--out"]
        measured = run([*command, first])[0], run([*command, later])[0]
        alike, *_ = filecmp.cmpfiles(first, later, ALIKE, shallow=False)
        if different := set(ALIKE) - set(alike):
            raise click.ClickException(f"the runs differ in {', '.join(different)}")
    return measured


@click.command()
@click.argument("scene", type=click.Path(path_type=Path, exists=True), default=SCENE)
@click.option("--repeats", type=click.IntRange(1), default=1, show_default=True, help="The quickest counts.")
def main(scene: Path, repeats: int) -> None:
    """Print what the first run and a later one of SCENE take."""
    found = [first_and_later(scene) for _ in range(repeats)]
    print("| run | wall s | CPU s | load average before |\n|---|---|---|---|")
    for name, runs in zip(("first", "later"), zip(*found, strict=True), strict=True):
        best = min(runs, key=lambda one: one.seconds)
        print(f"| {name} | {best.seconds:.1f} | {best.cpu_seconds:.1f} | {best.load_average:.1f} |")


if __name__ == "__main__":
    main()
