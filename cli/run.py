"""``landslide-map run`` (or just ``landslide-map scene.yaml``): map scenes end to end."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import shared_options
from .feedback import Console, feedback
from .grouped_help import command
from .importing import importing
from .refusals import refusal_of

if TYPE_CHECKING:
    from landslide_map.mapping.cluster.client import Cluster
    from landslide_map.mapping.map_scenes import Outcome


@command(short_help="Map one scene or several.")
@click.argument("scenes", metavar="SCENE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder for the results.")
@click.option(
    "--overwrite", is_flag=True, help="Replace a result; delete the checkpoint of an interrupted run."
)
@click.option(
    "--outline",
    type=click.Choice(["objects", "windows", "pixels", "both"]),
    help="Outline objects by their evidence (the default), windows above the threshold, pixels by the pixel "
    "members of the bundle, or objects and pixels joined.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Probability above which a window is a landslide; of outlines: landslide-map outline --threshold.",
)
@shared_options.operating_point
@shared_options.formats
@shared_options.bundle_of_scene
@shared_options.profile
@shared_options.members
@shared_options.stride
@shared_options.coregister
@click.option(
    "--everywhere", is_flag=True, help="Compute pixel members on every pixel, not only near candidates."
)
@click.option("--memory", help="Memory limit, including workers here, e.g. 2GB; same result.")
@click.option("--workers", type=click.IntRange(1), help="Classify windows with this many processes here.")
@shared_options.device
@shared_options.precision
@shared_options.exact_early_exit
@shared_options.cascade
@click.option(
    "--scheduler", help="Classify windows with the workers of this dask scheduler, e.g. tcp://10.0.0.1:8786."
)
@shared_options.tls
@feedback
def run(
    scenes: tuple[Path, ...],
    out: Path,
    scheduler: str | None,
    workers: int | None,
    memory: str | None,
    formats: str,
    console: Console,
    **options: Any,
) -> int:
    """Map each SCENE (a scene.yaml) and write the results into --out.

    Writes outlines (landslides.gpkg), rasters, a QGIS project (landslides.qgz), report.html and run.json;
    they appear together, when all are complete. Finding no landslide is a result, not an error. A run that
    was killed or interrupted keeps its finished work in --out: the same command resumes.

    Of several scenes, each gets a folder in --out, and the polygons of all are merged into landslides.gpkg
    there. One that fails does not stop the others; the same command keeps what is finished.
    """
    with compiled_ahead(alone=scheduler is None and workers is None and memory is None):
        with importing():
            from landslide_map.products.formats import add_formats, check_formats
            from landslide_map.runtime.byte_size import amount

        wanted = shared_options.format_words(formats)
        check_formats(wanted)
        options["memory"] = None if memory is None else amount(memory)
        tls = [options.pop(f"tls_{file}") for file in ("ca", "cert", "key")]
        with _cluster(scheduler, workers, tls) as cluster:
            if len(scenes) == 1:
                status = map_one(scenes[0], out, console, cluster=cluster, **options)
            else:
                status = _map_several(scenes, out, console, cluster=cluster, **options)
        if status == 0:
            add_formats(out, wanted)
    return status


def compiled_ahead(*, alone: bool) -> AbstractContextManager[None]:
    """Compile loops in another process, begun before most imports; only if a run is `alone` on this machine.

    A memory limit, or other processes, leave too little memory for it.
    """
    with importing():
        from landslide_map.mapping.compile_ahead import compiling_ahead
    return compiling_ahead() if alone else nullcontext()


def map_one(scene: Path, out: Path, console: Console, **options: Any) -> int:
    """Map one scene, and say what came of it."""
    with importing():
        from landslide_map.mapping.map_scene import map_scene

    result = map_scene(scene, out, progress=console.progress, announce=console.notice, **options)
    console.notices(result.notices)
    files = ("out", "probability", "classes", "polygons", "window_record", "manifest")
    console.finished(
        **{name: getattr(result, name) for name in files},
        landslides=result.landslides,
        windows=result.windows,
    )
    click.echo(result.summary())
    return 0


def _map_several(scenes: tuple[Path, ...], out: Path, console: Console, **options: Any) -> int:
    from landslide_map.errors import Notice
    from landslide_map.mapping.map_scenes import map_scenes

    def on_outcome(outcome: Outcome) -> None:
        if outcome.error is not None:
            console.refused(outcome.name, refusal_of(outcome.error))
        if outcome.result is None:
            return
        for notice in outcome.result.notices:
            console.notice(Notice(notice.code, f"{outcome.name}: {notice.message}"))
        what = "kept, mapped before" if outcome.kept else outcome.result.summary()
        console.show(f"{outcome.name}: {what}")

    result = map_scenes(
        scenes, out, progress=console.progress, announce=console.notice, on_outcome=on_outcome, **options
    )
    status = next((refusal_of(error).exit_status for error in result.failures.values()), 0)
    console.finished(
        exit_status=status,
        out=result.out,
        polygons=result.polygons,
        landslides=result.landslides,
        failures=list(result.failures),
    )
    click.echo(result.summary())
    return status


def _cluster(
    scheduler: str | None, workers: int | None, tls: list[Path | None]
) -> AbstractContextManager[Cluster | None]:
    """Yield the cluster that predicts the windows; None for this process."""
    given = [file for file in tls if file is not None]
    if given and (scheduler is None or len(given) < len(tls)):
        raise click.UsageError(
            "--tls-ca, --tls-cert and --tls-key go together, and with --scheduler tls://..."
        )
    if scheduler is None and workers is None:
        return nullcontext()
    if scheduler is not None and workers is not None:
        raise click.UsageError("give either --scheduler or --workers")
    from landslide_map.errors import optional_packages

    with optional_packages("--scheduler and --workers need", "cluster"):
        from landslide_map.mapping.cluster.connect import connected, local_workers
        from landslide_map.mapping.cluster.tls import TlsFiles
    if scheduler is None:
        return local_workers(workers or 1)
    return connected(scheduler, TlsFiles(*given) if given else None)
