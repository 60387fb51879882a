"""Speed of a pixel member beside the plain network, and the small recipe on simulated events.

``python -m benchmarks.pixel_members`` measures the ResNet34 U-Net on Landslide4Sense patches, both ways in
turn in one process on one thread. ``--train FOLDER`` simulates events with confusers, trains the recipe
``small-pixels`` on them and judges it on events of other seeds. ``--compare FOLDER``, after it, maps those
events and puts the outlines beside the pixel member, and both together.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import rasterio
import torch
from rasterio.features import rasterize

from landslide_map import map_scene
from landslide_map.datasets.cut_tiles import cut_tiles
from landslide_map.datasets.pixel_data import open_pixel_data
from landslide_map.evaluation.pixel_members import evaluate_pixels
from landslide_map.models.bundle.combine import add_pixel_members
from landslide_map.models.bundle.load import load_bundle
from landslide_map.models.published.segmentation_networks import l4s_spec
from landslide_map.models.segmentation.architecture import build_network
from landslide_map.models.segmentation.member import SegmentationMember, batch_of
from landslide_map.models.segmentation.metrics import PixelCounts
from landslide_map.training.pixels.choose import chosen_recipe
from landslide_map.training.pixels.train import TrainingOptions, train_pixels
from sample_scenes.simulator.event import simulate_event
from sample_scenes.simulator.options import CONFUSERS, varied

TRAINING_SEEDS: Final = range(1001, 1017)
TEST_SEEDS: Final = (2001, 2003, 2005, 2007)
SIZE: Final = 448
ROUNDS: Final = 5


def speed() -> tuple[float, float]:
    """Return CPU seconds a patch of the plain network, one patch at a time, and of the member."""
    from safetensors.torch import save

    torch.set_num_threads(1)
    spec = l4s_spec("resnet34")
    torch.manual_seed(1)
    network = build_network(spec).eval()
    weights = save({key: value.contiguous() for key, value in network.state_dict().items()})
    member = SegmentationMember("resnet34", spec, (weights,))
    mosaic = np.random.default_rng(1).normal(1, 0.3, (2 * batch_of(128), 14, 128, 128)).astype(np.float32)

    def plain() -> None:
        with torch.inference_mode():
            for patch in mosaic:
                torch.sigmoid(network(torch.from_numpy(patch[None])))

    def ours() -> None:
        member.predict(mosaic)

    def seconds(work: Callable[[], None]) -> float:
        began = time.process_time()
        work()
        return (time.process_time() - began) / len(mosaic)

    plain()
    ours()
    each = [(seconds(plain), seconds(ours)) for _ in range(ROUNDS)]
    return float(np.median([a for a, _ in each])), float(np.median([b for _, b in each]))


def train(folder: Path, minutes: float) -> dict[str, Any]:
    """Simulate, train and judge; return the figures on the unseen events."""
    recipe = chosen_recipe("small-pixels", minutes=minutes)
    tiles = {}
    for seed in (*TRAINING_SEEDS, *TEST_SEEDS):
        tiles[seed] = folder / "tiles" / f"s{seed}"
        if not tiles[seed].exists():
            scene = _simulated(folder, seed)
            cut_tiles(scene, scene.parent / "landslides_truth.gpkg", tiles[seed], recipe.channels)
    began = time.process_time()
    train_pixels([tiles[seed] for seed in TRAINING_SEEDS], recipe, folder / "small", TrainingOptions())
    spent = time.process_time() - began
    members = load_bundle(folder / "small", pixel_members_suffice=True).pixel_members
    unseen = open_pixel_data([tiles[seed] for seed in TEST_SEEDS], "tiles")
    return evaluate_pixels(unseen, members).as_json() | {"cpu_seconds_of_training": spent}


def compare(folder: Path) -> dict[str, PixelCounts]:
    """Return pixel counts on the unseen events: by outlines, by the pixel member, and by both.

    Both: the mean of the probabilities of outlines, 0 where there is none, and of the member is above one
    half. Nothing of it was chosen by these figures.
    """
    names = ("outlines", "small-pixels", "mean of both")
    total = dict.fromkeys(names, PixelCounts())
    if not (folder / "both").exists():
        add_pixel_members(None, folder / "small", folder / "both")
    for seed in TEST_SEEDS:
        out = folder / f"map{seed}"
        if not (out / "run.json").exists():
            scene = folder / f"s{seed}" / "scene.yaml"
            map_scene(scene, out, bundle=folder / "both", everywhere=True)
        with rasterio.open(out / "pixel_probability.tif") as source:
            pixels, lattice = source.read(1), {"out_shape": source.shape, "transform": source.transform}
        with rasterio.open(out / "outline_probability.tif") as source:
            objects = np.nan_to_num(source.read(1))
        truth, drawn = (
            rasterize(gpd.read_file(path, layer=layer).geometry, **lattice) > 0
            for path, layer in (
                (folder / f"s{seed}" / "landslides_truth.gpkg", None),
                (out / "landslides.gpkg", "landslides"),
            )
        )
        each = (drawn, pixels > 0.5, (objects + pixels) / 2 > 0.5)
        for name, predicted in zip(names, each, strict=True):
            total[name] += PixelCounts.of(predicted, truth)
    return total


def _simulated(folder: Path, seed: int) -> Path:
    """Simulate an event; those to train on lack some confusers, those to judge have all."""
    rng = np.random.default_rng(seed)
    chosen: tuple[str, ...] = CONFUSERS
    if seed in TRAINING_SEEDS:
        chosen = tuple(name for name in CONFUSERS if rng.random() < 0.6)
    options = varied(seed, float(rng.uniform(4, 14)), size=SIZE, confusers=chosen, soil="grey")
    scene = simulate_event(folder / f"s{seed}", options)
    scene.write_text(scene.read_text() + "dem: dem.tif\n")
    return scene


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, metavar="FOLDER")
    parser.add_argument("--compare", type=Path, metavar="FOLDER")
    parser.add_argument("--minutes", type=float, default=14)
    chosen = parser.parse_args()
    if chosen.compare is not None:
        for name, counts in compare(chosen.compare).items():
            print(f"| {name} | {counts.f1:.3f} | {counts.precision:.3f} | {counts.recall:.3f} |")
        return
    if chosen.train is not None:
        for name, value in train(chosen.train, chosen.minutes).items():
            print(f"{name}: {value}")
        return
    plain, ours = speed()
    print(f"ResNet34 U-Net, 14 x 128 x 128, one thread, CPU time: plain {1e3 * plain:.0f} ms, one at a time")
    print(f"member {1e3 * ours:.0f} ms, batches of {batch_of(128)}: {plain / ours:.2f} times as fast")


if __name__ == "__main__":
    main()
