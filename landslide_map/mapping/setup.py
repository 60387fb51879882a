"""A run before its first window: what scene and caller say, what inputs and bundle are, who will judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landslide_map.inference.rows import Judge, judge_rows
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.mapping.checkpoint import Journal
from landslide_map.mapping.identity import InputFiles, run_identity
from landslide_map.mapping.memory_plan import demand_of, giving_back, room_within
from landslide_map.models.bundle.load import Bundle
from landslide_map.models.bundle.options import Choice
from landslide_map.options import OperatingPoint, Outline
from landslide_map.runtime.memory_limit import Room
from landslide_map.runtime.progress import Report
from landslide_map.scene.model import Scene, load_scene
from landslide_map.windows import WindowPlan, plan_windows

if TYPE_CHECKING:
    from landslide_map.mapping.cluster.client import Cluster


@dataclass(frozen=True)
class Run:
    """All that mapping a scene needs, checked."""

    settings: Scene
    choice: Choice
    ensemble: Bundle
    inputs: SceneInputs
    files: InputFiles
    plan: WindowPlan
    room: Room
    """What the limit of memory leaves for judging windows."""
    journal: Journal
    judge: Judge


def resolved_settings(
    scene: str | PathLike[str],
    *,
    bundle: str | PathLike[str] | None = None,
    stride: int | None = None,
    threshold: float | None = None,
    operating_point: OperatingPoint | None = None,
    outline: Outline | None = None,
    **chosen: Any,
) -> tuple[Scene, Choice]:
    """Return what a scene and the caller say together; `chosen` are other fields of :class:`Choice`.

    Raises
    ------
    SceneError
        See :func:`~landslide_map.scene.model.load_scene`.
    """
    settings = load_scene(
        Path(scene),
        bundle=None if bundle is None else str(bundle),
        stride=stride,
        threshold=threshold,
        operating_point=operating_point,
        outline=outline,
    )
    return settings, Choice(
        settings.bundle, threshold=settings.threshold, operating_point=settings.operating_point, **chosen
    )


def prepare_run(
    settings: Scene,
    choice: Choice,
    out: str | PathLike[str],
    *,
    load: Callable[[Path | None], Bundle],
    limit: int | None,
    overwrite: bool,
    cluster: Cluster | None,
    progress: Report,
) -> Run:
    """Load the bundle, open the inputs, look at what an interrupted run kept, and choose who judges.

    Parameters
    ----------
    settings, choice
        Of :func:`resolved_settings`.
    limit : int, optional
        Of resident memory, bytes.
    out, load, overwrite, cluster, progress
        As of :func:`~landslide_map.mapping.map_scene.map_scene`.

    Raises
    ------
    LandslideMapError
        Whatever keeps the run from beginning; no window was judged then.
    """
    # Where others compute, this machine needs no graphics card and nothing need be tried on it.
    here = choice if cluster is None else replace(choice, device="cpu", precision="float32")
    ensemble = here.of(load(settings.bundle), progress)
    inputs = open_inputs(settings)
    files = InputFiles(inputs.files)
    plan = plan_windows(inputs.grid.shape, settings.stride)
    demand = demand_of(ensemble, plan)
    room = room_within(limit, demand if cluster is None else demand.of_the_map())
    identity = run_identity(settings, choice, ensemble, inputs, files, on_cluster=cluster is not None)
    journal = Journal(out, identity, len(plan.block_rows), overwrite=overwrite)
    valid = settings.min_valid_fraction
    delineate = settings.output.outline == "objects"
    if cluster is None:
        judge: Judge = partial(
            judge_rows, inputs, ensemble, plan, valid, read_ahead=room.read_ahead, delineate=delineate
        )
        judge = judge if limit is None else giving_back(judge)
    else:
        judge = cluster.judge(inputs, choice, ensemble, plan, valid, progress, limit, delineate=delineate)
    return Run(settings, choice, ensemble, inputs, files, plan, room, journal, judge)
