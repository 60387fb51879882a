"""Speed of the published networks: through ``score``, and by the plain procedure.

``python -m benchmarks.networks`` prints a Markdown table to stderr and one JSON object to stdout; ``--all``
takes all seven networks instead of three. The plain procedure is the published one: every window is scaled
and enlarged alone (by OpenCV where it is installed, else by torch), and as many windows as the published
batch of a network has (8, 24 or 32) go through timm's at a time, one flip after another, in float32; how many
the author's own inference took is not known, and ``--plain-batch`` takes others. Weights are filled as for
the golden numbers, one fold each. Both run in turns on the same windows with the same threads and must agree
to 1e-4. Nothing here says how good the networks are.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from benchmarks.floor import flop_of
from benchmarks.measured import machine
from benchmarks.network_parts import measure_products, measure_stems
from benchmarks.plain_procedure import ENLARGED_BY, plain
from landslide_map.array_types import Floats
from landslide_map.inference.score import score
from landslide_map.models.bundle.load import Bundle, load_bundle
from landslide_map.models.networks.architecture import build_network
from landslide_map.models.published.import_weights import import_nasios
from landslide_map.models.published.nasios import NETWORKS
from landslide_map.models.voting.scenario import Scenario
from landslide_map.options import Device
from landslide_map.training.statistics.recipe import recipe_content
from landslide_map.training.windows.recipe import parse_window_recipe
from tests.support.filled_weights import filled, synthetic_windows

SEED = 11
SOME = ("v10", "v20", "v31")
"""One network of each kind that is not large."""
ALIKE = 96
"""Windows that fill whole batches of every network."""
AGREE, CLOSE = 1e-4, 0.01
"""Greatest difference of probabilities: to the plain procedure; of bfloat16 to float32, ensemble."""


def timed(work: Callable[[], Floats]) -> tuple[Floats, dict[str, float]]:
    """Return what `work` returns and its wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return found, {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def alone(bundle: Bundle, name: str) -> Bundle:
    """Return a bundle in which only one member votes."""
    (member,) = (member for member in bundle.members if member.name == name)
    return replace(bundle, members=(member,), scenarios=(Scenario(name, {name: 1.0}, 0.5),))


def written(folder: Path, members: Sequence[str]) -> Bundle:
    """Write weights as the author's files are, one fold each, and import them."""
    for version in members:
        state = filled(build_network(NETWORKS[version]).state_dict(), SEED)
        torch.save(state, folder / f"Landslide_Class_S2S1_{version}_Fold0_last.pt")
    import_nasios(folder, folder / "bundle")
    return load_bundle(folder / "bundle")


def published_batches() -> dict[str, int]:
    """Return how many windows each network had at a time, as published."""
    recipe = parse_window_recipe(recipe_content("nasios-9")[1], Path("nasios-9"))
    return {name: network.batch for name, network in recipe.networks.items()}


def measure_member(
    bundle: Bundle, version: str, windows: Floats, plain_ways: dict[str, int], device: Device, repeats: int
) -> tuple[dict[str, Any], dict[str, Floats]]:
    """Return what one network takes, seconds for one pass of one window, and its votes."""
    spec = NETWORKS[version]
    network = build_network(spec).eval().to(device)
    network.load_state_dict(filled(network.state_dict(), SEED))
    own = alone(bundle, version)

    def scored(**options: Any) -> Floats:
        return score(windows, own, device=device, **options)["probability"].to_numpy()

    ways: dict[str, Callable[[], Floats]] = {
        way: lambda batch=batch: plain(network, windows, spec, batch, device)  # type: ignore[misc]
        for way, batch in plain_ways.items()
    }
    ways |= {"float32": scored, "bfloat16": lambda: scored(precision="bfloat16")}
    score(windows[:1], own, device=device)  # the first call makes what is made only once
    voted: dict[str, Floats] = {}
    seconds: dict[str, dict[str, float]] = {}
    for _ in range(repeats):
        for way, work in ways.items():
            voted[way], took = timed(work)
            took = {clock: value / len(windows) / 4 for clock, value in took.items()}
            before = seconds.get(way, took)
            seconds[way] = {clock: min(value, before[clock]) for clock, value in took.items()}
    for way in ways:
        if way != "bfloat16":
            np.testing.assert_allclose(voted[way], voted["float32"], atol=AGREE, rtol=0)
    return {"gflop": flop_of(spec) / 1e9, "seconds_per_pass": seconds}, voted


def summary(members: dict[str, Any], voted: dict[str, dict[str, Floats]]) -> dict[str, Any]:
    """Return figures of the ensemble of the measured members: sums of time, means of probability."""
    ways = list(next(iter(voted.values())))
    total = {
        way: {c: sum(m["seconds_per_pass"][way][c] for m in members.values()) for c in ("wall", "cpu")}
        for way in ways
    }
    mean = {way: np.mean([own[way] for own in voted.values()], axis=0) for way in ways}
    return {
        "seconds_per_pass": total,
        "speedup_over": {
            way: {clock: total[way][clock] / total["float32"][clock] for clock in ("wall", "cpu")}
            for way in ways
            if way != "float32"
        },
        "greatest_difference": {way: float(np.abs(mean[way] - mean["float32"]).max()) for way in ways},
    }


def table(report: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    whole = report["ensemble"]["seconds_per_pass"]
    lines = [
        f"{report['device']}, {report['threads']} threads, load average {report['load_average']:.1f}, "
        f"{report['windows']} windows, enlarged by {report['enlarged_by']} in the plain procedure; "
        "seconds for one window, fold and flip: wall (CPU).",
        "",
        f"| member | GFLOP | {' | '.join(whole)} |",
        "|---" * (2 + len(whole)) + "|",
    ]
    rows = report["members"] | {"together": {"gflop": None, "seconds_per_pass": whole}}
    for name, row in rows.items():
        cells = [f"{s['wall']:.3f} ({s['cpu']:.3f})" for s in row["seconds_per_pass"].values()]
        gflop = "" if row["gflop"] is None else f"{row['gflop']:.1f}"
        lines.append(f"| {name} | {gflop} | {' | '.join(cells)} |")
    faster = report["ensemble"]["speedup_over"]
    cells = [
        f"{faster[way]['wall']:.2f} ({faster[way]['cpu']:.2f})" if way in faster else "1" for way in whole
    ]
    lines.append(f"| time, float32 = 1 | | {' | '.join(cells)} |")
    apart = report["ensemble"]["greatest_difference"]
    lines.append(f"| probability apart | | {' | '.join(f'{apart[way]:.1g}' for way in whole)} |")
    stems = {name: own["stem"] for name, own in report["members"].items() if own["stem"]}
    if stems:
        lines += ["", "| CPU ms an image | enlarge, then embed | folded |", "|---|---|---|"]
        lines += [f"| {name} | {own['plain']:.2f} | {own['folded']:.2f} |" for name, own in stems.items()]
    if products := report["products"]:
        lines += [
            "",
            f"A matrix product: {products['plain']:.0f} GFLOP per CPU second with weights as they are, "
            f"{products['packed']:.0f} with packed weights.",
        ]
    return "\n".join(lines)


@click.command()
@click.option("--member", "members", multiple=True, type=click.Choice(list(NETWORKS)), default=SOME)
@click.option("--all", "all_networks", is_flag=True, help="All seven networks: some 25 minutes on two cores.")
@click.option("--windows", default=ALIKE, show_default=True, type=click.IntRange(1))
@click.option(
    "--plain-batch", "batches", multiple=True, type=click.IntRange(1), help="Instead of the published ones."
)
@click.option("--threads", type=click.IntRange(1), help="Of torch; by default as many as it takes.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option(
    "--repeats", default=1, show_default=True, type=click.IntRange(1), help="The least time counts."
)
def main(
    members: tuple[str, ...],
    all_networks: bool,
    windows: int,
    batches: tuple[int, ...],
    threads: int | None,
    device: Device,
    repeats: int,
) -> None:
    """Print a Markdown table to stderr and one JSON object to stdout."""
    if threads is not None:
        torch.set_num_threads(threads)
    chosen = tuple(NETWORKS) if all_networks else members
    described, published = machine(), published_batches()
    pixels = synthetic_windows(SEED, windows)
    found: dict[str, Any] = {}
    voted: dict[str, dict[str, Floats]] = {}
    with tempfile.TemporaryDirectory(prefix="landslide-map-benchmark-") as folder:
        bundle = written(Path(folder), chosen)
        for version in chosen:
            ways = {f"plain, {size} at a time": size for size in batches} or {"plain": published[version]}
            found[version], voted[version] = measure_member(bundle, version, pixels, ways, device, repeats)
            found[version]["plain_batches"] = ways
            found[version]["stem"] = measure_stems(version)
            click.echo(f"{version}: {found[version]['seconds_per_pass']}", err=True)
    report: dict[str, Any] = {
        "command": " ".join(["python -m benchmarks.networks", *sys.argv[1:]]),
        "machine": described,
        "device": torch.cuda.get_device_name() if device == "cuda" else described["processor"],
        "load_average": os.getloadavg()[0],
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "enlarged_by": ENLARGED_BY,
        "windows": windows,
        "folds": 1,
        "flips": 4,
        "members": found,
        "products": measure_products(),
        "ensemble": summary(found, voted),
    }
    assert report["ensemble"]["greatest_difference"]["bfloat16"] < CLOSE
    click.echo(table(report), err=True)
    click.echo(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
