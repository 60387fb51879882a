"""Landslides: source areas, runout, and their effect on the surface.

Sizes follow the inverse gamma law of Malamud et al. (2004, doi:10.1002/esp.1064); sizes and shapes are held
to two real inventories (``tests/golden/test_slide_sizes.py``). Slopes fail densely in
one unit of weak rock and hardly anywhere else, as those under thick pumice did in Iburi, Hokkaido, in 2018;
masses start on steep slopes and follow the fall line. What has slid does not slide again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from sample_scenes.simulator.noise import Field, power_law_field, smoothstep
from sample_scenes.simulator.terrain import PIXEL_M, Relief

SCALE_M2, SHIFT_M2 = 1700.0, 132.0
"""Parameters of the inverse gamma law of landslide areas; its exponent is the event's."""
LEAST_M2 = 500.0
"""Smaller slides than five pixels are hardly seen at 10 m; they and crumbs of this size are left out."""
BODY_M2 = 2000.0
"""Slides of this area and more are what a density counts."""
LARGEST_M2 = 400_000.0
ELONGATION = (4.3, 0.70)
"""Median and logarithmic deviation of length * length / area."""
WEAK_SHARE = 0.5
"""Share of the map that the weak rock unit underlies, on one side of a contact."""
STEEP = (16.0, 28.0)
"""Slopes (degrees) that begin to fail, and that fail as readily as steeper ones."""
STRONG = 0.002
"""Rate of failure of slopes in the stronger rock, relative to those of the weak unit."""


@dataclass(frozen=True, slots=True)
class Scars:
    """The slides of the event."""

    label: npt.NDArray[np.int32]
    """0 outside, else the number of the slide that came last."""
    fraction: Field
    """Fraction of each pixel that slid, 0 to 1 (a blurred edge)."""
    downslope: Field
    """0 at the crown to 1 at the toe, inside the scars."""
    elevation_change: Field
    """Metres: negative where material left, positive where it came to rest, rough."""
    brightness: Field
    """Per slide, added to the logarithm of its reflectance; 0 outside."""
    backscatter: Field
    """Per slide, times ``SLIDE_DB`` added to its backscatter; 0 outside."""


def slide_areas(count: int, tail: float, rng: np.random.Generator) -> Field:
    """Return areas in m2, largest first: `count` of at least BODY_M2, and smaller ones with them."""
    areas = np.empty(0)
    while count and (areas >= BODY_M2).sum() <= count:
        draw = SCALE_M2 / rng.gamma(tail, size=4 * count) - SHIFT_M2
        areas = np.concatenate([areas, draw[(draw > LEAST_M2) & (draw < LARGEST_M2)]])
    enough = np.cumsum(areas >= BODY_M2) <= count
    return np.sort(areas[enough])[::-1]


def _length(vector: Field) -> float:
    return math.sqrt(vector.dot(vector))  # as ``np.linalg.norm``, in a tenth of its time


def _path(start: tuple[int, int], length: float, down: Field, right: Field, slope: Field) -> Field:
    """Follow the fall line from `start` for `length` pixels, with inertia; return (n, 2) points."""
    point = np.array(start, float)
    heading = np.zeros(2)
    points = [point.copy()]
    left = length
    while left > 0:
        r, c = int(point[0]), int(point[1])
        if not (2 <= r < slope.shape[0] - 2 and 2 <= c < slope.shape[1] - 2):
            break
        fall = -np.array([down[r, c], right[r, c]])
        heading = 0.55 * heading + 0.45 * fall / (_length(fall) + 1e-6)
        heading /= _length(heading) + 1e-6
        point = point + heading
        points.append(point.copy())
        left -= 1.0 if slope[r, c] > 15 else 2.0  # friction stops the mass on gentle ground
    return np.array(points)


def _stamp(points: Field, width: float, rough: Field) -> tuple[npt.NDArray[np.int64], Field, tuple[int, int]]:
    """Return a ragged footprint along `points` as (inside, progress, corner) of its bounding box."""
    t = np.linspace(0, 1, len(points))
    half = width / 2 * (0.75 + 0.5 * np.exp(-(((t - 0.22) / 0.2) ** 2)) + 0.25 * smoothstep(t, 0.75, 1.0))
    half *= np.minimum(1, (t + 0.03) / 0.12) ** 0.5
    reach = int(np.ceil(half.max())) + 3
    low = np.maximum(points.min(0).astype(int) - reach, 0)
    high = np.minimum(points.max(0).astype(int) + reach + 1, rough.shape)
    rows, cols = np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij")
    best = np.full(rows.shape, -np.inf)
    progress = np.zeros(rows.shape)
    for (r, c), h, along in zip(points, half, t, strict=True):
        margin = h - np.hypot(rows - r, cols - c)
        closer = margin > best
        best[closer], progress[closer] = margin[closer], along
    box = rough[low[0] : high[0], low[1] : high[1]]
    inside = best + (0.35 + 0.12 * width) * box > 0
    return inside.astype(np.int64), progress, (int(low[0]), int(low[1]))


