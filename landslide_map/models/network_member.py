"""A network as a member of an ensemble: its folds read one at a time, its device and precision chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from landslide_map.errors import BundleError, ResourceError
from landslide_map.models.network_heads import build_network
from landslide_map.models.network_spec import NetworkSpec
from landslide_map.models.networks import enlarge, logits, planes, scale
from landslide_map.models.threads import suitable_threads
from landslide_map.progress import Report, silent

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["float32", "bfloat16", "float16"]

BATCH: Final = {"cpu": 4, "cuda": 64}
"""Windows in one forward pass. A CPU is fastest while activations fit its caches: see docs/decisions/0010."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """Where and how networks are computed."""

    device: Device = "auto"
    """``auto`` takes the graphics card where there is one."""
    precision: Precision = "float32"
    """Of the matrix products; sums that need it, and the mean over flips, stay in float32."""
    batch_size: int | None = None
    """Windows in one forward pass; halved by itself where the graphics card's memory is not enough."""
    report: Report = silent

    def torch_device(self) -> torch.device:
        """Return the device; E610 where CUDA was asked for and is absent."""
        available = torch.cuda.is_available()
        if self.device == "cuda" and not available:
            raise ResourceError(
                "E610",
                "--device cuda was asked for, but torch finds no CUDA device here. Use --device cpu or "
                "auto, or install a CUDA build of torch and check the driver with nvidia-smi.",
            )
        return torch.device("cuda" if available and self.device != "cpu" else "cpu")


@dataclass(frozen=True)
class NetworkMember:
    """Folds of one network on the pixels of windows; a :class:`~landslide_map.models.member.Member`."""

    name: str
    spec: NetworkSpec
    folds: tuple[Path, ...] = field(repr=False)
    """One safetensors file per fold."""
    runtime: Runtime = Runtime()
    input: Literal["pixels"] = "pixels"

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels that some encoder sees."""
        return self.spec.channels

    def predict(self, x: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Return the probability of landslide, ``(window,)``.

        Per fold the logits of four flips are averaged and then turned into a probability; the mean of the
        folds is returned.

        Parameters
        ----------
        x : ndarray, (window, y, x, 12)
            Model bands in the order of ``bands.MODEL_BANDS``, in their units; NaN pixels become medians.
        """
        device = self.runtime.torch_device()
        prepared = self._prepared(x)
        network = build_network(self.spec).eval().to(memory_format=torch.channels_last)
        total = np.zeros(len(x))
        with suitable_threads(self.spec.image_size, device):
            for fold, path in enumerate(self.folds):
                _load(network, path)
                network.to(device)
                total += self._fold(network, prepared, device, fold)
        return total / len(self.folds)

    def _prepared(self, x: npt.NDArray[np.floating]) -> Tensor:
        """Scale once for all folds; ``(window, planes, y, x)`` float32, not yet enlarged."""
        wanted = planes(self.spec)
        out = torch.empty(len(x), len(wanted), *x.shape[1:3])
        for start in range(0, len(x), 64):
            part = torch.from_numpy(np.array(x[start : start + 64], dtype=np.float64)).permute(0, 3, 1, 2)
            out[start : start + 64] = scale(part, self.spec.scaling, self.spec.indices)[:, wanted]
        return out

    def _fold(
        self, network: nn.Module, prepared: Tensor, device: torch.device, fold: int
    ) -> npt.NDArray[np.float64]:
        size = self.runtime.batch_size or BATCH[device.type]
        found = np.empty(len(prepared))
        start = 0
        while start < len(prepared):
            try:
                batch = prepared[start : start + size].to(device)
                found[start : start + size] = self._probability(network, batch)
            except torch.OutOfMemoryError:
                torch.cuda.empty_cache()
                if size == 1:
                    raise ResourceError(
                        "E611",
                        f"the memory of the graphics card is not enough for one window of {self.name}. "
                        "Close other programs on it, use --precision bfloat16, or use --device cpu.",
                    ) from None
                size = max(1, size // 2)
                continue
            start += size
            done = fold * len(prepared) + min(start, len(prepared))
            self.runtime.report(f"network {self.name}", done, len(self.folds) * len(prepared))
        return found

    def _probability(self, network: nn.Module, batch: Tensor) -> npt.NDArray[np.float64]:
        kind: torch.dtype = getattr(torch, self.runtime.precision)
        mixed = torch.autocast(batch.device.type, kind) if kind != torch.float32 else nullcontext()
        with torch.inference_mode(), mixed:
            images = enlarge(batch, self.spec.image_size).contiguous(memory_format=torch.channels_last)
            found = logits(network, images)
        probability: npt.NDArray[np.float64] = torch.sigmoid(found.double()).cpu().numpy()
        return probability


def _load(network: nn.Module, path: Path) -> None:
    try:
        network.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise BundleError("E506", f"{path}: these weights do not fit their network ({reason}).") from error


def load_network_member(entry: Any, contents: Mapping[str, bytes | Path]) -> NetworkMember:
    """Return the member that a bundle's entry describes; `contents` names its verified files."""
    paths: Iterator[bytes | Path] = (contents[name] for name in entry.files)
    return NetworkMember(
        entry.name,
        NetworkSpec.from_json(entry.settings["network"]),
        tuple(p for p in paths if isinstance(p, Path)),
    )
