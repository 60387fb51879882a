"""Inference of one network on one device, one fold's weights after another."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import ExitStack
from functools import lru_cache, partial
from pathlib import Path
from typing import Final, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from landslide_map.errors import BundleError
from landslide_map.models.networks.architecture import build_network, encoders
from landslide_map.models.networks.preprocessing import enlarge, logits, planes
from landslide_map.models.networks.reduced_precision import fault, keep_stems_in_float32, some_windows
from landslide_map.models.networks.spec import NetworkSpec
from landslide_map.models.networks.speedups.fused_batchnorm import fold_norms
from landslide_map.models.networks.speedups.fused_patch_embed import KERNEL, FoldedStem, fold_stem
from landslide_map.models.networks.speedups.inplace_activations import lean_activations
from landslide_map.models.networks.speedups.packed_linear import PackedProducts, available
from landslide_map.models.networks.speedups.split_projection import part_blocks
from landslide_map.options import Precision
from landslide_map.windows import SIZE

Weights = dict[str, Tensor]
SPEEDUPS: Final = (
    "batchnorm",
    "patch embedding",
    "activations",
    "parallel blocks",
    "packed products",
)
"""Rewrites of a network's arithmetic with the same numbers to rounding, each with a figure of its own in
docs/benchmarks.md (``python -m benchmarks.speedups``)."""
ON_CPU: Final = frozenset(SPEEDUPS[2:])
"""Rewrites for CPUs in float32."""


class Fold(Protocol):
    """A change of a network that needs a change of its weights."""

    def fold(self, weights: Weights) -> None:
        """Turn the state dict of the network as it was into that of the network as it is."""


class VotingNetwork:
    """A network without weights; those of a fold come by :meth:`load` and go by :meth:`unload`.

    Between folds only the modules are there, which take up to seconds to make and no memory to keep.

    Parameters
    ----------
    spec : NetworkSpec
    device : torch.device
    precision : str
        Of products; everything that needs more is float32, and so are stems.
    speedups : collection of str
        Of :data:`SPEEDUPS`; benchmarks take some of them. Those for CPUs in float32 change nothing elsewhere.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        device: torch.device,
        precision: Precision,
        speedups: Collection[str] = SPEEDUPS,
    ) -> None:
        self.device = device
        self._precision = precision
        self._planes = planes(spec)
        own = device.type == "cpu" and precision == "float32"
        used = set(speedups) - (set() if own else ON_CPU)
        self._packs = "packed products" in used
        network = build_network(spec).eval().requires_grad_(False)
        self._folds: list[Fold] = [*fold_norms(network)] if "batchnorm" in used else []
        for prefix, encoder in encoders(network).items():
            if "activations" in used:
                lean_activations(encoder)
            if "patch embedding" in used and fold_stem(encoder, spec.image_size):
                self._folds.append(FoldedStem(prefix + KERNEL, spec.image_size))
            elif spec.image_size != SIZE:
                encoder.register_forward_pre_hook(partial(_enlarged, spec.image_size))
        if "parallel blocks" in used:
            self._folds += part_blocks(network)
        if precision != "float32":
            keep_stems_in_float32(network)
        self._network = network.to(device)
        self._products: PackedProducts | None = None
        self.unload()

    def load(self, weights: Mapping[str, Tensor], path: Path) -> None:
        """Take the weights of a fold.

        Parameters
        ----------
        weights : mapping
            From :func:`read_weights`, or a state dict.
        path : Path
            Where they come from, for the message.

        Raises
        ------
        BundleError
            E506 if they do not fit.
        """
        own = {key: value.to(self.device, non_blocking=True) for key, value in weights.items()}
        try:
            for fold in self._folds:
                fold.fold(own)
            self._network.load_state_dict(own, assign=True)
        except RuntimeError as error:
            raise _unfit(path, error) from error
        self._network.requires_grad_(False).to(memory_format=torch.channels_last)
        if self._packs and available():
            self._products = PackedProducts(self._network)

    def unload(self) -> None:
        """Let the memory of the weights go."""
        self._products = None
        for module in self._network.modules():
            for name, weight in module.named_parameters(recurse=False):
                setattr(module, name, nn.Parameter(weight.to("meta"), requires_grad=False))

    def probability(self, windows: Tensor) -> Tensor:
        """Return the probability of landslide by this fold, ``(n,)`` float64, on the device.

        Parameters
        ----------
        windows : Tensor, (n, 18, 64, 64), float32, on the device
            As :func:`~landslide_map.models.networks.preprocessing.scale` returns them.

        Returns
        -------
        Tensor
            NaN where numbers grew too large.
        """
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode())
            if self._precision != "float32":
                stack.enter_context(torch.autocast(self.device.type, self._kind))
            if self._products is not None:
                stack.enter_context(self._products)
            return self._probability(windows)

    def fault(self, count: int) -> str | None:
        """Return where this fold in reduced precision is wrong on this device; None if nowhere.

        Parameters
        ----------
        count : int
            Windows to try it on: kernels depend on how many there are.
        """
        return fault(self._probability, some_windows(count, self.device), self._kind)

    @property
    def _kind(self) -> torch.dtype:
        kind: torch.dtype = getattr(torch, self._precision)
        return kind

    def _probability(self, windows: Tensor) -> Tensor:
        images = windows[:, self._planes].contiguous(memory_format=torch.channels_last)
        found = logits(self._network, images).double()
        return torch.where(found.isfinite(), torch.sigmoid(found), torch.nan)


@lru_cache(maxsize=64)
def voting_network(spec: NetworkSpec, device: torch.device, precision: Precision) -> VotingNetwork:
    """Return the one voting network of this kind in this process: for one user at a time."""
    return VotingNetwork(spec, device, precision)


def read_weights(path: Path, *, pinned: bool) -> Weights:
    """Return the weights of a fold in float32.

    Parameters
    ----------
    path : Path
        A safetensors file.
    pinned : bool
        Whether they are copied to where a GPU can fetch them directly. Else the file is mapped:
        it is read when the weights are used, and its memory can be reclaimed.

    Raises
    ------
    BundleError
        E506 if it is no such file.
    """
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise _unfit(path, error) from error
    weights = {key: value.float() if value.is_floating_point() else value for key, value in weights.items()}
    return {key: value.pin_memory() for key, value in weights.items()} if pinned else weights


def _unfit(path: Path, error: Exception) -> BundleError:
    return BundleError(
        "E506", f"{path}: these weights do not fit their network ({str(error).splitlines()[0]})."
    )


def _enlarged(size: int, _encoder: nn.Module, arguments: tuple[Tensor]) -> Tensor:
    return enlarge(arguments[0], size)
