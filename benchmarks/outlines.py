"""Outlines against the truth of simulated events: ``python -m benchmarks.outlines``.

Prints for windows and for objects what share of the landslides they hold and how much else: of all events
together, and of the worst one in brackets. Events of the report have seeds (9000 and up) that nothing was
tuned on; ``--tuning`` takes others.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import click
import geopandas as gpd
import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from rasterio.features import rasterize
from ruamel.yaml import YAML

from landslide_map import map_scene
from landslide_map.evaluation.inventory_match import compare
from landslide_map.evaluation.match_inputs import read_map
from landslide_map.inputs.sentinel2.offset import CLOUD_CLASSES
from sample_scenes.simulator import CONFUSERS, EventOptions, simulate_event, varied

FOUR: Final = ("bare_fields", "clear_cuts", "roads", "clouds")
REPORT_SEEDS: Final = (9001, 9002, 9003)
TUNING_SEEDS: Final = (2001, 2002, 2003)
LAYERS: Final = ("windows", "objects")
HIDDEN: Final = 0.5
"""Share of a body under cloud or shadow, from which it is not in clear sight."""


@dataclass(frozen=True)
class Case:
    """Events of one kind."""

    name: str
    slides_per_km2: float
    confusers: tuple[str, ...] = ()


CASES: Final = (
    Case("dense, 25 per km2", 25),
    Case("medium, 8 per km2", 8),
    Case("sparse, 2 per km2", 2),
    Case("very sparse, 1 per km2", 1),
    Case("medium, fields, cuts, roads, clouds", 8, FOUR),
    Case("sparse, fields, cuts, roads, clouds", 2, FOUR),
    Case("sparse, all confusers", 2, CONFUSERS),
    Case("no slide, fields, cuts, roads, clouds", 0, FOUR),
    Case("no slide, all confusers", 0, CONFUSERS),
)
SENSORS: Final = ("all", "optical", "radar", "descending")


@dataclass
class Total:
    """Sums over events of one kind."""

    analysed_m2: float = 0.0
    known_m2: float = 0.0
    mapped_m2: float = 0.0
    shared_m2: float = 0.0
    polygons: int = 0
    touching: int = 0
    bodies: int = 0
    held: int = 0
    clear: int = 0
    """Bodies with less than half of their pixels under cloud or its shadow."""
    clear_held: int = 0
    by_event: dict[str, list[float]] = field(default_factory=dict)
    """IoU, bodies held, polygons that touch and area outlined, event by event, where they are defined."""

    def add(self, compared: dict[str, Any]) -> None:
        """Add what one event gave."""
        area, bodies = compared["area"], compared["bodies"]
        self.clear += compared["clear"]["landslides"]
        self.clear_held += compared["clear"]["held"]
        self.analysed_m2 += area["analysed_m2"]
        self.known_m2 += area["inventory_m2"]
        self.mapped_m2 += area["mapped_m2"]
        self.shared_m2 += area["shared_m2"]
        self.polygons += compared["mapped"]["landslides"]
        self.touching += compared["mapped"]["right"]
        self.bodies += bodies["landslides"]
        self.held += bodies["held"]
        union = area["inventory_m2"] + area["mapped_m2"] - area["shared_m2"]
        parts = {
            "iou": (area["shared_m2"], union if bodies["landslides"] else 0),
            "held": (bodies["held"], bodies["landslides"]),
            "clear_held": (compared["clear"]["held"], compared["clear"]["landslides"]),
            "touching": (compared["mapped"]["right"], compared["mapped"]["landslides"]),
            "outlined": (area["mapped_m2"], area["analysed_m2"]),
        }
        for name, (part, whole) in parts.items():
            if whole:
                self.by_event.setdefault(name, []).append(part / whole)

    def cells(self) -> list[str]:
        """Return IoU, precision and recall of area, bodies held, polygons that touch, share outlined.

        Of several events, the worst one stands behind the sum of all.
        """
        union = self.known_m2 + self.mapped_m2 - self.shared_m2
        outlined = f"{100 * self.mapped_m2 / self.analysed_m2:.3f} %" if self.analysed_m2 else "-"
        return [
            _share(self.shared_m2, union) + self._worst("iou"),
            _share(self.shared_m2, self.mapped_m2),
            _share(self.shared_m2, self.known_m2),
            _share(self.held, self.bodies) + self._worst("held"),
            _share(self.clear_held, self.clear) + self._worst("clear_held"),
            f"{_share(self.touching, self.polygons)}{self._worst('touching')} of {self.polygons}",
            outlined + self._most(),
        ]

    def _worst(self, name: str) -> str:
        """Return the least of a figure in one event."""
        values = self.by_event.get(name, [])
        return f" ({min(values):.2f})" if len(values) > 1 else ""

    def _most(self) -> str:
        """Return the greatest share that is outlined in one event without landslides."""
        values = self.by_event.get("outlined", [])
        return f" ({100 * max(values):.3f} %)" if len(values) > 1 and not self.bodies else ""


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.2f}" if whole else "-"


@dataclass(frozen=True)
class Setting:
    """Settings of simulated events and of their maps."""

    folder: Path
    size: int
    sensors: str
    kind: bool
    """The scars, forest and season of the default options, not those that the seed draws."""
    pre: bool
    dem: bool
    still: bool = False
    """Images are taken as they lie, and outlines stay on them."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options of :func:`~landslide_map.map_scene`."""

    def event(self, case: Case, seed: int) -> Path:
        """Return the folder of an event."""
        return self.folder / f"{case.name}-{seed}-{self.size}-{'kind' if self.kind else 'varied'}"


