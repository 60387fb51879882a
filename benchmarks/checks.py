"""Time that checks of inputs take, as a share of a whole run: an upper bound of what checks add.

The stage "check inputs" also opens files and reads metadata, which no run can do without.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, Final

import click

from benchmarks import measured
from benchmarks.make_tile import make_tile
from benchmarks.suite import COMMAND
from landslide_map.mapping.map_scene import CHECK

MOST: Final = 0.05
"""Share of a run that checks may take."""


def shares(timings: dict[str, Any]) -> dict[str, float]:
    """Return seconds of the checks and of the run, and the share, of the ``timings`` of a ``run.json``.

    >>> spent = {"check inputs": {"seconds": 2.0, "cpu_seconds": 1.5}}
    >>> shares({"seconds": 40.0, "cpu_seconds": 60.0, "stages": spent})
    {'seconds': 2.0, 'of_seconds': 0.05, 'cpu_seconds': 1.5, 'of_cpu_seconds': 0.025}
    """
    checks = timings["stages"][CHECK]
    found = {}
    for key in ("seconds", "cpu_seconds"):
        found[key] = checks[key]
        found[f"of_{key}"] = checks[key] / timings[key]
    return found


@click.command()
@click.option("--size", default=10980, show_default=True, help="Edge of the tile, pixels.")
@click.option("--folder", type=click.Path(path_type=Path), help="Keep the tile here and use the one that is.")
def main(size: int, folder: Path | None) -> None:
    """Map a simulated tile once and print what its checks took."""
    with tempfile.TemporaryDirectory(prefix="landslide-map-checks-") as temporary:
        scene = make_tile((folder or Path(temporary)) / str(size), size)
        measured.in_page_cache(list(scene.parent.glob("*.tif")), True)
        out = Path(temporary) / "results"
        measured.run([COMMAND, "run", scene, "--quiet", "--out", out])
        found = shares(json.loads((out / "run.json").read_text())["timings"])
    click.echo(
        f"{size} x {size}, COG, stride 64: checks of inputs {found['seconds']:.1f} s, "
        f"{found['of_seconds']:.1%} of the run; {found['cpu_seconds']:.1f} CPU s, "
        f"{found['of_cpu_seconds']:.1%}"
    )
    raise SystemExit(found["of_cpu_seconds"] > MOST)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.checks")
