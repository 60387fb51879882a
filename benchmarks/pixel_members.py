"""Speed of a pixel member beside the plain network, and small recipes on simulated events and real patches.

``python -m benchmarks.pixel_members`` measures the ResNet34 U-Net on Landslide4Sense patches, both ways in
turn in one process on one thread. ``--train FOLDER`` simulates events with confusers, trains ``--recipe`` on
them and evaluates it on events of other seeds. ``--compare FOLDER``, after it, maps those events, and events
of further seeds to measure the weight of the member, and puts outlines of objects, of pixels and of both
beside each other. ``--patches FOLDER``, after that, does so on the labelled patches of the shared data folder
(``LANDSLIDE_MAP_DATA``), with a recipe that needs no radar.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import rasterio
import torch
from rasterio.features import rasterize
from ruamel.yaml import YAML

from landslide_map import map_scene
from landslide_map.datasets.cut_tiles import cut_tiles
from landslide_map.datasets.pixel_data import open_pixel_data
from landslide_map.errors import InputError
from landslide_map.evaluation.learn_fusion import learn_fusion
from landslide_map.evaluation.pixel_members import evaluate_pixels
from landslide_map.mapping.redraw import Source, redraw
from landslide_map.models.bundle.combine import add_pixel_members
from landslide_map.models.bundle.load import load_bundle
from landslide_map.models.published.segmentation_networks import l4s_spec
from landslide_map.models.segmentation.architecture import build_network
from landslide_map.models.segmentation.member import SegmentationMember, batch_of
from landslide_map.models.segmentation.metrics import PixelCounts
from landslide_map.products import LANDSLIDES, PIXEL_PROBABILITY
from landslide_map.training.pixels.choose import chosen_recipe
from landslide_map.training.pixels.train import TrainingOptions, train_pixels
from sample_scenes.simulator.event import simulate_event
from sample_scenes.simulator.options import CONFUSERS, varied
from tests.support import labelled_patches

TRAINING_SEEDS: Final = range(1001, 1017)
TEST_SEEDS: Final = (2001, 2003, 2005, 2007)
EVIDENCE_SEEDS: Final = (3001, 3003, 3005)
"""Events on which the reliability of the member is measured."""
SOURCES: Final[tuple[Source, ...]] = ("objects", "pixels", "both")
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


def train(folder: Path, name: str, minutes: float) -> dict[str, Any]:
    """Simulate, train and evaluate; return the figures on the unseen events."""
    recipe = chosen_recipe(name, minutes=minutes)
    tiles = {}
    for seed in (*TRAINING_SEEDS, *TEST_SEEDS):
        tiles[seed] = folder / "tiles" / f"s{seed}"
        if not tiles[seed].exists():
            scene = _simulated(folder, seed)
            channels = chosen_recipe("small-pixels").channels
            cut_tiles(scene, scene.parent / "landslides_truth.gpkg", tiles[seed], channels)
    began = time.process_time()
    train_pixels([tiles[seed] for seed in TRAINING_SEEDS], recipe, folder / name, TrainingOptions())
    spent = time.process_time() - began
    members = load_bundle(folder / name, pixel_members_suffice=True).pixel_members
    unseen = open_pixel_data([tiles[seed] for seed in TEST_SEEDS], "tiles")
    return evaluate_pixels(unseen, members).as_json() | {"cpu_seconds_of_training": spent}


def compare(folder: Path, name: str) -> dict[str, PixelCounts]:
    """Return pixel counts on the unseen events: of outlines by source, and of the member above one half."""
    joined = _joined(folder, name)
    total: dict[str, PixelCounts] = {}
    for seed in TEST_SEEDS:
        out = _mapped(folder, name, seed, joined)
        truth = _burnt(folder / f"s{seed}" / "landslides_truth.gpkg", None, out)
        with rasterio.open(out / PIXEL_PROBABILITY) as source_file:
            each = {**_outlined(out, SOURCES), name: source_file.read(1) > 0.5}
        for source, drawn in each.items():
            total[source] = total.get(source, PixelCounts()) + PixelCounts.of(drawn, truth)
    return total


def compare_patches(folder: Path, name: str) -> dict[tuple[int, str], PixelCounts]:
    """Return pixel counts on each labelled patch, mapped as `compare` maps events."""
    joined = _joined(folder, name)
    found: dict[tuple[int, str], PixelCounts] = {}
    for number in labelled_patches.PATCHES:
        own = folder / f"patch{number}"
        own.mkdir(exist_ok=True)
        out = own / name
        if not (out / "run.json").exists():
            scene = labelled_patches.write_patch(own, number, dem=False)
            map_scene(scene, out, bundle=joined, everywhere=True)
        with rasterio.open(out / PIXEL_PROBABILITY) as source_file:
            grid = {"out_shape": source_file.shape, "transform": source_file.transform}
            crs, above = source_file.crs, source_file.read(1) > 0.5
        known = labelled_patches.patch_truth(number).to_crs(crs).geometry
        truth = rasterize(known, **grid) > 0 if len(known) else np.zeros(grid["out_shape"], bool)
        each = {**_outlined(out, SOURCES), name: above}
        found |= {(number, source): PixelCounts.of(drawn, truth) for source, drawn in each.items()}
    return found


def _joined(folder: Path, name: str) -> Path:
    """Return the bundle with window members, the pixel member, and its measured reliability."""
    plain, joined = folder / f"{name}.plain", folder / f"{name}.joined"
    if not plain.exists():
        add_pixel_members(None, folder / name, plain)
    if not joined.exists():
        evidence = [
            (_mapped(folder, name, seed, plain), folder / f"s{seed}" / "landslides_truth.gpkg")
            for seed in EVIDENCE_SEEDS
        ]
        learned = learn_fusion(evidence, [name])
        print(f"{name}: {learned.fusion or learned.figures}")
        add_pixel_members(None, folder / name, joined, fusion=learned.fusion)
    return joined


def _mapped(folder: Path, name: str, seed: int, bundle: Path) -> Path:
    """Return the map of an event, without radar if the recipe does without."""
    out = folder / f"map{seed}.{name}"
    if not (out / "run.json").exists():
        scene = folder / f"s{seed}" / "scene.yaml"
        if not scene.exists():
            scene = _simulated(folder, seed)
        if not any("vv" in channel for channel in chosen_recipe(name).channels):
            scene = _without_radar(scene)
        map_scene(scene, out, bundle=bundle, everywhere=True)
    return out


def _without_radar(scene: Path) -> Path:
    yaml = YAML()
    document = yaml.load(scene.read_text(encoding="utf-8"))
    document.pop("s1", None)
    path = scene.with_name("scene_optical.yaml")
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)
    return path


def _outlined(out: Path, sources: Sequence[Source]) -> dict[str, npt.NDArray[np.bool_]]:
    """Return the pixels that outlines hold, by what they are drawn from; none that cannot be drawn."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        for source in sources:
            try:
                redraw(out, Path(name) / source, source=source)
            except InputError:  # `both`: joining was not better than one alone
                continue
            found[str(source)] = _burnt(Path(name) / source / LANDSLIDES, "landslides", out)
    return found


