"""Objects: candidates with a probability, none overlapping another, found strip by strip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from landslide_map.delineation.displacement import Displacement, moved_back
from landslide_map.delineation.edges import core, edge_features, groups, parts, roots, shapes, zones
from landslide_map.delineation.evidence import (
    COLUMNS,
    PIXELS,
    Surroundings,
    WindowLayers,
    barenesses,
    evidence,
    red_contrasts,
)
from landslide_map.delineation.features import FEATURES, node_features
from landslide_map.delineation.partition import LEAST_PIXELS, MOST_PIXELS, chosen_nodes
from landslide_map.delineation.pixels import Strip, below, part_of
from landslide_map.delineation.regions import Regions
from landslide_map.delineation.tree import Tree, levels_of, tree_of
from landslide_map.runtime.jit import compiled
from landslide_map.runtime.prefetch import prefetch

_COSTS: Final = (1.0, 0.6, 0.3)
"""Least shares of landslide of the outlines chosen first, second and third, as parts of the share from which
an outline is worth drawing. Outlines chosen later are not drawn, but kept as candidates."""


class Score(Protocol):
    """Estimate of the share of candidates that is landslide."""

    def shares(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the share that each model expects, ``(candidate, model)``, of ``(candidate, feature)``."""

    def costs(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the share from which each candidate is worth drawing, ``(candidate,)``."""

    def redraws(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """Return which candidates have their edges redrawn, ``(candidate,)``; the others stay as cut."""

    def belongs(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return how far pixels are of the object near them, of ``(pixel, edge feature)``: from a half on."""


@dataclass(frozen=True, kw_only=True)
class Objects(Regions):
    """Regions with their features."""

    features: npt.NDArray[np.float32]
    """``(object, feature)``, of :data:`features.FEATURES`."""
    shares: npt.NDArray[np.float64]
    """``(object, model)``: expected share of landslide, of each model."""

    def _columns(self, _order: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.floating]]:
        return {"features": self.features[_order], "shares": self.shares[_order]}


@dataclass(frozen=True)
class Measures:
    """Candidates of a strip, and their measurements."""

    tree: Tree
    sums: npt.NDArray[np.int64]
    """``(node, column)``: of :data:`evidence.COLUMNS`, and further ones that were requested."""
    bareness: npt.NDArray[np.int32]
    """``(pixel,)``: as from :func:`evidence.barenesses`."""


def find_objects(
    strips: Iterable[Strip],
    around: Surroundings,
    windows: WindowLayers | None,
    sensors: Sequence[str],
    score: Score,
    displacement: Displacement | None = None,
) -> Objects:
    """Return the objects of a scene.

    Parameters
    ----------
    strips : iterable of Strip
        From the top downwards, without a gap; three are in memory at a time.
    around : Surroundings
        Of the whole scene.
    windows, sensors
        As of :func:`evidence.evidence`.
    score : Score
        The models.
    displacement : Displacement, optional
        Of the image; pixels of the objects are moved back by it.
    """
    measures = prefetch(_measured_strips(strips, around, windows, sensors))
    return _joined([_objects(*each, score, around, displacement) for each in measures])


def _measured_strips(
    strips: Iterable[Strip], around: Surroundings, windows: WindowLayers | None, sensors: Sequence[str]
) -> Iterator[tuple[Strip, Measures, npt.NDArray[np.bool_]]]:
    """Yield strips with their measures, and which candidates may go on in the next strip."""
    held: Strip | None = None
    coming = iter(strips)
    strip = next(coming, None)
    while strip is not None:
        after = next(coming, None)
        whole = below(held, strip)
        measures = measured(whole, around, windows, sensors)
        tree = measures.tree
        open_nodes = _held(tree, whole) if after is not None else np.zeros(len(tree.level), bool)
        kept = tree.pixel_node >= 0
        kept[kept] = open_nodes[tree.pixel_node[kept]]
        held = part_of(whole, kept)
        yield whole, measures, open_nodes
        strip = after


