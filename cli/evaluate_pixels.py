"""``landslide-map evaluate-pixels``: figures of pixel members on images with masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .feedback import Console, feedback
from .grouped_help import command

if TYPE_CHECKING:
    from landslide_map.datasets.pixel_data import Layout

_PATH = click.Path(path_type=Path)


@command("evaluate-pixels", short_help="Score pixel members on images with masks.")
@click.argument("data", nargs=-1, required=True, type=_PATH)
@click.option("--bundle", required=True, type=_PATH, help="Bundle with pixel members.")
@click.option(
    "--layout",
    type=click.Choice(["tiles", "l4s", "ganerod"]),
    default="tiles",
    show_default=True,
    help="Folders of `windows --tiles`, of Landslide4Sense, of the heterogeneous ensemble.",
)
@click.option("--part", help="Subfolder, e.g. ValidData or test; by default that of training.")
@click.option("--scenario", help="Scenario: members to average; by default the bundle's first.")
@click.option("--member", help="One member only.")
@click.option("--report", type=_PATH, help="JSON file to write with all figures.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", help="Device for networks.")
@click.option("--overwrite", is_flag=True, help="Replace an existing report.")
@feedback
def evaluate_pixels(
    data: tuple[Path, ...],
    bundle: Path,
    layout: Layout,
    part: str | None,
    scenario: str | None,
    member: str | None,
    report: Path | None,
    device: str,
    overwrite: bool,
    console: Console,
) -> None:
    """Score pixel members on images with masks: pooled F1, mean of batches, IoU, boundaries, regions.

    Figures are at pixel level, threshold 0.5. They are valid only on regions that no member was trained on.
    """
    from landslide_map.datasets.pixel_data import open_pixel_data
    from landslide_map.errors import OutputExistsError
    from landslide_map.evaluation import pixel_members
    from landslide_map.inference.pixels import members_of
    from landslide_map.models.bundle.load import load_bundle
    from landslide_map.runtime.atomic import whole_file

    if report is not None and report.exists() and not overwrite:
        raise OutputExistsError("E401", f"{report}: exists already; replace it with --overwrite.")
    ready = load_bundle(bundle, pixel_members_suffice=True)
    members = members_of(ready, scenario, member)
    images = open_pixel_data(data, layout, part)
    found = pixel_members.evaluate_pixels(images, members, device=device, progress=console.progress)
    figures = found.as_json() | {"published": pixel_members.published_beside(members, layout)}
    if report is not None:
        with whole_file(report) as staged:
            staged.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    console.finished(**figures)
    counts = found.counts
    click.echo(
        f"pixel level, {len(images)} images, {len(members)} members: F1 {counts.f1:.3f} pooled "
        f"({found.batch_mean_f1:.3f} mean of batches), precision {counts.precision:.3f}, recall "
        f"{counts.recall:.3f}, IoU {counts.iou:.3f}"
    )
    for px, value in found.boundary.items():
        click.echo(f"boundary F1 within {px} px: {value:.3f}")
    for name, own in found.regions.items():
        click.echo(f"  {name or 'all'}: F1 {own.f1:.3f} pooled, {own.labelled} landslide pixels")
    if len(members) > 1:
        curve = ", ".join(f"{k}: {value:.3f}" for k, value in found.sizes.items())
        click.echo(f"F1 pooled by members in the mean: {curve}")
    for line in figures["published"]:
        click.echo(line)
