"""Land cover: plants, fields, bare ground, snow and water, as fractions of each pixel."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import cKDTree

from sample_scenes.simulator.noise import Field, power_law_field, smoothstep
from sample_scenes.simulator.terrain import Relief

COVERS = (
    "forest",
    "grass",
    "field",
    "soil",
    "cut",
    "burn",
    "bare",
    "gravel",
    "rock",
    "old_scar",
    "snow",
    "water",
    "scar",
)


@dataclass(frozen=True, slots=True)
class Cover:
    """Fractions of the covers and what varies inside them."""

    fractions: dict[str, Field]
    """Cover -> fraction of the pixel, summing to 1; a cover that is nowhere may be left out."""
    vigour: Field
    """Slow variation of the vegetation (species, age, water), mean 0, deviation 1."""
    crop: Field
    """Per parcel: 0 ploughed to 1 fully grown."""

    def painted(self, name: str, share: Field, *, kept: tuple[str, ...] = ("water",)) -> Cover:
        """Return the cover with `name` on `share` of each pixel in place of all covers but `kept`."""
        rest = sum((self.fractions[cover] for cover in kept if cover in self.fractions), 0 * share)
        fractions = {
            cover: fraction if cover in kept else fraction * (1 - share)
            for cover, fraction in self.fractions.items()
        }
        fractions[name] = fractions.get(name, 0) + share * (1 - rest)
        return replace(self, fractions=fractions)


def _normalised(fractions: dict[str, Field]) -> dict[str, Field]:
    total = sum(fractions.values())
    return {name: fraction / total for name, fraction in fractions.items()}


def parcels(
    shape: tuple[int, int], rng: np.random.Generator, pixels: float
) -> tuple[npt.NDArray[np.int64], Field]:
    """Return per pixel the number of its parcel (of about so many pixels), and 1 on borders."""
    count = max(2, int(shape[0] * shape[1] / pixels))
    points = rng.uniform(0, 1, (count, 2)) * shape
    grid = np.stack(np.meshgrid(*(np.arange(n) + 0.5 for n in shape), indexing="ij"), -1)
    stretched = np.array([1.0, 0.55])  # parcels are longer than wide
    distance, owner = cKDTree(points * stretched).query(grid.reshape(-1, 2) * stretched, k=2)
    border = (distance[:, 1] - distance[:, 0] < 0.5).reshape(shape)
    return owner[:, 0].reshape(shape), border.astype(float)


def make_cover(relief: Relief, rng: np.random.Generator) -> Cover:
    """Return the cover before the event, without confusers."""
    shape = relief.elevation.shape
    slope = np.degrees(np.arctan(np.hypot(*relief.gradient(smooth=3))))
    vigour = power_law_field(shape, rng, exponent=1.1, longest=80)
    variation = power_law_field(shape, rng, exponent=1.4, longest=60)
    variation += 0.25 * power_law_field(shape, rng, exponent=0.6, longest=10)
    owner, border = parcels(shape, rng, 90)
    crop = rng.uniform(0.3, 1, owner.max() + 1)[owner]  # most fields are green in September

    water = ndimage.gaussian_filter(relief.water, 0.4)
    land = 1 - water
    gravel = ndimage.gaussian_filter((relief.water > 0.2).astype(float), 1.5) * relief.floor
    bare = 0.75 * smoothstep(gravel + 0.15 * variation, 0.25, 0.5) * land
    bare = np.maximum(bare, 0.6 * smoothstep(slope + 4 * variation, 54, 62) * land)
    farmed = smoothstep(relief.floor + 0.25 * variation, 0.5, 0.8) * (land - bare).clip(0)
    grass = smoothstep(variation + (25 - slope) / 25, 1.0, 1.7) * (land - bare - farmed).clip(0)
    grass += 0.5 * border * farmed
    farmed = farmed * (1 - 0.5 * border)
    forest = (1 - water - bare - farmed - grass).clip(0)
    fractions = dict(forest=forest, grass=grass, field=farmed, bare=bare, water=water)
    return Cover(_normalised(fractions), vigour, crop)
