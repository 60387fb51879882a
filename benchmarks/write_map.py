"""Time and memory of writing the map of a full tile, from windows that no image was needed for.

``python -m benchmarks.write_map [--stride 64 --stride 16]`` makes up the windows of a tile (smooth noise, so
that landslides have the sizes of real ones; a third of the scene by another scenario; clouds, and a corner
without data) and writes every file of the map, each stride in a process of its own. It prints JSON and a
Markdown table. Memory of writing is the peak of the process less what was resident before, when libraries
were loaded and the windows made up.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import numpy as np
from rasterio.crs import CRS
from scipy import ndimage

from landslide_map.grid import Grid
from landslide_map.products.write_map import write_map
from landslide_map.reasons import Reason
from landslide_map.runtime import timings
from landslide_map.runtime.process_memory import peak_memory
from landslide_map.window_record import WindowRecord
from landslide_map.windows import WindowPlan, plan_windows

SCENARIOS, MEMBERS, GROUPS = 13, 28, 3
"""Numbers of the default bundle's scenarios and members, and of sensor groups."""
CORNER = (300000, 2700000)
SMALL = 200
"""Edge of the map that is written before anything is measured, pixels."""


def simulated_record(plan: WindowPlan, seed: int = 0) -> WindowRecord:
    """Return windows as a run of the default bundle might predict them: 2 % of them are landslides."""
    rng = np.random.default_rng(seed)
    shape = plan.grid_shape
    row, col = (np.arange(n) / n for n in shape)
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), 64 / plan.stride)
    cloud = ndimage.gaussian_filter(rng.standard_normal(shape), 320 / plan.stride)
    probability = np.clip(0.2 + 0.13 * noise / noise.std() + 0.02 * rng.standard_normal(shape), 0, 1)
    reason = np.full(shape, Reason.ANALYSED, dtype=np.uint8)
    reason[cloud > 1.3 * cloud.std()] = Reason.SNOW_OR_CLOUD
    reason[row[:, None] + col < 0.4] = Reason.NO_DATA
    analysed = reason == Reason.ANALYSED
    probability[~analysed] = np.nan
    scenario = np.where(analysed, np.where(col > 2 / 3, 1, 0), -1).astype(np.int8)
    return WindowRecord(
        probability=probability,
        threshold=np.where(analysed, np.array([0.47, 0.5])[scenario], np.nan),
        scenario=scenario,
        reason=reason,
        member_probability=np.repeat(probability[..., np.newaxis], MEMBERS, axis=-1),
        valid_fraction=np.ones((*shape, GROUPS)),
        scenarios=tuple(f"scenario {i}" for i in range(SCENARIOS)),
        members=tuple(f"member {i}" for i in range(MEMBERS)),
        groups=tuple(f"group {i}" for i in range(GROUPS)),
    )


def write(folder: Path, record: WindowRecord, plan: WindowPlan) -> int:
    """Write a map into a new folder; return the number of landslides."""
    (left, top), (height, width) = CORNER, plan.shape
    grid = Grid.covering(CRS.from_epsg(32651), (left, top - 10 * height, left + 10 * width, top))
    dates = {"event_time": datetime(2024, 4, 2, 23, 58, tzinfo=UTC)}
    folder.mkdir()
    with timings.stage("write map"):
        found, _ = write_map(folder, record, plan, grid, dates=dates, tags={"software": "benchmark"})
    return found


def resident() -> int:
    """Return the bytes of this process that are in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measured(size: int, stride: int) -> dict[str, Any]:
    """Write one map in this process and return what it took."""
    small, plan = (plan_windows((edge, edge), stride) for edge in (SMALL, size))
    with tempfile.TemporaryDirectory(prefix="landslide-map-benchmark-") as name:
        folder = Path(name)
        write(folder / "small", simulated_record(small), small)  # loads and compiles what writing needs
        before = resident()
        record = simulated_record(plan)
        held = resident()
        with timings.collected() as spent:
            found = write(folder / "full", record, plan)
        peak = peak_memory() or 0
        files = {path.name: path.stat().st_size for path in sorted((folder / "full").iterdir())}
    return {
        "stride": stride,
        "windows": plan.count,
        "landslides": found,
        "seconds": spent.stages["write map"].seconds,
        "cpu_seconds": spent.stages["write map"].cpu_seconds,
        "libraries_bytes": before,
        "record_bytes": held - before,
        "writing_bytes": peak - held,
        "files": files,
    }


@click.command()
@click.option("--size", default=10980, show_default=True, help="Edge of the tile, pixels.")
@click.option("--stride", "strides", multiple=True, default=(64, 16), show_default=True)
@click.option("--here", is_flag=True, help="Measure the first stride in this process and print JSON only.")
def main(size: int, strides: tuple[int, ...], here: bool) -> None:
    """Write the map of a simulated tile at each stride."""
    if here:
        click.echo(json.dumps(measured(size, strides[0])))
        return
    runs = []
    for stride in strides:
        command = [
            sys.executable,
            "-m",
            "benchmarks.write_map",
            "--here",
            f"--size={size}",
            f"--stride={stride}",
        ]
        runs.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
    click.echo(json.dumps({"cores": os.cpu_count(), "runs": runs}, indent=1))
    click.echo(
        f"\n| {size} x {size} | landslides | wall s | CPU s | MB of windows | MB of writing | MB of files |"
    )
    click.echo("|---" * 7 + "|")
    for run in runs:
        record, writing = (run[name] / 1e6 for name in ("record_bytes", "writing_bytes"))
        click.echo(
            f"| stride {run['stride']}: {run['windows']:,} windows | {run['landslides']:,} "
            f"| {run['seconds']:.1f} | {run['cpu_seconds']:.1f} | {record:.0f} | {writing:.0f} "
            f"| {sum(run['files'].values()) / 1e6:.0f} |"
        )


if __name__ == "__main__":
    main()
