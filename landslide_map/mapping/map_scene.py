"""``map_scene``: the one place that strings the steps together."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from landslide_map.errors import Notice
from landslide_map.inference.record import gathered
from landslide_map.mapping import checkpoint, provenance
from landslide_map.mapping.delineate import object_map
from landslide_map.mapping.estimate import expected_seconds
from landslide_map.mapping.memory_plan import room_within
from landslide_map.mapping.provenance import write_manifest
from landslide_map.mapping.result import MapResult
from landslide_map.mapping.retry import retrying
from landslide_map.mapping.setup import prepare_run, resolved_settings
from landslide_map.mapping.views import write_views
from landslide_map.models.bundle.load import Bundle, load_bundle
from landslide_map.models.run_time import network_notice
from landslide_map.options import Device, OperatingPoint, Outline, Precision
from landslide_map.products import LANDSLIDES, MANIFEST
from landslide_map.products.reviews import previous_reviews, refuse_new_verdicts
from landslide_map.products.transaction import outputs
from landslide_map.products.write_map import STAGE as WRITE
from landslide_map.products.write_map import decided, write_map
from landslide_map.runtime import progress as reporting
from landslide_map.runtime import timings
from landslide_map.runtime.byte_size import amount
from landslide_map.runtime.memory_limit import kept_to

if TYPE_CHECKING:
    from landslide_map.mapping.cluster.client import Cluster

CHECK = reporting.Stage("check inputs")
OUTLINE = reporting.Stage("outline landslides")
CLASSIFY = reporting.Stage("classify windows", "windows")


def map_scene(
    scene: str | PathLike[str],
    out: str | PathLike[str],
    *,
    bundle: str | PathLike[str] | None = None,
    stride: int | None = None,
    threshold: float | None = None,
    operating_point: OperatingPoint | None = None,
    outline: Outline | None = None,
    profile: str | None = None,
    device: Device = "auto",
    precision: Precision = "float32",
    exact_early_exit: bool = False,
    cascade: bool = False,
    memory: str | int | None = None,
    overwrite: bool = False,
    cluster: Cluster | None = None,
    load: Callable[[Path | None], Bundle] = load_bundle,
    progress: reporting.Report = reporting.silent,
    announce: Callable[[Notice], object] = lambda _: None,
) -> MapResult:
    """Map a scene: from ``scene.yaml`` to probability raster and landslide polygons.

    Parameters
    ----------
    scene : path
        A ``scene.yaml``.
    out : path
        Folder for the results; they appear together, when all are complete.
    bundle, stride, threshold, operating_point, outline : optional
        Instead of what the scene says; an operating point and a threshold exclude each other.
    profile : str, optional
        Which members vote; a key of :data:`~landslide_map.models.bundle.profiles.PROFILES`.
    device, precision : str
        Where and how networks are computed, if the bundle has any.
    exact_early_exit : bool
        Leave members unasked where no vote of theirs can change the class of a window or pixel.
    cascade : bool
        Leave networks unasked where the bundle's rule trusts the other members; loses a little recall.
    memory : str or int, optional
        Limit of resident memory, such as ``"2GB"`` or bytes: of this process and all workers that it started
        together, of each worker elsewhere by itself. The result is the same.
    overwrite : bool
        Replace an existing result, and throw away what an interrupted run kept that was not to replace it.
    cluster : Cluster, optional
        Workers that judge the windows (:mod:`landslide_map.mapping.cluster.client`); this process reads
        metadata and writes. The result is the same.
    load : callable
        How a bundle is read; a cached function shares bundles between scenes.
    progress : callable
        Called as ``progress(stage, done, total)``.
    announce : callable
        Told before long work what it will take (I610); that is not of the result, so ``run.json`` has it not.

    Raises
    ------
    LandslideMapError
        With a documented code, when an input, the bundle or the output folder is not as it must be, or the
        limit of memory is too small.
    """
    started = datetime.now(UTC)
    limit = None if memory is None else amount(memory)
    with (
        timings.collected() as spent,
        kept_to(room_within(limit)),
        checkpoint.telling_what_is_kept(out),
        outputs(out, overwrite=overwrite, obsolete=(checkpoint.FOLDER,)) as stage,
    ):
        with timings.stage(CHECK), reporting.step(progress, CHECK):
            settings, choice = resolved_settings(
                scene,
                bundle=bundle,
                stride=stride,
                threshold=threshold,
                operating_point=operating_point,
                outline=outline,
                profile=profile,
                device=device,
                precision=precision,
                exact_early_exit=exact_early_exit,
                cascade=cascade,
            )
            run = prepare_run(
                settings,
                choice,
                out,
                load=load,
                limit=limit,
                overwrite=overwrite,
                cluster=cluster,
                progress=progress,
            )
        ensemble, inputs, plan, notify = run.ensemble, run.inputs, run.plan, run.journal.notices.append
        without_networks = expected_seconds(inputs, plan)
        if cluster is None and (forecast := network_notice(ensemble, plan.count, without_networks, progress)):
            announce(forecast)
        with timings.stage(CLASSIFY), kept_to(run.room):
            tick = reporting.counter(progress, CLASSIFY, plan.count)
            rows = run.journal.completed(retrying(run.judge, notify), plan.block_rows, tick, run.files)
            result = gathered(rows, ensemble, plan)
        objects = None
        if settings.output.outline == "objects":
            with timings.stage(OUTLINE), reporting.step(progress, OUTLINE):
                objects = object_map(run.journal.strips, result.record, plan, inputs)
        with timings.stage(WRITE):
            reviews = previous_reviews(Path(out) / LANDSLIDES)
            tags = provenance.tags(settings, inputs, ensemble) | decided(result.record)
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
            of_scene = (*ensemble.notices, *inputs.notices, *result.notices, *of_polygons)
            of_views = write_views(
                stage, Path(out), inputs, tags, notices=of_scene, images=settings.output.images
            )
        of_cluster = cluster.notices if cluster else ()
        notices = (*of_scene, *of_views, *run.journal.notices, *of_cluster)
        timed = provenance.timings(run, spent, limit, judging_seconds=spent.stages[CLASSIFY].seconds)
        manifest = provenance.manifest(run, result, landslides, notices, timed, started, stage)
        write_manifest(stage / MANIFEST, manifest)
        refuse_new_verdicts(Path(out) / LANDSLIDES, reviews)
    return MapResult(Path(out), landslides, manifest["counts"]["windows"], notices, spent.seconds)
