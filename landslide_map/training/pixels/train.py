"""Training of pixel members on images with masks: one network, or the published grid of ninety."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from landslide_map._version import __version__
from landslide_map.datasets.pixel_data import PixelData, open_pixel_data
from landslide_map.errors import UsageError
from landslide_map.models.bundle.folder import check_free, save_bundle
from landslide_map.models.published import ganerod, landslide4sense
from landslide_map.models.segmentation.member import KIND
from landslide_map.models.segmentation.scaling import channel_statistics
from landslide_map.models.segmentation.spec import SIX_CHANNEL, ChannelScaling, SegmentationSpec
from landslide_map.runtime import progress as reporting
from landslide_map.training.pixels.fit import Fit, Place, fit, kept
from landslide_map.training.pixels.recipe import PixelNetwork, PixelRecipe
from landslide_map.training.pixels.samples import Images, scaled
from landslide_map.training.pixels.split import split
from landslide_map.training.windows.workspace import Workspace

THRESHOLD: Final = 0.5


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """Options of the training process; none changes the recipe."""

    grid: bool = False
    """Train the 90 networks of the published grid instead of the recipe's one."""
    pick: int = 20
    """Number of best runs of a grid in the bundle."""
    numbers: tuple[int, ...] = ()
    """Runs of a grid to train; by default all."""
    device: str = "cpu"
    bfloat16: bool = False
    restart: bool = False
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class TrainedPixels:
    """A bundle that was written."""

    out: Path
    members: tuple[str, ...]
    figures: tuple[dict[str, float], ...]
    """Validation figures of each member: f1 (pooled), batch_f1, loss, epochs."""


def train_pixels(
    folders: Sequence[Path],
    recipe: PixelRecipe,
    out: Path,
    options: TrainingOptions | None = None,
    *,
    progress: reporting.Report = reporting.silent,
) -> TrainedPixels:
    """Train pixel members and write their bundle; the same command goes on after an interruption.

    Parameters
    ----------
    folders : sequence of path
        See :func:`.open_pixel_data`.
    recipe : PixelRecipe
    out : path
        Folder of the bundle; ``<out>.training`` keeps unfinished work.
    options : TrainingOptions, optional
    progress : callable

    Raises
    ------
    InputError
        E180 to E186 for the data.
    UsageError
        E402 for options that do not fit, E531 if unfinished work is of another configuration.
    OutputExistsError
        E401.
    """
    options = options or TrainingOptions()
    recipes = _recipes(recipe, options)
    check_free(out, overwrite=options.overwrite)
    data = open_pixel_data(folders, recipe.layout)
    data.check()
    train, held = split(recipe, data.regions)
    spec = spec_of(recipe, data, train)
    configuration = {
        "recipe": recipe.model_dump(mode="json"),
        "runs": sorted(recipes),
        "images": [path.name for path in data.images],
        "version": __version__,
    }
    space = Workspace.open(out, configuration, restart=options.restart)
    images = {name: scaled(_chosen(data.part(part), spec), spec) for name, part in _parts(train, held)}
    trained: dict[str, tuple[SegmentationSpec, Fit]] = {}
    for name, own in recipes.items():
        own_spec = _with_network(spec, own)
        state = fit(
            own_spec,
            own,
            images["training"],
            images["validation"],
            space.checkpoint(f"{name}_fold0"),
            place=Place(options.device, options.bfloat16),
            report=partial(progress, f"train {name}"),
        )
        trained[name] = own_spec, state
    _write(out, recipes, trained, data, options)
    space.remove()
    return _summary(out, recipes, trained, options)


def spec_of(recipe: PixelRecipe, data: PixelData, train: Sequence[int]) -> SegmentationSpec:
    """Return the description of the recipe's member, channel statistics computed.

    Statistics are of all images in the published layout (validation included, as published), else of the
    training images.
    """
    if recipe.layout == "ganerod":
        assert recipe.setting is not None
        bands: Sequence[int] = ganerod.SETTINGS[recipe.setting]
        channels = tuple(ganerod.BAND_NAMES[i] for i in bands)
    elif recipe.layout == "l4s":
        six = recipe.network.architecture == SIX_CHANNEL
        channels = landslide4sense.SIX_BANDS if six else landslide4sense.BANDS
    else:
        channels = recipe.channels
    if lacking := [name for name in channels if name not in data.channels]:
        raise UsageError("E402", f"the data holds no channel {lacking[0]!r}, which the recipe reads.")
    missing = landslide4sense.MISSING if recipe.layout == "l4s" else 0.0
    scaling = ChannelScaling(recipe.scaling, missing=missing)
    if recipe.scaling == "standard":
        part = data if recipe.layout == "ganerod" else data.part(train)
        places = [data.channels.index(name) for name in channels]
        mean, std = channel_statistics(np.moveaxis(image[places], 0, -1) for image, _ in part)
        scaling = ChannelScaling("standard", tuple(map(float, mean)), tuple(map(float, std)), missing)
    return _with_network(SegmentationSpec("unet", "resnet34", channels, scaling), recipe)


def _with_network(spec: SegmentationSpec, recipe: PixelRecipe) -> SegmentationSpec:
    own = recipe.network
    return SegmentationSpec(
        own.architecture,
        own.encoder,
        spec.channels,
        spec.scaling,
        own.adapter,
        own.tile,
        own.overlap,
        own.decoder_channels,
    )


