"""The benchmark of whole scenes at a tiny size: its figures fit together; speed is not tested."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks import measured, suite, tables
from benchmarks.floor import flop_of
from landslide_map.models.networks.spec import NetworkSpec
from tests.support import messages
from tests.support.raised import raised

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("suite")
    options = [
        "--size",
        "200",
        "--optical",
        "jp2",
        "--stride",
        "64",
        "--products",
        "windows",
        "--products",
        "all",
        "--folder",
        folder / "tiles",
    ]
    command = [sys.executable, "-m", "benchmarks", *map(str, options), "--json", str(folder / "report.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((folder / "report.json").read_text())
    assert tables.markdown(found) in done.stdout
    return {**found, "folder": folder}


def test_ratios_are_those_of_the_figures_beside_them(report: dict[str, Any]) -> None:
    (case,) = report["cases"]
    floor = case["floor"]
    for key in ("seconds", "cpu_seconds"):
        assert floor[key] == pytest.approx(floor["decode"][key] + floor["warp"][key])
        assert floor["decode"][key] > 0
        assert floor["warp"][key] > 0
    kinds = [(run["stride"], run["products"]) for run in case["runs"]]
    assert kinds == [(64, "windows"), (64, "all")]
    plain, full = case["runs"]
    assert plain["of_windows"]["seconds"] == 1
    assert full["of_windows"]["seconds"] == pytest.approx(full["seconds"] / plain["seconds"])
    for run in case["runs"]:
        assert run["of_floor"]["seconds"] == pytest.approx(run["seconds"] / floor["seconds"])
        assert run["of_floor"]["cpu"] == pytest.approx(run["cpu_seconds"] / floor["cpu_seconds"])


def test_what_was_run_is_said(report: dict[str, Any]) -> None:
    (case,) = report["cases"]
    assert case["grid"] == [200, 200]
    tiles = report["folder"] / "tiles" / "200"
    read = [*tiles.glob("*.jp2"), *tiles.glob("*_v?.tif")]
    assert len(read) == 4 + 8
    assert case["input_bytes"] == sum(path.stat().st_size for path in read)
    assert [run["windows"] for run in case["runs"]] == [16, 16]
    assert report["command"].startswith("python -m benchmarks --size=200 --optical=jp2 --stride=64")
    assert str(report["folder"]) not in report["command"]
    assert report["page_cache"] == "warm"
    assert report["machine"]["cores"] >= 1
    assert all(run["load_average"] >= 0 for run in case["runs"])


def test_stages_lie_within_the_run_and_memory_is_that_of_the_run(report: dict[str, Any]) -> None:
    for run in report["cases"][0]["runs"]:
        timings = run["timings"]
        stages = timings["stages"]
        outline = {"outline landslides"} if run["products"] == "all" else set()
        assert set(stages) == {"check inputs", "classify windows", "write map"} | outline
        assert ("images" in timings["work"]) == (run["products"] == "all")
        assert sum(stage["seconds"] for stage in stages.values()) <= timings["seconds"] <= run["seconds"]
        assert timings["cpu_seconds"] <= run["cpu_seconds"]
        assert {"read", "align", "statistics", "paint", "member all.xgboost"} <= set(timings["work"])
        busy = timings["work"]["align"]["busy_seconds"]
        assert busy <= timings["threads"] * timings["seconds"]
        # What the kernel counted for the process is what the process says of itself.
        assert timings["peak_memory_bytes"] <= run["peak_memory_bytes"] * 1.02
        assert timings["peak_memory_bytes"] >= run["peak_memory_bytes"] * 0.9


def test_a_tile_that_is_there_is_used_again(report: dict[str, Any]) -> None:
    tiles = report["folder"] / "tiles" / "200"
    before = {path: path.stat().st_mtime_ns for path in tiles.iterdir() if path.suffix != ".yaml"}
    suite._tile(tiles, 200, "jp2")
    assert {path: path.stat().st_mtime_ns for path in before} == before


def measured_case(peak: int, *options: str) -> dict[str, Any]:
    """Return a case of which nothing is measured: rounds of the floor take 4, 1 and 2 s, runs 9 to 6.5 s."""
    floors, runs = iter([4.0, 1.0, 2.0]), iter([9.0, 9.5, 5.0, 5.5, 6.0, 6.5])

    def floor(*_: object) -> dict[str, Any]:
        seconds = next(floors)
        part = {"seconds": seconds / 2, "cpu_seconds": seconds}
        whole = {"seconds": seconds, "cpu_seconds": 2 * seconds, "networks": None}
        return {"grid": [64, 64], "input_bytes": 1, "decode": part, "warp": part, **whole}

    def mapped(_: object, wanted: suite.Wanted, __: object) -> dict[str, Any]:
        seconds, (stride, products, limit) = next(runs), wanted
        return {
            "stride": stride,
            "products": products,
            "landslides": 1,
            "memory": limit and limit[0],
            "windows": 1,
            "seconds": seconds,
            "cpu_seconds": 2 * seconds,
            "peak_memory_bytes": peak,
            "load_average": 0.0,
            "within_limit": peak <= limit[1] if limit else None,
            "timings": {"seconds": seconds, "stages": {}, "work": {}},
        }

    settings = suite.main.make_context("benchmarks", list(options)).params
    return suite.case(Path("scene.yaml"), settings, measure_floor=floor, measure_run=mapped)


@pytest.mark.parametrize(("summary", "expected"), [("best", (1.0, 5.0, 5.5)), ("median", (2.0, 6.0, 6.5))])
def test_of_several_rounds_a_whole_one_counts(summary: str, expected: tuple[float, ...]) -> None:
    rounds = ("--repeats=3", f"--summary={summary}")
    case = measured_case(1_900_000_000, *rounds, "--stride=64", "--memory=2GB", "--products=all")
    plain, limited = case["runs"]
    assert (case["floor"]["seconds"], plain["seconds"], limited["seconds"]) == expected
    assert plain["of_floor"]["seconds"] == pytest.approx(expected[1] / expected[0])
    assert [round_["seconds"] for round_ in plain["rounds"]] == [9.0, 5.0, 6.0]
    assert [round_["seconds"] for round_ in case["floor_rounds"]] == [4.0, 1.0, 2.0]
    assert (plain["within_limit"], limited["within_limit"]) == (None, True)


def test_runs_are_compared_with_windows_of_their_own_stride() -> None:
    products = ("--products=windows", "--products=all")
    case = measured_case(1_900_000_000, "--stride=64", "--stride=32", *products)
    kinds = [(run["stride"], run["products"], run["seconds"]) for run in case["runs"]]
    assert kinds == [(64, "windows", 9.0), (64, "all", 9.5), (32, "windows", 5.0), (32, "all", 5.5)]
    assert [run["of_windows"]["seconds"] for run in case["runs"]] == pytest.approx([1, 9.5 / 9, 1, 1.1])


def test_a_run_that_needs_more_memory_than_allowed_fails_the_suite(report: dict[str, Any]) -> None:
    case = measured_case(2_000_000_001, "--stride=64", "--memory=2GB", "--products=all")
    over = report | {"cases": [report["cases"][0] | case]}
    assert suite.over_limits(over) == ["stride 64 under 2GB needed 2,000,000,001 bytes"]
    assert "**over**" in tables.markdown(over)
    assert suite.over_limits(report) == []


@pytest.mark.parametrize("amount", ["2", "GB", "many GB"])
def test_an_amount_of_memory_has_a_unit(amount: str) -> None:
    done = CliRunner().invoke(suite.main, ["--memory", amount])
    assert done.exit_code == 2
    assert "is not an amount" in done.output


def test_tables_go_between_the_markers_of_the_document(tmp_path: Path) -> None:
    docs = tmp_path / "benchmarks.md"
    docs.write_text(f"before\n{tables.BEGIN}\nold\n{tables.END}\nafter\n")
    tables.put_into_docs("new table", docs)
    tables.put_into_docs("newer table", docs)
    assert docs.read_text() == f"before\n{tables.BEGIN}\n\nnewer table\n\n{tables.END}\nafter\n"
    assert tables.DOCS.read_text().count(tables.BEGIN) == tables.DOCS.read_text().count(tables.END) == 1
    docs.write_text("no markers")
    with raised(ValueError, messages.LACKS_THE_LINE):
        tables.put_into_docs("new", docs)


def test_a_measured_program_has_its_own_time_and_memory() -> None:
    code = "import time; held = bytearray(80 << 20); end = time.process_time() + .2"
    code += "\nwhile time.process_time() < end: pass\nprint('done')"
    spent, output = measured.run([sys.executable, "-c", code])
    assert output == "done\n"
    assert spent.seconds >= spent.cpu_seconds * 0.9
    assert 0.2 <= spent.cpu_seconds < 1
    assert spent.peak_memory_bytes >= 80 << 20
    with raised(measured.FailedError, "ended with 3: what went wrong"):
        measured.run([sys.executable, "-c", "import sys; sys.stderr.write('what went wrong'); sys.exit(3)"])


def test_operations_of_a_network_are_those_of_its_matrix_products() -> None:
    # test_vit: 64 wide, 6 blocks of 2 heads, patches of 16 px, hidden layers of 3 x 64, no attention pooling.
    spec = NetworkSpec(
        "single", ("test_vit.r160_in1k",), (("red", "green", "blue", "nir"),), "standard", image_size=80
    )
    import timm

    encoder = timm.create_model("test_vit.r160_in1k", img_size=80, in_chans=4, num_classes=0)
    width, depth = encoder.embed_dim, len(encoder.blocks)
    hidden = encoder.blocks[0].mlp.fc1.out_features
    patches = (80 // 16) ** 2
    tokens = patches + encoder.num_prefix_tokens
    block = 2 * tokens * width * (3 * width + width + 2 * hidden) + 2 * 2 * tokens**2 * width
    expected = 2 * patches * 16 * 16 * 4 * width + depth * block
    assert flop_of(spec) == pytest.approx(expected, rel=0.02)  # besides: the head
