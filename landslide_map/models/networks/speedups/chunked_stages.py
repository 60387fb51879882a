"""Early stages of a hierarchical network, computed for some images after others (CPU).

These stages have the largest maps, many times what a CPU keeps near: four windows of 256 pixels make
64 MB in one tensor of v10, which goes to memory and comes back between any two products. A quarter of
the images at a time stays nearer, and the numbers are the same to rounding (docs/decisions/0038).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import torch
from timm.models.maxxvit import MaxxVit
from torch import Tensor, nn

from landslide_map.models.networks.preprocessing import FLIPS

PARTS: Final = len(FLIPS)
"""One window in its flips is what a pass predicts."""


def part_early_stages(encoder: nn.Module) -> bool:
    """Let the stem and the first stage of an encoder see a quarter of its images at a time.

    Returns
    -------
    bool
        False, and nothing is changed, for encoders that were not measured to be faster that way.
    """
    if type(encoder) is not MaxxVit:
        return False
    made: Any = encoder
    for stage in (made.stem, made.stages[0]):
        stage.forward = partial(_in_parts, stage.forward)  # modules and their keys stay as they are
    return True


def _in_parts(forward: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    return torch.cat([forward(part) for part in images.chunk(PARTS)])