def _recipes(recipe: PixelRecipe, options: TrainingOptions) -> dict[str, PixelRecipe]:
    """Return name -> recipe of every network to be trained."""
    if not options.grid:
        return {recipe.name: recipe}
    if recipe.layout != "ganerod":
        raise UsageError("E402", f"--grid belongs to the recipes ganerod-*, not to {recipe.name}.")
    found = {}
    for number in options.numbers or range(ganerod.RUNS):
        run = ganerod.run(number)
        network = recipe.network.model_dump() | {"architecture": ganerod.NETWORKS[run.network]}
        schedule = recipe.schedule.model_copy(update={"learning_rate": run.learning_rate})
        changed = {"network": PixelNetwork(**network), "loss": run.loss, "schedule": schedule}
        name = f"{recipe.setting}-{number:02d}-{run.network}-{run.loss}-{run.learning_rate:g}"
        found[name] = recipe.model_copy(update={**changed, "name": name})
    return found


def _parts(train: list[int], held: list[int]) -> list[tuple[str, list[int]]]:
    return [("training", train), ("validation", held)]


def _chosen(data: PixelData, spec: SegmentationSpec) -> Images:
    places = [data.channels.index(name) for name in spec.channels]
    return [(image[places], mask) for image, mask in data]


def _ranked(trained: dict[str, tuple[SegmentationSpec, Fit]], options: TrainingOptions) -> list[str]:
    order = sorted(trained, key=lambda name: -trained[name][1].rank_f1)
    return order[: options.pick] if options.grid else order


def _write(
    out: Path,
    recipes: dict[str, PixelRecipe],
    trained: dict[str, tuple[SegmentationSpec, Fit]],
    data: PixelData,
    options: TrainingOptions,
) -> None:
    names = _ranked(trained, options)
    contents: dict[str, bytes | Callable[[Path], None]] = {}
    for name in names:
        contents[f"{name}.safetensors"] = partial(_save_weights, kept(trained[name][1], recipes[name]))
        history = json.dumps(trained[name][1].history, indent=1) + "\n"
        contents[f"{name}.history.json"] = history.encode()
    first = recipes[names[0]]
    document = {
        "name": first.name if not options.grid else f"ganerod-{first.setting}",
        "version": "1.0.0",
        "description": first.description or f"Pixel members trained by the recipe {first.name}",
        "unit": "pixel level: one probability for each pixel of 10 m",
        "licence": "that of the training data",
        "created_with": {"landslide-map": __version__, "torch": str(torch.__version__)},
        "training": {
            "recipes": {name: recipes[name].model_dump(mode="json") for name in names},
            "images": len(data),
            "regions": sorted(set(data.regions)),
            **({"published_bands": list(data.channels)} if data.layout == "ganerod" else {}),
        },
        "members": [_member(name, recipes[name], *trained[name], rank) for rank, name in enumerate(names, 1)],
        "scenarios": _scenarios(names),
    }
    save_bundle(out, document, contents, overwrite=options.overwrite)


def _member(name: str, recipe: PixelRecipe, spec: SegmentationSpec, state: Fit, rank: int) -> dict[str, Any]:
    return {
        "name": name,
        "kind": KIND,
        "input": "tiles",
        "channels": list(spec.channels),
        "files": [f"{name}.safetensors"],
        "settings": {KIND: spec.as_json(), "threshold": THRESHOLD, "rank": rank, "loss": recipe.loss},
        "metrics": {"level": "pixel", "validation": _figures(state, recipe)},
    }


def _figures(state: Fit, recipe: PixelRecipe) -> dict[str, float]:
    """Return the validation figures of the epoch with the kept weights."""
    sign = 1 if recipe.stopping.monitor == "f1" else -1
    values = [sign * epoch[recipe.stopping.monitor] for epoch in state.history]
    at = int(np.argmax(values)) if recipe.stopping.keep == "best" else len(values) - 1
    return {
        "f1_pooled": state.history[at]["f1"],
        "f1_mean_of_batches": state.history[at]["batch_f1"],
        "loss": state.history[at]["loss"],
        "epochs": float(len(values)),
        "seconds": round(state.seconds, 1),
        "rank_f1": state.rank_f1,
    }


def _scenarios(names: Sequence[str]) -> list[dict[str, Any]]:
    sizes = dict.fromkeys([len(names), *(k for k in (20, 15, 10, 5, 1) if k < len(names))])
    return [
        {
            "name": f"best {size}" if len(names) > 1 else names[0],
            "weights": dict.fromkeys(names[:size], 1.0),
            "threshold": THRESHOLD,
        }
        for size in sizes
    ]


def _save_weights(state: dict[str, Tensor], target: Path) -> None:
    save_file({key: value.contiguous().clone() for key, value in state.items()}, target)


def _summary(
    out: Path,
    recipes: dict[str, PixelRecipe],
    trained: dict[str, tuple[SegmentationSpec, Fit]],
    options: TrainingOptions,
) -> TrainedPixels:
    names = _ranked(trained, options)
    figures = tuple(_figures(trained[name][1], recipes[name]) for name in names)
    return TrainedPixels(out, tuple(names), figures)
