"""Gain of each rewrite of a network's arithmetic: one window in four flips, one thread, float32.

``python -m benchmarks.speedups [--member v10 ...]`` prints a Markdown table. A row has the time of a network
without any rewrite (CPU seconds), and how many times as fast it is with one alone, all but it, and all. All
of them run in turns on the same window, and the least CPU time of each counts. Weights are filled as for the
golden numbers. Rewrites that change nothing in a network are left out, and so is what is no arithmetic:
threads and exact float32. *Memory kept* is the allocator's setting while networks vote.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import click
import torch
from torch import Tensor

from benchmarks.measured import machine
from landslide_map.models.networks.architecture import build_network
from landslide_map.models.networks.inference import SPEEDUPS, VotingNetwork
from landslide_map.models.networks.speedups.exact_float32 import true_float32
from landslide_map.models.networks.speedups.heap import kept_memory
from landslide_map.models.published.nasios import NETWORKS
from tests.support.filled_weights import filled

SEED = 11
SOME = ("v10", "v20", "v31", "v39", "v46")
"""One network of each architecture."""
REACH = {
    "v10": {"batchnorm", "activations", "packed products"},
    "v20": {"patch embedding", "activations", "packed products"},
    "v31": {"patch embedding", "parallel blocks", "packed products"},
    "v33": {"patch embedding", "parallel blocks", "packed products"},
    "v37": {"patch embedding", "parallel blocks", "packed products"},
    "v39": {"activations", "packed products"},
    "v46": {"patch embedding", "activations", "packed products"},
}
"""Member -> the rewrites that change something in it."""
MEMORY = "memory kept"
ALL = (*SPEEDUPS, MEMORY)
Way = tuple[str, str]
"""plain, all, alone or others; and the rewrite."""
AGREE = 1e-4


def network_with(member: str, weights: dict[str, Tensor], speedups: set[str]) -> VotingNetwork:
    """Return a network with some rewrites."""
    network = VotingNetwork(NETWORKS[member], torch.device("cpu"), "float32", speedups)
    network.load(weights, Path(member))
    return network


def pass_of(network: VotingNetwork, windows: Tensor, *, keep: bool) -> Callable[[], Tensor]:
    """Return one pass as a function, with memory kept or given back."""

    def run() -> Tensor:
        with true_float32(), kept_memory() if keep else nullcontext():
            return network.probability(windows)

    return run


def ways_of(member: str, names: Iterable[str], windows: Tensor) -> dict[Way, Callable[[], Tensor]]:
    """Return the passes to compare: plain, all, and with and without each of `names`."""
    reach = REACH[member]
    weights = filled(build_network(NETWORKS[member]).state_dict(), SEED)
    plain, whole = network_with(member, weights, set()), network_with(member, weights, reach)
    ways = {
        ("plain", ""): pass_of(plain, windows, keep=False),
        ("all", ""): pass_of(whole, windows, keep=True),
    }
    for name in names:
        if name == MEMORY:
            ways["alone", name] = pass_of(plain, windows, keep=True)
            ways["others", name] = pass_of(whole, windows, keep=False)
        else:
            ways["alone", name] = pass_of(network_with(member, weights, {name}), windows, keep=False)
            ways["others", name] = pass_of(network_with(member, weights, reach - {name}), windows, keep=True)
    return ways


def least_seconds(ways: dict[Way, Callable[[], Tensor]], rounds: int) -> dict[Way, float]:
    """Return the least CPU seconds of each pass; they run in turns."""
    found = {way: run() for way, run in ways.items()}  # the first pass makes what is made only once
    for probability in found.values():
        torch.testing.assert_close(probability, found["plain", ""], atol=AGREE, rtol=0)
    spent: dict[Way, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, run in ways.items():
            start = time.thread_time()
            run()
            spent[way].append(time.thread_time() - start)
    return {way: min(seconds) for way, seconds in spent.items()}


@click.command()
@click.option("--member", "members", multiple=True, type=click.Choice(list(NETWORKS)), default=SOME)
@click.option("--only", "names", multiple=True, type=click.Choice(ALL))
@click.option("--rounds", default=8, show_default=True, type=click.IntRange(1))
def main(members: tuple[str, ...], names: tuple[str, ...], rounds: int) -> None:
    """Print a Markdown table."""
    torch.set_num_threads(1)
    click.echo(f"{machine()['processor']}, one thread, torch {torch.__version__}, {rounds} rounds")
    click.echo("\n| network | rewrite | plain, s | alone | all but it | all | its gain among all |")
    click.echo("|---|---|---|---|---|---|---|")
    for member in members:
        windows = torch.randn((1, 18, 64, 64), generator=torch.Generator().manual_seed(SEED))
        rows = [name for name in (*SPEEDUPS, MEMORY) if name in {*REACH[member], MEMORY} & {*(names or ALL)}]
        with ThreadPoolExecutor(1) as pool:  # as networks vote: a thread has a heap of its own
            least = pool.submit(least_seconds, ways_of(member, rows, windows), rounds).result()
        plain, whole = least["plain", ""], least["all", ""]
        for name in rows:
            alone, others = least["alone", name], least["others", name]
            click.echo(
                f"| {member} | {name} | {plain:.3f} | {plain / alone:.3f} | {plain / others:.3f} "
                f"| {plain / whole:.3f} | {100 * (others / whole - 1):+.1f} % |"
            )


if __name__ == "__main__":
    main()