def _burnt(path: Path, layer: str | None, out: Path) -> npt.NDArray[np.bool_]:
    """Return the pixels of the grid of a map that polygons hold."""
    with rasterio.open(out / PIXEL_PROBABILITY) as source:
        shape, transform = source.shape, source.transform
    polygons = gpd.read_file(path, layer=layer).geometry
    if not len(polygons):
        return np.zeros(shape, bool)
    return np.asarray(rasterize(polygons, out_shape=shape, transform=transform) > 0)


def _simulated(folder: Path, seed: int) -> Path:
    """Simulate an event; those to train on lack some confusers, those to evaluate on have all."""
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
    parser.add_argument("--patches", type=Path, metavar="FOLDER")
    parser.add_argument("--recipe", default="small-pixels")
    parser.add_argument("--minutes", type=float, default=14)
    chosen = parser.parse_args()
    if chosen.compare is not None:
        for name, counts in compare(chosen.compare, chosen.recipe).items():
            print(f"| {name} | {_figures(counts)} |")
    elif chosen.patches is not None:
        each = compare_patches(chosen.patches, chosen.recipe)
        for (number, name), counts in each.items():
            print(f"| {number} | {name} | {_figures(counts)} |")
        for name in dict.fromkeys(name for _, name in each):
            pooled = sum((own for (_, other), own in each.items() if other == name), PixelCounts())
            print(f"| pooled | {name} | {_figures(pooled)} |")
    elif chosen.train is not None:
        for name, value in train(chosen.train, chosen.recipe, chosen.minutes).items():
            print(f"{name}: {value}")
    else:
        plain, ours = speed()
        print(
            f"ResNet34 U-Net, 14 x 128 x 128, one thread, CPU time: plain {1e3 * plain:.0f} ms, one at a time"
        )
        print(f"member {1e3 * ours:.0f} ms, batches of {batch_of(128)}: {plain / ours:.2f} times as fast")


def _figures(counts: PixelCounts) -> str:
    return f"{counts.f1:.3f} | {counts.precision:.3f} | {counts.recall:.3f} | {counts.iou:.3f}"


if __name__ == "__main__":
    main()
