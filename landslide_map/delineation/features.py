"""Features of a candidate, from sums over its pixels: input of the outline model."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from landslide_map.bands import DIFFERENCES, OPTICAL
from landslide_map.delineation.bareness import THOUSAND
from landslide_map.delineation.cells import CLOUDY
from landslide_map.delineation.codes import NDVI, NDVI_LEAST, NDVI_STEP, SLOPE_STEP
from landslide_map.delineation.evidence import COLUMNS, TENTH, Z
from landslide_map.delineation.tree import Tree

COLOURS: Final = {
    "red_green": ("red", "green"),
    "red_blue": ("red", "blue"),
    "green_blue": ("green", "blue"),
    "green_nir": ("green", "nir"),
}
TRACKS: Final = {"desc": "descending", "asc": "ascending"}
SHAPES: Final = ("log_pixels", "elongation", "length", "width", "box_fill", "ellipse_fill", "compactness")
NESTING: Final = ("level", "deeper", "much_deeper", "growth", "mean_depth")
BESIDE_IMAGE: Final = (
    *(f"{name}_{part}" for name in DIFFERENCES for part in ("mean", "signal", "spread", "excess")),
    *(f"has_{name}" for name in TRACKS),
    "window_mean",
    "window_least",
    "window_most",
    "loss",
    "has_loss",
    "slope",
    "has_slope",
)
"""Features from other sources than the image after the event."""
FEATURES: Final = (
    "drop",
    "bareness",
    *(f"{name}_contrast" for name in OPTICAL),
    NDVI,
    *OPTICAL,
    *COLOURS,
    *(f"{name}_contrast" for name in COLOURS),
    "water",
    "surrounding_ndvi",
    "surrounding_spread",
    "surrounding_mosaic",
    CLOUDY,
    *BESIDE_IMAGE,
    *SHAPES,
    *NESTING,
)


def node_features(
    tree: Tree, sums: npt.NDArray[np.int64], nodes: npt.NDArray[np.int64] | slice = slice(None)
) -> npt.NDArray[np.float32]:
    """Return the features of nodes.

    Parameters
    ----------
    tree : Tree
    sums : int64, (node, column)
        Of :data:`evidence.COLUMNS`, over all pixels of a node.
    nodes : int64, (node,), optional
        Which nodes; by default all.

    Returns
    -------
    float32, (node, feature)
        :data:`FEATURES`; 0 where a sensor is missing.
    """
    shape = tree.shape[nodes]
    pixels = np.maximum(shape[:, 0], 1).astype(np.float64)
    columns = np.ascontiguousarray(sums[nodes, : len(COLUMNS)].T).astype(np.float64)
    sum_of = dict(zip(COLUMNS, columns, strict=True))
    mean = {name: values / pixels for name, values in sum_of.items()}
    found: dict[str, npt.NDArray[np.float64]] = {"drop": mean["drop"] / THOUSAND}
    found["bareness"] = mean["bareness"] / THOUSAND
    for name in OPTICAL:
        found[f"{name}_contrast"] = mean[f"{name}_contrast"] / TENTH
        found[name] = mean[name]
    found[NDVI] = mean[NDVI] * NDVI_STEP + NDVI_LEAST
    for name, (a, b) in COLOURS.items():
        found[name] = mean[a] - mean[b]
        found[f"{name}_contrast"] = found[f"{a}_contrast"] - found[f"{b}_contrast"]
    found["water"] = mean["water"]
    found["surrounding_ndvi"] = mean["surrounding_ndvi"] / TENTH * NDVI_STEP + NDVI_LEAST
    found["surrounding_spread"] = mean["surrounding_spread"] / TENTH
    found["surrounding_mosaic"] = mean["surrounding_mosaic"] / TENTH
    found[CLOUDY] = mean[CLOUDY] / THOUSAND
    found |= _changes(sum_of)
    for name in ("window_mean", "window_least", "window_most"):
        found[name] = mean[name] / THOUSAND
    found["has_loss"] = (sum_of["loss_valid"] > 0.5 * pixels).astype(np.float64)
    found["loss"] = found["has_loss"] * sum_of["loss"] / np.maximum(sum_of["loss_valid"], 1) / THOUSAND
    found["has_slope"] = (sum_of["slope_valid"] > 0.5 * pixels).astype(np.float64)
    found["slope"] = found["has_slope"] * sum_of["slope"] / np.maximum(sum_of["slope_valid"], 1) * SLOPE_STEP
    found |= _shapes(shape)
    found |= {name: values[nodes] for name, values in _nesting(tree).items()}
    return np.ascontiguousarray(np.array([found[name] for name in FEATURES], np.float32).T)


def _changes(sum_of: dict[str, npt.NDArray[np.float64]]) -> dict[str, npt.NDArray[np.float64]]:
    """Return the mean change of each track and its spread, alone and against chance."""
    found: dict[str, npt.NDArray[np.float64]] = {}
    for name in DIFFERENCES:
        valid = sum_of[f"{name}_valid"]
        count = np.maximum(valid, 1)
        mean = sum_of[name] / count / Z
        square = sum_of[f"{name}_square"] / count / Z**2
        found[f"{name}_mean"] = mean
        found[f"{name}_signal"] = np.abs(mean) * np.sqrt(count)
        found[f"{name}_spread"] = np.sqrt(np.maximum(square - mean**2, 0))
        found[f"{name}_excess"] = (square - 1) * np.sqrt(count) * (valid > 0)
    for prefix in TRACKS:
        valid = np.add.reduce([sum_of[f"{name}_valid"] for name in DIFFERENCES if name.startswith(prefix)])
        found[f"has_{prefix}"] = (valid > 0).astype(np.float64)
    return found


def ellipse(shape: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], ...]:
    """Return the greater and lesser variance of pixels along the axes of a node, and the axes' covariance.

    Returns
    -------
    greater, lesser : float64, (node,)
        Pixels squared.
    angle : float64, (node,)
        Of the long axis, radians from the row axis (down) towards the columns (right).
    """
    size, r, c, rr, cc, rc = np.maximum(shape[:, :6].T, 0).astype(np.float64)
    size = np.maximum(size, 1)
    down = rr / size - (r / size) ** 2 + 1 / 12
    right = cc / size - (c / size) ** 2 + 1 / 12
    both = rc / size - (r / size) * (c / size)
    half = np.hypot((down - right) / 2, both)
    middle = (down + right) / 2
    return middle + half, np.maximum(middle - half, 1 / 12), np.arctan2(2 * both, down - right) / 2


def _shapes(shape: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.float64]]:
    pixels = np.maximum(shape[:, 0], 1).astype(np.float64)
    greater, lesser, _ = ellipse(shape)
    border = np.maximum(2 * shape[:, 6] + 2 * pixels - 2 * shape[:, 7], 1)
    box = (shape[:, 9] - shape[:, 8] + 1) * (shape[:, 11] - shape[:, 10] + 1)
    return {
        "log_pixels": np.log(pixels),
        "elongation": np.sqrt(greater / lesser),
        "length": np.sqrt(12 * greater),
        "width": 2 * pixels / border,
        "box_fill": pixels / np.maximum(box, 1),
        "ellipse_fill": pixels / (4 * np.pi * np.sqrt(greater * lesser)),
        "compactness": 4 * np.pi * pixels / border**2,
    }


def _nesting(tree: Tree) -> dict[str, npt.NDArray[np.float64]]:
    """Return how a node lies among those that hold it and those that it holds."""
    pixels = np.maximum(tree.shape[:, 0], 1).astype(np.float64)
    count = len(pixels)
    has = tree.parent >= 0
    deeper = np.bincount(tree.parent[has], pixels[has], count)
    much = np.bincount(tree.parent[has], deeper[has], count)
    depth = np.zeros((count, 1), np.int64)
    depth[:, 0] = tree.shape[:, 0]
    tree.gather(depth)
    return {
        "level": tree.level.astype(np.float64),
        "deeper": deeper / pixels,
        "much_deeper": much / pixels,
        "growth": np.where(has, pixels / pixels[tree.parent], 0.0),
        "mean_depth": depth[:, 0] / pixels - 1,
    }
