"""Mean over tokens, taken before the last product instead of after it.

Where an encoder answers with the mean over the tokens of its last block, a product of the mean is the mean of
the products, and one token is multiplied instead of 256 (docs/decisions/0038).
"""

from __future__ import annotations

from typing import Any

from timm.layers.mlp import Mlp
from timm.models.eva import Eva, EvaBlock
from timm.models.metaformer import MetaFormer, MetaFormerBlock
from timm.models.vision_transformer import Block, ParallelScalingBlock, VisionTransformer
from torch import Tensor, nn


class TokenMean(nn.Module):
    """Mean over the tokens ``(n, token, feature)`` that are averaged in the end, kept as one token.

    Parameters
    ----------
    others : int
        Tokens at the front that belong to no patch and do not count.
    """

    def __init__(self, others: int) -> None:
        super().__init__()
        self._others = others

    def forward(self, tokens: Tensor) -> Tensor:
        """Return ``(n, 1, feature)``."""
        return tokens[:, self._others :].mean(dim=1, keepdim=True)


def average_early(encoder: nn.Module) -> bool:
    """Let the last product of an encoder's last block see the mean only, and add its result to every token.

    The mean over tokens then is what it was, to rounding. The encoder must not be trained afterwards.

    Returns
    -------
    bool
        False, and nothing is changed, where an encoder does not average its tokens or ends in other blocks.
    """
    if not _averages(encoder):
        return False
    made: Any = encoder
    if type(encoder) is MetaFormer:
        block, others = made.stages[-1].blocks[-1], 0
    else:
        block, others = made.blocks[-1], made.num_prefix_tokens
    if type(block) is ParallelScalingBlock and block.out_proj is None:
        block.mlp_drop = TokenMean(others)
        return True
    known = type(block) in (Block, EvaBlock, MetaFormerBlock) and type(block.mlp) is Mlp
    if known and type(block.mlp.norm) is nn.Identity:
        block.mlp.drop1 = TokenMean(others)
        return True
    return False


def _averages(encoder: nn.Module) -> bool:
    """Whether nothing but adding stands between the last block and the mean over its tokens."""
    made: Any = encoder
    if type(encoder) is MetaFormer:
        return bool(made.head.global_pool.pool_type == "avg" and not made.stages[-1].use_nchw)
    if type(encoder) not in (VisionTransformer, Eva) or type(encoder.norm) is not nn.Identity:
        return False
    every = getattr(encoder, "pool_include_prefix", False)
    return bool(made.global_pool == "avg" and made.attn_pool is None and not every)
