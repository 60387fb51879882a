"""Setup of a run: settings, bundle, inputs and the predictor of its rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from landslide_map.errors import BundleError
from landslide_map.inference.kept_pixels import Kept
from landslide_map.inference.rows import Judge, judge_rows
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.mapping.checkpoint import Journal
from landslide_map.mapping.identity import InputFiles, run_identity
from landslide_map.mapping.memory_plan import demand_of, giving_back, room_within
from landslide_map.mapping.options import RunOptions
from landslide_map.models.bundle.load import Bundle
from landslide_map.models.bundle.options import PredictionOptions
from landslide_map.products import RESULT
from landslide_map.runtime.memory_limit import Room
from landslide_map.runtime.progress import Report
from landslide_map.runtime.transaction import refuse_inputs
from landslide_map.scene.model import Scene, load_scene
from landslide_map.windows import WindowPlan, plan_windows


@dataclass(frozen=True)
class Run:
    """All that mapping a scene needs, checked."""

    settings: Scene
    prediction: PredictionOptions
    ensemble: Bundle
    inputs: SceneInputs
    files: InputFiles
    plan: WindowPlan
    room: Room
    """What the limit of memory leaves for judging windows."""
    journal: Journal
    judge: Judge
    networks: dict[str, Any] | None
    """Device, precision and batch that networks are computed with, which may differ from those asked for."""


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
) -> Run:
    """Load the bundle, open the inputs, look at what an interrupted run kept, and choose who judges.

    Parameters
    ----------
    settings, prediction
        Of :func:`resolved_settings`.
    limit : int, optional
        Of resident memory, bytes.
    out, options, progress
        As of :func:`~landslide_map.mapping.map_scene.map_scene`.

    Raises
    ------
    LandslideMapError
        Whatever keeps the run from beginning; no window was judged then.
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
    _refuse_outputs_read(Path(out), settings, inputs)
    files = InputFiles(inputs.files)
    plan = plan_windows(inputs.grid.shape, settings.stride)
    kept = Kept(outlines=settings.output.outline == "objects", display=settings.output.images)
    demand = demand_of(ensemble, plan, kept=kept)
    room = room_within(limit, demand if cluster is None else demand.of_the_map())
    identity = run_identity(settings, prediction, ensemble, inputs, files, on_cluster=cluster is not None)
    journal = Journal(out, identity, len(plan.block_rows), overwrite=options.overwrite)
    valid = settings.min_valid_fraction
    if cluster is None:
        judge: Judge = partial(
            judge_rows, inputs, ensemble, plan, valid, read_ahead=room.read_ahead, kept=kept
        )
        judge = judge if limit is None else giving_back(judge)
    else:
        judge = cluster.judge(inputs, prediction, ensemble, plan, valid, progress, limit, kept=kept)
    return Run(
        settings, prediction, ensemble, inputs, files, plan, room, journal, judge, identity["networks"]
    )


def _refuse_outputs_read(out: Path, settings: Scene, inputs: SceneInputs) -> None:
    area = settings.grid.aoi if settings.grid else None
    others = [path for path in (area, settings.bundle) if path is not None]
    refuse_inputs(out, RESULT, [*inputs.files, *others])