def _weak_unit(shape: tuple[int, int], rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Return where the rock is weak: one side of a steep contact, slightly folded, striking about north."""
    strike = rng.choice([0.0, np.pi]) + rng.uniform(-0.2, 0.2)
    rows, cols = np.meshgrid(*(np.arange(n, dtype=float) for n in shape), indexing="ij")
    across = cols * np.cos(strike) + rows * np.sin(strike)
    across += 10 * power_law_field(shape, rng, exponent=2.4, longest=120)
    return np.asarray(across < np.quantile(across, WEAK_SHARE))


def without_crumbs(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the mask without parts (joined by edges) smaller than LEAST_M2."""
    parts, _ = ndimage.label(mask)
    large = np.bincount(parts.ravel()) * PIXEL_M**2 >= LEAST_M2
    return np.asarray(mask & large[parts])


def _likely_starts(relief: Relief, slope: Field, right: Field, steepness: Field, weak: Field) -> Field:
    """Return how likely a slide starts in each pixel, summing to 1."""
    east = right / (steepness + 0.05)  # rain or shaking from one side strips slopes of one aspect
    weight = smoothstep(slope, *STEEP) * weak * np.exp(-0.5 * east) * (relief.water < 0.3)
    return np.asarray(weight / weight.sum())


def make_scars(relief: Relief, rng: np.random.Generator, *, count: int, tail: float = 1.4) -> Scars:
    """Return the scars of slides on the steep slopes of `relief`: `count` large ones, and smaller ones."""
    shape = relief.elevation.shape
    down, right = relief.gradient(smooth=4)
    steepness = np.hypot(down, right)
    slope = np.degrees(np.arctan(steepness))
    weak = np.where(_weak_unit(shape, rng), 1, STRONG)
    weight = _likely_starts(relief, slope, right, steepness, weak)
    rough = power_law_field(shape, rng, exponent=0.9, longest=12)

    label = np.zeros(shape, np.int32)
    downslope = np.zeros(shape)
    change = np.zeros(shape)
    areas = slide_areas(count, tail, rng)
    starts = rng.choice(weight.size, size=areas.size, p=weight.ravel())
    for number, (area, start) in enumerate(zip(areas, starts, strict=True), 1):
        if label.flat[start]:
            continue
        pixels = area / PIXEL_M**2
        length = np.sqrt(pixels * max(rng.lognormal(np.log(ELONGATION[0]), ELONGATION[1]), 1.2))
        points = _path(np.unravel_index(start, shape), length, down, right, slope)
        if len(points) < 3:
            continue
        inside, progress, (r, c) = _stamp(points, pixels / length, rough)
        box = np.s_[r : r + inside.shape[0], c : c + inside.shape[1]]
        inside = (inside == 1) & (relief.water[box] < 0.3) & (slope[box] > 6)
        label[box][inside] = number
        downslope[box][inside] = progress[inside]
        depth = min(0.35 * area**0.3, 12)  # volume grows faster than area
        change[box][inside] = (depth * (1.6 * progress - 0.95))[inside]
    mask = without_crumbs(label > 0)
    label, change = label * mask, change * mask
    fraction = ndimage.gaussian_filter(mask.astype(float), 0.55)
    roughness = power_law_field(shape, rng, exponent=0.8, longest=8)
    change = ndimage.gaussian_filter(change, 1.2) + 1.8 * roughness * fraction
    own = rng.standard_normal((2, areas.size + 1))
    nearest = ndimage.distance_transform_edt(label == 0, return_distances=False, return_indices=True)
    near = label[tuple(nearest)] if mask.any() else label
    return Scars(
        label,
        fraction,
        downslope,
        change * smoothstep(fraction, 0.1, 0.6),
        brightness=0.16 * own[0][near] * (fraction > 0),
        backscatter=own[1][near] * (fraction > 0),
    )
