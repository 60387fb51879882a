"""What a run will cost, before it begins: time from measured rates, memory from what memory limits go by."""

from __future__ import annotations

from typing import Final

from landslide_map.memory import MIB, SMALLEST, Room, demand_of, needed
from landslide_map.models.bundle import Bundle
from landslide_map.sources import SceneInputs
from landslide_map.windows import WindowPlan

# The default bundle on 2 cores, full tiles at strides 64 and 16: docs/benchmarks.md, python -m benchmarks.
_START: Final = 4.0
_PER_MEGAPIXEL: Final = 0.026
"""Reading, aligning and counting one raster band, per million grid pixels."""
_PER_WINDOW: Final = 6e-5
_OPENED: Final = 340 * MIB
"""What a process holds once a scene was opened."""
_HEAPS: Final = 600 * MIB
"""Without a limit each thread has a heap of its own, which keeps what it once needed most."""


def expected_seconds(inputs: SceneInputs, plan: WindowPlan) -> float:
    """Return the wall time of mapping a scene with the default bundle on 2 cores, seconds."""
    megapixels = inputs.grid.width * inputs.grid.height / 1e6
    optical = len(inputs.optical.bands) if inputs.optical else 0
    bands = optical + sum(len(track.raster_bands) for track in inputs.tracks.values())
    return _START + _PER_MEGAPIXEL * megapixels * bands + _PER_WINDOW * plan.count


def expected_memory(ensemble: Bundle, plan: WindowPlan) -> tuple[int, int]:
    """Return the most memory that a run of its own process has resident, bytes.

    Returns
    -------
    int, int
        Without a limit on 2 cores, and with the smallest limit that is enough.
    """
    demand = demand_of(ensemble, plan)
    return needed(Room(threads=2), demand, _OPENED) + _HEAPS, needed(SMALLEST, demand, _OPENED)
