"""Methods of outlining on the same events: ``python -m benchmarks.outline_methods``.

Prints the pixel IoU of windows, of a rule, of candidates cut at one height, of the best nested set, and of
that set with its edges redrawn. All but the first two share the learned score. The table is in
docs/decisions/0050-outlines.md.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

import click
import numpy as np
import numpy.typing as npt
from rasterio.features import rasterize

from benchmarks.learn_outlines import strips_of, truth_of, windows_of
from benchmarks.outlines import CASES, Case, Setting, event_of, scene_of
from landslide_map import map_scene
from landslide_map.delineation.evidence import Surroundings
from landslide_map.delineation.features import node_features
from landslide_map.delineation.objects import find_objects, measured, owners
from landslide_map.delineation.partition import LEAST_PIXELS, MOST_PIXELS, chosen_nodes
from landslide_map.delineation.polygons import paint
from landslide_map.delineation.score import default_model
from landslide_map.delineation.tree import DROPS
from landslide_map.evaluation.match_inputs import read_map
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.mapping.delineate import EVIDENCE
from landslide_map.scene.model import load_scene
from sample_scenes.simulator import simulate_event

Mask = npt.NDArray[np.bool_]
RULE: Final = (150, 300)
"""Bareness where windows say at least so much; thousandths."""
LEVELS: Final = (3, 4, 5)
"""Levels of the candidates that are cut at one height."""
STRIDE: Final = 64


@click.command()
@click.option("--seed", "seeds", type=int, multiple=True, default=[9301], show_default=True)
@click.option("--size", default=512, show_default=True, help="Edge of a scene, pixels of 10 m.")
@click.option("--varied", is_flag=True, help="Draw scars, forest, soil and season from the seed.")
@click.option("--folder", type=click.Path(path_type=Path), help="Keep events here, and take those that are.")
def main(seeds: tuple[int, ...], size: int, varied: bool, folder: Path | None) -> None:
    """Simulate events, outline them by each method, and print how much of the landslides each holds."""
    click.echo(f"Seeds {', '.join(map(str, seeds))}; {size} x {size} px; {'varied' if varied else 'kind'}.\n")
    cases = [case for case in CASES if case.slides_per_km2 > 1 and len(case.confusers) in (0, 4)]
    found: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as own:
        setting = Setting(folder or Path(own), size, "all", not varied, pre=False, dem=False)
        for case in cases:
            sums: dict[str, npt.NDArray[np.int64]] = {}
            for seed in seeds:
                for name, pair in compared(case, seed, setting).items():
                    sums[name] = sums.get(name, np.zeros(2, np.int64)) + pair
            for name, (shared, either) in sums.items():
                found.setdefault(name, []).append(f"{shared / max(either, 1):.2f}")
    click.echo(f"| outline | {' | '.join(case.name for case in cases)} |\n|---{'|---' * len(cases)}|")
    for name, cells in found.items():
        click.echo(f"| {name} | {' | '.join(cells)} |")


def compared(case: Case, seed: int, setting: Setting) -> dict[str, npt.NDArray[np.int64]]:
    """Return the pixels that outline and truth share, and those of either, by method."""
    event = setting.event(case, seed)
    if not (event / "scene.yaml").exists():  # written last
        simulate_event(event, replace(event_of(case, seed, setting), list_pre=True))
    scene, out = scene_of(event, setting), event / "methods"
    if not (out / "run.json").exists():
        map_scene(scene, out, stride=STRIDE)
    inputs = open_inputs(load_scene(scene))
    truth = truth_of(event / "landslides_truth.gpkg", inputs)
    windows = np.zeros(truth.shape, bool)
    shapes = read_map(out).outlines["windows"]
    if len(shapes):
        windows |= rasterize(shapes, truth.shape, transform=inputs.grid.transform).astype(bool)
    masks = {"windows above the threshold": windows} | by_pixels(inputs, out / "windows.nc")
    return {name: np.array([(mask & truth).sum(), (mask | truth).sum()]) for name, mask in masks.items()}


def by_pixels(inputs: SceneInputs, record: Path) -> dict[str, Mask]:
    """Return what each method on pixels outlines, ``(row, col)``; scenes of one block."""
    (strip,) = strips_of(inputs)
    around, windows, model = Surroundings.of([strip.cells]), windows_of(record, STRIDE), default_model()
    rows, cols = strip.rows, strip.cols.astype(np.int64)

    def mask(pixels: Mask) -> Mask:
        found = np.zeros(inputs.grid.shape, bool)
        found[rows[pixels], cols[pixels]] = True
        return found

    measures = measured(strip, around, windows, EVIDENCE)
    tree = measures.tree
    size, features = tree.shape[:, 0], node_features(tree, measures.sums)
    share, cost = model.shares(features).mean(axis=1), model.costs(features)
    allowed = (size >= LEAST_PIXELS) & (size <= MOST_PIXELS)

    def inside(chosen: Mask) -> Mask:
        return mask(tree.at_pixels(owners(tree.parent, chosen)) >= 0)

    likely = windows.at(rows, cols)[:, 0] >= RULE[1]
    found = {"bareness where windows say 0.3 (a rule)": mask((measures.bareness >= RULE[0]) & likely)}
    for level in LEVELS:
        chosen = allowed & (tree.level == level) & (share >= cost)
        found[f"candidates of bareness {DROPS[level - 1]:g}, scored"] = inside(chosen)
    found["candidates of all heights, best set"] = inside(chosen_nodes(tree, share, cost, allowed))
    objects = find_objects([strip], around, windows, EVIDENCE, model)
    drawn = objects.shares.mean(axis=1) >= model.costs(objects.features)
    painted = np.zeros(inputs.grid.shape, np.float32)
    value = drawn[objects.run_object].astype(np.float32)
    paint(objects.run_row, objects.run_first, objects.run_stop, value, 0, painted)
    found["best set, edges redrawn (shipped)"] = painted > 0
    return found


if __name__ == "__main__":
    main()
