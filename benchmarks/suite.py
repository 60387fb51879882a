"""Benchmarks of whole scenes against their floor, on one machine in one run.

``python -m benchmarks`` makes a simulated tile (:mod:`benchmarks.make_tile`), measures what no mapper can
avoid (:mod:`benchmarks.floor`), maps the tile with the installed command, and prints how many times the floor
that took, stage by stage, with peak memory. Floor and runs take turns, so that both see the same machine; of
several rounds the best (or the median) counts, and all are in the JSON. Exit status 1 if a run needs more
memory than ``--memory`` allowed it.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from benchmarks import measured, tables
from landslide_map.errors import UsageError
from landslide_map.runtime.byte_size import amount

PRODUCTS = {"windows": ("windows", False), "objects": ("objects", False), "all": ("objects", True)}
"""Name of a set of products -> its outlines, and whether it writes images for display."""
COMMAND = Path(sys.executable).with_name("landslide-map")


Wanted = tuple[int, str, tuple[str, int] | None]
"""A run: stride, products, and limit of memory as written and in bytes."""


class Memory(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.2 only
    """An amount of memory as ``--memory`` of the command takes it, e.g. 2GB."""

    name = "memory"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        try:
            return str(value), amount(value)
        except UsageError as error:
            self.fail(error.message, param, ctx)


@click.command()
@click.option("--size", "sizes", multiple=True, type=click.IntRange(64), default=(2048,), show_default=True)
@click.option(
    "--optical", multiple=True, type=click.Choice(["cog", "jp2"]), default=("cog",), show_default=True
)
@click.option(
    "--stride", "strides", multiple=True, type=click.IntRange(8, 64), default=(64, 16), show_default=True
)
@click.option(
    "--memory", "limits", multiple=True, type=Memory(), help="Limits to run under as well, e.g. 2GB."
)
@click.option(
    "--products",
    multiple=True,
    type=click.Choice(list(PRODUCTS)),
    default=tuple(PRODUCTS),
    help="Windows alone, objects as well, and images too; by default each. Under a limit only the last.",
)
@click.option(
    "--repeats", default=1, show_default=True, type=click.IntRange(1), help="Rounds of floor and runs."
)
@click.option("--summary", type=click.Choice(["best", "median"]), default="best", show_default=True)
@click.option("--cold", is_flag=True, help="Drop the inputs from the page cache before each measurement.")
@click.option("--bundle", type=click.Path(path_type=Path), help="Instead of the default bundle.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--precision", default="float32", show_default=True)
@click.option(
    "--option", "options", multiple=True, help="Further option of every run, e.g. --option=--profile=all"
)
@click.option("--folder", type=click.Path(path_type=Path), help="Keep the tiles here and use those that are.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), default=Path("results/benchmark.json"))
@click.option("--write-docs", is_flag=True, help="Put the tables into docs/benchmarks.md.")
def main(folder: Path | None, json_file: Path, write_docs: bool, **settings: Any) -> None:
    """Map simulated tiles and compare with the floor; by default a small one, in about a minute.

    \b
    python -m benchmarks --size 10980 --optical cog --optical jp2 --memory 2GB --write-docs    the full one
    """
    _refuse_impossible(settings)
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    if load > cores / 4:
        click.echo(
            f"the machine is busy (load {load:.1f} on {cores} cores): ratios of CPU time are more exact "
            "than wall time, or come back when it is quiet",
            err=True,
        )
    report: dict[str, Any] = {
        "format_version": 1,
        "command": command_line(settings),
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": measured.machine(),
        "page_cache": "cold" if settings["cold"] else "warm",
        "repeats": settings["repeats"],
        "summary": settings["summary"],
        "cases": [],
    }
    with _kept(folder) as tiles:
        for size in settings["sizes"]:
            for optical in settings["optical"]:
                click.echo(f"{size} x {size}, {optical}: making the tile", err=True)
                scene = _tile(tiles / str(size), size, optical)
                report["cases"].append({"size": size, "optical": optical, **case(scene, settings)})
    json_file.parent.mkdir(parents=True, exist_ok=True)
    json_file.write_text(json.dumps(report, indent=1) + "\n")
    text = tables.markdown(report)
    click.echo(text)
    if write_docs:
        tables.put_into_docs(text)
    over = over_limits(report)
    for line in over:
        click.echo(line, err=True)
    sys.exit(1 if over else 0)


def over_limits(report: dict[str, Any]) -> list[str]:
    """Return a line for every run that needed more memory than its limit."""
    return [
        f"stride {run['stride']} under {run['memory']} needed {run['peak_memory_bytes']:,} bytes"
        for one in report["cases"]
        for run in one["runs"]
        if run["within_limit"] is False
    ]


def command_line(settings: dict[str, Any]) -> str:
    """Return the command that measures this again, wherever its files lie."""
    words = ["python", "-m", "benchmarks"]
    for name, key in (
        ("size", "sizes"),
        ("optical", "optical"),
        ("stride", "strides"),
        ("products", "products"),
        ("option", "options"),
    ):
        words += [f"--{name}={value}" for value in settings[key]]
    words += [f"--memory={written}" for written, _ in settings["limits"]]
    words += [f"--repeats={settings['repeats']}", f"--summary={settings['summary']}"]
    words += ["--cold"] if settings["cold"] else []
    if settings["bundle"]:
        words += [f"--bundle={Path(settings['bundle']).name}", f"--device={settings['device']}"]
        words += [f"--precision={settings['precision']}"]
    return shlex.join(words)


def _named(wanted: Wanted) -> str:
    stride, products, limit = wanted
    return f"stride {stride}, {products}" + (f", {limit[0]}" if limit else "")


def _tile(folder: Path, size: int, optical: str) -> Path:
    command = [sys.executable, "-m", "benchmarks.make_tile", folder, "--size", size, "--optical", optical]
    return Path(measured.run(command)[1].strip())


def _floor(scene: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Measure the floor once."""
    _prepare(scene, settings)
    command = [sys.executable, "-m", "benchmarks.floor", scene]
    if settings["bundle"]:
        command += ["--bundle", settings["bundle"], "--precision", settings["precision"]]
        command += ["--device", settings["device"]]
    spent, output = measured.run(command)
    found = json.loads(output)
    for key in ("seconds", "cpu_seconds"):
        found[key] = found["decode"][key] + found["warp"][key]
    return {**found, "load_average": spent.load_average}


