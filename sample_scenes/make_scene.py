"""Simulated landslide event with all inputs of ``landslide-map``, and its true outlines.

Usage, from the repository root:
``python -m sample_scenes.make_scene [--out FOLDER] [--seed N] [--size PIXELS] [--slides-per-km2 N]``
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from sample_scenes.simulator import CONFUSERS, EventOptions, simulate_event
from sample_scenes.simulator.event import EPSG, ULX, ULY

__all__ = ["EPSG", "ULX", "ULY", "make_scene"]

HERE = Path(__file__).parent
SLIDES_PER_KM2 = 75.0
"""Density of slides of :func:`make_scene`: windows of a small scene then hold slides."""
SAMPLE = EventOptions(
    seed=21,
    slides_per_km2=4.0,
    contrast=0.8,
    confusers=tuple(name for name in CONFUSERS if name != "snow"),  # an August in the subtropics
    pre_days=(20,),
    list_pre=True,
)
"""The shipped scene."""


def make_scene(
    out: str | Path, *, seed: int = 7, size: int = 704, slides_per_km2: float = SLIDES_PER_KM2
) -> Path:
    """Write an event without confusers to `out`, with bright scars in forest; return its ``scene.yaml``.

    The same arguments give the same bytes; ValueError where they make no event.
    """
    return simulate_event(out, EventOptions(seed=seed, size=size, slides_per_km2=slides_per_km2))


def main() -> None:
    """Make the scene that the command line describes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "simulated_event")
    parser.add_argument("--seed", type=int, default=SAMPLE.seed)
    parser.add_argument("--size", type=int, default=SAMPLE.size)
    parser.add_argument("--slides-per-km2", type=float, default=SAMPLE.slides_per_km2)
    own = parser.parse_args()
    print(
        simulate_event(
            own.out, replace(SAMPLE, seed=own.seed, size=own.size, slides_per_km2=own.slides_per_km2)
        )
    )


if __name__ == "__main__":
    main()
