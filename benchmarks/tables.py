"""The report of the suite as Markdown, and its place in ``docs/benchmarks.md``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs" / "benchmarks.md"
LEAST_SHARE = 0.01
"""Kinds of work that took less than this part of a run are not shown."""
PRODUCTS = {"windows": "windows alone", "objects": "and objects", "all": "and images"}
BEGIN, END = "<!-- suite: begin (python -m benchmarks --write-docs) -->", "<!-- suite: end -->"


def markdown(report: dict[str, Any]) -> str:
    """Return a table for every tile, and one of where the time went."""
    machine = report["machine"]
    loads = [run["load_average"] for case in report["cases"] for run in case["runs"]]
    lines = [
        f"`{report['command']}`, {report['measured'][:10]}: {machine['processor']}, "
        f"{machine['cores']} cores, {machine['memory_bytes'] / 2**30:.0f} GiB; load average before the runs "
        f"{min(loads):.1f} to {max(loads):.1f}; page cache {report['page_cache']}; {_rounds(report)}."
    ]
    for case in report["cases"]:
        lines += ["", *_ratios(case), "", *_stages(case)]
    return "\n".join(lines)


def put_into_docs(text: str, docs: Path = DOCS) -> None:
    """Replace what stands between the markers."""
    before, begin, rest = docs.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{docs} lacks the line {BEGIN} or {END}")
    docs.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def _rounds(report: dict[str, Any]) -> str:
    return "one round" if report["repeats"] == 1 else f"{report['summary']} of {report['repeats']} rounds"


def _ratios(case: dict[str, Any]) -> list[str]:
    floor, networks = case["floor"], case["floor"]["networks"]
    height, width = case["grid"]
    rows = [
        f"| {height} x {width}, {case['optical'].upper()} | wall s | of the floor | of windows alone | CPU s "
        f"| of the floor | peak GiB |{' of the arithmetic |' if networks else ''}",
        "|---" * (8 if networks else 7) + "|",
        f"| floor: decode {floor['decode']['seconds']:.1f} s + warp {floor['warp']['seconds']:.1f} s "
        f"| {floor['seconds']:.1f} | 1.00 | | {floor['cpu_seconds']:.1f} | 1.00 | |"
        f"{' |' if networks else ''}",
    ]
    for run in case["runs"]:
        of = run["of_floor"]
        over = " **over**" if run["within_limit"] is False else ""
        arithmetic = f" {of['arithmetic']:.2f} |" if networks else ""
        windows = run["of_windows"]
        rows.append(
            f"| {_named(run)} | {run['seconds']:.1f} | {of['seconds']:.2f} "
            f"| {format(windows['seconds'], '.2f') if windows else ''} | {run['cpu_seconds']:.1f} "
            f"| {of['cpu']:.2f} | {run['peak_memory_bytes'] / 2**30:.2f}{over} |{arithmetic}"
        )
    if networks:
        rows += [
            "",
            f"Networks: {networks['flop_per_window'] / 1e12:.3g} TFLOP a window; a matrix product achieves "
            f"{networks['flop_per_second'] / 1e12:.3g} TFLOP/s "
            f"({networks['device']}, {networks['precision']}).",
        ]
    return rows


def _named(run: dict[str, Any]) -> str:
    """Return what a row shows: products, limit, and how many windows or landslides there were."""
    limit = f", --memory {run['memory']}" if run["memory"] else ""
    count = f"{run['windows']:,} windows"
    if run["products"] != "windows":
        count = f"{run['landslides']:,} landslides"
    return f"stride {run['stride']}, {PRODUCTS[run['products']]}{limit}: {count}"


def _stages(case: dict[str, Any]) -> list[str]:
    """Return wall seconds of stages and busy seconds of kinds of work, one column a run."""
    runs = [run for run in case["runs"] if run["memory"] is None]
    stages = list(dict.fromkeys(name for run in runs for name in run["timings"]["stages"]))
    kinds = {kind for run in runs for kind in run["timings"]["work"]}
    kinds = {kind for kind in kinds if any(_busy(run, kind) >= LEAST_SHARE * run["seconds"] for run in runs)}
    ordered = sorted(kinds, key=lambda kind: (-max(_busy(run, kind) for run in runs), kind))
    rows = [
        "| where the time went, s |"
        + "".join(f" stride {run['stride']}, {PRODUCTS[run['products']]} |" for run in runs)
    ]
    rows.append("|---" * (1 + len(runs)) + "|")
    start = ["| start and end of the process, wall |"]
    for run in runs:
        start.append(f" {run['seconds'] - run['timings']['seconds']:.1f} |")
    rows.append("".join(start))
    for name in stages:
        spent = [run["timings"]["stages"].get(name, {}).get("seconds", 0.0) for run in runs]
        rows.append(f"| {name}, wall |" + "".join(f" {seconds:.1f} |" for seconds in spent))
    for kind in ordered:
        rows.append(f"| *{kind}*, busy in all threads |" + "".join(f" {_busy(r, kind):.1f} |" for r in runs))
    return rows


def _busy(run: dict[str, Any], kind: str) -> float:
    return float(run["timings"]["work"].get(kind, {}).get("busy_seconds", 0.0))
