"""``map_scene``: the one place that strings the steps together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landslide_map import progress as reporting
from landslide_map import timings
from landslide_map.amounts import amount
from landslide_map.classification import gathered
from landslide_map.cost import expected_seconds
from landslide_map.errors import Notice
from landslide_map.judging import Judge, judge_rows
from landslide_map.memory import demand_of, giving_back, kept_to, room_within
from landslide_map.models import skipping
from landslide_map.models.bundle import Bundle, load_bundle
from landslide_map.models.choice import Choice
from landslide_map.models.network_time import network_notice
from landslide_map.models.placement import Device, Precision
from landslide_map.operating_points import OperatingPoint
from landslide_map.products import CLASSES, LANDSLIDES, MANIFEST, PROBABILITY, WINDOWS
from landslide_map.products.manifest import run_manifest, write_manifest
from landslide_map.products.map_files import STAGE as WRITE
from landslide_map.products.map_files import write_map
from landslide_map.products.staging import outputs
from landslide_map.readers import open_inputs
from landslide_map.runs import journal, told
from landslide_map.runs.identity import InputFiles, run_identity
from landslide_map.runs.patience import patient
from landslide_map.scene import Scene, load_scene
from landslide_map.windows import plan_windows

if TYPE_CHECKING:
    from landslide_map.runs.cluster import Cluster

CHECK = reporting.Stage("check inputs")
CLASSIFY = reporting.Stage("classify windows", "windows")


@dataclass(frozen=True, slots=True)
class MapResult:
    """What a run made: the files, and the numbers a person asks for first."""

    out: Path
    landslides: int
    """Polygons in the layer `landslides`."""
    windows: Mapping[str, int]
    """Windows: ``planned``, ``analysed``, ``landslide``, and per scenario and reason."""
    notices: tuple[Notice, ...]
    seconds: float
    """Wall time."""

    @property
    def probability(self) -> Path:
        """Probability of every pixel's windows, COG."""
        return self.out / PROBABILITY

    @property
    def classes(self) -> Path:
        """Landslide, not, or why not analysed, COG."""
        return self.out / CLASSES

    @property
    def polygons(self) -> Path:
        """GeoPackage with the landslides and the area analysed."""
        return self.out / LANDSLIDES

    @property
    def window_record(self) -> Path:
        """The choice made in every window, netCDF."""
        return self.out / WINDOWS

    @property
    def manifest(self) -> Path:
        """What went in, was decided, and came out, JSON."""
        return self.out / MANIFEST

    def summary(self) -> str:
        """Return one paragraph for a person."""
        planned, analysed = self.windows["planned"], self.windows["analysed"]
        found = "1 landslide area" if self.landslides == 1 else f"{self.landslides} landslide areas"
        if self.landslides == 0:
            found = "no landslide found"
        if analysed == 0:
            found = "NOTHING COULD BE ANALYSED, see the notes; this is not the same as no landslide"
        return (
            f"{found}; {analysed} of {planned} windows analysed, {self.windows['landslide']} above the "
            f"threshold ({self.seconds:.1f} s). Results in {self.out}"
        )


def map_scene(
    scene: str | PathLike[str],
    out: str | PathLike[str],
    *,
    bundle: str | PathLike[str] | None = None,
    stride: int | None = None,
    threshold: float | None = None,
    operating_point: OperatingPoint | None = None,
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
    bundle, stride, threshold, operating_point : optional
        Instead of what the scene says; an operating point and a threshold exclude each other.
    profile : str, optional
        Which members vote; a key of :data:`~landslide_map.models.profiles.PROFILES`.
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
        Workers that judge the windows (:mod:`landslide_map.runs.cluster`); this process reads metadata
        and writes. The result is the same.
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
        journal.telling_what_is_kept(out),
        outputs(out, overwrite=overwrite, spent=(journal.FOLDER,)) as stage,
    ):
        with timings.stage(CHECK), reporting.step(progress, CHECK):
            settings, choice = understood(
                scene,
                bundle=bundle,
                stride=stride,
                threshold=threshold,
                operating_point=operating_point,
                profile=profile,
                device=device,
                precision=precision,
                exact_early_exit=exact_early_exit,
                cascade=cascade,
            )
            # Where others compute, this machine needs no graphics card.
            here = choice if cluster is None else replace(choice, device="cpu")
            ensemble = here.of(load(settings.bundle), progress)
            inputs = open_inputs(settings)
            files = InputFiles(inputs.files)
            plan = plan_windows(inputs.grid.shape, settings.stride)
            demand = demand_of(ensemble, plan)
            room = room_within(limit, demand if cluster is None else demand.of_the_map())
            identity = run_identity(settings, choice, ensemble, inputs, files, on_cluster=cluster is not None)
            kept = journal.Journal(out, identity, len(plan.block_rows), overwrite=overwrite)
            valid = settings.min_valid_fraction
            if cluster is None:
                judge: Judge = partial(judge_rows, inputs, ensemble, plan, valid, ahead=room.ahead)
                judge = judge if limit is None else giving_back(judge)
            else:
                judge = cluster.judge(inputs, choice, ensemble, plan, valid, progress, limit)
        rest = expected_seconds(inputs, plan)
        if cluster is None and (ahead := network_notice(ensemble, plan.count, rest, progress)):
            announce(ahead)
        with timings.stage(CLASSIFY), kept_to(room):
            tick = reporting.counter(progress, CLASSIFY, plan.count)
            rows = kept.completed(patient(judge, kept.notices.append), plan.block_rows, tick, files)
            result = gathered(rows, ensemble, plan)
            record = result.record
        with timings.stage(WRITE):
            found = write_map(
                stage,
                record,
                plan,
                inputs.grid,
                dates=told.acquisition_dates(inputs),
                tags=told.tags(settings, inputs, ensemble),
                min_area_m2=settings.output.min_area_m2,
                progress=progress,
            )
        notices = (*inputs.notices, *result.notices, *kept.notices, *(cluster.notices if cluster else ()))
        windows = told.window_counts(record)
        judged = plan.count * kept.counts["judged"] / len(plan.block_rows)
        manifest = run_manifest(
            configuration=told.configuration(settings, choice),
            inputs=files.listed,
            bundle={"name": ensemble.name, "sha256": ensemble.sha256, "path": ensemble.path},
            counts={
                "windows": windows,
                "votes": skipping.account(ensemble, result.votes),
                "landslides": found,
                "rows_of_blocks": kept.counts,
            },
            notices=notices,
            timings=spent.as_json()
            | {
                "memory_limit_bytes": limit,
                "windows_per_second": round(judged / spent.stages[CLASSIFY].seconds, 1),
            },
            started=started,
            outputs=stage,
        )
        write_manifest(stage / MANIFEST, manifest)
    return MapResult(Path(out), found, windows, notices, spent.seconds)


def understood(
    scene: str | PathLike[str],
    *,
    bundle: str | PathLike[str] | None = None,
    stride: int | None = None,
    threshold: float | None = None,
    operating_point: OperatingPoint | None = None,
    **chosen: Any,
) -> tuple[Scene, Choice]:
    """Return what a scene and the caller say together; `chosen` are other fields of :class:`Choice`.

    Raises
    ------
    SceneError
        See :func:`~landslide_map.scene.load_scene`.
    """
    settings = load_scene(
        Path(scene),
        bundle=None if bundle is None else str(bundle),
        stride=stride,
        threshold=threshold,
        operating_point=operating_point,
    )
    return settings, Choice(
        settings.bundle, threshold=settings.threshold, operating_point=settings.operating_point, **chosen
    )
