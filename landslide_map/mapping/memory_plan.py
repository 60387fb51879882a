"""Memory plan: settings that keep a run below a memory limit.

The memory that a run needs is estimated before it begins (:class:`MemoryEstimate`). The estimate adds the
memory in use already, the size of the scene's rows of blocks, and costs that were measured. The limit then
decides (:func:`plan_memory`) the number of reading threads and the cache of GDAL. It also decides whether the
next row of blocks is read during the vote on the last one. None of these decides a bit of the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from dask import config
from dask.system import CPU_COUNT

from landslide_map.bands import GROUPS, HIDING_CLASSES
from landslide_map.delineation.codes import LAYERS
from landslide_map.errors import ResourceError
from landslide_map.features.window_statistics import PIXEL_SLAB, row_bytes
from landslide_map.inference.kept_pixels import NOTHING, Kept
from landslide_map.inference.rows import RowPredictor, RowResult, Tick
from landslide_map.models.bundle.load import Bundle
from landslide_map.models.statistics.boosters import ParsedFolds
from landslide_map.runtime.allocator import give_back
from landslide_map.runtime.byte_size import MIB, gigabytes
from landslide_map.runtime.memory_limit import BLOCKS_AT_ONCE, CACHE, MemoryPlan
from landslide_map.runtime.process_memory import resident_memory
from landslide_map.stack.display import BYTES_PER_PIXEL
from landslide_map.window_record import bytes_of
from landslide_map.windows import WindowPlan

# Bytes and factors by ``python -m benchmarks.memory``: a full tile (10980 x 10980), the default bundle. It
# ran with one to eight threads on 2 cores, at strides 8 to 64. No peak is above the estimate
# (docs/decisions/0040-memory.md).
THREAD: Final = 80 * MIB
"""Memory of a thread that reads one block of a sensor: 13 planes of 4 MiB, and the conversion of one."""
NETWORK_THREAD: Final = 320 * MIB
"""As much more where networks predict: activations of one window in four flips (234 MiB with v10)."""
CACHED: Final = 9 / 8
"""Times the size of GDAL's cache that it takes: its blocks lie among everything else."""
VOTING: Final = 160 * MIB
"""Features of the windows predicted at once, and memory that libraries keep after their first use."""
PARSED: Final = 4
"""Times the file of a booster or small network that it takes once it is parsed."""
WEIGHTS: Final = 3
"""Times the file of a fold of a network: as read, as packed for matrix products, and the fold before it."""
WRITING: Final = 200 * MIB
"""Rasters being finished as COGs, and polygons, where windows are few; where they are many, as much again."""
FEW_THREADS: Final = 4
"""Threads up to which one heap costs no time."""

