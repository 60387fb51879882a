"""``map_scene``: the one place that strings the steps together."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Unpack

from landslide_map.errors import Notice
from landslide_map.inference.gather import assemble_result
from landslide_map.inference.kept_pixels import Kept
from landslide_map.mapping import checkpoint, provenance
from landslide_map.mapping.delineate import object_map
from landslide_map.mapping.estimate import expected_seconds
from landslide_map.mapping.memory_plan import plan_memory
from landslide_map.mapping.options import RunFields, RunOptions, split_fields
from landslide_map.mapping.pixel_layer import PixelLayer, with_pixels, write_pixel_layer
from landslide_map.mapping.provenance import write_manifest
from landslide_map.mapping.result import MapResult
from landslide_map.mapping.retry import retrying
from landslide_map.mapping.setup import prepare_run, resolved_settings
from landslide_map.mapping.views import write_views
from landslide_map.models.bundle.options import PredictionOptions
from landslide_map.models.run_time import network_notice
from landslide_map.products import LANDSLIDES, MANIFEST, PROJECT, RESULT
from landslide_map.products.added_content import refuse_added, take_over_styles
from landslide_map.products.columns import LANDSLIDES as LAYER
from landslide_map.products.columns import WINDOWS
from landslide_map.products.geopackage import read_layer
from landslide_map.products.reviews import previous_reviews, refuse_new_verdicts
from landslide_map.products.write_map import STAGE as WRITE
from landslide_map.products.write_map import decided, write_map
from landslide_map.runtime import progress as reporting
from landslide_map.runtime import timings
from landslide_map.runtime.byte_size import amount
from landslide_map.runtime.memory_limit import memory_limited_to
from landslide_map.runtime.transaction import outputs

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
        With a documented code, when an input, the bundle or the output folder is not as it must be, or the
        memory limit is too small.
    """
    prediction, run = split_fields(prediction, run, given)
    started = datetime.now(UTC)
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
        ) as stage,
    ):
        with timings.stage(CHECK), reporting.step(progress, CHECK):
            refuse_added(Path(out) / LANDSLIDES, RESULT)
            settings, prediction = resolved_settings(scene, prediction, run)
            ready = prepare_run(settings, prediction, out, run, limit=limit, progress=progress)
        ensemble, inputs, plan = ready.ensemble, ready.inputs, ready.plan
        without_networks = expected_seconds(inputs, plan, Kept.of_scene(settings))
        if run.cluster is None and (
            forecast := network_notice(ensemble, plan.count, without_networks, progress)
        ):
            announce(forecast)
        with timings.stage(CLASSIFY), memory_limited_to(ready.memory):
            tick = reporting.counter(progress, CLASSIFY, plan.count)
            rows = ready.journal.completed(
                retrying(ready.predictor, ready.journal.notices.append), plan.block_rows, tick, ready.files
            )
            result = assemble_result(rows, ensemble, plan)
        objects = None
        if settings.output.outline == "objects":
            with timings.stage(OUTLINE), reporting.step(progress, OUTLINE):
                objects = object_map(ready.journal.strips, result.record, plan, inputs)
        tags = provenance.tags(settings, inputs, ensemble) | decided(result.record)
        tags |= objects.tags if objects else {}
        pixel_layer = partial(
            write_pixel_layer, stage, inputs, ensemble, tags=tags, progress=progress, announce=announce
        )
        everywhere, of_pixels = settings.output.pixels == "everywhere", PixelLayer()
        if objects is not None:
            of_pixels = pixel_layer(None if everywhere else objects.candidates.geometry)
            objects = with_pixels(objects, of_pixels, stage)
        with timings.stage(WRITE):
            reviews = previous_reviews(Path(out) / LANDSLIDES)
            tags |= of_pixels.tags
            landslides, of_polygons = write_map(
                stage,
                result.record,
                plan,
                inputs.grid,
                dates=provenance.acquisition_dates(inputs),
                tags=tags,
                min_area_m2=settings.output.min_area_m2,
                reviews=reviews,
                outline=settings.output.outline,
                objects=objects,
                progress=progress,
            )
            take_over_styles(Path(out) / LANDSLIDES, stage / LANDSLIDES, RESULT)
            if objects is None:
                drawn = WINDOWS if settings.output.outline == "objects" else LAYER
                shapes = read_layer(stage / LANDSLIDES, drawn)[0].geometry
                of_pixels = pixel_layer(None if everywhere else shapes)
            of_scene = (*ensemble.notices, *inputs.notices, *result.notices, *of_polygons, *of_pixels.notices)
            of_views = write_views(
                stage,
                Path(out),
                inputs,
                tags,
                result.record,
                notices=of_scene,
                display=ready.journal.display,
            )
        of_cluster = run.cluster.notices if run.cluster else ()
        notices = (*of_scene, *of_views, *ready.journal.notices, *of_cluster)
        timed = provenance.timings(ready, spent, limit, inference_seconds=spent.stages[CLASSIFY].seconds)
        manifest = provenance.manifest(ready, result, landslides, notices, timed, started, stage)
        write_manifest(stage / MANIFEST, manifest)
        refuse_new_verdicts(Path(out) / LANDSLIDES, reviews)
    return MapResult(Path(out), landslides, manifest["counts"]["windows"], notices, spent.seconds)