def measured(
    strip: Strip,
    around: Surroundings,
    windows: WindowLayers | None,
    sensors: Sequence[str],
    extra: npt.NDArray[np.int32] | None = None,
) -> Measures:
    """Return the candidates of a strip, and sums of evidence over the pixels of each.

    Parameters
    ----------
    strip, around, windows, sensors
        As of :func:`evidence.evidence`.
    extra : int32, (pixel, column), optional
        More columns to sum.
    """
    rows = strip.rows
    bare = barenesses(strip, rows, around, sensors)
    tree = tree_of(strip.starts, strip.cols, levels_of(bare), strip.top)
    sums = np.zeros((len(tree.level), len(COLUMNS) + (0 if extra is None else extra.shape[1])), np.int64)
    for start in range(0, len(rows), PIXELS):
        part = slice(start, start + PIXELS)
        values = evidence(strip, rows, bare, part, around, windows, sensors)
        tree.sums(values if extra is None else np.hstack([values, extra[part]]), part, sums)
    tree.gather(sums)
    return Measures(tree, sums, bare)


def _held(tree: Tree, strip: Strip) -> npt.NDArray[np.bool_]:
    """Return the nodes that reach the last row, and may go on below it, and all nodes inside them."""
    last = strip.top + len(strip.starts) - 2
    return _with_children(tree.parent, (tree.shape[:, 9] == last) & (tree.shape[:, 0] <= MOST_PIXELS))