_STEPS: Final = (
    (CACHE, True),
    (CACHE // 2, True),
    (CACHE // 4, True),
    (CACHE // 4, False),
    (CACHE // 8, False),
)
"""Bytes of GDAL's cache and whether to read ahead, fastest first."""
SMALLEST: Final = MemoryPlan(_STEPS[-1][0], 1, read_ahead=False, one_heap=True)


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Memory that a run will allocate, in bytes, in addition to memory already in use."""

    models: int = 0
    """Models that are not loaded yet."""
    voting: int = 0
    """One row of blocks during the statistics and prediction of its windows."""
    reading: int = 0
    """Part of the next row of blocks that is in memory by then, if it is read ahead."""
    votes: int = 0
    """About all windows of the scene, by its end."""
    writing: int = 0
    """Besides the votes, while they become a map."""
    per_thread: int = THREAD
    """Work memory of each thread."""

    def of_rows(self) -> MemoryEstimate:
        """Return the estimate of a worker, which predicts rows of blocks and returns them."""
        return replace(self, votes=0, writing=0)

    def of_the_map(self) -> MemoryEstimate:
        """Return the estimate of a client with workers that predict."""
        return MemoryEstimate(votes=self.votes, writing=self.writing)


OPENING: Final = MemoryEstimate(models=48 * MIB)
"""Estimate for a bundle and the metadata of a scene, while threads read some of its pixels."""


def estimate_memory(ensemble: Bundle, plan: WindowPlan, *, kept: Kept = NOTHING) -> MemoryEstimate:
    """Return the memory estimate of mapping `plan` with an ensemble, including the pixels kept."""
    networks = [member for member in ensemble.members if member.input == "pixels"]
    seen = {name for member in networks for name in member.channels}
    channels = len(ensemble.channels) + 2 + len(HIDING_CLASSES)  # the quality channels
    cells, merged, statistics = row_bytes(plan, channels, channels if ensemble.needs_median else len(seen))
    # Pixels of the windows predicted at once are cut out, put in the model's order, scaled.
    pixels = 3 * PIXEL_SLAB * plan.size**2 * 4 * 12 if networks else 0
    votes = bytes_of(plan.count, len(ensemble.members), len(GROUPS))
    row = plan.block * plan.shape[1]
    codes = len(LAYERS) * row if kept.outlines else 0
    shades = BYTES_PER_PIXEL * row if kept.display else 0
    return MemoryEstimate(
        models=_models(ensemble),
        # One slab of statistics is in use while the next is made. Codes and shades of a row of blocks are
        # in memory as blocks, joined, and kept. Up to as much again is derived from codes at once.
        voting=merged + max(cells, 2 * statistics + VOTING + pixels) + 3 * codes + 2 * shades,
        reading=cells + codes + shades,
        votes=votes,
        writing=max(votes, WRITING) + 4 * codes,
        per_thread=THREAD + (NETWORK_THREAD if networks else 0),
    )


def plan_memory(
    limit: int | None, estimate: MemoryEstimate = OPENING, *, resident: int | None = None
) -> MemoryPlan:
    """Return the fastest settings below a memory limit; without a limit, the fastest of all.

    Parameters
    ----------
    limit : int, optional
        Bytes that may be resident in this process.
    estimate : MemoryEstimate
        Of what is to come.
    resident : int, optional
        Bytes in memory before; measured by default.

    Raises
    ------
    ResourceError
        E640 if no way is.
    """
    most = config.get("num_workers", None) or CPU_COUNT
    if limit is None:
        return MemoryPlan(one_heap=most <= FEW_THREADS)
    resident = _resident() if resident is None else resident
    for threads in range(most, 0, -1):
        for cache, read_ahead in _STEPS:
            memory = MemoryPlan(cache, threads, read_ahead, limit // BLOCKS_AT_ONCE, one_heap=True)
            if needed(memory, estimate, resident) <= limit:
                return memory
    least = needed(memory, estimate, resident)
    raise ResourceError(
        "E640",
        f"the memory limit of {gigabytes(limit)} is too small: this run needs {gigabytes(least)}. "
        f"{gigabytes(resident)} are in memory already, models take {gigabytes(estimate.models)}. "
        f"Reading one block after another takes {gigabytes(memory.cache + estimate.per_thread)}, "
        f"predicting a row of blocks {gigabytes(estimate.voting)}, "
        f"the votes of all windows {gigabytes(estimate.votes)}. Give it more, take a larger stride or a "
        "smaller area, or leave the limit out. Or leave out outlines (--outline windows) and images "
        "(output: {images: false}).",
    )


def needed(memory: MemoryPlan, estimate: MemoryEstimate, resident: int) -> int:
    """Return the bytes that a run has resident at its peak.

    Parameters
    ----------
    memory : MemoryPlan
    estimate : MemoryEstimate
    resident : int
        Bytes in memory before.
    """
    # Memory that threads free stays with the process while windows are predicted.
    threads = (memory.threads or CPU_COUNT) * estimate.per_thread
    predicting = int(CACHED * memory.cache) + threads + estimate.voting + estimate.reading * memory.read_ahead
    return resident + estimate.models + estimate.votes + max(predicting, estimate.writing)


def part_of_worker(limit: int, estimate: MemoryEstimate, workers: int, *, resident: int | None = None) -> int:
    """Return the limit of each of some workers on this machine: the client takes what the map needs.

    Parameters
    ----------
    limit : int
        Bytes that client and workers may have resident together.
    estimate : MemoryEstimate
        Of the whole run.
    workers : int
    resident : int, optional
        Bytes in memory of the client before; measured by default.
    """
    held = _resident() if resident is None else resident
    return max(limit - needed(SMALLEST, estimate.of_the_map(), held), 0) // workers


def with_heap_trimmed(predictor: RowPredictor) -> RowPredictor:
    """Return a predictor that returns free memory to the system after every row of blocks.

    What a row leaves between what is kept would otherwise grow from row to row.
    """

    def predicted(block_rows: Sequence[int], tick: Tick) -> Iterator[RowResult]:
        for row in predictor(block_rows, tick):
            give_back()
            yield row

    return predicted


def _resident() -> int:
    give_back()
    return resident_memory() or 0


def _models(ensemble: Bundle) -> int:
    """Return the memory of members that are not loaded yet; networks have one fold in memory at a time."""
    parsed = sum(member.unparsed_bytes for member in ensemble.members if isinstance(member, ParsedFolds))
    networks = (member for member in ensemble.members if member.input == "pixels")
    weights = [path.stat().st_size for network in networks for path in getattr(network, "folds", ())]
    return PARSED * parsed + WEIGHTS * max(weights, default=0)