def _mapped(scene: Path, wanted: Wanted, settings: dict[str, Any]) -> dict[str, Any]:
    """Map the tile once with the installed command, in a process of its own."""
    stride, products, limit = wanted
    outline, images = PRODUCTS[products]
    _prepare(scene, settings)
    scene = scene if images else scene.with_name(f"{scene.stem}_without_images.yaml")
    with tempfile.TemporaryDirectory(prefix="landslide-map-benchmark-") as folder:
        out = Path(folder) / "results"
        command: list[Any] = [COMMAND, "run", scene, "--quiet", "--out", out, "--stride", stride]
        command += ["--outline", outline]
        command += ["--memory", limit[0]] if limit else []
        command += ["--bundle", settings["bundle"]] if settings["bundle"] else []
        command += [
            "--device",
            settings["device"],
            "--precision",
            settings["precision"],
            *settings["options"],
        ]
        spent, _ = measured.run(command)
        manifest = json.loads((out / "run.json").read_text())
    return {
        "stride": stride,
        "products": products,
        "landslides": manifest["counts"]["landslides"],
        "memory": limit[0] if limit else None,
        "windows": manifest["counts"]["windows"]["planned"],
        **spent.as_json(),
        "within_limit": spent.peak_memory_bytes <= limit[1] if limit else None,
        "timings": manifest["timings"],
    }


def case(
    scene: Path,
    settings: dict[str, Any],
    *,
    measure_floor: Callable[[Path, dict[str, Any]], dict[str, Any]] = _floor,
    measure_run: Callable[[Path, Wanted, dict[str, Any]], dict[str, Any]] = _mapped,
) -> dict[str, Any]:
    """Measure the floor and every run of one tile, in turns; return what counts of each, and all rounds."""
    wanted: list[Wanted] = []
    for stride in settings["strides"]:
        wanted += [(stride, products, None) for products in settings["products"]]
        wanted += [(stride, settings["products"][-1], limit) for limit in settings["limits"]]
    floors: list[dict[str, Any]] = []
    rounds: dict[Wanted, list[dict[str, Any]]] = {each: [] for each in wanted}
    for turn in range(settings["repeats"]):
        click.echo(f"  round {turn + 1}: floor", err=True)
        floors.append(measure_floor(scene, settings))
        for each in wanted:
            click.echo(f"  round {turn + 1}: {_named(each)}", err=True)
            rounds[each].append(measure_run(scene, each, settings))
    floor = _chosen(floors, settings["summary"])
    chosen = {each: _chosen(rounds[each], settings["summary"]) for each in wanted}
    found = [
        _compared(one, floor, chosen.get((each[0], "windows", None))) | {"rounds": _plain(rounds[each])}
        for each, one in chosen.items()
    ]
    return {**{key: floor.pop(key) for key in ("grid", "input_bytes")}, "floor": floor, "runs": found} | {
        "floor_rounds": [{key: one[key] for key in ("seconds", "cpu_seconds")} for one in floors]
    }


def _prepare(scene: Path, settings: dict[str, Any]) -> None:
    suffix = ".jp2" if scene.stem.endswith("jp2") else ".tif"
    inputs = [*scene.parent.glob(f"B??{suffix}"), *scene.parent.glob("*_v?.tif")]
    measured.in_page_cache(inputs, not settings["cold"])


def _compared(run: dict[str, Any], floor: dict[str, Any], windows: dict[str, Any] | None) -> dict[str, Any]:
    """Add how many times the floor a run took, and how many times what it took with windows alone."""
    ratios = {"seconds": run["seconds"] / floor["seconds"], "cpu": run["cpu_seconds"] / floor["cpu_seconds"]}
    networks = floor["networks"]
    if networks:
        least = run["windows"] * networks["flop_per_window"] / networks["flop_per_second"]
        run = {**run, "arithmetic_floor_seconds": least}
        ratios["arithmetic"] = run["seconds"] / least
    of_windows = {}
    if windows:
        of_windows = {"seconds": run["seconds"] / windows["seconds"]}
        of_windows["cpu"] = run["cpu_seconds"] / windows["cpu_seconds"]
    return {**run, "of_floor": ratios, "of_windows": of_windows}


def _chosen(rounds: Sequence[dict[str, Any]], summary: str) -> dict[str, Any]:
    """Return the round that counts, whole: the quickest, or the one in the middle."""
    ordered = sorted(rounds, key=lambda one: one["seconds"])
    return dict(ordered[0 if summary == "best" else (len(ordered) - 1) // 2])


def _plain(rounds: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    keys = ("seconds", "cpu_seconds", "peak_memory_bytes", "load_average")
    return [{key: one[key] for key in keys} for one in rounds]


@contextmanager
def _kept(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="landslide-map-tiles-") as temporary:
        yield Path(temporary)


def _refuse_impossible(settings: dict[str, Any]) -> None:
    if settings["limits"] and "--memory" not in measured.run([COMMAND, "run", "--help"])[1]:
        raise click.UsageError("this landslide-map has no --memory")


if __name__ == "__main__":
    main()
