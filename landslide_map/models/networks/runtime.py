"""Runtime of networks: device, precision, batch size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch

from landslide_map.errors import ResourceError
from landslide_map.models.networks.preprocessing import FLIPS
from landslide_map.options import Device, Precision
from landslide_map.runtime.progress import Report, silent

_IMAGES: Final = {"cpu": 4, "cuda": 128}
"""Images of 256 x 256 pixels in one pass. A CPU is fastest while activations fit its caches."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """Device, precision and batch size of networks."""

    device: Device = "auto"
    """``auto`` takes the GPUs where there are any."""
    precision: Precision = "float32"
    """Precision of the matrix products; sums that need it, and the mean over flips, stay in float32."""
    batch_size: int | None = None
    """Windows in one pass; halved automatically where the GPU's memory is not enough."""
    report: Report = silent

    def torch_device(self) -> torch.device:
        """Return the kind of device; E610 where CUDA was requested and is absent."""
        available = torch.cuda.is_available()
        if self.device == "cuda" and not available:
            raise ResourceError(
                "E610",
                "--device cuda was requested, but torch finds no CUDA device here. Use --device cpu or "
                "auto, or install a CUDA build of torch and check the driver with nvidia-smi.",
            )
        return torch.device("cuda" if available and self.device != "cpu" else "cpu")

    def devices(self) -> list[torch.device]:
        """Return the CPU, or every GPU that this process may see."""
        device = self.torch_device()
        if device.type == "cpu":
            return [device]
        return [torch.device("cuda", number) for number in range(torch.cuda.device_count())]

    def windows_at_once(self, image_size: int) -> int:
        """Return how many windows make one pass, each in its four flips."""
        images = _IMAGES[self.torch_device().type] * 256**2 // image_size**2
        return self.batch_size or max(1, images // len(FLIPS))
