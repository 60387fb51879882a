"""Description of a pixel member: architecture, input channels, scaling and tile; readable without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

ScalingKind = Literal["standard", "six-channel", "none"]

CLASSES: Final = {
    "deeplabv3": "DeepLabV3",
    "deeplabv3plus": "DeepLabV3Plus",
    "fpn": "FPN",
    "linknet": "Linknet",
    "manet": "MAnet",
    "pan": "PAN",
    "pspnet": "PSPNet",
    "unet": "Unet",
    "unetplusplus": "UnetPlusPlus",
}
"""Architecture -> class of segmentation-models-pytorch."""
SIX_CHANNEL: Final = "unet6"
"""The small U-Net of 16 to 256 features on six channels made of six Landslide4Sense bands."""
SIX_PLANES: Final = 6
ARCHITECTURES: Final = (*CLASSES, SIX_CHANNEL)
SMALLEST_INPUT: Final = {"pan": 128}
"""Architecture -> smallest edge of its input, pixels, where that is more than `MULTIPLE`."""
MULTIPLE: Final = 32
"""Edges of a network's input are multiples of it, pixels."""


@dataclass(frozen=True, slots=True)
class ChannelScaling:
    """The way from a channel's units to the numbers that a network reads.

    ``standard``: ``(x - mean) / std``. ``six-channel``: :func:`.scaling.six_channels`. ``none``: channels are
    read as they are.
    """

    kind: ScalingKind = "none"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    missing: float = 0.0
    """Number that stands for a missing pixel, after scaling."""


@dataclass(frozen=True, slots=True)
class SegmentationSpec:
    """Everything but the weights of a pixel member.

    Raises
    ------
    ValueError
        If a name is unknown, or lengths do not agree.
    """

    architecture: str
    encoder: str
    channels: tuple[str, ...]
    """Input channels by name, in the order of the input planes."""
    scaling: ChannelScaling = ChannelScaling()
    adapter: int | None = None
    """Planes of a 1 x 1 convolution before the encoder (MiT encoders take three), or none."""
    tile: int = 128
    """Edge of a tile, pixels."""
    overlap: int = 32
    """Pixels that neighbouring tiles share."""
    decoder_channels: tuple[int, ...] = ()
    """Widths of a U-Net's decoder, deepest first, as many as levels; those of the library where empty."""

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise ValueError(f"architecture {self.architecture!r} is none of {', '.join(ARCHITECTURES)}")
        if not self.channels or len(set(self.channels)) != len(self.channels):
            raise ValueError("a pixel member needs at least one channel, and none of them twice")
        for what in ("mean", "std"):
            found = getattr(self.scaling, what)
            if len(found) not in (0, len(self.channels)):
                raise ValueError(f"{what} has {len(found)} numbers for {len(self.channels)} channels")
        if self.scaling.kind == "standard" and not (self.scaling.mean and self.scaling.std):
            raise ValueError("scaling 'standard' needs mean and std")
        if self.scaling.kind == "six-channel" and len(self.channels) != SIX_PLANES:
            raise ValueError(f"the six-channel input is made of 6 channels; found {len(self.channels)}")
        if not all(number > 0 for number in self.scaling.std):
            raise ValueError("std must be above 0")
        if self.tile % MULTIPLE or self.tile < SMALLEST_INPUT.get(self.architecture, MULTIPLE):
            raise ValueError(f"tile={self.tile} px is no multiple of {MULTIPLE} px, or too small")
        if not 0 <= self.overlap <= self.tile // 2:
            raise ValueError(f"overlap={self.overlap} px is not between 0 and half a tile")

    @property
    def planes(self) -> int:
        """Number of input planes of the network."""
        return len(self.channels)

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON values from which :meth:`from_json` makes an equal spec."""
        values = asdict(self)
        values["scaling"] = {key: value for key, value in values["scaling"].items() if value != ()}
        return {key: value for key, value in values.items() if value not in (None, ())}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SegmentationSpec:
        """Return the spec that :meth:`as_json` wrote; ``ValueError`` where it is not one."""
        known = set(cls.__slots__)
        if set(values) - known or not {"architecture", "encoder", "channels"} <= set(values):
            raise ValueError(f"a pixel member is described by {', '.join(sorted(known))}")
        scaling = dict(values.get("scaling", {}))
        if unknown := set(scaling) - set(ChannelScaling.__slots__):
            raise ValueError(f"unknown scaling setting {sorted(unknown)[0]!r}")
        for key in ("mean", "std"):
            scaling[key] = tuple(float(number) for number in scaling.get(key, ()))
        adapter = values.get("adapter")
        return cls(
            architecture=str(values["architecture"]),
            encoder=str(values["encoder"]),
            channels=tuple(str(name) for name in values["channels"]),
            scaling=ChannelScaling(**scaling),
            adapter=None if adapter is None else int(adapter),
            tile=int(values.get("tile", 128)),
            overlap=int(values.get("overlap", 32)),
            decoder_channels=tuple(int(width) for width in values.get("decoder_channels", ())),
        )
