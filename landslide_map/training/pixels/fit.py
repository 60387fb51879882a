"""Training of one pixel network, epoch by epoch; an interrupted one goes on from its last epoch."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from landslide_map.errors import ResourceError
from landslide_map.models.segmentation.architecture import build_network
from landslide_map.models.segmentation.losses import LOSSES
from landslide_map.models.segmentation.metrics import PixelCounts
from landslide_map.models.segmentation.spec import SegmentationSpec
from landslide_map.runtime.atomic import whole_file
from landslide_map.training.pixels.recipe import PixelRecipe
from landslide_map.training.pixels.samples import Images, Samples, validation_batches

SANITY_BATCHES: Final = 2
TENTH: Final = 0.1

Report = Callable[[int, int], None]
"""(epochs done, epochs at most)."""


@dataclass
class Fit:
    """State and result of a training."""

    network: nn.Module
    best: dict[str, Tensor]
    history: list[dict[str, float]] = field(default_factory=list)
    """Figures of each epoch: train_loss, loss, f1 (pooled), batch_f1 (mean of batches), rate."""
    seconds: float = 0.0
    sanity_f1: float = 0.0

    @property
    def rank_f1(self) -> float:
        """Largest validation F1, by which networks are ranked."""
        return max([self.sanity_f1, *(epoch["f1"] for epoch in self.history)])


@dataclass(frozen=True, slots=True)
class Place:
    """Device of the training."""

    device: str = "cpu"
    bfloat16: bool = False


def fit(
    spec: SegmentationSpec,
    recipe: PixelRecipe,
    training: Images,
    validation: Images,
    checkpoint: Path,
    *,
    place: Place = Place(),
    report: Report = lambda _done, _most: None,
) -> Fit:
    """Train a network until it stops as the recipe says.

    Parameters
    ----------
    spec : SegmentationSpec
    recipe : PixelRecipe
    training, validation : list of (image, mask)
        As the network reads them.
    checkpoint : path
        Written after each epoch; training goes on from it if it is there.
    place : Place
    report : callable

    Raises
    ------
    ResourceError
        E621 if the loss is no number, E601 if the checkpoint cannot be written.
    """
    torch.manual_seed(recipe.seed)
    network = build_network(spec, encoder_weights=recipe.network.encoder_weights).to(place.device)
    network = network.to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.schedule.learning_rate)
    samples = Samples(training, recipe.sampling, np.random.default_rng(recipe.seed))
    state = Fit(network, {})
    plateau = _Plateau(recipe.schedule.wait)
    if checkpoint.is_file():
        _resume(checkpoint, state, optimiser, samples, plateau)
    elif recipe.stopping.sanity_pass:
        state.sanity_f1 = _validate(network, recipe, validation, place, SANITY_BATCHES)["f1"]
    while not _done(state, recipe):
        began = _spent(place)
        train_loss = _epoch(network, optimiser, samples, recipe, place)
        figures = _validate(network, recipe, validation, place)
        rate = float(optimiser.param_groups[0]["lr"])
        state.history.append({"train_loss": train_loss, **figures, "rate": rate})
        if _is_best(state, recipe):
            state.best = {key: value.cpu() for key, value in copy.deepcopy(network.state_dict()).items()}
        state.seconds += _spent(place) - began
        optimiser.param_groups[0]["lr"] = _rate(state, recipe, plateau, rate)
        _save(checkpoint, state, optimiser, samples, plateau)
        report(len(state.history), recipe.stopping.most_epochs)
    return state


def _spent(place: Place) -> float:
    """Return the seconds computed so far; on a CPU the CPU time of each thread."""
    return time.process_time() / torch.get_num_threads() if place.device == "cpu" else time.monotonic()


def kept(state: Fit, recipe: PixelRecipe) -> dict[str, Tensor]:
    """Return the weights that the recipe keeps, on the CPU."""
    if recipe.stopping.keep == "best":
        return state.best
    return {key: value.cpu() for key, value in state.network.state_dict().items()}


def _epoch(
    network: nn.Module, optimiser: torch.optim.Optimizer, samples: Samples, recipe: PixelRecipe, place: Place
) -> float:
    network.train()
    losses, weights = [], []
    for planes, labels in samples.epoch():
        optimiser.zero_grad(set_to_none=True)
        logits = _logits(network, planes, place)
        loss = LOSSES[recipe.loss](logits, torch.from_numpy(labels).to(place.device))
        if not bool(torch.isfinite(loss)):
            raise ResourceError(
                "E621", f"training of {recipe.name} diverged: its loss is no number. Lower the learning rate."
            )
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
        weights.append(len(planes))
    return float(np.average(losses, weights=weights))


def _validate(
    network: nn.Module, recipe: PixelRecipe, images: Images, place: Place, batches: int | None = None
) -> dict[str, float]:
    """Return loss (mean of batches), pooled F1 and mean F1 of batches, at probability 0.5."""
    network.eval()
    counts = PixelCounts()
    losses: list[float] = []
    each: list[float] = []
    size = 1 if recipe.layout == "ganerod" else recipe.sampling.batch
    with torch.inference_mode():
        for number, (planes, labels) in enumerate(validation_batches(images, size)):
            if batches is not None and number >= batches:
                break
            logits = _logits(network, planes, place)
            losses.append(float(LOSSES[recipe.loss](logits, torch.from_numpy(labels).to(place.device))))
            own = PixelCounts.of((logits > 0).cpu().numpy(), labels > 0)
            counts += own
            each.append(own.f1)
    return {"loss": float(np.mean(losses)), "f1": counts.f1, "batch_f1": float(np.mean(each))}


def _logits(network: nn.Module, planes: Any, place: Place) -> Tensor:
    x = torch.from_numpy(planes).to(place.device).contiguous(memory_format=torch.channels_last)
    with torch.autocast(place.device, torch.bfloat16, enabled=place.bfloat16):
        return torch.as_tensor(network(x)).float()


def _is_best(state: Fit, recipe: PixelRecipe) -> bool:
    """Return whether the last epoch is better than all before it."""
    name, sign = recipe.stopping.monitor, 1 if recipe.stopping.monitor == "f1" else -1
    *before, last = (sign * epoch[name] for epoch in state.history)
    return last > max(before, default=-math.inf)


def _done(state: Fit, recipe: PixelRecipe) -> bool:
    epochs, stopping = len(state.history), recipe.stopping
    if epochs >= stopping.most_epochs:
        return True
    if recipe.minutes is not None and epochs and state.seconds >= 60 * recipe.minutes:
        return True
    sign = 1 if stopping.monitor == "f1" else -1
    values = [sign * epoch[stopping.monitor] for epoch in state.history]
    since_best = epochs - 1 - int(np.argmax(values)) if values else 0
    return epochs >= stopping.least_epochs and since_best >= stopping.patience


def _rate(state: Fit, recipe: PixelRecipe, plateau: _Plateau, rate: float) -> float:
    """Return the learning rate of the next epoch."""
    schedule, epochs = recipe.schedule, len(state.history)
    if schedule.decay == "plateau":
        return rate * TENTH if plateau.is_over(state.history[-1]["loss"]) else rate
    if schedule.decay == "step":
        return schedule.learning_rate * TENTH ** (epochs // schedule.wait)
    share = epochs / recipe.stopping.most_epochs
    if recipe.minutes is not None:
        share = max(share, state.seconds / (60 * recipe.minutes))
    return schedule.learning_rate * 0.5 * (1 + math.cos(math.pi * min(share, 0.99)))


class _Plateau:
    """Whether a loss has stopped falling: as torch's ``ReduceLROnPlateau`` with its defaults."""

    def __init__(self, wait: int) -> None:
        self.wait, self.lowest, self.bad = wait, math.inf, 0

    def is_over(self, loss: float) -> bool:
        if loss < self.lowest * (1 - 1e-4):
            self.lowest, self.bad = loss, 0
            return False
        self.bad += 1
        if self.bad <= self.wait:
            return False
        self.bad = 0
        return True


def _save(
    path: Path, state: Fit, optimiser: torch.optim.Optimizer, samples: Samples, plateau: _Plateau
) -> None:
    content = {
        "network": state.network.state_dict(),
        "best": state.best,
        "optimiser": optimiser.state_dict(),
        "history": state.history,
        "seconds": state.seconds,
        "sanity_f1": state.sanity_f1,
        "plateau": [plateau.lowest, plateau.bad],
        "samples": samples.rng.bit_generator.state,
        "torch": torch.get_rng_state(),
    }
    with whole_file(path, "Free disk space and run the same command again to go on") as staged:
        torch.save(content, staged)


def _resume(
    path: Path, state: Fit, optimiser: torch.optim.Optimizer, samples: Samples, plateau: _Plateau
) -> None:
    content = torch.load(path, map_location="cpu", weights_only=True)
    state.network.load_state_dict(content["network"])
    optimiser.load_state_dict(content["optimiser"])
    state.best, state.history = content["best"], content["history"]
    state.seconds, state.sanity_f1 = content["seconds"], content["sanity_f1"]
    plateau.lowest, plateau.bad = content["plateau"]
    samples.rng.bit_generator.state = content["samples"]
    torch.set_rng_state(content["torch"])
