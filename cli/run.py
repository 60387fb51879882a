"""``landslide-map run`` (or just ``landslide-map scene.yaml``): map a scene end to end."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from . import shared_options
from .feedback import Feedback, feedback


@click.command()
@click.argument("scene", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder for the results.")
@click.option("--bundle", type=click.Path(path_type=Path), help="Model bundle instead of the scene's.")
@click.option("--stride", type=click.IntRange(8, 64), help="Step between windows, pixels (8 to 64).")
@click.option(
    "--threshold", type=click.FloatRange(0, 1), help="Probability from which a window is a landslide."
)
@shared_options.operating_point
@shared_options.profile
@shared_options.device
@shared_options.precision
@shared_options.exact_early_exit
@shared_options.cascade
@click.option("--overwrite", is_flag=True, help="Replace an existing result.")
@feedback
def run(
    scene: Path,
    out: Path,
    bundle: Path | None,
    stride: int | None,
    threshold: float | None,
    operating_point: Literal["f1", "recall90", "precision90"] | None,
    profile: str | None,
    device: Literal["auto", "cpu", "cuda"],
    precision: Literal["float32", "bfloat16", "float16"],
    exact_early_exit: bool,
    cascade: bool,
    overwrite: bool,
    tell: Feedback,
) -> None:
    """Map SCENE (a scene.yaml) and write the results into --out.

    Writes probability.tif, class.tif, landslides.gpkg, windows.nc and run.json; they appear together, when
    all are complete. Finding no landslide is a result, not an error.
    """
    from landslide_map.pipeline import map_scene

    result = map_scene(
        scene,
        out,
        bundle=bundle,
        stride=stride,
        threshold=threshold,
        operating_point=operating_point,
        profile=profile,
        device=device,
        precision=precision,
        exact_early_exit=exact_early_exit,
        cascade=cascade,
        overwrite=overwrite,
        progress=tell.progress,
    )
    for notice in result.notices:
        tell.notice(notice)
    files = ("out", "probability", "classes", "polygons", "window_record", "manifest")
    tell.finished(
        **{name: getattr(result, name) for name in files},
        landslides=result.landslides,
        windows=result.windows,
    )
    click.echo(result.summary())
