"""Batch normalisation folded into the convolution before it.

Once a network is trained, batch normalisation multiplies each feature by a number and adds another. A
convolution does both alone with other weights, exact to rounding, and one pass over the largest
activations of the network is saved (docs/decisions/0038).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import torch
from timm.layers.norm_act import BatchNormAct2d
from timm.models.maxxvit import MbConvBlock, Stem
from torch import Tensor, nn

_LEARNED: Final = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True, slots=True)
class FoldedNorm:
    """A normalisation that is no longer there, and the convolution that does its work."""

    conv: str
    norm: str
    """Both by their prefix in the state dict of the network as it was."""
    epsilon: float
    """Added to the variance."""

    def fold(self, weights: dict[str, Tensor]) -> None:
        """Turn the state dict of the network as it was into that of the network as it is.

        Computed in float64 and rounded once. A state dict without these weights is left for others to refuse.
        """
        needed = {f"{self.conv}.weight", *(f"{self.norm}.{name}" for name in _LEARNED)}
        if not needed <= weights.keys():
            return
        factor, offset, mean, variance = (weights.pop(f"{self.norm}.{name}").double() for name in _LEARNED)
        weights.pop(f"{self.norm}.num_batches_tracked", None)
        factor = factor / (variance + self.epsilon).sqrt()
        kernel = weights[f"{self.conv}.weight"].double()
        bias = weights.get(f"{self.conv}.bias", torch.zeros_like(mean)).double()
        weights[f"{self.conv}.weight"] = (kernel * factor[:, None, None, None]).float()
        weights[f"{self.conv}.bias"] = ((bias - mean) * factor + offset).float()


def fold_norms(network: nn.Module) -> list[FoldedNorm]:
    """Take every normalisation that follows a convolution out of a network; only its activation stays.

    Parameters
    ----------
    network : Module
        Changed in place. Known are the blocks of timm's MaxViT and its relatives, by their type.

    Returns
    -------
    list of FoldedNorm
        What has to be done with weights before they fit; empty if nothing was changed.
    """
    folded = []
    for prefix, block in network.named_modules():
        for conv_name, norm_name in _in_turn(block):
            conv, norm = block.get_submodule(conv_name), block.get_submodule(norm_name)
            if not (isinstance(conv, nn.Conv2d) and type(norm) is BatchNormAct2d and norm.affine):
                continue
            if conv.bias is None:
                conv.bias = nn.Parameter(torch.zeros(conv.out_channels), requires_grad=False)
            setattr(block, norm_name, norm.act)
            start = f"{prefix}." if prefix else ""
            folded.append(FoldedNorm(start + conv_name, start + norm_name, norm.eps))
    return folded


def _in_turn(block: nn.Module) -> Iterator[tuple[str, str]]:
    """Yield a convolution and the normalisation that alone reads it."""
    if type(block) is Stem:
        yield "conv1", "norm1"
    elif type(block) is MbConvBlock:
        yield "conv1_1x1", "norm1"
        if block.se_early is None:
            yield "conv2_kxk", "norm2"
