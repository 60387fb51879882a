"""Relief with ridges and valleys: uplift against river incision, then fractal detail.

The stream power law (erosion = K * area**m * slope), solved implicitly on a coarse grid
(Braun and Willett 2013, doi:10.1016/j.geomorph.2012.10.008), carves a connected valley network
without pits; slopes are limited to an angle of stability, as hillslopes on which landslides start are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from landslide_map.runtime.jit import compiled
from sample_scenes.simulator.noise import Field, power_law_field, smoothstep

PIXEL_M = 10.0
COARSE = 4
"""Terrain pixels per erosion cell."""
CELL_M = COARSE * PIXEL_M
STEPS, UPLIFT_M = 90, 20.0
"""Erosion steps and uplift per step."""
STEEPNESS, CONCAVITY = 60.0, 0.45
"""Channel slope at rest is STEEPNESS * area_m2 ** -CONCAVITY: 12 % at 1 km2."""
NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
FLOOR_AREA_M2 = 1.5e6
"""Valleys that drain more than this have a flat floor."""


@dataclass(frozen=True, slots=True)
class Relief:
    """Elevation and what water does on it."""

    elevation: Field
    """Metres."""
    water: Field
    """Fraction of the pixel under a lake or river."""
    floor: Field
    """0 to 1: how much a pixel belongs to a flat valley floor."""

    def gradient(self, smooth: float = 0) -> tuple[Field, Field]:
        """Return the slopes towards south and east (rows, columns), rise over run."""
        z = ndimage.gaussian_filter(self.elevation, smooth) if smooth else self.elevation
        down, right = np.gradient(z, PIXEL_M)
        return np.asarray(down), np.asarray(right)


@compiled
def _erode(z: Any, receiver: Any, distance: Any, order: Any, limit: Any, erodibility: Any) -> Any:
    """Lower `z` in place by one implicit step; return the drained area in cells."""
    area = np.ones(z.size)
    for i in order[::-1]:  # from the top down
        if receiver[i] != i:
            area[receiver[i]] += area[i]
    for i in order:  # from the outlet up: the receiver is done already
        r = receiver[i]
        if r == i:
            continue
        f = erodibility * (area[i] * CELL_M**2) ** CONCAVITY / distance[i]
        z[i] = min((z[i] + UPLIFT_M + f * z[r]) / (1 + f), z[r] + limit[i] * distance[i])
    return area


def _receivers(z: Field) -> tuple[npt.NDArray[np.int64], Field]:
    """Return every cell's steepest lower neighbour (itself where there is none) and its distance."""
    rows, cols = z.shape
    index = np.arange(z.size).reshape(z.shape)
    best, receiver, distance = np.zeros(z.shape), index.copy(), np.full(z.shape, CELL_M)
    padded = np.pad(z, 1, constant_values=np.inf)
    for dr, dc in NEIGHBOURS:
        length = CELL_M * np.hypot(dr, dc)
        slope = (z - padded[1 + dr : 1 + dr + rows, 1 + dc : 1 + dc + cols]) / length
        steeper = slope > best
        best[steeper], distance[steeper] = slope[steeper], length
        receiver[steeper] = (index + dr * cols + dc)[steeper]
    return receiver.ravel(), distance.ravel()


def _pit_free_start(shape: tuple[int, int], outlet: npt.NDArray[np.int64], rng: np.random.Generator) -> Field:
    """Return the cost of reaching the outlet over rough ground: every cell has a lower neighbour."""
    cost = np.exp(1.2 * power_law_field(shape, rng, exponent=1.3, longest=max(shape) / 3))
    index = np.arange(cost.size).reshape(shape)
    rows, cols = shape
    starts, ends, weights = [], [], []
    for dr, dc in NEIGHBOURS[4:]:
        a = index[max(0, -dr) : rows - max(0, dr), max(0, -dc) : cols - max(0, dc)]
        b = index[max(0, dr) : rows - max(0, -dr), max(0, dc) : cols - max(0, -dc)]
        starts.append(a.ravel())
        ends.append(b.ravel())
        weights.append((cost.ravel()[a] + cost.ravel()[b]).ravel() * np.hypot(dr, dc))
    graph = coo_array(
        (np.concatenate(weights), (np.concatenate(starts), np.concatenate(ends))), shape=(cost.size,) * 2
    ).tocsr()
    return np.asarray(dijkstra(graph, directed=False, indices=outlet, min_only=True)).reshape(shape)


