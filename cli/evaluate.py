"""``landslide-map evaluate``: score a bundle on labelled windows, or a map against an inventory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from . import shared_options
from .feedback import Console, feedback
from .grouped_help import command

if TYPE_CHECKING:
    from landslide_map.evaluation.windows import LabelledPredictions
    from landslide_map.models.bundle.load import Bundle
    from landslide_map.options import OperatingPoint
    from landslide_map.runtime.progress import Report

_PATH = click.Path(path_type=Path)
_OF_MAPS = ("inventory", "layer", "id_column", "each_part", "area", "in_project")
_OF_VOTES = ("bundle", "profile", "threshold", "operating_point", "scenarios", "out_of_fold", "ablation")
_UNFIT = {
    "windows": _OF_MAPS,
    "statistics": ("labels", *_OF_MAPS),
    "kept votes": ("labels", "profile", "ablation", *_OF_MAPS),
    "map": (*_OF_VOTES, "labels"),
}
"""Subject of the evaluation -> options without a meaning for it."""


@command(short_help="Score a bundle, or a map against an inventory.")
@click.argument("windows", required=False, type=_PATH)
@click.option(
    "--labels", type=_PATH, help="CSV with columns ID,label (and fold), unless WINDOWS has Train.csv."
)
@click.option("--statistics", type=_PATH, help="CSV table of labelled window statistics, instead of WINDOWS.")
@click.option("--map", "results", type=_PATH, help="Results of a run, to compare with --inventory.")
@click.option("--inventory", type=_PATH, help="Polygons of known landslides.")
@click.option("--layer", help="Layer of an inventory with several layers.")
@click.option("--id-column", help="Features with the same value there are one landslide.")
@click.option("--each-part", is_flag=True, help="Each part of a multipolygon is a separate landslide.")
@click.option("--area", type=_PATH, help="Polygons in which the inventory is complete; the rest is left out.")
@click.option("--in-project", is_flag=True, help="Show the inventory in the QGIS project of the results.")
@shared_options.bundle
@shared_options.profile
@click.option("--threshold", type=click.FloatRange(0, 1), help="Threshold instead of the scenario's.")
@shared_options.operating_point
@click.option("--scenarios", is_flag=True, help="Score every member, scenario and profile too.")
@click.option(
    "--out-of-fold",
    is_flag=True,
    help="For training windows of the bundle: use only models that did not train on them.",
)
@click.option(
    "--ablation",
    type=click.Choice(["retrained", "permuted"]),
    help="Leave out each modality and statistic: train a quick model without it, or shuffle it.",
)
@shared_options.device
@shared_options.precision
@shared_options.batch_size
@click.option("--report", type=_PATH, help="Folder for a report: Markdown, JSON and pictures.")
@click.option("--overwrite", is_flag=True, help="Replace an existing report.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@feedback
def evaluate(
    windows: Path | None, statistics: Path | None, results: Path | None, console: Console, **options: Any
) -> None:
    """Score a bundle on labelled windows, or a map against an inventory of landslides.

    \b
    landslide-map evaluate DATA                                 DATA holds Train.csv and train_data/
    landslide-map evaluate windows.npy --labels labels.csv      or a folder of <ID>.npy
    landslide-map evaluate --statistics TABLE.csv               window statistics
    landslide-map evaluate --bundle BUNDLE --out-of-fold        the votes a trained bundle keeps
    landslide-map evaluate --map results/ --inventory known.gpkg

    Figures of windows are at window level, those of a map against an inventory at object level.
    """  # noqa: D301 - click reads \b as the character, which keeps the lines apart
    _check(windows, statistics, results, options)
    if results is not None:
        result = _objects(results, options, console)
    else:
        result = _windows(windows, statistics, options, console)
    console.finished(report=options["report"])
    if options["as_json"]:
        click.echo(json.dumps(result, allow_nan=False))
    else:
        _print(result)
    if options["report"]:
        click.echo(f"report in {options['report']}", err=options["as_json"])


def _check(
    windows: Path | None, statistics: Path | None, results: Path | None, options: Mapping[str, Any]
) -> None:
    """Refuse combinations that make no sense (E402)."""
    from landslide_map.errors import UsageError

    sources = {"windows": windows, "statistics": statistics, "map": results}
    given = [name for name, path in sources.items() if path is not None]
    if len(given) != 1 and not (options["out_of_fold"] and not given):
        raise UsageError(
            "E402", f"give one of WINDOWS, --statistics or --map; {len(given) or 'none'} of them was given."
        )
    if options["threshold"] is not None and options["operating_point"] is not None:
        raise UsageError("E402", "give either --threshold or --operating-point, not both.")
    subject = given[0] if given else "kept votes"
    wrong = [name for name in _UNFIT[subject] if options[name]]
    if wrong:
        raise UsageError("E402", f"--{wrong[0].replace('_', '-')} cannot be combined with {subject}.")
    if results is not None and options["inventory"] is None:
        raise UsageError("E402", "--map needs --inventory: the polygons of known landslides.")


def _windows(
    windows: Path | None, statistics: Path | None, options: Mapping[str, Any], console: Console
) -> dict[str, Any]:
    from landslide_map.evaluation.importance import feature_importance
    from landslide_map.evaluation.report.plots import require_matplotlib
    from landslide_map.evaluation.report.write import write_window_report
    from landslide_map.evaluation.windows import figures, kept_predictions, predict_labelled
    from landslide_map.models.bundle.load import load_bundle
    from landslide_map.models.bundle.options import PredictionOptions, on_device
    from landslide_map.models.bundle.profiles import with_profile

    if options["report"]:
        require_matplotlib()
    all_members = bool(options["scenarios"] or options["report"])
    point: OperatingPoint | None = options["operating_point"]
    limits = {"threshold": options["threshold"], "operating_point": point}
    bundle, ids = load_bundle(options["bundle"]), ()
    if windows is None and statistics is None:
        predicted = kept_predictions(bundle, **limits)
    else:
        placement = (options["device"], options["precision"], options["batch_size"])
        bundle = on_device(bundle, *placement, console.progress)
        console.notices(bundle.notices)
        data, labels, ids, folds = _open(windows, statistics, options["labels"], console)
        if windows is not None:
            voters = bundle if all_members else with_profile(bundle, options["profile"] or "all")
            _announce(voters, len(labels), console)
        predicted = predict_labelled(
            data,
            labels,
            ids=ids,
            bundle=bundle,
            prediction=PredictionOptions(profile=options["profile"], **limits),
            all_members=all_members,
            out_of_fold=options["out_of_fold"],
            folds=folds,
        )
    result = figures(predicted, ids=ids, all_members=all_members) | {"operating_point": point}
    if options["ablation"]:
        result["ablation"] = _ablation(options["ablation"], data, predicted, console.progress)
    if options["report"]:
        result["importance"] = feature_importance(predicted.bundle)
        write_window_report(options["report"], result, predicted, overwrite=options["overwrite"])
    if result["trained_on"] and not options["out_of_fold"]:
        console.show(
            f"note: the bundle was trained on {result['trained_on_windows']} of these windows, so these "
            "figures are too high; --out-of-fold gives valid ones"
        )
    return result


def _announce(bundle: Bundle, windows: int, console: Console) -> None:
    """Say how long networks will take, where that is long."""
    from landslide_map.inference.score import SECONDS_PER_WINDOW
    from landslide_map.models.run_time import network_notice

    if forecast := network_notice(bundle, windows, SECONDS_PER_WINDOW * windows, console.progress):
        console.notice(forecast)


def _open(
    windows: Path | None, statistics: Path | None, labels: Path | None, console: Console
) -> tuple[Any, Any, Any, Any]:
    """Return windows or their statistics, labels, IDs and folds."""
    from landslide_map.datasets.labelled_windows import read_labelled_windows
    from landslide_map.datasets.statistics_table import read_statistics_table

    if statistics is not None:
        table = read_statistics_table(statistics)
        return table.statistics, table.labels, table.ids, None
    assert windows is not None
    known = read_labelled_windows(windows, labels)
    if known.unlabelled:
        console.show(f"note: {known.unlabelled} windows have no label and are left out")
    return known.windows, known.labels, known.windows.ids, known.folds


def _ablation(
    method: Literal["retrained", "permuted"], data: Any, predicted: LabelledPredictions, progress: Report
) -> dict[str, Any]:
    from landslide_map.evaluation.ablation import permuted_ablation, retrained_ablation
    from landslide_map.evaluation.member_votes import statistics_of

    statistics = statistics_of(data, predicted.bundle)
    if method == "retrained":
        return retrained_ablation(statistics, predicted.labels, report=progress)
    return permuted_ablation(
        statistics, predicted.labels, predicted.bundle, folds=predicted.folds, report=progress
    )


def _objects(results: Path, options: Mapping[str, Any], console: Console) -> dict[str, Any]:
    from landslide_map.evaluation.inventory_match import match_map
    from landslide_map.evaluation.report.write import write_object_report

    match = match_map(
        results,
        options["inventory"],
        layer=options["layer"],
        id_column=options["id_column"],
        each_part=options["each_part"],
        area=options["area"],
    )
    notices = match.notices
    if options["in_project"]:
        from landslide_map.products.inventory_layer import show_inventory

        notices = (*notices, *show_inventory(results, options["inventory"], options["layer"]))
    console.notices(notices)
    if options["report"]:
        write_object_report(options["report"], match, overwrite=options["overwrite"])
    return match.figures


def _object_rows(result: Mapping[str, Any], outlines: str) -> dict[str, Any]:
    """Return what is printed of one layer, each figure with the layer's name: they never stand alone."""
    rows = {
        "polygons": result["mapped"]["landslides"],
        "polygons that touch a landslide": result["touching"],
        "area precision": result["area"]["precision"],
        "area recall": result["area"]["recall"],
    }
    rows |= {f"IoU, tolerance {own['tolerance_m']:g} m": own["iou"] for own in result["tolerance"]}
    rows |= {
        "landslides touched": result["hit_rate"],
        "landslides of 2,000 m2 and more, a third inside": result["bodies"]["held_rate"],
        **{f"a third inside, {own['name']}": own["held_rate"] for own in result["size_classes"]},
        "median distance of borders, m": result["border_distance_m"]["median"],
        "median of mapped to known area": result["area_ratio"]["median"],
        "mapped share of the area": result["area"]["mapped_share"],
    }
    return {f"{outlines}: {name}": value for name, value in rows.items()}


def _print(result: Mapping[str, Any]) -> None:
    if result["level"] == "object level":
        click.echo(f"{result['map']} against {result['inventory_file']}, {result['unit']}")
        rows = _object_rows(result, result["outlines"])
        if "windows" in result:
            rows |= _object_rows(result["windows"], "windows")
    else:
        click.echo(f"{result['bundle']}, {result['unit']}")
        names = ("n", "positives", "threshold", "f1", "precision", "recall", "auc")
        rows = {name: result[name] for name in (*names, "average_precision", "brier", "ece")}
    width = max(map(len, rows))
    for name, value in rows.items():
        shown = f"{value:.4f}" if isinstance(value, float) else "-" if value is None else value
        click.echo(f"  {name:{width}} {shown}")
