"""Selection among nested candidates: disjoint ones with the most landslide pixels."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from landslide_map.delineation.tree import Tree
from landslide_map.runtime.jit import compiled

LEAST_PIXELS: Final = 6
"""Fewer are not outlined: 600 m2."""
MOST_PIXELS: Final = 50_000
"""More are no single landslide: 5 km2."""


def chosen_nodes(
    tree: Tree, share: npt.NDArray[np.float64], cost: npt.NDArray[np.float64], allowed: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Return which nodes make the best set without overlaps.

    Parameters
    ----------
    tree : Tree
    share : float64, (node,)
        Expected share of landslide in the pixels of a node.
    cost : float64, (node,)
        A node is worth its pixels times ``share - cost``: with 0.5, right pixels minus wrong ones.
    allowed : bool, (node,)
        Nodes that may be chosen.
    """
    gain = np.where(allowed, tree.shape[:, 0] * (share - cost), 0.0)
    own, inside, chosen = np.zeros((3, len(gain)), np.bool_)
    _choose(tree.parent, np.maximum(gain, 0.0), np.zeros(len(gain)), own, inside, chosen)
    return chosen


@compiled
def _choose(
    parent: npt.NDArray[np.int64],
    gain: npt.NDArray[np.float64],
    below: npt.NDArray[np.float64],
    own: npt.NDArray[np.bool_],
    inside: npt.NDArray[np.bool_],
    chosen: npt.NDArray[np.bool_],
) -> None:
    """Mark the chosen nodes: `below` is the most that is won below a node, in `own` if more is by itself."""
    count = parent.size
    for n in range(count - 1, -1, -1):
        own[n] = gain[n] > 0 and gain[n] >= below[n]
        if parent[n] >= 0:
            below[parent[n]] += gain[n] if own[n] else below[n]
    for n in range(count):
        if parent[n] >= 0 and inside[parent[n]]:
            inside[n] = True
        elif own[n]:
            chosen[n] = True
            inside[n] = True
