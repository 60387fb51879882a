"""Memory and CPU time of a few rows of blocks under several memory plans, as estimated and as measured.

``python -m benchmarks.memory SCENE`` predicts rows of blocks from the middle of a scene with the default
bundle, each time in a new process, and prints a table. The costs in
:mod:`landslide_map.mapping.memory_plan` come from it.
"""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from pathlib import Path

import click

from benchmarks import measured
from landslide_map.runtime.byte_size import MIB


@click.command()
@click.argument("scene", type=click.Path(exists=True, path_type=Path))
@click.option("--stride", default=64, show_default=True)
@click.option("--rows", default=2, show_default=True, help="Rows of blocks.")
@click.option("--threads", "counts", multiple=True, type=int, default=(1, 2), show_default=True)
@click.option("--cache", "caches", multiple=True, type=int, default=(32, 256), show_default=True, help="MiB.")
@click.option("--ahead/--not-ahead", default=True, show_default=True)
@click.option("--inside", is_flag=True, hidden=True)
def main(
    scene: Path, stride: int, rows: int, counts: tuple[int], caches: tuple[int], ahead: bool, inside: bool
) -> None:
    """Predict rows of blocks of SCENE under every memory plan that the options make."""
    if inside:
        click.echo(json.dumps(predicted(scene, stride, rows, counts[0], caches[0], ahead)))
        return
    click.echo("| threads | cache, MiB | needed, MiB | peak, MiB | CPU s |\n|---|---|---|---|---|")
    for threads in counts:
        for cache in caches:
            command = [sys.executable, "-m", "benchmarks.memory", scene, "--stride", stride, "--rows", rows]
            command += ["--threads", threads, "--cache", cache, "--inside"]
            found = json.loads(measured.run([*command, "--ahead" if ahead else "--not-ahead"])[1])
            sizes = " | ".join(f"{found[key] / MIB:.0f}" for key in ("needed", "peak"))
            click.echo(f"| {threads} | {cache} | {sizes} | {found['cpu_seconds']:.1f} |")


def predicted(scene: Path, stride: int, rows: int, threads: int, cache: int, ahead: bool) -> dict[str, float]:
    """Predict rows of blocks in this process; return the memory estimated, and memory and time measured."""
    from landslide_map.inference.rows import predict_rows
    from landslide_map.inputs.open_inputs import open_inputs
    from landslide_map.mapping.memory_plan import estimate_memory, needed, with_heap_trimmed
    from landslide_map.models.bundle.load import load_bundle
    from landslide_map.runtime.memory_limit import MemoryPlan, memory_limited_to
    from landslide_map.runtime.process_memory import peak_memory, resident_memory
    from landslide_map.scene.model import load_scene
    from landslide_map.windows import plan_windows

    memory = MemoryPlan(cache * MIB, threads, ahead)
    settings, bundle = load_scene(scene), load_bundle()
    with memory_limited_to(MemoryPlan(32 * MIB, 1)):  # so that the peak is that of prediction
        inputs = open_inputs(settings)
    plan = plan_windows(inputs.grid.shape, stride)
    first = (len(plan.block_rows) - rows) // 2
    predictor = with_heap_trimmed(
        partial(predict_rows, inputs, bundle, plan, settings.min_valid_fraction, read_ahead=ahead)
    )
    resident, begin = resident_memory() or 0, time.process_time()
    with memory_limited_to(memory):
        for _ in predictor(range(first, first + rows), lambda _: None):
            pass
    return {
        "needed": needed(memory, estimate_memory(load_bundle(), plan).of_rows(), resident),
        "peak": peak_memory() or 0,
        "cpu_seconds": time.process_time() - begin,
    }


if __name__ == "__main__":
    main()
