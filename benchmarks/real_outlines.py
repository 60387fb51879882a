"""Outlines on real pixels: ``python -m benchmarks.real_outlines``.

Prints the tables of ``docs/real-scenes.md``: labelled patches (precision, recall, F1 of pixels), and the
share of real scenes without known landslides that is outlined. Needs the shared data folder
(``LANDSLIDE_MAP_DATA``); what is absent there is named and left out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import pytest
import shapely

from benchmarks.outlines import LAYERS
from landslide_map import map_scene
from landslide_map.errors import InputError
from landslide_map.evaluation.inventory_match import compare
from landslide_map.evaluation.match_inputs import read_map
from tests.support import labelled_patches as mosaic
from tests.support.real_scenes import BIGEARTHNET, TERRAMIND, write_scene


@click.command()
@click.option("--stride", type=int, help="Step between windows instead of the default.")
@click.option("--dem", is_flag=True, help="Give the elevation models, where there are any.")
def main(stride: int | None, dem: bool) -> None:
    """Map real scenes and print how their outlines do."""
    options: dict[str, Any] = {} if stride is None else {"stride": stride}
    given = "with" if dem else "without"
    step = "default stride" if stride is None else f"stride {stride}"
    click.echo(f"{step}, {given} elevation models.\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _labelled(folder, dem, options)
        _unlabelled(folder, dem, options)


def _labelled(folder: Path, dem: bool, options: dict[str, Any]) -> None:
    click.echo(
        "| labelled patch | outlines | precision | recall | F1 | IoU | F1, 10 m | F1, 20 m "
        "| landslides of 2,000 m2 held | polygons on a landslide |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    pooled: dict[str, list[float]] = {layer: [0.0, 0.0, 0.0] for layer in LAYERS}
    for number in mosaic.PATCHES:
        own = folder / str(number)
        own.mkdir()
        scene = _or_none(partial(mosaic.write_patch, own, number, dem=dem))
        if scene is None:
            return
        map_scene(scene, own / "out", **options)
        found = read_map(own / "out")
        known = mosaic.patch_truth(number).to_crs(found.crs).geometry.to_numpy()
        for layer, shapes in found.outlines.items():
            result = compare(shapes, known, found.analysed, found.crs)
            for place, key in enumerate(("shared_m2", "mapped_m2", "inventory_m2")):
                pooled[layer][place] += result["area"][key]
            click.echo(f"| {number} | {layer} | {' | '.join(_patch_cells(result))} |")
    for layer, (shared, mapped, all_known) in pooled.items():
        if mapped:
            f1 = 2 * shared / (mapped + all_known)
            click.echo(
                f"| pooled | {layer} | {shared / mapped:.2f} | {shared / all_known:.2f} | {f1:.2f} "
                f"| {f1 / (2 - f1):.2f} | | | | |"
            )
    click.echo("")


def _patch_cells(result: dict[str, Any]) -> list[str]:
    exact, *wider = result["tolerance"]
    bodies, mapped = result["bodies"], result["mapped"]
    return [
        *(_number(exact[key]) for key in ("precision", "recall", "f1", "iou")),
        *(_number(own["f1"]) for own in wider),
        f"{bodies['held']} of {bodies['landslides']}",
        f"{mapped['right']} of {mapped['landslides']}",
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def unlabelled(*, dem: bool = False) -> dict[str, Callable[[Path], Path]]:
    """Return what writes each real scene without known landslides into a folder, by name."""
    writers: dict[str, Callable[[Path], Path]] = {
        name: partial(write_scene, name=name, dem=dem) for name in (*TERRAMIND, *BIGEARTHNET)
    }
    return {**writers, mosaic.FLOOD: mosaic.write_flood}


def _unlabelled(folder: Path, dem: bool, options: dict[str, Any]) -> None:
    click.echo("| scene without known landslides | outlines | polygons | share outlined |\n|---|---|---|---|")
    total: dict[str, list[float]] = {layer: [0.0, 0.0] for layer in LAYERS}
    for name, write in unlabelled(dem=dem).items():
        own = folder / name
        own.mkdir()
        scene = _or_none(partial(write, own))
        if scene is None:
            continue
        map_scene(scene, own / "out", **options)
        try:
            found = read_map(own / "out")
        except InputError:
            click.echo(f"| {name} | - | nothing analysed | - |")
            continue
        analysed = float(shapely.area(found.analysed))
        for layer, shapes in found.outlines.items():
            area = float(shapely.area(shapely.union_all(shapes))) if len(shapes) else 0.0
            total[layer][0] += area
            total[layer][1] += analysed
            click.echo(f"| {name} | {layer} | {len(shapes)} | {100 * area / analysed:.2f} % |")
    for layer, (area, analysed) in total.items():
        if analysed:
            click.echo(f"| all | {layer} | | {100 * area / analysed:.2f} % |")


def _or_none(write: Callable[[], Path]) -> Path | None:
    """Return what `write` wrote, or None, saying what data are absent."""
    try:
        return write()
    except pytest.skip.Exception as absent:
        click.echo(f"left out: {absent}\n")
        return None


if __name__ == "__main__":
    main()
