"""What leaving votes unasked saves and loses: two boosters and the compact network on few landslides.

``python -m benchmarks.cascade [--out FOLDER]`` prints one JSON object: simulate events, cut their windows,
train two boosters and the compact network on them, in folds of whole events, which gives the cascade its
evidence; map two unseen events fully, with ``--exact-early-exit``, with ``--cascade``, and with both. Passes
are forward passes of the network: windows x folds x flips. Simulated figures are not real accuracy.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
import xarray as xr

from benchmarks.compact_network import THREADS, cut, measured
from landslide_map.cut_windows import LabelRule
from landslide_map.metrics import LEVEL
from landslide_map.models.bundle import load_bundle
from landslide_map.models.networks import FLIPS
from landslide_map.pipeline import map_scene
from landslide_map.training.recipe import recipe_content
from landslide_map.training.train_windows import train
from landslide_map.training.training_data import read_training_data
from landslide_map.training.window_recipe import WindowRecipe
from sample_scenes.make_scene import SLIDES_PER_KM2, make_scene

STRIDE = 32
MODES: dict[str, dict[str, bool]] = {
    "full": {},
    "exact early exit": {"exact_early_exit": True},
    "cascade": {"cascade": True},
    "both": {"exact_early_exit": True, "cascade": True},
}


@dataclass(frozen=True)
class Event:
    """One simulated event."""

    seed: int
    slides_per_km2: float = SLIDES_PER_KM2
    size: int = 512

    def make(self, folder: Path) -> Path:
        """Simulate it; return its scene."""
        return make_scene(
            folder / str(self.seed), seed=self.seed, size=self.size, slides_per_km2=self.slides_per_km2
        )


LEARNED = (*(Event(seed) for seed in range(101, 107)), *(Event(seed, 2.0) for seed in (111, 112, 113)))
UNSEEN = {"few landslides": Event(302, 0.016, 1536), "more landslides": Event(301, 0.5, 1024)}


def recipe() -> WindowRecipe:
    """Return the compact recipe with the two published boosters beside the network, of fewer trees."""
    compact, published = recipe_content("compact")[1], recipe_content("nasios-9")[1]
    boosters = published["boosters"]
    boosters["v18b"] |= {"trees": 600, "settings": boosters["v18b"]["settings"] | {"learning_rate": 0.03}}
    boosters["v44"] |= {"trees": 300, "settings": boosters["v44"]["settings"] | {"eta": 0.06}}
    weights = {"small": 1, "v18b": 1, "v44": 1}
    scenarios = [{"name": "all members", "weights": weights}]
    return WindowRecipe.model_validate(compact | {"boosters": boosters, "scenarios": scenarios})


def learn(folder: Path, seconds: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Train a bundle on the windows of some events; return what it learned from."""
    with measured(seconds, "simulate"):
        scenes = {event.seed: event.make(folder) for event in LEARNED}
    every = LabelRule(between="positive")  # however small the slide: whole scenes have such windows too
    with measured(seconds, "cut windows"):
        data = read_training_data([cut(scene, 32, every, f"event-{seed}") for seed, scene in scenes.items()])
    assert data.origin is not None
    with measured(seconds, "train"):
        train(
            data.windows,
            data.labels,
            folder / "bundle",
            recipe=recipe(),
            division="grouped",
            groups=tuple(data.origin["scene"]),
            origin=data.origin,
            device="cpu",
        )
    cascade = load_bundle(folder / "bundle").scenarios[0].cascade
    return {
        "training_windows": len(data.labels),
        "training_landslides": int(data.labels.sum()),
        "cascade": cascade and cascade.model_dump(mode="json"),
    }


def mapped(scene: Path, bundle: Path) -> dict[str, Any]:
    """Map a scene in every mode; return what was asked, what was lost, and the processor time."""
    passes = len(FLIPS) * len(load_bundle(bundle).document.members[0].files)
    runs: dict[str, dict[str, Any]] = {}
    for name, mode in MODES.items():
        out = scene.parent / f"map {name}"
        begin = time.process_time()
        result = map_scene(scene, out, bundle=bundle, stride=STRIDE, device="cpu", **mode)
        cpu = time.process_time() - begin
        network = json.loads(result.manifest.read_text())["counts"]["votes"]["members"]["small"]
        with xr.open_dataset(result.window_record, engine="scipy") as record:
            found = (record.probability > record.threshold).values
        if not runs:
            full = found
        runs[name] = {
            "network_passes": network["windows_asked"] * passes,
            "network_passes_spared": network["windows_spared"] * passes,
            "times_fewer": round(full.size / network["windows_asked"], 2),
            "cpu_seconds": round(cpu, 1),
            "found": int(found.sum()),
            "lost": int((full & ~found).sum()),
            "classes_that_differ": int((full != found).sum()),
        }
    return {"windows": full.size, "share_found": round(float(np.mean(full)), 4), "runs": runs}


def measure(folder: Path) -> dict[str, Any]:
    """Simulate, learn and map; return every figure."""
    seconds: dict[str, dict[str, float]] = {}
    learned = learn(folder, seconds)
    return {
        "level": LEVEL,
        "warning": "simulated scenes: these figures are not real accuracy",
        **learned,
        "seconds": seconds,
        "unseen": {name: mapped(event.make(folder), folder / "bundle") for name, event in UNSEEN.items()},
    }


@click.command()
@click.option("--out", type=click.Path(path_type=Path), help="Keep scenes, windows, bundle and maps there.")
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
