"""Ground that looks like a slide, hides one, or leaves it little contrast: fields, cuts, roads and others.

Each function paints one kind of ground on the covers before and after the event; none of it is a slide of
the event. ``CONFUSERS`` of ``options`` names them; clouds are in ``sky``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from sample_scenes.simulator.cover import Cover, parcels
from sample_scenes.simulator.noise import Field, power_law_field, smoothstep
from sample_scenes.simulator.scars import make_scars
from sample_scenes.simulator.terrain import PIXEL_M, Relief

Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Land:
    """The ground before and after the event; a painter returns another one."""

    relief: Relief
    slope: Field
    """Degrees, smoothed over 30 m."""
    before: Cover
    after: Cover

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, cols = self.slope.shape
        return rows, cols

    @property
    def km2(self) -> float:
        """Area."""
        return self.slope.size * PIXEL_M**2 / 1e6

    def painted(self, name: str, share: Field, share_after: Field | None = None) -> Land:
        """Return the land with a cover on `share` of each pixel, or on another after the event."""
        after = share if share_after is None else share_after
        return replace(self, before=self.before.painted(name, share), after=self.after.painted(name, after))


def make_land(relief: Relief, cover: Cover) -> Land:
    """Return the land that nothing has happened to."""
    slope = np.degrees(np.arctan(np.hypot(*relief.gradient(smooth=3))))
    return Land(relief, slope, cover, cover)


def _per_parcel(values: Field, owner: npt.NDArray[np.int64]) -> Field:
    """Return the mean of `values` in each parcel."""
    return np.asarray(np.bincount(owner.ravel(), values.ravel()) / np.bincount(owner.ravel()).clip(1))


def _blob(land: Land, rng: Rng, radius: tuple[float, float], where: Field) -> Field:
    """Return one ragged ellipse (0 to 1) somewhere, as likely as `where` says; radii in pixels."""
    start = rng.choice(where.size, p=(where / where.sum()).ravel())
    row, col = np.unravel_index(start, land.shape)
    rows, cols = np.indices(land.shape)
    turn, long = rng.uniform(0, np.pi), rng.uniform(*radius)
    short = long * rng.uniform(0.45, 1)
    a = ((cols - col) * np.cos(turn) + (rows - row) * np.sin(turn)) / long
    b = ((rows - row) * np.cos(turn) - (cols - col) * np.sin(turn)) / short
    ragged = 0.22 * power_law_field(land.shape, rng, exponent=1.2, longest=25)
    return smoothstep(1 - np.hypot(a, b) + ragged, -1 / long, 1 / long)


def pasture(land: Land, rng: Rng) -> Land:
    """Return land with a third of its slopes grazed: slides in grass."""
    mottle = power_law_field(land.shape, rng, exponent=1.5, longest=90)
    mottle += 0.2 * power_law_field(land.shape, rng, exponent=0.7, longest=10)
    return land.painted("grass", 0.92 * smoothstep(mottle, 0.35, 0.6))


def bare_rock(land: Land, rng: Rng) -> Land:
    """Return land with rock on high and steep slopes: slides that hardly differ from it."""
    height = land.relief.elevation
    high = (height - np.quantile(height, 0.8)) / height.std()
    mottle = power_law_field(land.shape, rng, exponent=1.0, longest=30)
    return land.painted("rock", 0.85 * smoothstep(high + (land.slope - 30) / 20 + 0.4 * mottle, 0.4, 1.2))


def bare_fields(land: Land, rng: Rng) -> Land:
    """Return land with farmed gentle slopes; a third of the fields is bare after the event."""
    owner, border = parcels(land.shape, rng, rng.uniform(90, 220))
    mottle = power_law_field(land.shape, rng, exponent=1.5, longest=100)
    fit = _per_parcel(smoothstep(0.7 * mottle + (17 - land.slope) / 6, -0.3, 0.7), owner)
    farmed = fit > 0.6
    bare = rng.uniform(size=fit.size) < 0.35
    worked = rng.uniform(size=fit.size) < 0.35  # between the images, as the season goes
    bare_before = np.where(worked, rng.uniform(size=fit.size) < 0.35, bare)
    crop = rng.uniform(0.15, 1, fit.size)
    inside = 1 - 0.5 * border
    own = []
    for cover, ploughed, grown in (
        (land.before, bare_before, np.clip(crop + rng.normal(0, 0.15, crop.size), 0, 1)),
        (land.after, bare, crop),
    ):
        sown = cover.painted("field", inside * (farmed & ~ploughed)[owner])
        sown = sown.painted("soil", inside * (farmed & ploughed)[owner])
        own.append(replace(sown, crop=np.where(farmed[owner], grown[owner], cover.crop)))
    return replace(land, before=own[0], after=own[1])


def clear_cuts(land: Land, rng: Rng) -> Land:
    """Return land with felled parcels of some hectares; a quarter is newer than the first image."""
    owner, _ = parcels(land.shape, rng, rng.uniform(250, 600))
    forest = _per_parcel(land.before.fractions["forest"], owner)
    gentle = _per_parcel(land.slope, owner) < 36
    chosen = (forest > 0.6) & gentle & (rng.uniform(size=forest.size) < 1.0 * land.km2 / forest.size)
    fresh = rng.uniform(size=forest.size) < 0.25
    bare = rng.uniform(0.5, 0.95, forest.size)  # the rest has grown over
    after = ndimage.gaussian_filter((bare * chosen)[owner], 0.6)
    return land.painted("cut", ndimage.gaussian_filter((bare * (chosen & ~fresh))[owner], 0.6), after)


def burns(land: Land, rng: Rng) -> Land:
    """Return land with one burn in 20 km2, older than the images, charred to different degrees."""
    share = np.zeros(land.shape)
    for _ in range(max(1, round(land.km2 / 20))):
        share = np.maximum(share, _blob(land, rng, (20, 55), land.before.fractions["forest"] + 1e-9))
    severity = 0.65 + 0.3 * power_law_field(land.shape, rng, exponent=1.0, longest=20)
    return land.painted("burn", share * severity.clip(0.1, 1))


def old_scars(land: Land, rng: Rng) -> Land:
    """Return land with slides of earlier years, bare to half overgrown; they did not move."""
    scars = make_scars(land.relief, rng, count=max(1, round(0.8 * land.km2)))
    bare = rng.uniform(0.35, 1, scars.label.max() + 1)[scars.label]
    return land.painted("old_scar", ndimage.gaussian_filter(bare * (scars.label > 0), 0.55))


def quarries(land: Land, rng: Rng) -> Land:
    """Return land with one quarry in 25 km2; it grew by a bench between the images."""
    share, grown = np.zeros(land.shape), np.zeros(land.shape)
    where = smoothstep(land.slope, 8, 15) * smoothstep(-land.slope, -32, -24) + 1e-9
    for _ in range(max(1, round(land.km2 / 25))):
        pit = _blob(land, rng, (5, 16), where)
        share = np.maximum(share, pit)
        grown = np.maximum(grown, ndimage.grey_dilation(pit, footprint=_disc(rng.uniform(0, 2))))
    return land.painted("gravel", 0.95 * share, 0.95 * grown)


def _disc(radius: float) -> npt.NDArray[np.bool_]:
    reach = int(np.ceil(radius))
    rows, cols = np.indices((2 * reach + 1, 2 * reach + 1)) - reach
    return np.asarray(np.hypot(rows, cols) <= radius)


def roads(land: Land, rng: Rng) -> Land:
    """Return land with gravel roads along the slopes, with bends, 4 to 9 m wide; one in eight is new."""
    down, right = land.relief.gradient(smooth=6)
    old, new = (np.zeros(land.shape) for _ in range(2))
    for _ in range(max(1, round(0.35 * land.km2))):
        target = new if rng.uniform() < 0.125 else old
        width = rng.uniform(0.4, 0.9)
        for row, col in _road(down, right, rng):
            target[row, col] = max(target[row, col], width)
    blurred = [ndimage.gaussian_filter(share, 0.45).clip(0, 0.8) for share in (old, np.maximum(old, new))]
    return land.painted("gravel", blurred[0], blurred[1])


def _road(down: Field, right: Field, rng: Rng) -> list[tuple[int, int]]:
    """Return the pixels of a road that follows the contours, climbs a little and now and then turns back."""
    rows, cols = down.shape
    point = rng.uniform(0, 1, 2) * (rows, cols)
    heading, climb = rng.normal(size=2), rng.uniform(0.0, 0.25)
    pixels = []
    for _ in range(int(rng.uniform(80, 500))):
        row, col = int(point[0]), int(point[1])
        if not (0 <= row < rows and 0 <= col < cols):
            break
        pixels.append((row, col))
        up = np.array([down[row, col], right[row, col]])
        steep = np.hypot(*up) + 1e-6
        level = np.array([-up[1], up[0]]) / steep
        level *= 1 if level @ heading >= 0 else -1
        if rng.uniform() < 0.004:
            level = -level  # a hairpin
        pull = min(1.0, steep / 0.25)  # on flat ground straight on
        heading = 0.8 * heading + 0.2 * (pull * (level + climb * up / steep) + (1 - pull) * heading)
        heading += rng.normal(0, 0.03, 2)
        heading /= np.hypot(*heading)
        point = point + heading
    return pixels


def river_bars(land: Land, rng: Rng) -> Land:
    """Return land with gravel along the rivers; floods laid some of it bare after the first image."""
    water = ndimage.gaussian_filter(land.relief.water, 1)
    near = smoothstep(ndimage.gaussian_filter((land.relief.water > 0.3).astype(float), 3.0), 0.04, 0.2)
    mottle = power_law_field(land.shape, rng, exponent=1.1, longest=30)
    gentle = smoothstep(-land.slope, -16, -8) * (1 - water)
    flood = rng.uniform(0.0, 0.6)
    share = near * gentle * smoothstep(mottle, 0.3, 0.6)
    wider = near * gentle * smoothstep(mottle, 0.3 - flood, 0.6 - flood)
    return land.painted("gravel", 0.95 * share, 0.95 * wider)


def snow(land: Land, rng: Rng) -> Land:
    """Return land with snow patches on the highest slopes that face north, fewer after the event."""
    height = land.relief.elevation
    down, right = land.relief.gradient(smooth=5)
    north = down / (np.hypot(down, right) + 0.1)  # the ground rises southwards
    high = (height - np.quantile(height, 0.96)) / height.std()
    mottle = 0.4 * power_law_field(land.shape, rng, exponent=1.5, longest=25)
    likely = high + 0.4 * north + mottle
    level = rng.uniform(0.4, 0.8)
    return land.painted(
        "snow", smoothstep(likely, level, level + 0.2), smoothstep(likely, level + 0.2, level + 0.4)
    )


PAINTERS: Final[dict[str, Callable[[Land, Rng], Land]]] = {
    "pasture": pasture,
    "bare_rock": bare_rock,
    "bare_fields": bare_fields,
    "clear_cuts": clear_cuts,
    "burns": burns,
    "old_scars": old_scars,
    "quarries": quarries,
    "roads": roads,
    "river_bars": river_bars,
    "snow": snow,
}
"""Confusers in the order in which they lie on each other."""
