"""``landslide-map models``: import, describe and verify bundles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import shared_options
from .feedback import Console, feedback

if TYPE_CHECKING:
    from landslide_map.options import Device, Precision


@click.group()
def models() -> None:
    """Import, show and verify model bundles."""


@models.command("import-nasios")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder of the new bundle.")
@click.option("--trust-pickles", is_flag=True, help="Unpickle the boosters: this can run any program.")
@click.option("--overwrite", is_flag=True, help="Replace an existing bundle.")
@feedback
def import_nasios(folder: Path, out: Path, trust_pickles: bool, overwrite: bool, console: Console) -> None:
    """Turn the author's weight files in FOLDER into a bundle.

    Reads Landslide_Class_S2S1_<version>_Fold<k>_last.pt for whatever versions and folds are there, and with
    --trust-pickles the boosters Landslide_Class_S2S1_<v18b|v44>_fold<k>.
    """
    from landslide_map.models.published.import_weights import import_nasios as convert

    found = convert(folder, out, trust_pickles=trust_pickles, overwrite=overwrite, report=console.progress)
    console.notices(found.notices)
    console.finished(bundle=out, folds=found.folds)
    for name, folds in found.folds.items():
        click.echo(f"{name}: folds {', '.join(map(str, folds))}")
    click.echo(f"{out}: a bundle of {len(found.folds)} members")


@models.command("import-segmentation")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder of the new bundle.")
@click.option("--network", help="Published name of the network in a single file, e.g. unet or resnet34.")
@click.option(
    "--setting",
    type=click.Choice(["s1", "s2", "s1s2", "all"]),
    help="Setting of the checkpoints, for a check of their channels.",
)
@click.option(
    "--statistics",
    type=click.Path(path_type=Path),
    help="CSV file: band (0 to 14), mean, std of the training.",
)
@click.option(
    "--data", type=click.Path(path_type=Path), help="Folder of the published data, to compute statistics."
)
@click.option("--scaled-inputs", is_flag=True, help="No statistics: members read scaled numbers only.")
@click.option(
    "--channel-map", type=click.Path(path_type=Path), help="CSV file: band (0 to 14), channel by name."
)
@click.option("--overwrite", is_flag=True, help="Replace an existing bundle.")
@feedback
def import_segmentation(source: Path, out: Path, overwrite: bool, console: Console, **options: Any) -> None:
    """Turn published segmentation networks into a bundle of pixel members.

    SOURCE is a folder of <run>/checkpoints/epoch_*.ckpt (heterogeneous ensemble, runs 0 to 89), a folder of
    Landslide4Sense files such as resnet34.pth, or one file. Nothing in a file is run. The checkpoints of the
    heterogeneous ensemble need exactly one of --statistics, --data and --scaled-inputs.
    """
    from landslide_map.models.published.import_segmentation import import_segmentation as convert
    from landslide_map.models.published.segmentation_options import ImportOptions

    found = convert(source, out, ImportOptions(**options), overwrite=overwrite, progress=console.progress)
    console.notices(found.notices)
    console.finished(bundle=out, members=found.members)
    click.echo(f"{out}: a bundle of {len(found.members)} pixel members, first {found.members[0]}")


@models.command("add-pixels")
@click.argument("pixels", type=click.Path(path_type=Path))
@click.option("--windows", type=click.Path(path_type=Path), help="Bundle; by default the built-in one.")
@click.option(
    "--evidence",
    type=(click.Path(path_type=Path), click.Path(path_type=Path)),
    metavar="RESULTS INVENTORY",
    multiple=True,
    help="A map by these pixel members (--everywhere) and the complete inventory of its event; again for "
    "others.",
)
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder of the new bundle.")
@click.option("--overwrite", is_flag=True, help="Replace an existing bundle.")
@feedback
def add_pixels(
    pixels: Path,
    windows: Path | None,
    evidence: tuple[tuple[Path, Path], ...],
    out: Path,
    overwrite: bool,
    console: Console,
) -> None:
    """Add the pixel members of the bundle PIXELS to a bundle of window members.

    With --evidence it measures their reliability beside outlines, and stores it if joining both is better
    on events left out (--outline both).
    """
    from landslide_map.errors import Notice
    from landslide_map.evaluation.learn_fusion import learn_fusion
    from landslide_map.inference.pixels import members_of
    from landslide_map.models.bundle.combine import add_pixel_members
    from landslide_map.models.bundle.folder import check_free
    from landslide_map.models.bundle.load import load_bundle

    check_free(out, overwrite=overwrite)
    fusion, figures = None, {}
    if evidence:
        members = members_of(load_bundle(pixels, pixel_members_suffice=True), None, None)
        learned = learn_fusion(evidence, [own.name for own in members])
        fusion, figures = learned.fusion, learned.figures
        console.notices(learned.notices)
        if fusion is None:
            console.notice(
                Notice("W554", "joining is not better than the better one alone, and was not stored.")
            )
    names = add_pixel_members(windows, pixels, out, fusion=fusion, overwrite=overwrite)
    console.finished(bundle=out, members=names, measured=figures)
    click.echo(f"{out}: with pixel members {', '.join(names)}")
    if figures:
        click.echo(
            f"pixel F1 on {figures['events']} events, each left out once: joined {figures['f1_joint']:.3f}, "
            f"pixel members {figures['f1_pixels']:.3f}, outlines {figures['f1_outlines']:.3f}"
        )


@models.command("learn-cascade")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("windows", required=False, type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder of the new bundle.")
@click.option(
    "--out-of-fold",
    is_flag=True,
    help="WINDOWS are those of the training: let only those models vote that did not see them.",
)
@shared_options.device
@shared_options.precision
@click.option("--overwrite", is_flag=True, help="Replace an existing bundle.")
@feedback
def learn_cascade(
    bundle: Path,
    windows: Path | None,
    out: Path,
    out_of_fold: bool,
    device: Device,
    precision: Precision,
    overwrite: bool,
    console: Console,
) -> None:
    """Learn the cascade rule of BUNDLE: the windows for which networks can be skipped (--cascade).

    WINDOWS, which no member may have seen, is a folder with Train.csv, a folder of <ID>.npy, or an .npy file;
    without labels, all that the bundle calls landslides must be kept. A bundle that was trained on windows
    keeps its votes out of fold, and needs no others.
    """
    from landslide_map.datasets.labelled_windows import LABELS, read_labelled_windows
    from landslide_map.datasets.window_arrays import Windows
    from landslide_map.evaluation.learn_cascade import learn_cascade as learn

    data, labels, folds = None, None, None
    if windows is not None and (windows / LABELS).is_file():
        known = read_labelled_windows(windows)
        data, labels, folds = known.windows, known.labels, known.folds
    elif windows is not None:
        data = Windows.open(windows)
    learned = learn(
        bundle,
        out,
        data,
        labels=labels,
        folds=folds,
        out_of_fold=out_of_fold,
        device=device,
        precision=precision,
        overwrite=overwrite,
        report=console.progress,
    )
    console.notices(learned.notices)
    console.finished(bundle=out, scenarios=list(learned.cascades))
    for name, cascade in learned.cascades.items():
        for rule in cascade.rules:
            click.echo(f"{name}, threshold {rule.threshold:g}: {cascade.in_words(rule)}")


@models.command()
@click.argument("bundle", required=False, type=click.Path(path_type=Path))
def show(bundle: Path | None) -> None:
    """Print the content of BUNDLE (by default the built-in one)."""
    from landslide_map.models.bundle.load import load_bundle
    from landslide_map.models.bundle.profiles import describe

    for line in describe(load_bundle(bundle, pixel_members_suffice=True)):
        click.echo(line)


@models.command()
@click.argument("bundle", required=False, type=click.Path(path_type=Path))
def verify(bundle: Path | None) -> None:
    """Check every hash of BUNDLE, and that every member can vote."""
    from landslide_map.models.bundle.load import load_bundle
    from landslide_map.models.bundle.verify import verify_members

    ready = load_bundle(bundle, pixel_members_suffice=True)
    files = verify_members(ready)
    click.echo(
        f"{ready.name}: {files} model files of {len(ready.document.members)} members are whole, "
        "and each member votes"
    )
