"""Speed of rearranged parts of networks against the same parts of timm."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from landslide_map.models.networks.architecture import build_network, encoders
from landslide_map.models.networks.preprocessing import enlarge
from landslide_map.models.networks.speedups.fused_patch_embed import KERNEL, fold_stem, folded_kernel
from landslide_map.models.networks.speedups.packed_linear import PackedProducts, available
from landslide_map.models.published.nasios import NETWORKS


def measure_stems(version: str, repeats: int = 5) -> dict[str, float] | None:
    """Return CPU milliseconds of the enlargement and patch embedding of one image, plain and folded."""
    spec = NETWORKS[version]
    encoder, *others = encoders(build_network(spec)).values()
    count = 1 + len(others)
    windows = torch.randn(4, len(spec.groups[0]), 64, 64)
    with torch.inference_mode():
        plain_stem = getattr(encoder, "patch_embed", None)
        if plain_stem is None:
            return None
        expected, before = _least(lambda: plain_stem(enlarge(windows, spec.image_size)), repeats)
        kernel = encoder.state_dict()[KERNEL]
        bias = encoder.state_dict()["patch_embed.proj.bias"]
        fold_stem(encoder, spec.image_size)
        stem: Any = encoder.patch_embed
        stem.proj.load_state_dict({"weight": folded_kernel(kernel, spec.image_size), "bias": bias})
        found, after = _least(lambda: stem(windows), repeats)
    scale = 1000 * count / len(windows)
    return {
        "plain": before * scale,
        "folded": after * scale,
        "greatest_difference": float((found - expected).abs().max()),
    }


def measure_products(repeats: int = 9) -> dict[str, float] | None:
    """Return the float32 GFLOP per CPU second of a layer of v20 on one window in its four flips."""
    if not available():
        return None
    layer = torch.nn.Linear(512, 2048)
    tokens = torch.randn(4 * 260, 512)
    flop = 2 * tokens.numel() * layer.out_features
    with torch.inference_mode():
        _, plain = _least(lambda: layer(tokens), repeats)
        with PackedProducts(layer):
            _, packed = _least(lambda: layer(tokens), repeats)
    return {"plain": flop / plain / 1e9, "packed": flop / packed / 1e9}


def _least(work: Callable[[], torch.Tensor], repeats: int) -> tuple[torch.Tensor, float]:
    work()
    seconds = []
    for _ in range(repeats):
        begin = time.process_time()
        found = work()
        seconds.append(time.process_time() - begin)
    return found, min(seconds)
