"""Time saved and landslides lost by skipped votes, on events that no member trained on.

``python -m benchmarks.cascade [--out FOLDER]`` prints Markdown: simulate events, cut all their windows,
train two small networks and the two published boosters on them, in folds of whole events, which gives the
cascade its evidence; map unseen events fully, with ``--exact-early-exit``, with ``--cascade``, and with
both. In FOLDER, scenes and bundle are kept, and used again by the next run. A pass is one forward pass of a
network; a window takes folds x flips of each. Simulated figures are not real accuracy.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import rasterio
import torch
import xarray as xr

from benchmarks.compact_network import THREADS, cut
from landslide_map.array_types import Bools, Floats
from landslide_map.datasets.cut_windows import LabelRule
from landslide_map.datasets.joined import read_training_data
from landslide_map.evaluation.out_of_fold import kept_votes
from landslide_map.grid import Grid
from landslide_map.mapping.map_scene import map_scene
from landslide_map.models.bundle.load import Bundle, load_bundle
from landslide_map.models.networks.preprocessing import FLIPS
from landslide_map.training.cascade import learned_cascade
from landslide_map.training.statistics.recipe import recipe_content
from landslide_map.training.windows.recipe import WindowRecipe
from landslide_map.training.windows.train import train
from landslide_map.vector.inventory import covered_fraction, read_inventory
from landslide_map.windows import plan_windows
from sample_scenes.make_scene import SLIDES_PER_KM2, make_scene

STRIDE = 32
NETWORKS = ("optical", "change")
LANDSLIDE = LabelRule(positive=0.05, between="negative")
"""A twentieth of a window. Every window has a label: the evidence is of windows as scenes have them."""
MODES: dict[str, dict[str, Any]] = {
    "all members": {},
    "`--exact-early-exit`": {"exact_early_exit": True},
    "`--cascade`": {"cascade": True},
    "both": {"exact_early_exit": True, "cascade": True},
}


WITHOUT_EXIT = {"`--exact-early-exit`": "all members", "both": "`--cascade`"}
"""Mode -> the one with the same classes."""


@dataclass(frozen=True)
class Event:
    """One simulated event."""

    seed: int
    slides_per_km2: float = SLIDES_PER_KM2
    size: int = 512

    def make(self, folder: Path) -> Path:
        """Simulate it, unless that was done; return its scene."""
        out = folder / f"{self.seed}-{self.size}-{self.slides_per_km2:g}"
        if not (out / "scene.yaml").exists():  # written last
            make_scene(out, seed=self.seed, size=self.size, slides_per_km2=self.slides_per_km2)
        return out / "scene.yaml"


LEARNED = (*(Event(seed) for seed in range(101, 107)), *(Event(seed, 2.0) for seed in range(111, 114)))
UNSEEN = {
    "few landslides": Event(304, 0.55, 1536),
    "more landslides": Event(303, 0.8, 1536),
    "many landslides": Event(301, size=768),
}


def recipe() -> WindowRecipe:
    """Return two small networks, of optical bands and of radar change, and the published boosters in brief.

    The two weigh as much as the published seven, so the boosters never decide without them.
    """
    compact, published = recipe_content("compact")[1], recipe_content("nasios-9")[1]
    small = compact["networks"]["small"] | {"head": "single"}
    networks = {name: small | {"groups": [name]} for name in NETWORKS}
    boosters = published["boosters"]
    boosters["v18b"] |= {"trees": 600, "settings": boosters["v18b"]["settings"] | {"learning_rate": 0.03}}
    boosters["v44"] |= {"trees": 300, "settings": boosters["v44"]["settings"] | {"eta": 0.06}}
    scenarios = [{"name": "all members", "weights": dict.fromkeys(NETWORKS, 3.5) | {"v18b": 1, "v44": 1}}]
    return WindowRecipe.model_validate(
        compact | {"networks": networks, "boosters": boosters, "scenarios": scenarios}
    )


def windows_of(scene: Path, name: str) -> Path:
    """Cut all windows of a scene, unless that was done; return their folder."""
    out = scene.with_name(name)
    return out if out.exists() else cut(scene, STRIDE, LANDSLIDE, name)


def learned(folder: Path) -> Bundle:
    """Train a bundle on all windows of some events, unless that was done."""
    out = folder / "bundle"
    if not out.exists():
        scenes = {f"event-{event.seed}": event.make(folder) for event in LEARNED}
        data = read_training_data([windows_of(scene, name) for name, scene in scenes.items()])
        assert data.origin is not None
        train(
            data.windows,
            data.labels,
            out,
            recipe=recipe(),
            division="grouped",
            groups=tuple(data.origin["scene"]),
            origin=data.origin,
            device="cpu",
        )
    return load_bundle(out)


def covered(scene: Path, classes: Path) -> Floats:
    """Return the share of each window of a mapped scene that slides cover in truth, ``(window,)``."""
    with rasterio.open(classes) as raster:
        grid = Grid(raster.crs, raster.transform, raster.width, raster.height)
    outlines, _ = read_inventory(scene.with_name("landslides_truth.gpkg"), grid)
    return covered_fraction(outlines, plan_windows(grid.shape, STRIDE), grid)


def rows(scene: Path, bundle: Bundle) -> Iterator[str]:
    """Map a scene in every mode; yield a row of the table for each.

    Classes are checked, of windows and pixels: early exit may change none of what is said without it.
    """
    passes = len(FLIPS) * len(bundle.document.members[0].files)
    found: dict[str, Bools] = {}
    pixels: dict[str, npt.NDArray[np.uint8]] = {}
    for name, mode in MODES.items():
        out = scene.parent / f"map {len(found)}"
        begin = time.process_time()
        result = map_scene(
            scene, out, bundle=bundle.path, stride=STRIDE, device="cpu", overwrite=True, **mode
        )
        cpu = time.process_time() - begin
        votes = json.loads(result.manifest.read_text())["counts"]["votes"]["members"]
        predicted = sum(votes[network]["windows_predicted"] for network in NETWORKS)
        with xr.open_dataset(result.window_record, engine="scipy") as record:
            found[name] = (record.probability > record.threshold).values.ravel()
        with rasterio.open(result.classes) as raster:
            pixels[name] = raster.read(1)
        without = WITHOUT_EXIT.get(name, name)
        if (found[name] != found[without]).any() or (pixels[name] != pixels[without]).any():
            raise AssertionError(f"{name}: classes differ from those without exact early exit")
        full, share = found["all members"], covered(scene, result.classes)
        kinds = share >= LANDSLIDE.positive, (share > 0) & (share < LANDSLIDE.positive), share == 0
        lost = (f"{(full & ~found[name] & kind).sum()} of {(full & kind).sum()}" for kind in kinds)
        yield (
            f"| {name} | {predicted * passes:,} | {len(NETWORKS) * full.size / predicted:.1f} | {cpu:.0f} "
            f"| {found[name].sum()} | {' | '.join(lost)} |"
        )


def report(folder: Path) -> Iterator[str]:
    """Learn and map; yield the lines of the report."""
    begin, known = time.process_time(), (folder / "bundle").exists()
    bundle = learned(folder)
    took = "before" if known else f"in {time.process_time() - begin:.0f} CPU seconds"
    scenario, training = bundle.scenarios[0], bundle.document.training
    yield (
        f"Learned from {training['windows']} windows of {len(LEARNED)} events ({training['landslides']} with "
        f"a landslide) {took}."
    )
    if scenario.cascade and scenario.rule:
        yield f"The rule: {scenario.cascade.in_words(scenario.rule)}."
        votes, _, _ = kept_votes(bundle)
        blind = learned_cascade(
            scenario, votes.members, scenario.cascade.first, votes.predictions, "without labels"
        )
        if blind and (rule := blind.at(scenario.threshold)):
            yield f"Without labels it would keep {rule.found} windows found, and skip {rule.skipped}."
    for name, event in UNSEEN.items():
        scene = event.make(folder)
        table = list(rows(scene, bundle))
        windows = plan_windows((event.size, event.size), STRIDE).count
        yield ""
        yield (
            f"| {name}: {windows:,} windows | passes of networks | times fewer | CPU s | windows found "
            "| lost of those with a landslide | with smaller ones | with none |"
        )
        yield "|---" * 8 + "|"
        yield from table


@click.command()
@click.option("--out", type=click.Path(path_type=Path), help="Keep scenes, windows, bundle and maps there.")
def main(out: Path | None) -> None:
    """Print Markdown."""
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory(prefix="landslide-map-benchmark-") as temporary:
        for line in report(out or Path(temporary)):
            click.echo(line)


if __name__ == "__main__":
    main()
