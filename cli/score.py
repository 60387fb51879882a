"""``landslide-map score``: probabilities of ready windows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import shared_options
from .feedback import Console, feedback
from .grouped_help import command

if TYPE_CHECKING:
    from landslide_map.options import Device, OperatingPoint, Precision


@command(short_help="Score ready windows (.npy).")
@click.argument("windows", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="CSV file to write.")
@shared_options.bundle
@shared_options.profile
@click.option("--threshold", type=click.FloatRange(0, 1), help="Instead of the bundle's.")
@shared_options.operating_point
@click.option("--ids", type=click.Path(path_type=Path), help="CSV with a column ID, e.g. Test.csv.")
@shared_options.device
@shared_options.precision
@shared_options.batch_size
@shared_options.exact_early_exit
@shared_options.cascade
@click.option("--submission", "as_submission", is_flag=True, help="Write the competition's columns ID,label.")
@click.option("--overwrite", is_flag=True, help="Replace an existing CSV file.")
@feedback
def score(
    windows: Path,
    out: Path,
    bundle: Path | None,
    profile: str | None,
    threshold: float | None,
    operating_point: OperatingPoint | None,
    ids: Path | None,
    device: Device,
    precision: Precision,
    batch_size: int | None,
    exact_early_exit: bool,
    cascade: bool,
    as_submission: bool,
    overwrite: bool,
    console: Console,
) -> None:
    """Score WINDOWS: an .npy file of shape (n, 64, 64, 12), or a folder of <ID>.npy.

    Writes id, probability, landslide and one column p_<member> for each member. The probabilities are of
    windows of 64 x 64 pixels (window level). Bands are blue, green, red, nir, then vv, vh, diff_vv, diff_vh
    of the descending and of the ascending track, as in the labelled windows.
    """
    from landslide_map.datasets.window_arrays import Windows, read_ids
    from landslide_map.inference import score as scoring

    scoring.check_output(out, overwrite=overwrite, inputs=(windows, ids))
    source = Windows.open(windows, None if ids is None else read_ids(ids))
    table = scoring.score(
        source,
        bundle,
        profile=profile,
        threshold=threshold,
        operating_point=operating_point,
        device=device,
        precision=precision,
        batch_size=batch_size,
        exact_early_exit=exact_early_exit,
        cascade=cascade,
        progress=console.progress,
        announce=console.notice,
    )
    scoring.write_csv(scoring.submission(table) if as_submission else table, out)
    console.notices(table.attrs["notices"])
    landslides = int(table["landslide"].sum())
    console.finished(scores=out, windows=len(table), landslides=landslides)
    click.echo(f"{out}: {len(table)} windows, {landslides} of them landslides (window level)")
