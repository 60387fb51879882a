"""The compact recipe on simulated events: train on some, test on others, on two CPU cores.

``python -m benchmarks.compact_network [--out FOLDER]`` prints one JSON object. Simulated figures are not real
accuracy. They show that windows, labels, learning, bundle and scoring fit together, and how long it takes.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pandas as pd
import torch

from landslide_map.datasets.cut_windows import LabelRule, cut_windows
from landslide_map.datasets.joined import read_training_data
from landslide_map.inference.score import score
from landslide_map.metrics import UNIT, scores
from landslide_map.training.windows.train import train
from sample_scenes.make_scene import make_scene

LEARNED, UNSEEN = (101, 102, 103), (201, 202)
"""Seeds of the simulated events."""
SIZE = 512
THREADS = 2


@contextmanager
def measured(seconds: dict[str, dict[str, float]], stage: str) -> Iterator[None]:
    """Add wall-clock and CPU seconds of a stage."""
    begin, own = time.perf_counter(), time.process_time()
    yield
    seconds[stage] = {"wall": time.perf_counter() - begin, "cpu": time.process_time() - own}


def cut(scene: Path, stride: int, rule: LabelRule, name: str) -> Path:
    """Cut the windows of a simulated event by its true outlines."""
    out = scene.with_name(name)
    cut_windows(scene, scene.with_name("landslides_truth.gpkg"), out, stride=stride, rule=rule, name=name)
    return out


def evaluated(bundle: Path, folders: list[Path]) -> dict[str, Any]:
    """Score windows that the bundle has never seen."""
    data = read_training_data(folders)
    table: pd.DataFrame = score(data.windows, bundle, device="cpu")
    return scores(data.labels, table["probability"].to_numpy(), (table["landslide"] == 1).to_numpy())


def measure(folder: Path) -> dict[str, Any]:
    """Simulate, cut, learn and evaluate; return every figure."""
    seconds: dict[str, dict[str, float]] = {}
    with measured(seconds, "simulate"):
        scenes = {seed: make_scene(folder / str(seed), seed=seed, size=SIZE) for seed in LEARNED + UNSEEN}
    with measured(seconds, "cut windows"):
        learned = [cut(scenes[seed], 32, LabelRule(), f"learned-{seed}") for seed in LEARNED]
        clear = [cut(scenes[seed], 64, LabelRule(), f"clear-{seed}") for seed in UNSEEN]
        every = [cut(scenes[seed], 64, LabelRule(between="positive"), f"every-{seed}") for seed in UNSEEN]
    data = read_training_data(learned)
    with measured(seconds, "train"):
        train(
            data.windows,
            data.labels,
            folder / "bundle",
            recipe="compact",
            origin=data.origin,
            device="cpu",
            provenance=data.provenance,
        )
    return {
        "unit": UNIT,
        "warning": "simulated scenes: these figures are not real accuracy",
        "threads": THREADS,
        "training_windows": len(data.labels),
        "seconds": seconds,
        "unseen_scenes": evaluated(folder / "bundle", clear),
        "unseen_scenes_with_every_slide_however_small": evaluated(folder / "bundle", every),
    }


@click.command()
@click.option("--out", type=click.Path(path_type=Path), help="Keep scenes, windows and bundle there.")
def main(out: Path | None) -> None:
    """Print one JSON object."""
    torch.set_num_threads(THREADS)
    if out is not None:
        figures = measure(out)
    else:
        with tempfile.TemporaryDirectory(prefix="landslide-map-benchmark-") as folder:
            figures = measure(Path(folder))
    click.echo(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
