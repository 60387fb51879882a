"""Gain of each rewrite of a network's arithmetic: one window in four flips, one thread, float32.

``python -m benchmarks.speedups [--member v10 ...]`` prints a Markdown table. A row has the time of a network
without any rewrite (CPU seconds), and how many times as fast it is with one alone, all but it, and all. The
four run in turns on the same window. The median over rounds of the ratio within a round counts. Weights are
filled as for the golden numbers. Left out are rewrites that change nothing in a network, and what is no
arithmetic: threads and exact float32. *Memory kept* is the allocator's setting while networks vote.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from statistics import median

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
    "v10": {"batchnorm", "activations", "chunked stages", "packed products"},
    "v20": {"early pooling", "patch embedding", "activations", "packed products"},
    "v31": {"early pooling", "patch embedding", "parallel blocks", "packed products"},
    "v33": {"early pooling", "patch embedding", "parallel blocks", "packed products"},
    "v37": {"early pooling", "patch embedding", "parallel blocks", "packed products"},
    "v39": {"early pooling", "activations", "packed products"},
    "v46": {"early pooling", "patch embedding", "activations", "packed products"},
}
"""Member -> the rewrites that change something in it."""
MEMORY = "memory kept"
AGREE = 1e-4


def network_with(member: str, speedups: set[str]) -> VotingNetwork:
    """Return a network with some rewrites and filled weights."""
    spec = NETWORKS[member]
    weights = filled(build_network(spec).state_dict(), SEED)
    network = VotingNetwork(spec, torch.device("cpu"), "float32", speedups)
    network.load(weights, Path(member))
    return network


def pass_of(network: VotingNetwork, windows: Tensor, *, keep: bool) -> Callable[[], Tensor]:
    """Return what one pass is, with memory kept or given back."""

    def run() -> Tensor:
        with true_float32(), kept_memory() if keep else nullcontext():
            return network.probability(windows)

    return run


def ratios(member: str, name: str, rounds: int) -> dict[str, float]:
    """Return seconds of the plain network, and how much faster it is with one rewrite, all others, all."""
    reach = REACH[member]
    windows = torch.randn((1, 18, 64, 64), generator=torch.Generator().manual_seed(SEED))
    plain, whole = network_with(member, set()), network_with(member, reach)
    if name == MEMORY:
        ways = {
            "plain": pass_of(plain, windows, keep=False),
            "alone": pass_of(plain, windows, keep=True),
            "others": pass_of(whole, windows, keep=False),
            "all": pass_of(whole, windows, keep=True),
        }
    else:
        ways = {
            "plain": pass_of(plain, windows, keep=False),
            "alone": pass_of(network_with(member, {name}), windows, keep=False),
            "others": pass_of(network_with(member, reach - {name}), windows, keep=True),
            "all": pass_of(whole, windows, keep=True),
        }
    said = {way: run() for way, run in ways.items()}  # whatever is made only once
    for found in said.values():
        torch.testing.assert_close(found, said["plain"], atol=AGREE, rtol=0)
    spent: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, run in ways.items():
            start = time.thread_time()
            run()
            spent[way].append(time.thread_time() - start)
    return {
        "seconds": median(spent["plain"]),
        **{
            way: median(one / other for one, other in zip(spent[of], spent[way], strict=True))
            for way, of in (("alone", "plain"), ("others", "plain"), ("all", "plain"))
        },
        "left out": median(a / b for a, b in zip(spent["others"], spent["all"], strict=True)),
    }


@click.command()
@click.option("--member", "members", multiple=True, type=click.Choice(list(NETWORKS)), default=SOME)
@click.option("--only", "names", multiple=True, type=click.Choice([*SPEEDUPS, MEMORY]))
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
def main(members: tuple[str, ...], names: tuple[str, ...], rounds: int) -> None:
    """Print a Markdown table."""
    torch.set_num_threads(1)
    click.echo(f"{machine()['processor']}, one thread, torch {torch.__version__}, {rounds} rounds")
    click.echo("\n| network | rewrite | plain, s | alone | all but it | all | its gain among all |")
    click.echo("|---|---|---|---|---|---|---|")
    for member in members:
        for name in (*(own for own in SPEEDUPS if own in REACH[member]), MEMORY):
            if names and name not in names:
                continue
            found = ratios(member, name, rounds)
            times = " | ".join(f"{found[key]:.3f}" for key in ("seconds", "alone", "others", "all"))
            click.echo(f"| {member} | {name} | {times} | {100 * (found['left out'] - 1):+.1f} % |")


if __name__ == "__main__":
    main()
