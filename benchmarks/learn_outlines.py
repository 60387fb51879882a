"""The outline model, learned on simulated events: ``python -m benchmarks.learn_outlines --work FOLDER``.

Simulates events of many densities with and without confusers, maps each with all sensors, with one track,
and, for its own variant, with the image alone. Learns what share of a candidate is landslide. Writes
``landslide_map/delineation/learned``. Seeds alone decide the files. Scenes and maps are kept in the work
folder, so that learning can be repeated in minutes. Only the variant with radar is written by default: the
shipped one of the image alone is older, and better on real pixels (docs/decisions/0050-outlines.md).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import click
import geopandas as gpd
import lightgbm
import numpy as np
import numpy.typing as npt
import xarray as xr
from rasterio.features import rasterize
from ruamel.yaml import YAML
from scipy.optimize import minimize

from landslide_map import map_scene
from landslide_map.delineation.collect import CHANNELS, LayerCollector
from landslide_map.delineation.edges import EDGE_FEATURES
from landslide_map.delineation.evidence import Surroundings, WindowLayers
from landslide_map.delineation.features import FEATURES, NESTING, SHAPES, node_features
from landslide_map.delineation.objects import measured, near, partition
from landslide_map.delineation.partition import LEAST_PIXELS, MOST_PIXELS, chosen_nodes
from landslide_map.delineation.pixels import Strip
from landslide_map.delineation.score import DOCUMENT, IMAGE, RADAR
from landslide_map.delineation.tree import Tree
from landslide_map.grid import BLOCK
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.mapping.delineate import window_layers
from landslide_map.models.statistics.boosters import lightgbm_predictor
from landslide_map.scene.model import load_scene
from landslide_map.stack.channels import lazy_channels
from landslide_map.training.statistics.trees import compact_lightgbm
from landslide_map.windows import SIZE as SIZE_OF_WINDOW
from landslide_map.windows import plan_windows
from sample_scenes.simulator import CONFUSERS, EventOptions, simulate_event, varied

LEARNED: Final = Path(__file__).parents[1] / "landslide_map" / "delineation" / "learned"
FOUR: Final = ("bare_fields", "clear_cuts", "roads", "clouds")
DENSITIES: Final = (8, 2, 25, 0)
"""Slides per km2."""
EVENTS: Final = (
    *((density, FOUR, kind) for density in DENSITIES for kind in (True, False)),
    *((density, (), kind) for density, kind in ((2, True), (8, False), (25, True), (2, False))),
    *((density, CONFUSERS, False) for density in (8, 2, 0)),
)
"""Slides per km2, confusers, and whether scars, forest and season are those of the default options instead of
those that the seed draws. Again and again; seeds count from :data:`SEED`."""
EVENT_COUNT: Final = 124
DEFAULT_WEIGHT: Final = 8.0
"""Weight of a candidate of an event with the default options. Varied scars, forests and seasons are so many
that trees would spend most of their leaves on them."""
SEED: Final = 1010
SIZE: Final = 384
EXTRAS: Final = 0.4
"""Share of maps with an image before and elevations."""
FOLDS: Final = 4
STRIDES: Final = (64, 32)
TRACKS: Final = ("descending", "ascending")
BASE: Final = [
    "drop", "red_contrast", "nir_contrast", "green_nir_contrast", "surrounding_ndvi", "surrounding_spread",
    "surrounding_mosaic", "cloud", "slope", "has_slope", "loss", "has_loss", *SHAPES, *NESTING,
]  # fmt: skip
READ: Final = {IMAGE: BASE, RADAR: list(FEATURES)}
"""Variant -> what its trees read. Simulated scars do not have the colours of real ones, and windows are blind
without radar: the image alone is scored by contrast with the surroundings, by shape and by nesting."""
RISING: Final = ("drop", "red_contrast", "loss")
FALLING: Final = ("cloud", "surrounding_mosaic")
COSTS: Final = {IMAGE: 0.45, RADAR: 0.5}
"""Share of landslide from which an outline is drawn. One half makes the most right pixels less wrong ones.
That of the image alone was chosen on real scenes without landslides, by a rule: ``benchmarks.image_cost``."""
NAME: Final = "objects-4"
"""Name of the model, the first word of `method` of an outline."""
EDGE_LEAST: Final = 0.5
"""Part of an object's expected share: from that probability a pixel near the object belongs to it."""
EDGE_MODEL: Final = "edge.txt"
EDGE_TREES: Final = 120
TREES: Final = 480
SETTINGS: Final[dict[str, Any]] = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 32,  # more would be read by LightGBM alone, which is slower
    "min_data_in_leaf": 100,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "seed": 1,
    "num_threads": 1,
    "deterministic": True,
    "force_col_wise": True,
    "verbosity": -1,
}
EDGE_SETTINGS: Final = SETTINGS | {
    "learning_rate": 0.08,
    "num_leaves": 15,
    "min_data_in_leaf": 400,
    "feature_fraction": 0.6,
}


