"""Estimate of time and memory before a run."""

from __future__ import annotations

from typing import Final

from landslide_map.inference.kept_pixels import NOTHING, Kept
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.mapping.memory_plan import SMALLEST, estimate_memory, needed
from landslide_map.models.bundle.load import Bundle
from landslide_map.raster.band import RasterBand
from landslide_map.runtime.byte_size import MIB
from landslide_map.runtime.memory_limit import MemoryPlan
from landslide_map.windows import WindowPlan

# The default bundle on 2 cores, full tiles at strides 64 and 16: docs/benchmarks.md, python -m benchmarks.
_START: Final = 3.5
_PER_MEGAPIXEL: Final = 0.019
"""Reading, aligning and counting one raster band, per million grid pixels."""
_MORE_OF_JP2: Final = 0.058
"""Additional time of a band in JPEG 2000."""
_PER_WINDOW: Final = 4.2e-5
_OUTLINES: Final = 0.12
"""Drawing outlines, per million grid pixels."""
_IMAGES: Final = 0.15
"""Writing images for display, per million grid pixels."""
_OPENED: Final = 400 * MIB
"""Memory of a process after a scene was opened."""


def expected_seconds(inputs: SceneInputs, plan: WindowPlan, kept: Kept = NOTHING) -> float:
    """Return the wall time of mapping a scene with the default bundle on 2 cores, seconds."""
    bands: list[RasterBand] = [*inputs.optical.bands.values()] if inputs.optical else []
    bands += [band for track in inputs.tracks.values() for band in track.raster_bands]
    jp2 = sum(band.path.lower().endswith(".jp2") for band in bands)
    of_a_megapixel = _PER_MEGAPIXEL * len(bands) + _MORE_OF_JP2 * jp2
    of_a_megapixel += _OUTLINES * (kept.outlines and inputs.optical is not None) + _IMAGES * kept.display
    height, width = inputs.grid.shape
    return _START + of_a_megapixel * height * width / 1e6 + _PER_WINDOW * plan.count


def expected_memory(ensemble: Bundle, plan: WindowPlan, kept: Kept = NOTHING) -> tuple[int, int]:
    """Return the most memory that a run of its own process has resident, bytes.

    Returns
    -------
    int, int
        Without a limit on 2 cores, and with the smallest limit that is enough.
    """
    estimate = estimate_memory(ensemble, plan, kept=kept)
    return needed(MemoryPlan(threads=2), estimate, _OPENED), needed(SMALLEST, estimate, _OPENED)
