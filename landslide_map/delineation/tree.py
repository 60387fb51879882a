"""Candidates: connected pixels above ever higher limits of bareness, nested like contour lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from landslide_map.delineation.components import runs_at, shapes_of
from landslide_map.runtime.jit import compiled

DROPS: Final = np.array([0.12, 0.15, 0.18, 0.22, 0.27, 0.33, 0.40, 0.48])
"""Bareness at which components are cut, level 1 first; NDVI below the surroundings."""


@dataclass(frozen=True)
class Tree:
    """Nested components of the pixels of a strip, those of level 1 first; parents come before children."""

    level: npt.NDArray[np.uint8]
    """``(node,)``, from 1."""
    parent: npt.NDArray[np.int64]
    """``(node,)``: -1 at level 1."""
    shape: npt.NDArray[np.int64]
    """``(node, 12)``: as from :func:`components.shapes_of`, rows of the grid."""
    pixel_node: npt.NDArray[np.int64]
    """``(pixel,)``: the deepest node that a pixel is in, -1 where it is in none."""

    def at_pixels(self, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return what each pixel's deepest node has of `values`, ``(node,)``; -1 where it is in none."""
        found = np.full(len(self.pixel_node), -1, np.int64)
        inside = self.pixel_node >= 0
        found[inside] = values[self.pixel_node[inside]]
        return found

    def sums(self, values: npt.NDArray[np.int32], chosen: slice, found: npt.NDArray[np.int64]) -> None:
        """Add values of some pixels, ``(pixel, column)``, to those of their deepest nodes."""
        _add(values, self.pixel_node[chosen], found)

    def gather(self, found: npt.NDArray[np.int64]) -> None:
        """Add to every node the values of its children, deepest first."""
        _gather(self.parent, found)


def levels_of(bareness: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
    """Return the deepest level of each pixel, 0 for none; `bareness` in thousandths."""
    return np.searchsorted(np.rint(DROPS * 1000), bareness, side="right").astype(np.uint8)


def tree_of(
    starts: npt.NDArray[np.int64],
    cols: npt.NDArray[np.uint16],
    levels: npt.NDArray[np.uint8],
    top: int,
) -> Tree:
    """Return the nested components of sparse pixels, row-major; `top` is the first row in the grid."""
    columns = cols.astype(np.int32)
    node = np.full(len(cols), -1, np.int64)
    number, shapes, parents = 0, [], []
    for level in range(1, len(DROPS) + 1):
        runs = runs_at(starts, columns, levels, level)
        shapes.append(shapes_of(runs, columns, top))
        parent = np.full(runs.count, -1, np.int64)
        _descend(runs.first, runs.stop, runs.component, node, number, parent)
        parents.append(parent)
        number += runs.count
    level_of = np.repeat(np.arange(1, len(DROPS) + 1), [len(p) for p in parents]).astype(np.uint8)
    return Tree(level_of, np.concatenate(parents), np.concatenate(shapes), node)


@compiled
def _descend(
    first: npt.NDArray[np.int64],
    stop: npt.NDArray[np.int64],
    component: npt.NDArray[np.int64],
    node: npt.NDArray[np.int64],
    number: int,
    parent: npt.NDArray[np.int64],
) -> None:
    """Move pixels down to the nodes of one level more, and note from which node each of these came."""
    for n in range(first.size):
        parent[component[n]] = node[first[n]]
        for k in range(first[n], stop[n]):
            node[k] = number + component[n]


@compiled
def _add(values: npt.NDArray[np.int32], node: npt.NDArray[np.int64], found: npt.NDArray[np.int64]) -> None:
    for k in range(node.size):
        if node[k] >= 0:
            for j in range(values.shape[1]):
                found[node[k], j] += values[k, j]


@compiled
def _gather(parent: npt.NDArray[np.int64], found: npt.NDArray[np.int64]) -> None:
    for n in range(parent.size - 1, -1, -1):
        if parent[n] >= 0:
            for j in range(found.shape[1]):
                found[parent[n], j] += found[n, j]
