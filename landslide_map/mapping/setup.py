"""Setup of a run: settings, bundle, inputs and the predictor of its rows."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from landslide_map.errors import BundleError, Notice
from landslide_map.inference.kept_pixels import Kept
from landslide_map.inference.pixels import members_of
from landslide_map.inference.rows import RowPredictor, predict_rows
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.mapping.checkpoint import Checkpoint
from landslide_map.mapping.identity import InputFiles, run_identity
from landslide_map.mapping.memory_plan import estimate_memory, plan_memory, with_heap_trimmed
from landslide_map.mapping.options import RunOptions
from landslide_map.models.bundle.load import Bundle
from landslide_map.models.bundle.options import PredictionOptions
from landslide_map.products import RESULT
from landslide_map.products.pixel_outlines import BOTH, KINDS
from landslide_map.runtime.byte_size import gigabytes
from landslide_map.runtime.memory_limit import MemoryPlan
from landslide_map.runtime.notices import Notices
from landslide_map.runtime.progress import Report
from landslide_map.runtime.transaction import refuse_inputs
from landslide_map.scene.model import Scene, load_scene
from landslide_map.stack.pixel_channels import check_available
from landslide_map.windows import WindowPlan, plan_windows

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreparedRun:
    """All that mapping a scene needs, checked."""

    settings: Scene
    prediction: PredictionOptions
    ensemble: Bundle
    inputs: SceneInputs
    files: InputFiles
    plan: WindowPlan
    memory: MemoryPlan
    """Settings that keep the prediction of windows within the memory limit."""
    checkpoint: Checkpoint
    predictor: RowPredictor
    kept: Kept
    """Pixels kept for outlines and images."""
    notices: Notices
    networks: dict[str, Any] | None
    """Device, precision and batch that networks are computed with, which may differ from those requested."""


def resolved_settings(
    scene: str | PathLike[str], prediction: PredictionOptions, run: RunOptions
) -> tuple[Scene, PredictionOptions]:
    """Return the settings of a scene and the prediction options, each completed by the other.

    Raises
    ------
    SceneError
        See :func:`~landslide_map.scene.model.load_scene`.
    """
    settings = load_scene(
        Path(scene),
        bundle=None if prediction.bundle is None else str(prediction.bundle),
        stride=run.stride,
        threshold=prediction.threshold,
        operating_point=prediction.operating_point,
        outline=run.outline,
        members=run.members,
        coregister=run.coregister,
        everywhere=run.everywhere,
    )
    return settings, replace(
        prediction,
        bundle=settings.bundle,
        threshold=settings.threshold,
        operating_point=settings.operating_point,
    )


def prepare_run(
    settings: Scene,
    prediction: PredictionOptions,
    out: str | PathLike[str],
    options: RunOptions,
    *,
    limit: int | None,
    progress: Report,
    announce: Callable[[Notice], object],
) -> PreparedRun:
    """Load the bundle, open the inputs and the checkpoint of an interrupted run, choose the predictor.

    Parameters
    ----------
    settings, prediction
        Of :func:`resolved_settings`.
    limit : int, optional
        Of resident memory, bytes.
    out, options, progress, announce
        As of :func:`~landslide_map.mapping.map_scene.map_scene`.

    Raises
    ------
    LandslideMapError
        If the run cannot begin; no window was predicted.
    """
    cluster = options.cluster
    # Where workers compute, this machine needs no GPU and nothing need be tried on it.
    here = prediction if cluster is None else replace(prediction, device="cpu", precision="float32")
    ensemble = here.apply(options.load(settings.bundle), progress)
    if settings.output.pixels == "everywhere" and not ensemble.pixel_members:
        raise BundleError(
            "E554",
            f"{ensemble.name} has no pixel members to compute everywhere. Add some with landslide-map models "
            "add-pixels, or leave out --everywhere (output: {pixels: everywhere}).",
        )
    inputs = open_inputs(settings)
    _check_pixel_outlines(settings, ensemble, inputs)
    _refuse_outputs_read(Path(out), settings, inputs)
    files = InputFiles(inputs.files)
    plan = plan_windows(inputs.grid.shape, settings.stride)
    kept = Kept.of_scene(settings)
    estimate = estimate_memory(ensemble, plan, kept=kept)
    memory = plan_memory(limit, estimate if cluster is None else estimate.of_the_map())
    if limit is not None:
        _log.info("memory limit %s: %s", gigabytes(limit), memory)
    identity = run_identity(settings, prediction, ensemble, inputs, files, on_cluster=cluster is not None)
    notices = Notices(announce, [*ensemble.notices, *inputs.notices], [*(cluster.notices if cluster else ())])
    checkpoint = Checkpoint(
        out, identity, len(plan.block_rows), overwrite=options.overwrite, notices=notices.about_run
    )
    valid = settings.min_valid_fraction
    if cluster is None:
        predictor: RowPredictor = partial(
            predict_rows, inputs, ensemble, plan, valid, read_ahead=memory.read_ahead, kept=kept
        )
        predictor = with_heap_trimmed(predictor) if memory.one_heap else predictor
    else:
        predictor = cluster.predictor(inputs, prediction, ensemble, plan, valid, progress, limit, kept=kept)
    return PreparedRun(
        settings=settings,
        prediction=prediction,
        ensemble=ensemble,
        inputs=inputs,
        files=files,
        plan=plan,
        memory=memory,
        checkpoint=checkpoint,
        predictor=predictor,
        kept=kept,
        notices=notices,
        networks=identity["networks"],
    )


def _refuse_outputs_read(out: Path, settings: Scene, inputs: SceneInputs) -> None:
    area = settings.grid.aoi if settings.grid else None
    others = [path for path in (area, settings.bundle) if path is not None]
    refuse_inputs(out, RESULT, [*inputs.files, *others])


def _check_pixel_outlines(settings: Scene, ensemble: Bundle, inputs: SceneInputs) -> None:
    """Refuse outlines of pixels that nothing can draw: E554, E187, E556."""
    if settings.output.outline not in KINDS:
        return
    for own in members_of(ensemble, None, None):
        check_available(inputs, own.channels, own.name)
    if settings.output.outline == BOTH and ensemble.pixel_scenarios[0].fusion is None:
        raise BundleError(
            "E556",
            f"{ensemble.name}: the reliability of its pixel members beside outlines was not measured. "
            "Measure it with landslide-map models add-pixels --evidence, or draw outlines of pixels.",
        )
