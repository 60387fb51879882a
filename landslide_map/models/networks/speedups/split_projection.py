"""Joint projections of a block, split into two products (CPU, float32).

A parallel block makes queries, keys, values and hidden features in one product. That suits a GPU.
A CPU then finds each of them with gaps in between, and by the time it needs them out of its caches. In
two products, one after the other, the same numbers are used while they are near (docs/decisions/0038).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from timm.models.vision_transformer import ParallelScalingBlock
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


@dataclass(frozen=True, slots=True)
class PartedProduct:
    """One product's weights that have become those of two."""

    block: str
    """Prefix of the block in the state dict of the network."""
    hidden: int
    """Rows that make the hidden features; the first ones."""

    def fold(self, weights: dict[str, Tensor]) -> None:
        """Turn the state dict of the network as it was into that of the network as it is.

        A state dict without these weights is left for others to refuse.
        """
        for kind in ("weight", "bias"):
            whole = weights.pop(f"{self.block}in_proj.{kind}", None)
            if whole is not None:
                weights[f"{self.block}hidden.{kind}"] = whole[: self.hidden]
                weights[f"{self.block}qkv.{kind}"] = whole[self.hidden :]


class PartedBlock(nn.Module):
    """Same result as timm's ``ParallelScalingBlock`` in evaluation, to rounding.

    Parameters
    ----------
    block : ParallelScalingBlock
        Its modules are taken over, but for the product that is parted. The weights of that come from
        :class:`PartedProduct`.
    """

    def __init__(self, block: ParallelScalingBlock) -> None:
        super().__init__()
        old: Any = block
        width = old.in_proj.in_features
        self.in_norm = old.in_norm
        self.hidden = nn.Linear(width, old.in_split[0])
        self.qkv = nn.Linear(width, 3 * width)
        self.attn_out_proj = old.attn_out_proj
        self.mlp_out_proj = old.mlp_out_proj
        self.ls = old.ls
        self._heads = old.num_heads

    def forward(self, x: Tensor, **_none: object) -> Tensor:
        """Return `x` ``(n, token, feature)`` and what the block adds to it."""
        count, tokens, width = x.shape
        normal = self.in_norm(x)
        hidden = torch.ops.aten.gelu_(self.hidden(normal))
        added = self.mlp_out_proj(hidden)
        parts = self.qkv(normal).view(count, tokens, 3, self._heads, width // self._heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        attended = scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(x.shape)
        added = self.attn_out_proj(attended).add_(added)
        return x + torch.as_tensor(self.ls(added))


def part_blocks(network: nn.Module) -> list[PartedProduct]:
    """Part every parallel block of a network that is like the published ones; others are left as they are.

    Returns
    -------
    list of PartedProduct
        What has to be done with weights before they fit; empty if nothing was changed.
    """
    parted = []
    for prefix, parent in list(network.named_modules()):
        for name, block in list(parent.named_children()):
            if _is_known(block):
                setattr(parent, name, PartedBlock(block))
                start = f"{prefix}.{name}." if prefix else f"{name}."
                parted.append(PartedProduct(start, block.in_split[0]))
    return parted


def _is_known(block: Any) -> bool:
    if type(block) is not ParallelScalingBlock or block.in_proj.bias is None or block.out_proj is not None:
        return False
    exact = type(block.mlp_act) is nn.GELU and block.mlp_act.approximate == "none"
    return exact and type(block.q_norm) is nn.Identity and type(block.k_norm) is nn.Identity
