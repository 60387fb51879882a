"""Division of images into training and validation, as each published system did it, or by scene."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from landslide_map.errors import InputError
from landslide_map.training.pixels.recipe import PixelRecipe


def split(recipe: PixelRecipe, regions: Sequence[str]) -> tuple[list[int], list[int]]:
    """Return the numbers of training and of validation images.

    ``ganerod``: as scikit-learn's ``train_test_split`` with numpy's generator seeded; ``l4s``: as torch's
    ``random_split``; ``tiles``: whole scenes, or single tiles where there is one scene.

    Raises
    ------
    InputError
        E180 if one of the parts would be empty.
    """
    count = len(regions)
    if recipe.layout == "ganerod":
        held = math.ceil(recipe.validation * count)
        order = np.random.RandomState(recipe.seed).permutation(count)
        parts = [int(i) for i in order[held:]], sorted(int(i) for i in order[:held])
    elif recipe.layout == "l4s":
        parts = _as_random_split(count, recipe)
    else:
        parts = _by_region(regions, recipe)
    if not all(parts):
        raise InputError("E180", f"{count} images cannot be divided into training and validation.")
    return parts


def _as_random_split(count: int, recipe: PixelRecipe) -> tuple[list[int], list[int]]:
    import torch

    order = torch.randperm(count, generator=torch.Generator().manual_seed(recipe.seed)).tolist()
    kept = int((1 - recipe.validation) * count)
    return order[:kept], order[kept:]


def _by_region(regions: Sequence[str], recipe: PixelRecipe) -> tuple[list[int], list[int]]:
    rng = np.random.default_rng(recipe.seed)
    names = sorted(set(regions))
    keys = list(regions) if len(names) > 1 else [str(i) for i in range(len(regions))]
    shuffled = [str(name) for name in rng.permutation(sorted(set(keys)))]
    held = set(shuffled[: max(1, round(recipe.validation * len(shuffled)))])
    return (
        [i for i, key in enumerate(keys) if key not in held],
        [i for i, key in enumerate(keys) if key in held],
    )