@dataclass(frozen=True)
class Candidates:
    """Candidates of one event, seen by some sensors."""

    event: int
    variant: str
    features: npt.NDArray[np.float32]
    share: npt.NDArray[np.float64]
    """True share of landslide."""
    tree: Tree
    true_pixels: int
    strip: Strip
    around: Surroundings
    bareness: npt.NDArray[np.int32]
    inside: npt.NDArray[np.bool_]
    """Whether each pixel of the strip is landslide."""

    @property
    def allowed(self) -> npt.NDArray[np.bool_]:
        """Candidates that may become objects."""
        size = self.tree.shape[:, 0]
        return (size >= LEAST_PIXELS) & (size <= MOST_PIXELS)


@click.command()
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Scenes and maps are kept here.")
@click.option("--events", default=EVENT_COUNT, show_default=True, help="How many events to simulate.")
@click.option("--processes", default=2, show_default=True, help="How many events are mapped at once.")
@click.option("--variant", "names", type=click.Choice([IMAGE, RADAR]), multiple=True, default=[RADAR])
@click.option("--out", type=click.Path(path_type=Path), default=LEARNED, show_default=True)
def main(work: Path, events: int, processes: int, names: tuple[str, ...], out: Path) -> None:
    """Simulate, map, measure, learn, and write the model."""
    tables: list[Candidates] = []
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for number, found in enumerate(pool.map(tables_of, range(events), repeat(work), repeat(names))):
            click.echo(f"seed {SEED + number}: {sum(len(table.share) for table in found)} candidates")
            tables.extend(found)
    learn(tables, names, out)


def has_default_options(number: int) -> bool:
    """Return whether scars, forest and season of an event are those of the default options."""
    return EVENTS[number % len(EVENTS)][2]


def tables_of(number: int, work: Path, names: Sequence[str]) -> list[Candidates]:
    """Simulate an event that the work folder lacks; return its candidates as sets of sensors see them."""
    folder = work / f"event{SEED + number}"
    if not (folder / "scene.yaml").exists():  # written last
        simulate_event(folder, event_of(number))
    draw = np.random.default_rng(SEED + number)
    sensors = {"all": TRACKS, "one": (str(draw.choice(TRACKS)),), "optical": ()}
    extras = {name: bool(draw.random() < EXTRAS) for name in sensors}
    return [
        measure(number, folder, name, tracks, extras=extras[name])
        for name, tracks in sensors.items()
        if (RADAR if tracks else IMAGE) in names
    ]


def event_of(number: int) -> EventOptions:
    """Return the options of an event."""
    seed = SEED + number
    density, confusers, kind = EVENTS[number % len(EVENTS)]
    if kind:
        options = EventOptions(seed, slides_per_km2=density, confusers=confusers, pre_days=(20, 110))
    else:
        options = varied(seed, density, confusers=confusers)
    return replace(options, size=SIZE, list_pre=True)