def event_of(case: Case, seed: int, setting: Setting) -> EventOptions:
    """Return the options of an event."""
    own: dict[str, Any] = {"size": setting.size, "confusers": case.confusers}
    if setting.kind:
        return EventOptions(seed, slides_per_km2=case.slides_per_km2, pre_days=(20, 110), **own)
    return varied(seed, case.slides_per_km2, **own)


def scene_of(event: Path, setting: Setting) -> Path:
    """Write the scene with the requested inputs only, beside the event's own; return it."""
    yaml = YAML(typ="safe")
    text = yaml.load((event / "scene.yaml").read_text())
    pre = text["s2"].pop("pre", None)
    if setting.sensors == "optical":
        del text["s1"]
    elif setting.sensors == "radar":
        del text["s2"]
        text["grid"] = _grid(event)
    elif setting.sensors == "descending":
        del text["s1"]["ascending"]
    if setting.pre and pre and "s2" in text:
        text["s2"]["pre"] = pre
    if setting.dem:
        text["dem"] = "dem.tif"
    if setting.still and "s1" in text:
        text["s1"]["registration"] = "trust"
    name = f"{setting.sensors}{'-pre' * setting.pre}{'-dem' * setting.dem}{'-still' * setting.still}.yaml"
    yaml.dump(text, event / name)
    return event / name


def _grid(event: Path) -> dict[str, Any]:
    with rasterio.open(event / "s2" / "B02.tif") as image:
        left, top = image.transform.c, image.transform.f
        return {
            "epsg": image.crs.to_epsg(),
            "ulx": left,
            "uly": top,
            "width": image.width,
            "height": image.height,
        }


def evaluated(event: Path, results: Path) -> dict[str, dict[str, Any]]:
    """Return what :func:`compare` says of each layer of a finished map: ``windows`` and ``objects``.

    Under ``clear``: of the bodies that clouds do not hide.
    """
    found = read_map(results)
    known = gpd.read_file(event / "landslides_truth.gpkg").to_crs(found.crs).geometry.to_numpy()
    clear = known[hidden(event / "s2" / "SCL.tif", known) < HIDDEN]
    compared = {}
    for name, shapes in found.outlines.items():
        compared[name] = compare(shapes, known, found.analysed, found.crs)
        compared[name]["clear"] = compare(shapes, clear, found.analysed, found.crs)["bodies"]
    return compared


