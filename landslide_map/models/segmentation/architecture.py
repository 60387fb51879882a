"""Networks of pixel members as torch modules, built on segmentation-models-pytorch."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from landslide_map.models.segmentation.spec import CLASSES, SIX_CHANNEL, SegmentationSpec

_UNET6_WIDTHS: Final = (16, 32, 64, 128, 256)


class AdaptedNetwork(nn.Module):
    """A network of three input planes behind a 1 x 1 convolution that makes them of all channels."""

    def __init__(self, planes: int, adapter: int, network: nn.Module) -> None:
        super().__init__()
        self.conv = nn.Conv2d(planes, adapter, 1)
        self.model = network

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(n, 1, y, x)``."""
        return torch.as_tensor(self.model(self.conv(x)))


class SixChannelUnet(nn.Module):
    """U-Net of 16, 32, 64, 128 and 256 features with ReLU and without normalisation; dropout left out.

    Reference: row "U-Net" of arXiv 2507.01123.
    """

    def __init__(self, planes: int = 6) -> None:
        super().__init__()
        *widths, deepest = _UNET6_WIDTHS
        self.down = nn.ModuleList(_pair(a, b) for a, b in pairwise((planes, *widths)))
        self.bottom = _pair(widths[-1], deepest)
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, stride=2) for w in widths[::-1])
        self.merge = nn.ModuleList(_pair(2 * w, w) for w in widths[::-1])
        self.head = nn.Conv2d(widths[0], 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(n, 1, y, x)``; edges of the input are multiples of 16."""
        skips = []
        for convolutions in self.down:
            skips.append(_twice(convolutions, x))
            x = nn.functional.max_pool2d(skips[-1], 2)
        x = _twice(self.bottom, x)
        for up, convolutions, skip in zip(self.up, self.merge, reversed(skips), strict=True):
            x = _twice(convolutions, torch.cat([up(x), skip], 1))
        return torch.as_tensor(self.head(x))


def build_network(spec: SegmentationSpec, *, encoder_weights: str | None = None) -> nn.Module:
    """Return the network of `spec`: ``(n, planes, y, x)`` -> logits ``(n, 1, y, x)``, random weights.

    Nothing is downloaded unless `encoder_weights` names pretrained weights (``imagenet``).

    Raises
    ------
    ValueError
        If the installed segmentation-models-pytorch lacks the encoder or the architecture.
    """
    if spec.architecture == SIX_CHANNEL:
        return SixChannelUnet(spec.planes)
    options: dict[str, Any] = {}
    if spec.decoder_channels:
        options = {"decoder_channels": spec.decoder_channels, "encoder_depth": len(spec.decoder_channels)}
    try:
        network = getattr(smp, CLASSES[spec.architecture])(
            encoder_name=spec.encoder,
            encoder_weights=encoder_weights,
            in_channels=spec.adapter or spec.planes,
            classes=1,
            **options,
        )
    except (AttributeError, KeyError) as error:
        raise ValueError(
            f"segmentation-models-pytorch {smp.__version__} has no {spec.architecture} on encoder "
            f"{spec.encoder!r} ({str(error)[:120]})"
        ) from error
    assert isinstance(network, nn.Module)
    return network if spec.adapter is None else AdaptedNetwork(spec.planes, spec.adapter, network)


def misfits(tensors: Mapping[str, Tensor], spec: SegmentationSpec) -> list[str]:
    """Return the differences between tensors and a network's state dict, by key and shape.

    Counters of batches may be missing: no output depends on them.
    """
    # MiT encoders cannot be built without memory (torch's device "meta").
    with torch.device("cpu" if spec.encoder.startswith("mit_") else "meta"):
        return _differences(tensors, build_network(spec))


def loaded(spec: SegmentationSpec, state: Mapping[str, Tensor]) -> nn.Module:
    """Return the network of `spec` with the weights `state`, in evaluation mode.

    Raises
    ------
    ValueError
        If a key or shape differs.
    """
    network = build_network(spec)
    if problems := _differences(state, network):
        raise ValueError(f"{problems[0]} ({len(problems)} differences)")
    network.load_state_dict(dict(state), strict=False)
    return network.eval()


def fused(network: nn.Module, spec: SegmentationSpec) -> nn.Module:
    """Return a network with its batch normalisations folded into convolutions, weights channels last.

    Numbers are the same to rounding. Only where one follows the other for certain: in sequences, and in the
    encoders of the ResNet family.
    """
    plain = spec.encoder.startswith(("resnet", "resnext"))
    for module in list(network.modules()):
        if isinstance(module, nn.Sequential) or (plain and hasattr(module, "bn1")):
            _fold(module)
    return network.to(memory_format=torch.channels_last)


def _fold(module: nn.Module) -> None:
    for (name, first), (norm, second) in pairwise(list(module.named_children())):
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(first, second))
            setattr(module, norm, nn.Identity())


def _differences(tensors: Mapping[str, Tensor], network: nn.Module) -> list[str]:
    expected = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    found = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    return [
        *(f"{key} is missing" for key in expected if key not in found and not _is_counter(key)),
        *(f"{key} is unexpected" for key in found if key not in expected),
        *(
            f"{key} has shape {found[key]}, expected {shape}"
            for key, shape in expected.items()
            if found.get(key, shape) != shape
        ),
    ]


def _is_counter(key: str) -> bool:
    return key.endswith(".num_batches_tracked")


def _pair(inputs: int, outputs: int) -> nn.ModuleList:
    return nn.ModuleList(
        [nn.Conv2d(inputs, outputs, 3, padding=1), nn.Conv2d(outputs, outputs, 3, padding=1)]
    )


def _twice(convolutions: nn.Module, x: Tensor) -> Tensor:
    assert isinstance(convolutions, nn.ModuleList)
    first, second = convolutions
    return torch.as_tensor(second(first(x).relu()).relu())