def measure(number: int, folder: Path, name: str, tracks: Sequence[str], *, extras: bool) -> Candidates:
    """Return the candidates of an event as some sensors see them; extras: the image before and elevations."""
    path = _variant(folder, name, tracks, extras=extras)
    mapped = folder / f"map_{name}"
    stride = STRIDES[number // 2 % len(STRIDES)]
    if tracks and not (mapped / "run.json").exists():  # windows say nothing of the image alone
        map_scene(path, mapped, stride=stride, outline="windows", overwrite=True)
    inputs = open_inputs(load_scene(path))
    (strip,) = strips_of(inputs)
    truth = truth_of(folder / "landslides_truth.gpkg", inputs)
    prefixes = [prefix for prefix, orbit in (("desc", "descending"), ("asc", "ascending")) if orbit in tracks]
    inside = truth[strip.rows, strip.cols.astype(np.int64)].astype(np.int32)[:, np.newaxis]
    around = Surroundings.of([strip.cells])
    sensors = (*prefixes, "ndvi_before", "slope")
    measures = measured(
        strip,
        around,
        windows_of(mapped / "windows.nc", stride) if tracks else None,
        sensors,
        inside,
    )
    tree, sums = measures.tree, measures.sums
    features = node_features(tree, sums)
    share = sums[:, -1] / np.maximum(tree.shape[:, 0], 1)
    variant = RADAR if tracks else IMAGE
    own = inside[:, 0] > 0
    return Candidates(
        number, variant, features, share, tree, int(truth.sum()), strip, around, measures.bareness, own
    )


def strips_of(inputs: SceneInputs) -> Iterator[Strip]:
    """Yield the strips of a scene, from the top downwards."""
    collector = LayerCollector()
    stack = collector.of(lazy_channels(inputs, CHANNELS))
    for number, top in enumerate(range(0, inputs.grid.height, BLOCK)):
        stack.isel(y=slice(top, top + BLOCK)).compute()
        strip = collector.taken(number, inputs.grid.height)
        assert strip is not None
        yield strip


def learn(tables: Sequence[Candidates], names: Sequence[str], out: Path) -> None:
    """Learn variants, each model without every fourth event, and write them beside those that are there."""
    out.mkdir(parents=True, exist_ok=True)
    document: dict[str, Any] = {"variants": {}}
    if (out / DOCUMENT).exists():
        document = json.loads((out / DOCUMENT).read_text(encoding="utf-8"))
    document["name"] = NAME
    all_unseen: list[tuple[Candidates, npt.NDArray[np.float64]]] = []
    for name in names:
        columns = READ[name]
        own = [table for table in tables if table.variant == name]
        positions = [FEATURES.index(feature) for feature in columns]
        folds = [fit([t for t in own if t.event % FOLDS != fold], columns) for fold in range(FOLDS)]
        files = [f"{name}.{fold}.txt" for fold in range(FOLDS)]
        for file, content in zip(files, folds, strict=True):
            (out / file).write_bytes(content)
        predictors = [lightgbm_predictor(content) for content in folds]
        unseen = [(t, predictors[t.event % FOLDS](t.features[:, positions])) for t in own]
        all_unseen += unseen
        cost = COSTS[name]
        slope, intercept = calibration(unseen, cost)
        document["variants"][name] = {
            "learned_on": f"{len({table.event for table in own})} simulated events",
            "features": columns,
            "models": files,
            "slope": round(slope, 4),
            "intercept": round(intercept, 4),
            "cost": cost,
        }
        click.echo(f"{name}: from a share of {cost}, pixel F1 {f1(unseen):.3f} on unseen events")
    (out / EDGE_MODEL).write_bytes(fit_edges(all_unseen))
    document["edge"] = {"features": EDGE_FEATURES, "model": EDGE_MODEL, "least": EDGE_LEAST}
    (out / DOCUMENT).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def fit_edges(unseen: Sequence[tuple[Candidates, npt.NDArray[np.float64]]]) -> bytes:
    """Return trees that say whether a pixel near an object is landslide.

    Objects are those that models choose in events which they did not see.
    """
    features, inside = [], []
    for table, share in unseen:
        chosen = drawn(table, share)
        _, zone, own = near(
            table.strip,
            table.tree,
            chosen,
            table.features[chosen],
            share[chosen],
            table.bareness,
            table.around,
        )
        features.append(own)
        inside.append(table.inside[zone >= 0])
    data = lightgbm.Dataset(
        np.concatenate(features), np.concatenate(inside).astype(float), params={"verbosity": -1}
    )
    booster = lightgbm.train(EDGE_SETTINGS, data, num_boost_round=EDGE_TREES)
    return compact_lightgbm(booster.model_to_string()).encode("ascii")


def drawn(table: Candidates, share: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return the candidates that are outlined at the shares they are given."""
    cost = np.full(len(share), COSTS[table.variant])
    return chosen_nodes(table.tree, share, cost, table.allowed)


def fit(tables: Sequence[Candidates], columns: Sequence[str]) -> bytes:
    """Return trees that say what share of a candidate is landslide.

    A candidate counts as two examples, one landslide and one not, weighted by its share. The root of its
    pixels and the kind of its event weigh it too.
    """
    positions = [FEATURES.index(feature) for feature in columns]
    features = np.concatenate([table.features[table.allowed][:, positions] for table in tables])
    share = np.concatenate([table.share[table.allowed] for table in tables])
    weight = np.concatenate(
        [
            np.sqrt(table.tree.shape[table.allowed, 0])
            * (DEFAULT_WEIGHT if has_default_options(table.event) else 1.0)
            for table in tables
        ]
    )
    some, none = share > 0, share < 1
    data = lightgbm.Dataset(
        np.concatenate([features[some], features[none]]),
        np.concatenate([np.ones(some.sum()), np.zeros(none.sum())]),
        weight=np.concatenate([(weight * share)[some], (weight * (1 - share))[none]]),
        params={"verbosity": -1},
    )
    monotone = [1 if name in RISING else -1 if name in FALLING else 0 for name in columns]
    settings = {**SETTINGS, "monotone_constraints": monotone} if columns == READ[IMAGE] else SETTINGS
    booster = lightgbm.train(settings, data, num_boost_round=TREES)
    return compact_lightgbm(booster.model_to_string()).encode("ascii")


def f1(unseen: Sequence[tuple[Candidates, npt.NDArray[np.float64]]]) -> float:
    """Return the pixel F1 of what is drawn, before edges; slides that are no candidate count too."""
    right = outlined = true = 0.0
    for table, share in unseen:
        chosen = drawn(table, share)
        size = table.tree.shape[:, 0]
        right += float((table.share * size)[chosen].sum())
        outlined += float(size[chosen].sum())
        true += table.true_pixels
    return 2 * right / max(outlined + true, 1)


def calibration(
    unseen: Sequence[tuple[Candidates, npt.NDArray[np.float64]]], cost: float
) -> tuple[float, float]:
    """Return slope and intercept of the logit of "at least half is landslide" over that of the share."""
    shares, hits = [], []
    for table, share in unseen:
        chosen = partition(table.tree, share, np.full(len(share), cost), table.allowed)
        shares.append(share[chosen])
        hits.append(table.share[chosen] >= 0.5)
    share = np.clip(np.concatenate(shares), 1e-6, 1 - 1e-6)
    hit = np.concatenate(hits).astype(float)
    logit = np.log(share / (1 - share))

    def loss(parameters: npt.NDArray[np.float64]) -> float:
        z = parameters[0] * logit + parameters[1]
        return float(np.mean(np.logaddexp(0, z) - hit * z))

    slope, intercept = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead").x
    return float(slope), float(intercept)


def _variant(folder: Path, name: str, tracks: Sequence[str], *, extras: bool) -> Path:
    """Write the scene with some sensors beside the whole one; return its path."""
    yaml = YAML()
    document = yaml.load((folder / "scene.yaml").read_text(encoding="utf-8"))
    document["s1"] = {orbit: document["s1"][orbit] for orbit in tracks}
    if not tracks:
        del document["s1"]
    if not extras:
        document["s2"].pop("pre", None)
    else:
        document["dem"] = "dem.tif"
    path = folder / f"scene_{name}.yaml"
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)
    return path


def truth_of(path: Path, inputs: SceneInputs) -> npt.NDArray[np.bool_]:
    """Return the true slides on the grid."""
    shapes = gpd.read_file(path).geometry
    if not len(shapes):
        return np.zeros(inputs.grid.shape, bool)
    burnt = rasterize(shapes, inputs.grid.shape, transform=inputs.grid.transform, dtype="uint8")
    return np.asarray(burnt, bool)


def windows_of(path: Path, stride: int) -> WindowLayers:
    """Return what the windows of a map say about places."""
    with xr.open_dataset(path, engine="scipy") as record:
        probability = record.probability.values.astype(np.float64)
        starts = record.row_start.values.astype(np.int64), record.col_start.values.astype(np.int64)
    shape = (int(starts[0][-1]) + SIZE_OF_WINDOW, int(starts[1][-1]) + SIZE_OF_WINDOW)
    return window_layers(probability, plan_windows(shape, stride))


if __name__ == "__main__":
    main()
