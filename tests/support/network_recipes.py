"""Made-up windows and a recipe with tiny encoders: everything that training does, in seconds."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from landslide_map.training.windows.recipe import WindowRecipe
from tests.support.filled_weights import synthetic_windows

ENCODER: Final = "test_vit.r160_in1k"


def labelled_windows(count: int = 24, seed: int = 0) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int8]]:
    """Windows in which landslides are brighter in red and quieter in every difference."""
    labels = (np.arange(count) % 3 == 0).astype(np.int8)
    windows = synthetic_windows(seed, count)
    windows[..., 2] += 1500.0 * labels[:, None, None]
    windows[..., [6, 7, 10, 11]] -= 4.0 * labels[:, None, None, None]
    return windows.astype(np.float32), labels


def tiny_window_recipe(**changes: Any) -> WindowRecipe:
    """A single network, a joined one and two boosters; two folds of two epochs."""
    network = {
        "encoders": [ENCODER],
        "scaling": "standard",
        "image_size": 32,
        "pretrained": False,
        "epochs": 2,
        "batch": 4,
        "learning_rate": 1e-3,
    }
    return WindowRecipe.model_validate(
        {
            "name": "tiny",
            "version": "0.1",
            "description": "for tests",
            "folds": 2,
            "division": "shuffled",
            "seed": 3,
            "learning": {
                "optimiser": "adamw",
                "weight_decay": 0.01,
                "schedule": "cosine",
                "loss": "bce + soft f1",
                "augmentation": {"rotation": 0.5, "row_flip": 0.5, "column_flip": 0.5},
                "kept": "last epoch",
            },
            "channel_groups": {
                "optical": ["blue", "green", "red", "nir"],
                "change": ["desc_diff_vv", "desc_diff_vh", "asc_diff_vv", "asc_diff_vh"],
            },
            "networks": {
                "one": network | {"head": "single", "groups": ["optical"], "gflop": 1.0},
                "two": network | {"head": "v2", "groups": ["optical", "change"], "gflop": 2.0},
            },
            "boosters": {
                "trees": {"library": "lightgbm", "trees": 4, "settings": {"min_data_in_leaf": 2}},
                "more": {"library": "xgboost", "trees": 4, "settings": {"eta": 0.3}},
            },
            "scenarios": [
                {"name": "all", "weights": {"one": 1, "two": 1, "trees": 1, "more": 1}},
                {"name": "optical", "weights": {"one": 1}},
            ],
        }
        | changes
    )
