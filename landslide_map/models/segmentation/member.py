"""Pixel member of a bundle: tiles of channels in, one probability for each pixel out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from landslide_map.models.segmentation.ensemble import mean_probability, probability
from landslide_map.models.segmentation.scaling import scale, scaled_already
from landslide_map.models.segmentation.spec import SegmentationSpec
from landslide_map.options import Precision

KIND: Final = "segmentation"
"""Kind of a member in ``bundle.json``, and the key of its description in `settings`."""
_PIXELS: Final = 8 * 128**2
"""Pixels in one pass of a network: more was no faster, half as many took a seventh longer."""


def batch_of(edge: int) -> int:
    """Return how many tiles of an edge go through a network at once.

    Examples
    --------
    >>> [batch_of(edge) for edge in (64, 128, 256, 512)]
    [8, 8, 2, 1]
    """
    return min(max(_PIXELS // edge**2, 1), 8)


@dataclass(frozen=True)
class SegmentationMember:
    """Networks of one architecture, one for each fold; their probabilities are averaged."""

    name: str
    spec: SegmentationSpec
    files: tuple[bytes | Path, ...]
    """Weights (safetensors) of each fold."""
    threshold: float = 0.5
    precision: Precision = "float32"
    """Precision of the networks' products; stems stay in float32, and so do all results."""
    _networks: dict[tuple[int, str, str], Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def channels(self) -> tuple[str, ...]:
        """Input channels, in the order of :meth:`predict`."""
        return self.spec.channels

    @property
    def input(self) -> Literal["tiles"]:
        """Kind of input of :meth:`predict`."""
        return "tiles"

    def predict(
        self, tiles: npt.NDArray[Any], *, device: str = "cpu", scaled: bool = False
    ) -> npt.NDArray[np.float64]:
        """Return probabilities ``(n, y, x)`` of tiles ``(n, channel, y, x)``, the mean over folds.

        Parameters
        ----------
        tiles : array
            In the channels' units; NaN is missing. Edges are multiples of 32 px.
        device : str
            Of torch.
        scaled : bool
            Whether the tiles hold the network's numbers already.
        """
        each = (self.logits(tiles, fold, device=device, scaled=scaled) for fold in range(len(self.files)))
        return mean_probability(probability(logits) for logits in each)

    def logits(
        self, tiles: npt.NDArray[Any], fold: int = 0, *, device: str = "cpu", scaled: bool = False
    ) -> npt.NDArray[np.float32]:
        """Return logits ``(n, y, x)`` of one fold; see :meth:`predict`."""
        import torch

        planes = (scaled_already if scaled else scale)(tiles, self.spec.scaling)
        network = self.network(fold, device)
        parts = []
        lower = self.precision != "float32"
        kind = getattr(torch, self.precision) if lower else None
        with (
            torch.inference_mode(),
            torch.autocast(torch.device(device).type, dtype=kind, enabled=lower),
        ):
            count = batch_of(planes.shape[-1])
            for start in range(0, len(planes), count):
                batch = torch.from_numpy(planes[start : start + count]).to(device)
                batch = batch.contiguous(memory_format=torch.channels_last)
                parts.append(network(batch)[:, 0].float().cpu().numpy())
        return np.concatenate(parts)

    def network(self, fold: int, device: str = "cpu") -> Any:
        """Return the network of a fold in evaluation mode; built once for each device and precision."""
        key = (fold, device, self.precision)
        if key not in self._networks:
            from safetensors import SafetensorError
            from safetensors.torch import load

            from landslide_map.models.segmentation.architecture import fused, loaded

            file = self.files[fold]
            try:
                tensors = load(file if isinstance(file, bytes) else file.read_bytes())
            except SafetensorError as error:
                raise ValueError(f"{self.name}: no safetensors file ({error})") from error
            network = fused(loaded(self.spec, tensors), self.spec).to(device)
            if self.precision != "float32":
                from landslide_map.models.networks.reduced_precision import keep_stems_in_float32

                keep_stems_in_float32(network)
            self._networks[key] = network
        return self._networks[key]

    def unloaded(self) -> None:
        """Drop the networks that were built, and their memory."""
        self._networks.clear()


def load_segmentation_member(entry: Any, contents: Mapping[str, bytes | Path]) -> SegmentationMember:
    """Return the member of an entry of ``bundle.json``; ``ValueError`` if its settings are not valid."""
    spec = SegmentationSpec.from_json(entry.settings[KIND])
    if tuple(entry.channels) != spec.channels:
        raise ValueError("its channels are not those of its network")
    files = tuple(contents[name] for name in entry.files)
    return SegmentationMember(entry.name, spec, files, float(entry.settings.get("threshold", 0.5)))