def _carve(shape: tuple[int, int], rng: np.random.Generator) -> tuple[Field, Field]:
    """Return coarse elevation (m) and drained area (m2)."""
    middle = int(shape[1] * rng.uniform(0.35, 0.65))
    outlet = (shape[0] - 1) * shape[1] + np.arange(middle - 2, middle + 3)
    z = _pit_free_start(shape, outlet, rng)
    stable = np.tan(np.radians(27 + 4 * power_law_field(shape, rng, exponent=1.2, longest=shape[0] / 3)))
    limit = np.clip(stable, 0.45, 1.0).ravel()
    erodibility = UPLIFT_M / STEEPNESS
    for _ in range(STEPS):
        receiver, distance = _receivers(z)
        receiver[outlet] = outlet
        order = np.argsort(z.ravel(), kind="stable")
        flat = z.ravel().copy()
        area = _erode(flat, receiver, distance, order, limit, erodibility)
        z = flat.reshape(shape)
    return z, (area * CELL_M**2).reshape(shape)


def _refined(
    coarse: Field, area: Field, shape: tuple[int, int], rng: np.random.Generator
) -> tuple[Field, Field]:
    """Return both maps on 10 m pixels, bent so that valleys do not follow the axes of the erosion grid."""
    bend = [7 * power_law_field(shape, rng, exponent=3.0, longest=150) for _ in range(2)]
    rows, cols = np.meshgrid(*(np.arange(n, dtype=float) for n in shape), indexing="ij")
    where = [(axis + shift + 0.5) / COARSE - 0.5 for axis, shift in zip((rows, cols), bend, strict=True)]
    height = ndimage.map_coordinates(coarse, where, order=3, mode="nearest")
    return height, ndimage.map_coordinates(area, where, order=0, mode="nearest")


def make_relief(shape: tuple[int, int], rng: np.random.Generator, *, lake_depth_m: float = 40.0) -> Relief:
    """Return the relief of `shape` pixels (multiples of 4), draining through its southern edge."""
    coarse, area = _carve((shape[0] // COARSE, shape[1] // COARSE), rng)
    coarse = ndimage.gaussian_filter(coarse, 0.6)
    z, area = _refined(coarse, area, shape, rng)

    channel = area > FLOOR_AREA_M2
    away, nearest = ndimage.distance_transform_edt(~channel, sampling=PIXEL_M, return_indices=True)
    bed, drained = z[tuple(nearest)], area[tuple(nearest)]
    bed = ndimage.gaussian_filter(bed, 6)
    width = 18.0 * (drained / 1e6) ** 0.45
    fill = bed + 22 * (drained / 1e7) ** 0.35 + 0.015 * away  # sediment
    floor = smoothstep(fill - z, -6, 0) * (away < 12 * width)
    z = np.where(away < 12 * width, np.maximum(z, fill), z)

    detail = power_law_field(shape, rng, exponent=1.7, longest=40)
    ridges = 1 - np.abs(power_law_field(shape, rng, exponent=1.9, longest=60))
    z = z + (1 - floor) * (4.0 * detail + 4.0 * ridges) + floor * 0.4 * detail

    lake_level = float(coarse.min()) + lake_depth_m
    lake = (z < lake_level) & (ndimage.gaussian_filter(floor, 8) > 0.02)
    # Regime width of mountain rivers: about 5 m times the square root of the area in km2.
    half_width = 2.5 * np.sqrt(drained / 1e6)
    within = ndimage.distance_transform_edt(channel, sampling=PIXEL_M)
    off_centre = np.maximum(away - within + CELL_M / 2, 0)  # the channel is an erosion cell wide
    off_centre += 6 * power_law_field(shape, rng, exponent=1.3, longest=20)
    river = np.clip(0.5 + (half_width - off_centre) / PIXEL_M, 0, 1) * (drained > 3e6)
    z = np.where(lake, lake_level, z)
    return Relief(ndimage.gaussian_filter(z, 0.7), np.maximum(lake, river), floor)
