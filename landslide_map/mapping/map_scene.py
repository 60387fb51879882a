"""A run: scene in, map out, step by step."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Unpack

import geopandas as gpd

from landslide_map.errors import Notice
from landslide_map.inference.gather import SceneResult, assemble_result
from landslide_map.mapping import checkpoint, provenance
from landslide_map.mapping.delineate import object_map
from landslide_map.mapping.estimate import expected_seconds
from landslide_map.mapping.memory_plan import plan_memory
from landslide_map.mapping.options import RunFields, RunOptions, split_fields
from landslide_map.mapping.pixel_layer import with_pixels, write_pixel_layer
from landslide_map.mapping.provenance import write_manifest
from landslide_map.mapping.report_facts import report_facts
from landslide_map.mapping.result import MapResult
from landslide_map.mapping.retry import retrying
from landslide_map.mapping.setup import PreparedRun, prepare_run, resolved_settings
from landslide_map.mapping.views import images_beside, write_pages
from landslide_map.models.bundle.options import PredictionOptions
from landslide_map.models.run_time import network_notice
from landslide_map.products import LANDSLIDES, MANIFEST, PROJECT, RESULT
from landslide_map.products.added_content import refuse_added, take_over_styles
from landslide_map.products.objects import ObjectMap
from landslide_map.products.pixel_outlines import KINDS, PixelDrawing
from landslide_map.products.reviews import previous_reviews, refuse_new_verdicts
from landslide_map.products.write_map import STAGE as WRITE
from landslide_map.products.write_map import decided, window_outlines, write_map
from landslide_map.runtime import progress as reporting
from landslide_map.runtime import timings
from landslide_map.runtime.byte_size import amount
from landslide_map.runtime.memory_limit import memory_limited_to
from landslide_map.runtime.transaction import outputs
from landslide_map.window_record import WindowRecord

CHECK = reporting.Stage("check inputs")
OUTLINE = reporting.Stage("outline landslides")
CLASSIFY = reporting.Stage("classify windows", "windows")


def map_scene(
    scene: str | PathLike[str],
    out: str | PathLike[str],
    *,
    prediction: PredictionOptions = PredictionOptions(),
    run: RunOptions = RunOptions(),
    progress: reporting.Report = reporting.silent,
    announce: Callable[[Notice], object] = lambda _: None,
    **given: Unpack[RunFields],
) -> MapResult:
    """Map a scene: from ``scene.yaml`` to probability raster and landslide polygons.

    Parameters
    ----------
    scene : path
        A ``scene.yaml``.
    out : path
        Folder for the results; they appear together, when all are complete.
    prediction : PredictionOptions
        Bundle, profile, threshold or operating point, device, precision, and what may be skipped. A bundle,
        threshold or operating point replaces the scene's.
    run : RunOptions
        Stride, outlines, memory limit, overwriting, workers.
    progress : callable
        Called as ``progress(stage, done, total)``.
    announce : callable
        Called before long work with an estimate of its duration (I610), which ``run.json`` does not store.
    **given
        Fields of both objects, such as ``threshold=0.5, overwrite=True``.

    Raises
    ------
    LandslideMapError
        With a documented code, if an input, the bundle or the output folder is unusable, or the memory limit
        is too small.
    """
    prediction, run = split_fields(prediction, run, given)
    started, previous = datetime.now(UTC), Path(out) / LANDSLIDES
    limit = None if run.memory is None else amount(run.memory)
    with (
        timings.collected() as spent,
        memory_limited_to(plan_memory(limit)),
        checkpoint.report_checkpoint_on_error(out),
        outputs(
            out,
            RESULT,
            overwrite=run.overwrite,
            obsolete=(checkpoint.FOLDER,),
            carried=(LANDSLIDES,),
            left=(PROJECT,),
        ) as staging,
    ):
        with timings.stage(CHECK), reporting.step(progress, CHECK):
            refuse_added(previous, RESULT)
            settings, prediction = resolved_settings(scene, prediction, run)
            ready = prepare_run(
                settings, prediction, out, run, limit=limit, progress=progress, announce=announce
            )
        if run.cluster is None:
            _announce_duration(ready, progress)
        with timings.stage(CLASSIFY), memory_limited_to(ready.memory):
            result = _predict_windows(ready, progress)
        objects = _find_objects(ready, result.record, progress)
        tags = provenance.tags(settings, ready.inputs, ready.ensemble) | decided(result.record)
        tags |= provenance.unlike_tags(result.record)
        objects, tags = _add_pixel_members(ready, result.record, objects, staging, tags, progress)
        with timings.stage(WRITE):
            reviews = previous_reviews(previous)
            with images_beside(staging, ready.inputs.grid, tags, ready.checkpoint.display):
                landslides = _write_map(ready, result.record, objects, staging, tags, reviews, progress)
            take_over_styles(previous, staging / LANDSLIDES, RESULT)
            facts = report_facts(ready.inputs, ready.notices.about_inputs)
            ready.notices.about_run += write_pages(staging, staging, Path(out), tags, facts)
        timed = provenance.timings(ready, spent, limit, inference_seconds=spent.stages[CLASSIFY].seconds)
        manifest = provenance.manifest(ready, result, landslides, timed, started, staging)
        write_manifest(staging / MANIFEST, manifest)
        refuse_new_verdicts(previous, reviews)
    return MapResult(Path(out), landslides, manifest["counts"]["windows"], ready.notices.all, spent.seconds)


def _announce_duration(ready: PreparedRun, progress: reporting.Report) -> None:
    """Announce the duration if networks make it long."""
    without_networks = expected_seconds(ready.inputs, ready.plan, ready.kept)
    forecast = network_notice(ready.ensemble, ready.plan.count, without_networks, progress)
    if forecast is not None:
        ready.notices.announce(forecast)


def _predict_windows(ready: PreparedRun, progress: reporting.Report) -> SceneResult:
    """Return the result of all windows: rows of blocks come from the checkpoint or the predictor."""
    predictor = retrying(ready.predictor, ready.notices.about_run.append)
    tick = reporting.counter(progress, CLASSIFY, ready.plan.count)
    rows = ready.checkpoint.completed(predictor, ready.plan.block_rows, tick, ready.files)
    result = assemble_result(rows, ready.ensemble, ready.plan)
    ready.notices.about_inputs += result.notices
    return result


def _find_objects(ready: PreparedRun, record: WindowRecord, progress: reporting.Report) -> ObjectMap | None:
    """Return the landslide objects, if the scene requests them and has the image that they need."""
    if not ready.kept.outlines:
        return None
    with timings.stage(OUTLINE), reporting.step(progress, OUTLINE):
        s1 = ready.settings.s1
        as_it_lies = s1 is not None and s1.registration == "trust"
        objects = object_map(ready.checkpoint.strips, record, ready.plan, ready.inputs, as_it_lies=as_it_lies)
    if objects is not None:
        ready.notices.about_inputs += objects.notices
    return objects


def _add_pixel_members(
    ready: PreparedRun,
    record: WindowRecord,
    objects: ObjectMap | None,
    staging: Path,
    tags: dict[str, str],
    progress: reporting.Report,
) -> tuple[ObjectMap | None, dict[str, str]]:
    """Write the probability of the bundle's pixel members; return objects and tags with it."""
    output = ready.settings.output
    tags |= objects.tags if objects else {}

    def outlines() -> gpd.GeoSeries:
        if objects is not None:
            return objects.candidates.geometry
        return window_outlines(record, ready.plan, ready.inputs.grid, output.min_area_m2)

    layer = write_pixel_layer(
        staging,
        ready.inputs,
        ready.ensemble,
        None if output.pixels == "everywhere" or (objects is None and output.outline in KINDS) else outlines,
        tags=tags,
        notices=ready.notices,
        progress=progress,
    )
    tags |= layer.tags
    return None if objects is None else with_pixels(objects, layer, staging), tags


def _write_map(
    ready: PreparedRun,
    record: WindowRecord,
    objects: ObjectMap | None,
    staging: Path,
    tags: dict[str, str],
    reviews: gpd.GeoDataFrame | None,
    progress: reporting.Report,
) -> int:
    """Write rasters, outlines and windows; return the number of landslides."""
    outline = ready.settings.output.outline
    landslides, notices = write_map(
        staging,
        record,
        ready.plan,
        ready.inputs.grid,
        dates=provenance.acquisition_dates(ready.inputs),
        tags=tags,
        min_area_m2=ready.settings.output.min_area_m2,
        reviews=reviews,
        outline=outline,
        objects=objects,
        drawing=PixelDrawing.of(outline, tags) if outline in KINDS else None,
        progress=progress,
    )
    ready.notices.about_inputs += notices
    return landslides
