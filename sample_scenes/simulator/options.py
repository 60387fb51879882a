"""Options of a simulated event: amount and appearance of landslides, and confusers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

import numpy as np

CONFUSERS: Final = (
    "bare_fields",
    "clear_cuts",
    "burns",
    "roads",
    "quarries",
    "river_bars",
    "clouds",
    "snow",
    "old_scars",
    "pasture",
    "bare_rock",
)
"""Confusers: they look like a slide, hide one, or leave it little contrast (the last two)."""
MOST_PER_KM2: Final = 75.0

Forest = Literal["broadleaf", "deciduous", "conifer", "dry"]
FORESTS: Final[tuple[Forest, ...]] = ("broadleaf", "deciduous", "conifer", "dry")
Soil = Literal["grey", "red", "brown", "pale", "dark"]
SOILS: Final[tuple[Soil, ...]] = ("grey", "red", "brown", "pale", "dark")


@dataclass(frozen=True, slots=True)
class EventOptions:
    """One simulated event; the same options give the same bytes."""

    seed: int = 7
    """Seed of relief, cover, slides, weather, noise and speckle."""
    size: int = 704
    """Edge of the square scene in 10 m pixels, a multiple of 4, at least 64."""
    slides_per_km2: float = 5.0
    """Slides of at least 2,000 m2, nearly all in one rock unit that underlies half of the map; those that
    would start in another are left out. Smaller slides come on top, as the law of sizes says."""
    tail: float = 1.4
    """Exponent of the law of sizes: 0.9 many large slides (Papua New Guinea), 1.5 few (Mesetas)."""
    contrast: float = 1.0
    """Mean brightness of the scars: 1 fresh bright debris, 0 dark soil and plant remains."""
    forest: Forest = "broadleaf"
    soil: Soil = "grey"
    """Colour of fresh debris, and of all other bare ground with it."""
    confusers: tuple[str, ...] = ()
    """Some of CONFUSERS."""
    time: datetime = datetime(2024, 8, 20, 3, 12, tzinfo=UTC)
    """Time of the event; Sentinel-2 follows 14 days later."""
    pre_days: tuple[int, ...] = ()
    """Days from each Sentinel-2 image before the event to the event; none: no such image."""
    latitude: float = 24.0
    """Degrees north, of the sun's path and of nothing else: how high it stands on the dates above."""
    list_pre: bool = False
    """Name the images of `pre_days` in scene.yaml, key ``s2.pre``."""

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated."""
        if self.size < 64 or self.size % 4:
            raise ValueError(f"size={self.size} px must be a multiple of 4 and at least 64")
        if not 0 <= self.slides_per_km2 <= MOST_PER_KM2:
            raise ValueError(f"slides_per_km2={self.slides_per_km2:g} must be 0 to {MOST_PER_KM2:g}")
        if unknown := set(self.confusers) - set(CONFUSERS):
            raise ValueError(f"confusers={sorted(unknown)} do not exist; expected some of {CONFUSERS}")
        if self.forest not in FORESTS:
            raise ValueError(f"forest={self.forest!r} does not exist; expected one of {FORESTS}")
        if self.soil not in SOILS:
            raise ValueError(f"soil={self.soil!r} does not exist; expected one of {SOILS}")
        if not 0 <= self.contrast <= 1:
            raise ValueError(f"contrast={self.contrast:g} must be 0 to 1")
        if any(days < 1 for days in self.pre_days):
            raise ValueError(f"pre_days={self.pre_days} must be whole days of at least 1")


def varied(seed: int, slides_per_km2: float, **fixed: object) -> EventOptions:
    """Return an event with scars, forest, soil, season, sun and sizes drawn from the seed.

    Parameters
    ----------
    seed : int
        Of the draw and of the event.
    slides_per_km2 : float
        As in :class:`EventOptions`.
    **fixed
        Fields that are not drawn.
    """
    rng = np.random.default_rng([seed, 20261128])
    month, day = int(rng.integers(1, 13)), int(rng.integers(1, 29))
    drawn: dict[str, object] = {
        "tail": float(rng.uniform(0.9, 1.5)),
        "contrast": float(rng.uniform(0.35, 1.0)),
        "forest": FORESTS[int(rng.integers(len(FORESTS)))],
        "time": datetime(2024, month, day, 3, 12, tzinfo=UTC),
        "latitude": float(rng.uniform(0, 45)),
        "pre_days": (int(rng.integers(5, 40)), int(rng.integers(40, 200))),
        "soil": SOILS[int(rng.integers(len(SOILS)))],
    }
    return EventOptions(seed, slides_per_km2=slides_per_km2, **(drawn | fixed))  # type: ignore[arg-type]