@compiled
def _with_children(parent: npt.NDArray[np.int64], chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    found = chosen.copy()
    for n in range(parent.size):
        if parent[n] >= 0 and found[parent[n]]:
            found[n] = True
    return found


@compiled
def _with_parents(parent: npt.NDArray[np.int64], chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    found = chosen.copy()
    for n in range(parent.size - 1, -1, -1):
        if parent[n] >= 0 and found[n]:
            found[parent[n]] = True
    return found


def _objects(
    strip: Strip,
    measures: Measures,
    held: npt.NDArray[np.bool_],
    score: Score,
    around: Surroundings,
    displacement: Displacement | None,
) -> Objects:
    tree = measures.tree
    size = tree.shape[:, 0]
    allowed = (size >= LEAST_PIXELS) & (size <= MOST_PIXELS) & ~held & ~_with_parents(tree.parent, held)
    candidates = np.flatnonzero(allowed)
    features = node_features(tree, measures.sums, candidates)
    shares = score.shares(features)
    share, cost = np.zeros((2, len(size)))
    share[candidates], cost[candidates] = shares.mean(axis=1), score.costs(features)
    chosen = partition(tree, share, cost, allowed)
    own = chosen[candidates]
    nodes, features, shares = candidates[own], features[own], shares[own]
    strip, tree, bare = _around_objects(strip, measures, chosen)
    owner, zone, edges = near(strip, tree, chosen, features, share[nodes], bare, around)
    value = (owner >= 0).astype(np.float32)
    as_cut = np.append(~score.redraws(features), True)  # the last one for pixels near none
    redrawn = np.where(core(edges), np.float32(1), score.belongs(edges))
    value[zone >= 0] = np.where(as_cut[zone[zone >= 0]], value[zone >= 0], redrawn)
    member = np.where(as_cut[zone], owner, zone)
    if displacement:
        ground, owner, member = _moved_back(strip, owner, member, value, displacement)
    else:
        ground, member = strip, np.where(value >= 0.5, member, -1)
    part, of_object = parts(ground, owner, member)
    runs = _runs(ground, part)
    return Objects(
        shapes(runs, len(of_object)), *runs, features=features[of_object], shares=shares[of_object]
    )


def _moved_back(
    strip: Strip,
    owner: npt.NDArray[np.int64],
    member: npt.NDArray[np.int64],
    value: npt.NDArray[np.float32],
    displacement: Displacement,
) -> tuple[Strip, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the pixels of the ground that objects lie on, and which objects."""
    by, width = (displacement.down, displacement.right), displacement.shape[1]
    found = []
    for number, share in ((owner, np.ones_like(value)), (member, value)):
        rows, cols, own = moved_back(
            strip.starts, strip.cols, number, share, strip.top, displacement.shape, by
        )
        found.append((rows * width + cols, own))
    places = np.union1d(found[0][0], found[1][0])
    numbers = np.full((2, len(places)), -1, np.int64)
    for target, (place, own) in zip(numbers, found, strict=True):
        target[np.searchsorted(places, place)] = own
    rows, cols = np.divmod(places, width)
    top = int(rows.min(initial=strip.top))
    last = int(rows.max(initial=top))
    starts = np.searchsorted(rows, np.arange(top, last + 2)).astype(np.int64)
    codes = np.empty((len(places), 0), np.uint8)
    ground = Strip(top, starts, cols.astype(np.uint16), codes, (), strip.cells, strip.match)
    return ground, numbers[0], numbers[1]


def near(
    strip: Strip,
    tree: Tree,
    chosen: npt.NDArray[np.bool_],
    features: npt.NDArray[np.float32],
    share: npt.NDArray[np.float64],
    bare: npt.NDArray[np.int32],
    around: Surroundings,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the pixels in and near the chosen nodes, and the features that decide which belong to these.

    Parameters
    ----------
    strip, tree, around
        Of the candidates.
    chosen : bool, (node,)
        Those that are outlined.
    features : float32, (chosen node, feature)
        Of :data:`features.FEATURES`.
    share : float64, (chosen node,)
        Expected share of landslide.
    bare : int32, (pixel,)
        As from :func:`evidence.barenesses`.

    Returns
    -------
    owner, zone : int64, (pixel,)
        The number among the chosen nodes of the one that each pixel is in, and of the one that it is
        near; or -1.
    float32, (pixel of a zone, feature)
        Columns :data:`edges.EDGE_FEATURES`.
    """
    owner = tree.at_pixels(owners(tree.parent, chosen))
    group = groups(tree)
    zone = zones(strip, group, owner)
    columns = [FEATURES.index(name) for name in ("bareness", "level", "log_pixels")]
    about = np.column_stack([features[:, columns], share]).astype(np.float32)
    layers = bare, red_contrasts(strip, strip.rows, around)
    return owner, zone, edge_features(strip, group, owner, zone, layers, about)


def _around_objects(
    strip: Strip, measures: Measures, chosen: npt.NDArray[np.bool_]
) -> tuple[Strip, Tree, npt.NDArray[np.int32]]:
    """Return the pixels of the widest candidates that hold a chosen node, their tree and their bareness.

    No other pixel can become part of an object, and most are none of these.
    """
    tree = measures.tree
    root = roots(tree)
    holds = np.zeros(len(chosen), np.bool_)
    holds[root[chosen]] = True
    kept = tree.pixel_node >= 0
    kept[kept] = holds[root[tree.pixel_node[kept]]]
    nothing = replace(strip, starts=strip.starts[:1], cols=strip.cols[:0], codes=strip.codes[:0])
    part = part_of(strip, kept) or nothing
    return part, replace(tree, pixel_node=tree.pixel_node[kept]), measures.bareness[kept]


def partition(
    tree: Tree,
    share: npt.NDArray[np.float64],
    cost: npt.NDArray[np.float64],
    allowed: npt.NDArray[np.bool_],
) -> npt.NDArray[np.bool_]:
    """Return the nodes that become objects: the likely ones first, then less likely ones beside them."""
    chosen = np.zeros(len(share), np.bool_)
    for part in _COSTS:
        free = allowed & ~_with_children(tree.parent, chosen) & ~_with_parents(tree.parent, chosen)
        chosen |= chosen_nodes(tree, share, part * cost, free)
    return chosen


@compiled
def owners(parent: npt.NDArray[np.int64], chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return the number of the chosen node that each node lies in, counting the chosen ones, or -1."""
    found = np.full(parent.size, -1, np.int64)
    count = 0
    for n in range(parent.size):
        if chosen[n]:
            found[n] = count
            count += 1
        elif parent[n] >= 0:
            found[n] = found[parent[n]]
    return found


def _runs(
    strip: Strip, owner: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return object, row, first column and column behind the last of the runs of owned pixels."""
    owned = owner >= 0
    own, row, col = owner[owned], strip.rows[owned], strip.cols[owned].astype(np.int64)
    begins = np.ones(len(own), np.bool_)
    begins[1:] = (own[1:] != own[:-1]) | (row[1:] != row[:-1]) | (col[1:] != col[:-1] + 1)
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(own)) - 1 if len(own) else first
    return own[first], row[first], col[first], col[last] + 1


def _joined(parts: list[Objects]) -> Objects:
    """Put objects of strips behind one another."""
    counts = np.cumsum([0, *(len(part.features) for part in parts)])
    names = [f.name for f in fields(Objects)]
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    joined["run_object"] = np.concatenate(
        [part.run_object + before for part, before in zip(parts, counts[:-1], strict=True)]
    )
    return Objects(**joined)
