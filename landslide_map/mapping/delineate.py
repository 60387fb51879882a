"""Landslide objects of a scene, from the pixels that a run kept and the record of its windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from landslide_map.bands import HIDING_CLASSES
from landslide_map.delineation.displacement import displacement_of
from landslide_map.delineation.evidence import Surroundings, WindowLayers
from landslide_map.delineation.objects import Objects, find_objects
from landslide_map.delineation.pixels import Strip
from landslide_map.delineation.score import OutlineModel, default_model
from landslide_map.delineation.shares import ObjectShares
from landslide_map.delineation.terrain import ObjectHeights
from landslide_map.grid import BLOCK, Block, Grid
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.mapping.provenance import acquisition_dates
from landslide_map.products.objects import ObjectMap, candidates
from landslide_map.products.painting import least_over, mean_over, window_mosaic
from landslide_map.raster.handles import OpenFiles
from landslide_map.runtime import timings
from landslide_map.stack.channels import is_classified, read_channels
from landslide_map.stack.slope import elevation_block
from landslide_map.window_record import WindowRecord
from landslide_map.windows import WindowPlan

EVIDENCE = ("desc", "asc", "ndvi_before", "slope")
"""Kinds of evidence beside the image and the windows; missing kinds are not counted."""


def object_map(
    strips: Callable[[], Iterator[Strip]],
    record: WindowRecord,
    plan: WindowPlan,
    inputs: SceneInputs,
    model: OutlineModel | None = None,
    *,
    as_it_lies: bool = False,
) -> ObjectMap | None:
    """Return the objects of a scene; None where it has no optical image, and so no outlines.

    Parameters
    ----------
    strips : callable
        Yields the pixels kept, from the top downwards; called twice; three are in memory at a time.
    record : WindowRecord
        Of all windows of `plan`.
    plan : WindowPlan
    inputs : SceneInputs
    model : OutlineModel, optional
        By default the one that the package brings.
    as_it_lies : bool
        Leave outlines on the Sentinel-2 image, wherever this lies.
    """
    model = model or default_model()
    if inputs.optical is None:
        return None
    with timings.work("outline"):
        found = [(strip.cells, strip.match) for strip in strips()]
        around = Surroundings.of(cells for cells, _ in found)
        sums = [] if as_it_lies else [match for _, match in found]
        displacement = displacement_of(sums, inputs.grid.shape)
        windows = window_layers(record.probability, plan)
        objects = find_objects(strips(), around, windows, EVIDENCE, model, displacement)
        heights, unlike = _heights(objects, inputs), _unlike(objects, record, plan)
        dates, hidden = acquisition_dates(inputs), _hidden(objects, inputs)
        table, order = candidates(objects, model, inputs.grid, dates, heights, unlike, hidden)
    thresholds = {name: round(variant.threshold, 3) for name, variant in model.variants.items()}
    return ObjectMap(table, objects.only(order), thresholds, model.name, displacement)


def _unlike(objects: Objects, record: WindowRecord, plan: WindowPlan) -> npt.NDArray[np.float64] | None:
    if record.unlike_training is None:
        return None
    painted = mean_over(record.unlike_training, plan)
    runs = (objects.run_row, objects.run_first, objects.run_stop, objects.run_object)
    return window_mosaic(plan).means_along(painted, *runs)


def window_layers(probability: npt.NDArray[np.floating], plan: WindowPlan) -> WindowLayers:
    """Return the extremes of the windows over each place; windows that were not analysed are left out."""
    mosaic = window_mosaic(plan)
    probability = probability.astype(np.float64)
    unknown = np.isnan(probability)
    least = least_over(np.where(unknown, np.inf, probability), plan)
    most = -least_over(np.where(unknown, 0.0, -probability), plan)
    return WindowLayers(
        mosaic.row_edges,
        mosaic.col_edges,
        _thousandths(mean_over(probability, plan).astype(np.float64)),
        _thousandths(np.where(np.isinf(least), 0.0, least)),
        _thousandths(most),
    )


def _thousandths(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    return np.rint(np.nan_to_num(values) * 1000).astype(np.int32)


def _heights(objects: Objects, inputs: SceneInputs) -> ObjectHeights | None:
    if inputs.dem is None:
        return None
    heights, files, grid = ObjectHeights(objects), OpenFiles(), inputs.grid
    for block in _blocks(objects, grid):
        heights.add(elevation_block(inputs.dem, grid, block, files), block)
    return heights


def _hidden(objects: Objects, inputs: SceneInputs) -> Mapping[str, npt.NDArray[np.float64]] | None:
    """Return how much of every object is cloud, snow and cloud shadow; None without classification."""
    if not is_classified(inputs):
        return None
    found, files = ObjectShares(objects, HIDING_CLASSES), OpenFiles()
    for block in _blocks(objects, inputs.grid):
        found.add(read_channels(inputs, HIDING_CLASSES, block, files), block)
    return found.shares


def _blocks(objects: Objects, grid: Grid) -> Iterator[Block]:
    """Yield the blocks of a grid in which an object has pixels, from the top left on."""
    ends = (objects.run_first, objects.run_stop - 1)
    places = {
        place
        for end in ends
        for place in zip((objects.run_row // BLOCK).tolist(), (end // BLOCK).tolist(), strict=True)
    }
    for row, col in sorted(places):
        top, left = row * BLOCK, col * BLOCK
        yield Block(top, left, min(BLOCK, grid.height - top), min(BLOCK, grid.width - left))
