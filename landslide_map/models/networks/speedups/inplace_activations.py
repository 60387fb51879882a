"""Activations of timm in fewer passes over memory (CPU, float32, inference only).

A CPU spends as long on reading and writing activations as on some products. All changes give the same
numbers to rounding and leave weights and their names alone (docs/decisions/0038).
"""

from __future__ import annotations

from typing import Any, Final

import torch
from timm.layers.activations import GELU
from timm.layers.mlp import Mlp
from timm.layers.pos_embed_sincos import RotaryEmbeddingCat
from timm.models.eva import Eva, EvaAttention
from timm.models.metaformer import SepConv, StarReLU
from torch import Tensor, nn


class Rotation(nn.Module):
    """Rotary position embedding of queries or keys, in place.

    Pairs of features are complex numbers, and turning them is multiplying by numbers of modulus 1.

    Parameters
    ----------
    embedding : Tensor, (patch, 2 x feature)
        As timm makes it: sines, then cosines, each given twice.
    others : int
        Tokens at the front that have no position.
    """

    def __init__(self, embedding: Tensor, others: int) -> None:
        super().__init__()
        sine, cosine = (half[:, ::2].contiguous() for half in embedding.chunk(2, dim=-1))
        self._turns = torch.complex(cosine, sine)
        self._others = others

    def forward(self, tokens: Tensor) -> Tensor:
        """Return `tokens` ``(n, head, token, feature)``, which are changed."""
        pairs = torch.view_as_complex(tokens.view(*tokens.shape[:-1], -1, 2))
        pairs[:, :, self._others :].mul_(self._turns)
        return tokens


class LeanGELU(nn.GELU):
    """``x * normal_cdf(x)`` in place of `x`."""

    def forward(self, x: Tensor) -> Tensor:
        """Return what was requested in the memory of `x`."""
        return torch.as_tensor(torch.ops.aten.gelu_(x, approximate=self.approximate))


class LeanTimmGELU(GELU):
    """The same for timm's own class, which always is the exact one."""

    def forward(self, input: Tensor) -> Tensor:
        """Return what was requested in the memory of `input`."""
        return torch.as_tensor(torch.ops.aten.gelu_(input))


class LeanStarReLU(StarReLU):
    """``scale * relu(x)**2 + bias`` in two passes, in place of `x`."""

    def forward(self, x: Tensor) -> Tensor:
        """Return what was requested in the memory of `x`."""
        positive = x.relu_()
        return torch.addcmul(self.bias, positive, positive, value=float(self.scale), out=positive)


_LEAN: Final[dict[type[nn.Module], type[nn.Module]]] = {
    nn.GELU: LeanGELU,
    GELU: LeanTimmGELU,
    StarReLU: LeanStarReLU,
}


def lean_activations(encoder: nn.Module) -> None:
    """Replace rotary embeddings, GELU and StarReLU where no other module reads what they overwrite.

    That is so behind a product with no other reader. Other encoders are left as they are.
    """
    for block in encoder.modules():
        if type(block) is Mlp and type(block.act) in _LEAN:
            block.act.__class__ = _LEAN[type(block.act)]
        elif type(block) is SepConv and type(block.act1) is StarReLU:
            block.act1.__class__ = LeanStarReLU
    if type(encoder) is Eva and type(encoder.rope) is RotaryEmbeddingCat:
        _rotate_in_place(encoder)


def _rotate_in_place(encoder: Any) -> None:
    attentions = [block.attn for block in encoder.blocks]
    if encoder.rope_mixed or not all(_only_rotates(attention) for attention in attentions):
        return
    rotation = Rotation(encoder.rope.get_embed(encoder.patch_embed.grid_size), encoder.num_prefix_tokens)
    encoder.rope = None
    for attention in attentions:
        attention.q_norm = attention.k_norm = rotation


def _only_rotates(attention: Any) -> bool:
    """Whether an attention leaves queries and keys as they come from their product, but for turning them."""
    if type(attention) is not EvaAttention or attention.rotate_half or attention.qkv is None:
        return False
    return type(attention.q_norm) is nn.Identity and type(attention.k_norm) is nn.Identity
