"""Window record -> every file of the map, written into one folder."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import datetime
from pathlib import Path
from typing import Final

import geopandas as gpd
import numpy as np
import numpy.typing as npt

from landslide_map import products
from landslide_map.errors import Notice
from landslide_map.grid import Grid
from landslide_map.options import Outline
from landslide_map.products import cog, rasters, styles
from landslide_map.products.columns import ANALYSED, CANDIDATES, WINDOWS
from landslide_map.products.geopackage import write_geopackage
from landslide_map.products.objects import (
    LEAST_PROBABILITY,
    ObjectMap,
    no_candidates,
    outlined,
    too_small,
    without_outlines,
)
from landslide_map.products.painting import least_over, mean_over, window_mosaic
from landslide_map.products.pixel_outlines import PixelDrawing, drawn_tags, pixel_outlines
from landslide_map.products.polygons import analysed_areas, landslides, left_out
from landslide_map.products.reviews import reviewed_layers
from landslide_map.products.windows_netcdf import windows_dataset, write_windows
from landslide_map.runtime import progress as reporting
from landslide_map.runtime import timings
from landslide_map.window_record import WindowRecord
from landslide_map.windows import WindowPlan

STAGE: Final = reporting.Stage("write map", "files")


def write_map(
    folder: Path,
    record: WindowRecord,
    plan: WindowPlan,
    grid: Grid,
    *,
    dates: Mapping[str, datetime | None],
    tags: Mapping[str, str],
    min_area_m2: float = 0.0,
    reviews: gpd.GeoDataFrame | None = None,
    outline: Outline = "windows",
    objects: ObjectMap | None = None,
    drawing: PixelDrawing | None = None,
    progress: reporting.Report = reporting.silent,
) -> tuple[int, tuple[Notice, ...]]:
    """Write rasters, polygons, window record and styles; return the number of landslides, and notices.

    Parameters
    ----------
    folder : Path
        For the files; holds no others, but with `drawing` ``pixel_probability.tif``.
    record : WindowRecord
        The choice made in every window of `plan`.
    plan : WindowPlan
        For `grid`.
    dates : mapping of str to datetime or None
        Columns every landslide carries; must hold ``event_time``.
    tags : mapping of str to str
        About the run, written into every file; must hold ``software``. Rasters and record of windows have
        none about outlines.
    min_area_m2 : float
        Smaller landslides are left out of the polygons, with a notice (I420); the rasters keep them.
    reviews : GeoDataFrame, optional
        Reviewed outlines of the result that this one replaces.
    outline : str
        But for ``windows``, the windows above the threshold are a layer of their own.
    objects : ObjectMap or None
        None where the scene has no optical image: no object can be outlined then.
    drawing : PixelDrawing, optional
        How the outlines in the layer ``landslides`` are drawn from pixels, instead of objects.
    progress : callable
        Called with the number of files written so far.
    """
    tags = {**tags, **decided(record)}
    mosaic = window_mosaic(plan)
    probability, codes, classes = _painted(record, plan)
    software = {"TIFFTAG_SOFTWARE": tags["software"]}
    of_windows = without_outlines(tags)  # the same bytes with and without objects
    where = (mosaic, grid, of_windows | software)
    window_m = plan.size * grid.transform.a
    as_objects = outline != "windows"
    tick = reporting.counter(progress, STAGE, 5 if as_objects else 4)
    with cog.small_cache(), ThreadPoolExecutor(2) as pool:
        written = [
            pool.submit(
                rasters.write_probability, folder / products.PROBABILITY, probability, *where, window_m
            ),
            pool.submit(rasters.write_classes, folder / products.CLASSES, classes, *where),
        ]
        if as_objects:
            target, paint = folder / products.OUTLINE_PROBABILITY, objects.paint if objects else None
            about = (mosaic, grid, {**tags, **software})
            written.append(pool.submit(rasters.write_outline_probability, target, paint, codes, *about))
        with timings.work("outline"):
            found = landslides(classes, probability, mosaic, record, plan, grid, dates, min_area_m2)
            notices = left_out(classes, mosaic, grid, min_area_m2) if min_area_m2 else ()
            analysed = analysed_areas(codes, mosaic, record.scenarios, grid)
        for raster in as_completed(written):
            raster.result()
            tick(1)
    lowest = float(tags["threshold_lowest"])
    styles.write_side_files(folder, lowest, objects=as_objects)
    event_time = dates["event_time"]
    assert event_time is not None
    # Written last: a failure counts as "disk full" only if little space is left; finished rasters free some.
    with timings.work("write polygons"):
        drawn = found
        if as_objects:
            candidates = no_candidates(grid, dates) if objects is None else objects.candidates
            write_geopackage(
                folder / products.CANDIDATES, {CANDIDATES: candidates}, event_time, tags, LEAST_PROBABILITY
            )
            likely, thresholds, elsewhere = (
                candidates,
                objects.thresholds if objects else {},
                products.CANDIDATES,
            )
            if drawing is not None:
                likely, thresholds = pixel_outlines(folder, dates, drawing), drawing.thresholds
                tags, elsewhere = drawn_tags(tags, drawing), products.PIXEL_PROBABILITY
            drawn = outlined(likely, thresholds, min_area_m2)
            notices = too_small(likely, thresholds, min_area_m2, elsewhere)
        layers, of_reviews = reviewed_layers(drawn, reviews)
        if as_objects:
            layers[WINDOWS] = found
        layers[ANALYSED] = analysed
        write_geopackage(folder / products.LANDSLIDES, layers, event_time, tags, lowest)
    tick(1)
    with timings.work("write windows"):
        write_windows(folder / products.WINDOWS, windows_dataset(record, plan, grid, of_windows))
    tick(1)
    return len(drawn), (*notices, *of_reviews)


def window_outlines(record: WindowRecord, plan: WindowPlan, grid: Grid, min_area_m2: float) -> gpd.GeoSeries:
    """Return the outlines of windows that :func:`write_map` draws, in the CRS of the grid."""
    probability, _, classes = _painted(record, plan)
    mosaic = window_mosaic(plan)
    return landslides(classes, probability, mosaic, record, plan, grid, {}, min_area_m2).geometry


def _painted(
    record: WindowRecord, plan: WindowPlan
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return probability, codes (scenario or reason) and classes of the cells of the mosaic of a plan."""
    with timings.work("paint"):
        probability = mean_over(record.probability, plan)
        # A place counts as analysed as soon as one window over it was, in the fullest scenario of these
        # windows. That agrees with the probability: it is the mean of the analysed windows only.
        codes = least_over(record.codes, plan)
        return probability, codes, rasters.classify(probability, mean_over(record.threshold, plan), codes)


def decided(record: WindowRecord) -> dict[str, str]:
    """Return tags about the windows: scenarios used, and the threshold of each.

    ``threshold_lowest`` is where the colours of styles begin; 0.5 where nothing was analysed.
    """
    used = [i for i in range(len(record.scenarios)) if np.any(record.scenario == i)]
    thresholds = {i: np.unique(record.threshold[record.scenario == i].astype(np.float32)) for i in used}
    lowest = min((float(values.min()) for values in thresholds.values()), default=0.5)
    return {
        "scenarios": "; ".join(record.scenarios[i] for i in used),
        "thresholds": "; ".join(
            f"{record.scenarios[i]}: {', '.join(f'{value:g}' for value in values)}"
            for i, values in thresholds.items()
        ),
        "threshold_lowest": f"{lowest:g}",
    }
