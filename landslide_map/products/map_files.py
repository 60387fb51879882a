"""Window record -> every file of the map, written strip by strip into one folder."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np

from landslide_map import products, timings
from landslide_map import progress as reporting
from landslide_map.grid import BLOCK, Grid
from landslide_map.products import rasters, styles
from landslide_map.products.coverage import WindowRecord, paint_codes
from landslide_map.products.geopackage import write_geopackage
from landslide_map.products.polygons import analysed_areas, landslides
from landslide_map.products.windows_file import windows_dataset, write_windows
from landslide_map.windows import WindowPlan, paint

STAGE: Final = reporting.Stage("write map", "rows")


def write_map(
    folder: Path,
    record: WindowRecord,
    plan: WindowPlan,
    grid: Grid,
    *,
    dates: Mapping[str, datetime | None],
    tags: Mapping[str, str],
    min_area_m2: float = 0.0,
    progress: reporting.Report = reporting.silent,
) -> int:
    """Write rasters, polygons, window record and styles; return the number of landslides.

    Parameters
    ----------
    folder : Path
        Empty folder for the files.
    record : WindowRecord
        The choice made in every window of `plan`.
    plan : WindowPlan
        For `grid`.
    dates : mapping of str to datetime or None
        Columns every landslide carries; must hold ``event_time``.
    tags : mapping of str to str
        About the run, written into every file; must hold ``software``.
    min_area_m2 : float
        Smaller landslides are left out of the polygons; the rasters keep them.
    progress : callable
        Told the rows painted so far.
    """
    classes, codes = _write_rasters(folder, record, plan, grid, tags, progress)
    with timings.work("outline"):
        found = landslides(
            classes, rasters.strips(folder / products.PROBABILITY), record, grid, dates, min_area_m2
        )
        analysed = analysed_areas(codes, record.scenarios, grid)
    event_time = dates["event_time"]
    assert event_time is not None
    with timings.work("write polygons"):
        write_geopackage(folder / products.LANDSLIDES, found, analysed, event_time, tags)
    with timings.work("write windows"):
        write_windows(folder / products.WINDOWS, windows_dataset(record, grid, tags))
    return len(found)


def _write_rasters(
    folder: Path,
    record: WindowRecord,
    plan: WindowPlan,
    grid: Grid,
    tags: Mapping[str, str],
    progress: reporting.Report,
) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.uint8]], np.ndarray[tuple[int, int], np.dtype[np.uint8]]]:
    """Paint both rasters; return the classes and the scenario-or-reason codes of every pixel."""
    classes = np.empty(grid.shape, dtype=np.uint8)
    codes = np.empty(grid.shape, dtype=np.uint8)
    window_m = record.size * grid.transform.a
    tags = {**tags, "TIFFTAG_SOFTWARE": tags["software"]}
    progress(STAGE, 0, grid.height)
    with (
        rasters.probability_raster(folder / products.PROBABILITY, grid, tags, window_m) as write_probability,
        rasters.class_raster(folder / products.CLASSES, grid, tags) as write_classes,
    ):
        for top in range(0, grid.height, BLOCK):
            rows = slice(top, min(top + BLOCK, grid.height))
            with timings.work("paint"):
                probability = paint(record.probability.ravel(), plan, rows)
                threshold = paint(record.threshold.ravel(), plan, rows)
                codes[rows] = paint_codes(record, top, rows.stop - top, grid.width)
                classes[rows] = rasters.classify(probability, threshold, codes[rows])
            write_probability(probability)
            write_classes(classes[rows])
            progress(STAGE, rows.stop, grid.height)
    styles.write_side_files(folder)
    return classes, codes
