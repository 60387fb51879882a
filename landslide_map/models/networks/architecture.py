"""Network architectures, as torch modules with the published parameter names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import timm
import torch
from torch import Tensor, nn

from landslide_map.models.networks.spec import Head, NetworkSpec

ENCODER_FEATURES: Final = 256
"""Numbers that each encoder of a joined head returns."""
DROPOUT: Final = 0.1
_REDUCED: Final[dict[Head, int]] = {"v2": 256, "v3": 512, "v3c": 256, "v4": 512}
"""Head -> width of `feats`."""


class JoinedEncoders(nn.Module):
    """Several encoders side by side, their outputs `c` joined by one of the published heads.

    ``v2``: ``clf([c, bn(feats(c))])``; ``v3`` and ``v4``: ``clf(dropout(comb([c, bn(feats(c))])))``;
    ``v3c``: ``clf([c, relu(feats(c))])``. The exact head of the published ``v4`` is not public; here it is
    ``v3`` with a fourth encoder.
    """

    def __init__(self, head: Head, encoders: list[nn.Module], planes: list[int]) -> None:
        super().__init__()
        self.encoder_names = [f"model{i}" for i in range(1, len(encoders) + 1)]
        self._planes = planes
        for name, encoder in zip(self.encoder_names, encoders, strict=True):
            self.add_module(name, encoder)
        joined, reduced = ENCODER_FEATURES * len(encoders), _REDUCED[head]
        self.feats = nn.Linear(joined, reduced)
        self.bn = nn.ReLU() if head == "v3c" else nn.BatchNorm1d(reduced)
        self.comb: nn.Module = nn.Identity()
        classified = joined + reduced
        if head in ("v3", "v4"):
            self.comb = nn.Linear(classified, reduced)
            classified = reduced
        self.dropout = nn.Dropout(DROPOUT if head in ("v3", "v4") else 0.0)
        self.clf = nn.Linear(classified, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(n, 1)`` of `images` ``(n, planes of all encoders in turn, y, x)``."""
        parts = torch.split(images, self._planes, dim=1)
        encoders = (self.get_submodule(name) for name in self.encoder_names)
        joined = torch.cat([encoder(part) for encoder, part in zip(encoders, parts, strict=True)], dim=1)
        combined = torch.cat([joined, self.bn(self.feats(joined))], dim=1)
        return torch.as_tensor(self.clf(self.dropout(self.comb(combined))))


def build_network(spec: NetworkSpec, start: Mapping[str, Mapping[str, Any]] | None = None) -> nn.Module:
    """Return the network that `spec` describes, with fresh random weights and in training mode.

    Its input is ``(n, planes, image_size, image_size)``: the groups of `spec`, one after another (a channel
    that two encoders see is given twice). Nothing is downloaded unless `start` says so.

    Parameters
    ----------
    spec : NetworkSpec
    start : mapping, optional
        Encoder name -> options of ``timm.create_model`` for the weights it starts from.

    Raises
    ------
    ValueError
        If an encoder is not known to the installed timm.
    """
    outputs = 1 if spec.head == "single" else ENCODER_FEATURES
    planes = [len(group) for group in spec.groups]
    encoders = [
        _encoder(name, count, outputs, spec.image_size, (start or {}).get(name, {}))
        for name, count in zip(spec.encoders, planes, strict=True)
    ]
    return encoders[0] if spec.head == "single" else JoinedEncoders(spec.head, encoders, planes)


def encoders(network: nn.Module) -> dict[str, nn.Module]:
    """Return a network's encoders by the prefix of their keys in its state dict."""
    if isinstance(network, JoinedEncoders):
        return {f"{name}.": network.get_submodule(name) for name in network.encoder_names}
    return {"": network}


def expected_tensors(spec: NetworkSpec) -> dict[str, Tensor]:
    """Return a network's state dict without values: key -> tensor on torch's ``meta`` device."""
    with torch.device("meta"):
        return build_network(spec).state_dict()


def misfits(shapes: Mapping[str, Sequence[int]], spec: NetworkSpec) -> list[str]:
    """Return how tensors differ from a network's, by key and shape; nothing where they fit."""
    expected = {key: tuple(tensor.shape) for key, tensor in expected_tensors(spec).items()}
    return [
        *(f"{key} is missing" for key in expected if key not in shapes),
        *(f"{key} is unexpected" for key in shapes if key not in expected),
        *(
            f"{key} has shape {tuple(shapes[key])}, expected {shape}"
            for key, shape in expected.items()
            if key in shapes and tuple(shapes[key]) != shape
        ),
    ]


def _encoder(name: str, planes: int, outputs: int, image_size: int, start: Mapping[str, Any]) -> nn.Module:
    if not timm.is_model(name):
        raise ValueError(
            f"timm {timm.__version__} has no encoder {name!r}; timm.list_models() names those it has"
        )
    settings = timm.get_pretrained_cfg(name)
    resized = settings is not None and settings.fixed_input_size and settings.input_size[-1] != image_size
    options: dict[str, Any] = {"pretrained": False, **start} | ({"img_size": image_size} if resized else {})
    encoder = timm.create_model(name, in_chans=planes, num_classes=outputs, **options)
    assert isinstance(encoder, nn.Module)
    return encoder
