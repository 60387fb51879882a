"""The installed command, as a user meets it: outputs, exit statuses, and nothing half-written."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import dask
import numpy as np
import pyogrio
import pytest
import rasterio
import xarray as xr

from landslide_map.models.bundle.load import DEFAULT
from tests.support.command import command
from tests.support.forked import Forked
from tests.support.result_files import made
from tests.support.sample_scene import SAMPLE, dense_corner, without_images

COMMAND = Path(sys.executable).with_name("landslide-map")
SCENE = SAMPLE / "scene.yaml"
FILES = {"probability.tif", "class.tif", "landslides.gpkg", "windows.nc", "run.json"}


def process(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(COMMAND), *map(str, arguments)], capture_output=True, text=True, timeout=300)


def edited_scene(folder: Path, *changes: tuple[str, str]) -> Path:
    """Write the scene of a corner of the sample below `folder`, with `changes` applied."""
    text = dense_corner().read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "scene.yaml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def corner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return edited_scene(tmp_path_factory.mktemp("corner"))


@pytest.fixture(scope="module")
def mapped(corner: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """The folder that the command makes of the corner, and the modules that it imports meanwhile."""
    out = tmp_path_factory.mktemp("map") / "results"
    arguments = [sys.executable, "-X", "importtime", COMMAND, corner, "--out", out]
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "windows analysed" in done.stdout
    assert "windows: 100 %" in done.stderr  # plain lines where there is no terminal
    return out, {line.split()[-1] for line in done.stderr.splitlines() if line.startswith("import time:")}


@pytest.fixture(scope="module")
def result(mapped: tuple[Path, set[str]]) -> Path:
    return mapped[0]


def test_the_result_is_complete_and_consistent(result: Path) -> None:
    assert {path.name for path in result.iterdir()} >= FILES
    assert not [path for path in result.iterdir() if path.name.startswith(".")]
    with rasterio.open(result / "probability.tif") as source:
        probability = source.read(1)
        assert source.tags()["LANDSLIDE_MAP_BUNDLE"].startswith("default")
        assert source.crs.to_epsg() == 32651
        grid = source.shape, source.transform
    with rasterio.open(result / "class.tif") as source:
        classes = source.read(1)
        assert (source.shape, source.transform) == grid
    np.testing.assert_array_equal(classes == 255, np.isnan(probability))
    manifest = json.loads((result / "run.json").read_text())
    outlines = pyogrio.read_dataframe(result / "landslides.gpkg", layer="landslides")
    assert len(outlines) == manifest["counts"]["landslides"] > 0
    for name, identity in manifest["outputs"].items():
        assert hashlib.sha256((result / name).read_bytes()).hexdigest() == identity["sha256"]
    with xr.open_dataset(result / "windows.nc", engine="scipy") as windows:
        assert windows.probability.size == manifest["counts"]["windows"]["planned"]


def test_every_file_says_what_the_run_decided(result: Path) -> None:
    """One namespace: the same names and values, in rasters with a prefix."""
    package = pyogrio.read_info(result / "landslides.gpkg", layer="landslides")["layer_metadata"]
    decided = {"stride", "thresholds", "threshold_lowest", "operating_point", "scenarios", "versions"}
    of_outlines = {"delineation", "outline", "outline_threshold_radar", "image_displacement"}
    decided |= {*of_outlines, "bundle", "bundle_sha256", "event_time"}
    expected = {name: package[name] for name in decided}
    assert expected["delineation"].startswith("objects-")
    assert "numpy" in expected["versions"]
    for layer in ("windows", "analysed"):
        found = pyogrio.read_info(result / "landslides.gpkg", layer=layer)["layer_metadata"]
        assert {name: found.get(name) for name in decided} == expected, layer
    found = pyogrio.read_info(result / "candidates.gpkg", layer="candidates")["layer_metadata"]
    assert {name: found.get(name) for name in decided} == expected
    of_windows = decided - of_outlines  # the same without objects
    with xr.open_dataset(result / "windows.nc", engine="scipy") as windows:
        found = {name: windows.attrs[name] for name in decided & set(windows.attrs)}
    assert found == {name: expected[name] for name in of_windows}
    rasters = sorted(result.glob("*.tif"))
    assert len(rasters) >= 6
    for path in rasters:
        with rasterio.open(path) as source:
            tags = source.tags()
        own = of_windows if path.name in ("probability.tif", "class.tif") else decided
        found = {name: tags.get(f"LANDSLIDE_MAP_{name.upper()}") for name in decided}
        assert found == {name: expected[name] if name in own else None for name in decided}, path.name
        assert tags["TIFFTAG_SOFTWARE"] == package["software"]


def test_the_same_scene_gives_the_same_bytes_whatever_the_threads(
    corner: Path, result: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    with dask.config.set(num_workers=1):
        done = command(corner, "--out", again, "--quiet")
    assert done.returncode == 0, done.stderr
    assert "windows: " not in done.stderr
    first, second = made(again), made(result)
    assert [name for name in first | second if first.get(name) != second.get(name)] == []


def test_progress_is_json_for_programs_and_times_for_people(
    corner: Path, result: Path, tmp_path: Path
) -> None:
    without_classes = edited_scene(tmp_path, (f"    SCL: {dense_corner().parent}/s2/SCL.tif\n", ""))
    done = command(without_images(without_classes), "--out", tmp_path / "out", "--json-progress")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stderr.splitlines()]
    progress = [event for event in events if event["event"] == "progress"]
    assert list(dict.fromkeys(event["stage"] for event in progress)) == [
        "check inputs",
        "classify windows",
        "outline landslides",
        "write map",
    ]
    windows = [event for event in progress if event["stage"] == "classify windows"]
    planned = json.loads((result / "run.json").read_text())["counts"]["windows"]["planned"]
    assert (windows[0]["done"], windows[-1]["done"]) == (0, planned)
    assert {(event["total"], event["unit"]) for event in windows} == {(planned, "windows")}
    assert {event["code"] for event in events if event["event"] == "notice"} == {"I213", "I421"}
    last = events[-1]
    assert (last["event"], last["exit_status"]) == ("finished", 0)
    assert Path(last["manifest"]).read_text()
    timings = json.loads(Path(last["manifest"]).read_text())["timings"]
    assert timings["stages"]["classify windows"]["seconds"] <= last["timings"]["seconds"]
    assert timings["windows_per_second"] == pytest.approx(
        planned / timings["stages"]["classify windows"]["seconds"], rel=0.01, abs=0.06
    )
    members = [kind for kind in timings["work"] if kind.startswith("member ")]
    assert "member all.lightgbm" in members
    assert 0 < timings["work"]["align"]["cpu_seconds"] < timings["cpu_seconds"]

    refused = command(corner, "--out", tmp_path / "out", "--json-progress")
    failed = json.loads(refused.stderr.splitlines()[-1])
    assert (refused.returncode, failed["exit_status"]) == (2, 2)
    assert (failed["event"], failed["code"]) == ("failed", "E401")
    assert "--overwrite" in failed["message"]

    again = (corner, "--out", tmp_path / "out", "--overwrite", "--quiet", "--outline", "windows")
    verbose = command(*again, "-v")
    table = verbose.stderr[verbose.stderr.index("wall s") :]
    for row in ("classify windows", "in all", "peak memory"):
        assert row in table, row
    assert "align" not in table  # kinds of work, which -vv adds
    thorough = command(*again, "-vv")
    work = thorough.stderr[thorough.stderr.index("work, in any thread") :]
    for row in ("align", "member all.xgboost", "peak memory"):
        assert row in work, row


def test_an_existing_result_is_kept_without_overwrite(corner: Path, result: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in result.iterdir()}
    done = command(corner, "--out", result)
    assert done.returncode == 2
    assert "E401" in done.stderr
    assert "--overwrite" in done.stderr
    assert {path.name: path.stat().st_mtime_ns for path in result.iterdir()} == before


def test_a_threshold_no_window_reaches_is_a_valid_empty_result(corner: Path, tmp_path: Path) -> None:
    none = command(corner, "--threshold", "0.9999", "--outline", "windows", "--out", tmp_path / "none")
    assert none.returncode == 0, none.stderr
    assert "no landslide found" in none.stdout
    assert "I420" not in none.stderr
    layer = pyogrio.read_info(tmp_path / "none" / "landslides.gpkg", layer="landslides")
    assert layer["features"] == 0
    assert "prob_mean" in layer["fields"]


def test_the_threshold_of_windows_leaves_outlines_of_objects_alone(
    corner: Path, result: Path, tmp_path: Path
) -> None:
    """Outlines have a threshold of their own, which ``landslide-map outline`` takes."""
    done = command(corner, "--threshold", "0.9999", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    outlines = pyogrio.read_info(tmp_path / "out" / "landslides.gpkg", layer="landslides")
    windows = pyogrio.read_info(tmp_path / "out" / "landslides.gpkg", layer="windows")
    before = pyogrio.read_info(result / "landslides.gpkg", layer="landslides")
    assert (outlines["features"], windows["features"]) == (before["features"], 0)


def swapped(vv: str, vh: str) -> str:
    folder = dense_corner().parent / "s1"
    return f"{{vv: {folder}/desc_20240716_{vv}.tif, vh: {folder}/desc_20240716_{vh}.tif"


REFUSALS = {
    "unknown key": (("stride:", "strid:"), 3, "E002", "stride"),
    "missing file": (("desc_20240716_vv.tif", "absent.tif"), 4, "E101", "absent.tif"),
    "image after the event": (("2024-07-16T21:31:00Z", "2024-08-21T21:31:00Z"), 4, "E30", "desc_20240716"),
    "ascending under descending": (
        ("datetime: 2024-07-16T21:31:00Z, relative_orbit: 134", "datetime: 2024-07-16T09:38:00Z"),
        4,
        "E303",
        "ascending",
    ),
    "declared dB that is power": (("units: db", "units: power"), 4, "E301", "power"),
    "bands swapped": (
        (("vv", "vh"), ("vh", "vv")),
        4,
        "E305",
        "VV",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_a_wrong_scene_is_refused_in_one_line_with_its_status(name: str, tmp_path: Path) -> None:
    change, status, code, word = REFUSALS[name]
    change = [each if isinstance(each, str) else swapped(*each) for each in change]
    scene = edited_scene(tmp_path)
    text = scene.read_text() + "\nstride: 64\n"
    assert change[0] in text
    scene.write_text(text.replace(*change))
    done = command(scene, "--out", tmp_path / "out")
    assert done.returncode == status, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error")]
    assert code in line
    assert word in line
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_changed_byte_in_a_bundle_is_refused(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(DEFAULT, bundle)
    model = next(path for path in sorted(bundle.iterdir()) if path.suffix == ".ubj")
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(bytes(content))
    done = command(SCENE, "--bundle", bundle, "--out", tmp_path / "out")
    assert done.returncode == 5
    assert "E502" in done.stderr
    assert model.name in done.stderr


@pytest.mark.parametrize("arguments", [["--stride", "65"], ["--threshold", "1"], ["--no-such-option"], []])
def test_a_wrong_call_is_usage(arguments: list[str], tmp_path: Path) -> None:
    out = ["--out", str(tmp_path / "out")] if arguments else []
    done = command(SCENE, *out, *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "sent",
    [[signal.SIGINT], [signal.SIGTERM, signal.SIGHUP]],
)
def test_an_interrupted_run_leaves_nothing(sent: list[signal.Signals], tmp_path: Path) -> None:
    out = tmp_path / "out"
    with Forked("landslide_map_cli.start", SCENE, "--stride", "8", "--out", out) as run:
        assert any(line.startswith("check inputs") for line in run.stderr)  # as far as that, no further
        time.sleep(0.2)
        for number in sent:
            run.send_signal(number)
            time.sleep(0.02)
        _, said = run.communicate()
    assert run.returncode == 130, said
    assert "interrupted" in said
    assert "Traceback" not in said
    assert not out.exists()


def test_data_of_another_program_are_not_used(corner: Path, tmp_path: Path) -> None:
    """Either variable alone leads PROJ astray."""
    (tmp_path / "proj.db").write_bytes(b"of another version")
    done = subprocess.run(
        [str(COMMAND), "check", str(corner)],
        env={**os.environ, "PROJ_LIB": str(tmp_path), "PROJ_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not list the signals of a process")
@pytest.mark.parametrize("later", [0, 0.05, 0.2, 0.4])
def test_a_run_that_is_stopped_while_it_starts_says_so(later: float, tmp_path: Path) -> None:
    run = subprocess.Popen(
        [str(COMMAND), str(SCENE), "--out", str(tmp_path / "out")], stderr=subprocess.PIPE, text=True
    )
    while not handles(run.pid, signal.SIGHUP):
        assert run.poll() is None
    time.sleep(later)
    run.send_signal(signal.SIGHUP)
    _, said = run.communicate(timeout=120)
    assert run.returncode == 130, said
    assert "interrupted" in said
    assert "Traceback" not in said


def handles(process: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal of its own."""
    status = Path(f"/proc/{process}/status").read_text()
    caught = int(next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")), 16)
    return bool(caught >> (number - 1) & 1)


def test_help_answers_fast_and_names_every_command() -> None:
    done = process("--help")
    assert done.returncode == 0
    for name in ("run", "check", "stack", "train", "evaluate"):
        assert re.search(rf"^  {name} ", done.stdout, re.MULTILINE)
    heavy = "import sys, landslide_map_cli.main; print(sorted(set(sys.modules) & set(sys.argv[1:])))"
    slow = ["rasterio", "xarray", "dask", "numba", "lightgbm", "xgboost", "torch", "pandas", "scipy"]
    loaded = subprocess.run([sys.executable, "-c", heavy, *slow], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_a_run_with_the_default_bundle_imports_no_library_of_models(mapped: tuple[Path, set[str]]) -> None:
    """Its trees vote without one: XGBoost alone, which imports scikit-learn, takes a tenth of a small run."""
    _, imported = mapped
    assert {"landslide_map.mapping.map_scene", "numba"} < imported
    assert not imported & {"torch", "xgboost", "lightgbm", "sklearn", "distributed"}
    assert not imported & {f"scipy.{name}" for name in ("stats", "interpolate", "optimize")}


def test_landslides_too_small_for_an_outline_are_not_said_to_be_absent(result: Path, tmp_path: Path) -> None:
    """They are candidates above the threshold, and the layer of outlines is empty."""
    small = edited_scene(tmp_path)
    small.write_text(small.read_text() + "output: {min_area_m2: 1.0e+9}\n")
    done = command(small, "--out", tmp_path / "out")
    assert done.returncode == 0
    assert done.stdout.startswith("no landslide area is large enough for an outline; 9 of 9 windows analysed")
    notices = json.loads((tmp_path / "out" / "run.json").read_text())["notices"]
    (message,) = [notice["message"] for notice in notices if notice["code"] == "I420"]
    whole = pyogrio.read_info(result / "landslides.gpkg", layer="landslides")
    assert int(message.split()[0]) == whole["features"] > 0
    assert f"I420: {message}" in done.stderr
    assert (
        pyogrio.read_info(tmp_path / "out" / "candidates.gpkg", layer="candidates")["features"]
        >= whole["features"]
    )


def piped(line: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a line of bash, the command as ``$0`` and `arguments` as ``$1`` ..."""
    return subprocess.run(
        ["bash", "-c", line, str(COMMAND), *map(str, arguments)], capture_output=True, text=True, timeout=300
    )


def test_a_reader_that_leaves_costs_neither_the_map_nor_its_status(
    corner: Path, result: Path, tmp_path: Path
) -> None:
    """``head -1`` and a closed log are what happens to long runs; nothing is wrong with the map then."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as left:
        arguments = (corner, "--out", tmp_path / "left")
        with Forked("landslide_map_cli.start", *arguments, stdout=left, stderr=left) as run:
            assert run.wait() == 0
    assert (tmp_path / "left" / "windows.nc").read_bytes() == (result / "windows.nc").read_bytes()
    done = piped('"$0" models show "$1" | head -1; exit ${PIPESTATUS[0]}', DEFAULT)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1
    assert piped('"$0" check nowhere.yaml 2>&- | cat; exit ${PIPESTATUS[0]}').returncode == 3
    assert piped('"$0" --version >&- 2>&-').returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_under_the_standard_output_is_no_bug() -> None:
    done = piped('"$0" models show "$1" > /dev/full', DEFAULT)
    assert done.returncode == 6
    assert done.stderr.startswith("error E601: standard output: cannot be written")
