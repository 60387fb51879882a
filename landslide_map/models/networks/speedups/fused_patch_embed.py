"""Enlargement of a window, folded into the patch embedding that reads it.

Both are linear: a patch of the enlarged window is a weighted sum of window pixels, and its embedding is a
weighted sum of that. So one small convolution on the window itself gives the embedding, exact to rounding
(docs/decisions/0038).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from landslide_map.windows import SIZE

KERNEL: Final = "patch_embed.proj.weight"
"""Key of the weights that :func:`folded_kernel` replaces, in an encoder's state dict."""


@dataclass(frozen=True, slots=True)
class FoldedStem:
    """An enlargement that is no longer there, and the patch embedding that does its work."""

    kernel: str
    """Key in the state dict of the network."""
    image_size: int
    """Edge of the enlarged window that the network was made for, pixels."""

    def fold(self, weights: dict[str, Tensor]) -> None:
        """Turn the state dict of the network as it was into that of the network as it is.

        A state dict without these weights is left for others to refuse.
        """
        if self.kernel in weights:
            weights[self.kernel] = folded_kernel(weights[self.kernel], self.image_size)


def fold_stem(encoder: nn.Module, image_size: int) -> bool:
    """Let an encoder read windows that are not enlarged.

    Its patch embedding is replaced by a convolution whose weights are still to come from
    :func:`folded_kernel`. Windows are extended by a pixel on every side, which repeats the outermost: that is
    how bilinear enlargement treats the edge.

    Parameters
    ----------
    encoder : Module
        From timm.
    image_size : int
        Edge of the enlarged window that the encoder was made for, pixels.

    Returns
    -------
    bool
        False if nothing was changed: the encoder does not begin with a patch embedding, or a patch is no
        whole number of window pixels.
    """
    embedding = getattr(encoder, "patch_embed", None)
    stem = getattr(embedding, "proj", None)
    factor, rest = divmod(image_size, SIZE)
    if embedding is None or type(stem) is not nn.Conv2d or factor < 2 or rest:
        return False
    patch = stem.kernel_size[0]
    plain = (stem.kernel_size, stem.stride, stem.padding, stem.dilation, stem.groups)
    if plain != ((patch, patch), (patch, patch), (0, 0), (1, 1), 1) or patch % factor:
        return False
    step = patch // factor
    embedding.proj = nn.Conv2d(
        stem.in_channels,
        stem.out_channels,
        step + 2,
        step,
        padding=1,
        bias=stem.bias is not None,
        padding_mode="replicate",
    )
    embedding.img_size = None  # timm would insist on the enlarged size
    return True


def folded_kernel(kernel: Tensor, image_size: int) -> Tensor:
    """Return the weights of a patch embedding for windows that are not enlarged.

    Parameters
    ----------
    kernel : Tensor, (feature, plane, patch, patch)
        For windows enlarged to `image_size` pixels, a multiple of the window's edge.

    Returns
    -------
    Tensor, (feature, plane, step + 2, step + 2), float32
        Weights of the window pixels of a patch, and of those around it. `step` is the distance of two
        patches.
    """
    share = _shares(kernel.shape[-1], image_size // SIZE)
    folded = torch.einsum("fpyx,yr,xc->fprc", kernel.double(), share, share)
    return folded.to(torch.float32)


def _shares(patch: int, factor: int) -> Tensor:
    """Return how much of each window pixel, counted from the one before the patch, is in its pixels.

    ``(patch, patch // factor + 2)``: linear interpolation between pixel centres, as
    :func:`~landslide_map.models.networks.preprocessing.enlarge` does it along each axis.
    """
    centre = (torch.arange(patch, dtype=torch.float64) + 0.5) / factor + 0.5
    pixel = torch.arange(patch // factor + 2, dtype=torch.float64)
    return (1 - (centre[:, None] - pixel).abs()).clamp(min=0)
