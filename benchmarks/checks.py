"""Time of input checks, as a share of a whole run: an upper bound.

The stage "check inputs" also opens files and reads metadata, which no run can do without.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Final

import click
from rasterio.io import DatasetReader
from rasterio.windows import Window

from benchmarks import measured
from benchmarks.make_tile import make_tile
from benchmarks.suite import COMMAND
from landslide_map.check.check_scene import check_scene
from landslide_map.mapping.map_scene import CHECK

MOST: Final = 0.10
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


class Counted:
    """Pixels that are requested of files, and those of the blocks that are decoded for them."""

    def __init__(self) -> None:
        self._requested: dict[tuple[str, int], int] = defaultdict(int)
        self._blocks: dict[tuple[str, int], set[tuple[int, int]]] = defaultdict(set)
        self._bands: dict[tuple[str, int], tuple[int, int]] = {}
        self._lock = Lock()

    def add(self, dataset: DatasetReader, index: int, window: Window, requested: int) -> None:
        """Take one read of one band."""
        rows, cols = dataset.block_shapes[index - 1]
        top, left = int(window.row_off), int(window.col_off)
        with self._lock:
            key = (dataset.name, index)
            self._bands[key] = (dataset.width * dataset.height, rows * cols)
            self._requested[key] += requested
            self._blocks[key] |= {
                (row, col)
                for row in range(top // rows, int(top + window.height - 1) // rows + 1)
                for col in range(left // cols, int(left + window.width - 1) // cols + 1)
            }

    @property
    def shares(self) -> tuple[float, float]:
        """Return the pixels requested, and those decoded, as shares of those of all files that were read."""
        whole = sum(pixels for pixels, _ in self._bands.values())
        decoded = sum(
            min(len(self._blocks[key]) * block, pixels) for key, (pixels, block) in self._bands.items()
        )
        return sum(self._requested.values()) / whole, decoded / whole


@contextmanager
def counted_pixels() -> Iterator[Counted]:
    """Count what rasterio reads meanwhile, in this process; a block that is decoded twice counts once."""
    found, read = Counted(), DatasetReader.read

    def counting(self: DatasetReader, index: Any = None, *given: Any, **how: Any) -> Any:
        pixels = read(self, index, *given, **how)
        if isinstance(index, int):
            found.add(self, index, how.get("window") or Window(0, 0, self.width, self.height), pixels.size)
        return pixels

    DatasetReader.read = counting
    try:
        yield found
    finally:
        DatasetReader.read = read


@click.command()
@click.option("--size", default=10980, show_default=True, help="Edge of the tile, pixels.")
@click.option("--folder", type=click.Path(path_type=Path), help="Keep the tile here and use the one that is.")
def main(size: int, folder: Path | None) -> None:
    """Map a simulated tile once and print what its checks took."""
    with tempfile.TemporaryDirectory(prefix="landslide-map-checks-") as temporary:
        scene = make_tile((folder or Path(temporary)) / str(size), size)
        measured.in_page_cache(list(scene.parent.glob("*.tif")), True)
        with counted_pixels() as counted:
            began = time.process_time()
            check_scene(scene)
            seconds = time.process_time() - began
        out = Path(temporary) / "results"
        measured.run([COMMAND, "run", scene, "--quiet", "--out", out])
        found = shares(json.loads((out / "run.json").read_text())["timings"])
    click.echo(
        f"{size} x {size}, COG, stride 64: checks of inputs {found['seconds']:.1f} s, "
        f"{found['of_seconds']:.1%} of the run; {found['cpu_seconds']:.1f} CPU s, "
        f"{found['of_cpu_seconds']:.1%}"
    )
    requested, decoded = counted.shares
    click.echo(
        f"check: {seconds:.1f} CPU s; requests {requested:.2%} of the pixels of its files, whose blocks hold "
        f"{decoded:.1%}"
    )
    raise SystemExit(found["of_cpu_seconds"] > MOST)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.checks")