def hidden(classes: Path, shapes: npt.NDArray[np.object_]) -> npt.NDArray[np.float64]:
    """Return the share of each shape that the scene classification calls cloud or shadow."""
    with rasterio.open(classes) as source:
        codes, transform = source.read(1), source.transform
    if not len(shapes):
        return np.zeros(0)
    fine = np.repeat(np.repeat(np.isin(codes, CLOUD_CLASSES), 2, 0), 2, 1)  # 10 m
    numbers = rasterize(
        ((shape, n + 1) for n, shape in enumerate(shapes)),
        fine.shape,
        transform=transform @ Affine.scale(0.5),
        dtype="int32",
    )
    count = np.bincount(numbers.ravel(), minlength=len(shapes) + 1)[1:]
    covered = np.bincount(numbers[fine], minlength=len(shapes) + 1)[1:]
    return covered / np.maximum(count, 1)


def measured(
    cases: tuple[Case, ...], seeds: tuple[int, ...], setting: Setting
) -> Iterator[tuple[Case, dict[str, Total]]]:
    """Simulate, map and evaluate; yield the sums over seeds of each kind of event."""
    for case in cases:
        totals: dict[str, Total] = {}
        for seed in seeds:
            own = event_of(case, seed, setting)
            event = setting.event(case, seed)
            if not (event / "scene.yaml").exists():  # written last
                simulate_event(event, replace(own, list_pre=True))
            out = event / "results"
            shutil.rmtree(out, ignore_errors=True)
            map_scene(scene_of(event, setting), out, **setting.options)
            for layer, compared in evaluated(event, out).items():
                totals.setdefault(layer, Total()).add(compared)
        yield case, totals


HEADER: Final = (
    "| scene | outlines | IoU | area precision | area recall | bodies with a third inside "
    "| of those in clear sight | polygons that touch a slide | share outlined |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


@click.command()
@click.option("--tuning", is_flag=True, help="Take seeds to tune on instead of those of the report.")
@click.option("--seed", "seeds", type=int, multiple=True, help="Take these seeds; several may be given.")
@click.option("--size", default=512, show_default=True, help="Edge of a scene, pixels of 10 m.")
@click.option("--sensors", type=click.Choice(SENSORS), default="all", show_default=True)
@click.option("--kind", is_flag=True, help="Bright scars, broadleaf forest, one season.")
@click.option("--pre", is_flag=True, help="Give the images before the event.")
@click.option("--dem", is_flag=True, help="Give the elevation model.")
@click.option("--still", is_flag=True, help="Leave outlines on the image, wherever it lies.")
@click.option("--stride", type=int, help="Step between windows instead of the default.")
@click.option("--case", "names", multiple=True, help="Only kinds with this in their name.")
@click.option("--folder", type=click.Path(path_type=Path), help="Keep events here, and take those that are.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the sums here as well.")
def main(
    tuning: bool,
    seeds: tuple[int, ...],
    size: int,
    sensors: str,
    kind: bool,
    pre: bool,
    dem: bool,
    still: bool,
    stride: int | None,
    names: tuple[str, ...],
    folder: Path | None,
    json_file: Path | None,
) -> None:
    """Simulate events, map them and print how well windows and objects outline their landslides."""
    seeds = seeds or (TUNING_SEEDS if tuning else REPORT_SEEDS)
    cases = tuple(case for case in CASES if not names or any(name in case.name for name in names))
    click.echo(
        f"Seeds {', '.join(map(str, seeds))}; {size} x {size} px; sensors: {sensors}; "
        f"{'kind' if kind else 'varied'} scenes{', images before' * pre}{', elevations' * dem}"
        f"{', outlines left on the image' * still}; "
        f"{'default stride' if stride is None else f'stride {stride}'}.\n\n{HEADER}"
    )
    rows = []
    with tempfile.TemporaryDirectory() as name:
        own = folder or Path(name)
        options = {} if stride is None else {"stride": stride}
        setting = Setting(own, size, sensors, kind, pre, dem, still, options)
        for case, totals in measured(cases, seeds, setting):
            for layer in LAYERS:
                if layer in totals:
                    click.echo(f"| {case.name} | {layer} | {' | '.join(totals[layer].cells())} |")
                    rows.append({"scene": case.name, "outlines": layer, **vars(totals[layer])})
    if json_file is not None:
        json_file.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
