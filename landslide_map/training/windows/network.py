"""Training of one fold of one network, epoch by epoch, from a checkpoint if there is one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from landslide_map.array_types import Bools, Floats, Rows
from landslide_map.errors import ResourceError
from landslide_map.models.networks.architecture import build_network
from landslide_map.models.networks.preprocessing import FLIPS, enlarge, logits, planes
from landslide_map.models.networks.reduced_precision import fault, keep_stems_in_float32, some_windows
from landslide_map.models.networks.spec import NetworkSpec
from landslide_map.models.networks.speedups.threads import suitable_threads
from landslide_map.training.windows.procedure import augmented, learning_rate, loss
from landslide_map.training.windows.recipe import Learning, NetworkRecipe
from landslide_map.training.windows.workspace import Workspace


@dataclass(frozen=True)
class FoldJob:
    """Everything that decides the weights of one fold, but the windows."""

    member: str
    fold: int
    spec: NetworkSpec
    recipe: NetworkRecipe
    learning: Learning
    seed: int
    start: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    """Encoder -> options for its pretrained weights."""

    @property
    def name(self) -> str:
        """Name of its files."""
        return f"{self.member}_fold{self.fold}"

    def seed_of(self, epoch: int) -> int:
        """Return a seed of its own for every member, fold and epoch (-1: the first weights)."""
        text = f"{self.seed} {self.member} {self.fold} {epoch}"
        return int.from_bytes(sha256(text.encode()).digest()[:6])


@dataclass(frozen=True, slots=True)
class Examples:
    """Labelled windows, and which of them a fold learns from."""

    windows: Tensor
    """``(window, plane, y, x)`` float32; scaled, not yet enlarged."""
    labels: Tensor
    """``(window,)`` float32, 0 or 1."""
    learned: Rows
    """Row numbers of the windows learned from."""
    held_out: Rows
    """Row numbers of those left out."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """Figures of one epoch; window level."""

    member: str
    fold: int
    epoch: int
    """Counted from 1."""
    epochs: int
    loss: float
    """Mean over the training windows."""
    f1: float
    """F1 of the training windows at probability 0.5, with their flips."""
    f1_held_out: float
    """F1 of the windows left out, without flips."""
    seconds: float


@dataclass(frozen=True)
class Machine:
    """Device that a network is trained on, and callables that report it."""

    device: torch.device
    precision: str
    stepped: Callable[[str, int], None]
    """Called with the member and the windows learned from, after every batch."""
    report_epoch: Callable[[Epoch], None]
    report_halved: Callable[[str, int], None]
    """Called with the member and the new batch size."""


@dataclass(frozen=True, slots=True)
class _Learner:
    """A network being trained; a checkpoint keeps its three parts."""

    network: nn.Module
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler

    def state(self) -> dict[str, Any]:
        return {name: getattr(self, name).state_dict() for name in ("network", "optimiser", "scaler")}

    def restore(self, state: Mapping[str, Any]) -> None:
        for name in ("network", "optimiser", "scaler"):
            getattr(self, name).load_state_dict(state[name])

    def learn(self, value: Tensor) -> None:
        """Take one step against the loss `value`."""
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(value).backward()  # type: ignore[no-untyped-call]
        self.scaler.step(self.optimiser)
        self.scaler.update()


def precision_fault(spec: NetworkSpec, device: torch.device, precision: str) -> str | None:
    """Return where a network in reduced precision is wrong on a device; None if nowhere.

    Its votes are tried, not its gradients.
    """
    if precision == "float32":
        return None
    with _own_chance(device):
        torch.manual_seed(0)
        network = build_network(spec).eval().to(device)
    keep_stems_in_float32(network)

    def probability(windows: Tensor) -> Tensor:
        images = enlarge(windows[:, planes(spec)], spec.image_size)
        return torch.sigmoid(logits(network, images).double())

    return fault(probability, some_windows(1, device), getattr(torch, precision))


def fit_fold(job: FoldJob, examples: Examples, machine: Machine, workspace: Workspace) -> None:
    """Train one fold and keep it in the workspace, weights and votes on the windows held out.

    The same job gives the same weights whether or not it was interrupted, as every epoch has a seed of
    its own. Where the GPU's memory is not enough, the batch is halved from the last checkpoint on.

    Raises
    ------
    ResourceError
        E611 if two windows are too many for the GPU, E601 if the disk is full.
    """
    batch = job.recipe.batch
    while True:
        try:
            with _own_chance(machine.device), suitable_threads(job.spec.image_size, machine.device):
                _train(job, examples, machine, workspace, batch)
            return
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            if batch <= 2:
                raise ResourceError(
                    "E611",
                    f"the GPU memory is not enough to train {job.member} on two windows at "
                    "once. Close other programs on it, use --precision bfloat16, or use --device cpu. "
                    "Finished folds are kept.",
                ) from None
            batch = max(2, batch // 2)
            machine.report_halved(job.member, batch)


def _train(job: FoldJob, examples: Examples, machine: Machine, workspace: Workspace, batch: int) -> None:
    torch.manual_seed(job.seed_of(-1))
    path = workspace.checkpoint(job.name)
    network = build_network(job.spec, None if path.exists() else job.start).to(machine.device)
    if machine.precision != "float32":
        keep_stems_in_float32(network)
    rate = job.recipe.learning_rate
    optimiser = torch.optim.AdamW(network.parameters(), rate, weight_decay=job.learning.weight_decay)
    scaler = torch.amp.GradScaler(machine.device.type, enabled=machine.precision == "float16")
    learner = _Learner(network, optimiser, scaler)
    history: list[dict[str, float]] = []
    if path.exists():
        kept = torch.load(path, map_location=machine.device, weights_only=True)
        learner.restore(kept)
        history = kept["history"]
    for epoch in range(len(history), job.recipe.epochs):
        begin = time.monotonic()
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(rate, epoch, job.recipe.epochs)
        figures = _epoch(job, epoch, learner, examples, machine, batch)
        votes = _votes(network, job, examples, machine, ((),))
        figures["f1_held_out"] = _f1(votes > 0.5, examples.labels[examples.held_out].numpy() > 0)
        figures["seconds"] = time.monotonic() - begin
        history.append(figures)
        if epoch + 1 < job.recipe.epochs:
            workspace.write(path.name, partial(torch.save, learner.state() | {"history": history}))
        machine.report_epoch(Epoch(job.member, job.fold, epoch + 1, job.recipe.epochs, **figures))
    votes = _votes(network, job, examples, machine, FLIPS)
    tensors = {key: value.cpu().contiguous().clone() for key, value in network.state_dict().items()}
    record = {"epochs": history, "batch": batch}
    workspace.finish(job.name, lambda target: save_file(tensors, target), "safetensors", votes, record)


def _epoch(
    job: FoldJob,
    epoch: int,
    learner: _Learner,
    examples: Examples,
    machine: Machine,
    batch: int,
) -> dict[str, float]:
    """Learn once from every window; return mean loss and F1."""
    torch.manual_seed(job.seed_of(epoch))  # of dropout
    chance = torch.Generator().manual_seed(job.seed_of(epoch))
    learner.network.train()
    order = torch.from_numpy(examples.learned)[torch.randperm(len(examples.learned), generator=chance)]
    total, seen = 0.0, 0
    predicted, true = [], []
    for rows in _batches(order, batch):
        images = augmented(examples.windows[rows], job.learning.augmentation, chance).to(machine.device)
        labels = examples.labels[rows]
        with _mixed(machine):
            found = learner.network(enlarge(images, job.spec.image_size))[:, 0]
        value = loss(found.float(), labels.to(machine.device), job.learning.loss)
        learner.learn(value)
        total += float(value.detach()) * len(rows)
        seen += len(rows)
        predicted.append((found.detach() > 0).cpu().numpy())
        true.append(labels.numpy() > 0)
        machine.stepped(job.member, len(rows))
    if not np.isfinite(total):
        raise ResourceError(
            "E621",
            f"the loss of {job.member} is no number any more in epoch {epoch + 1} of fold {job.fold}. Use "
            "--precision float32, or a smaller learning rate in the recipe. Finished folds are kept.",
        )
    return {"loss": total / seen, "f1": _f1(np.concatenate(predicted), np.concatenate(true))}


def _batches(order: Tensor, batch: int) -> Iterator[Tensor]:
    """Divide an epoch; a last window on its own is left out, as it has no variance to normalise by."""
    for rows in torch.split(order, batch):
        if len(rows) > 1:
            yield rows


def _votes(
    network: nn.Module,
    job: FoldJob,
    examples: Examples,
    machine: Machine,
    flips: tuple[tuple[int, ...], ...],
) -> Floats:
    """Return the probability of landslide in the windows held out, ``(window,)``."""
    network.eval()
    parts = [np.empty(0)]
    at_once = max(1, job.recipe.batch // len(flips))  # as many images as fit in learning
    for some in torch.split(torch.from_numpy(examples.held_out), at_once):
        images = examples.windows[some].to(machine.device)
        with torch.inference_mode(), _mixed(machine):
            found = logits(network, enlarge(images, job.spec.image_size), flips)
        parts.append(torch.sigmoid(found.double()).cpu().numpy())
    return np.concatenate(parts)


def _f1(predicted: Bools, true: Bools) -> float:
    return float(2 * (predicted & true).sum() / max(predicted.sum() + true.sum(), 1))


def _mixed(machine: Machine) -> Any:
    if machine.precision == "float32":
        return nullcontext()
    return torch.autocast(machine.device.type, getattr(torch, machine.precision))


@contextmanager
def _own_chance(device: torch.device) -> Iterator[None]:
    """Leave the caller's random numbers as they are."""
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if device.type == "cuda" else []):
        yield
