"""``landslide-map evaluate`` as a user meets it: its contract, its figures, its refusals."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from landslide_map_cli.main import main

from landslide_map.inference import score
from landslide_map.metrics import scores
from landslide_map.models.bundle.load import load_bundle
from tests.support.filled_weights import synthetic_windows
from tests.support.labelled import tiny_bundle, write_table
from tests.support.sample_scene import cut_sample

LABELS = np.arange(8) % 2


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return call


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("tables") / "t.csv")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The competition's layout."""
    folder = tmp_path / "data" / "train_data" / "train_data"
    folder.mkdir(parents=True)
    for i, window in enumerate(synthetic_windows(4, 8)):
        np.save(folder / f"ID_{i}.npy", window)
    lines = [f"ID_{i},{label}" for i, label in enumerate(LABELS)]
    (tmp_path / "data" / "Train.csv").write_text("\n".join(["ID,label", *lines]) + "\n")
    return tmp_path / "data"


def test_a_table_gives_one_json_object(run, table: Path) -> None:
    status, out, _ = run("evaluate", "--statistics", table, "--json")
    assert status == 0
    assert out.count("\n") == 1
    found = json.loads(out)
    assert {"n", "threshold", "f1", "precision", "recall", "auc"} <= set(found)
    assert found["n"] == 40
    assert found["threshold"] == load_bundle().scenarios[0].threshold
    assert found["level"] == "window level"


def test_windows_in_every_layout_score_as_their_array(run, data: Path, tmp_path: Path) -> None:
    windows = synthetic_windows(4, 8)
    scored = score.score(windows)
    expected = scores(LABELS, scored["probability"].to_numpy(), scored["landslide"].to_numpy(dtype=bool))
    np.save(tmp_path / "w.npy", windows)
    layouts = [
        (data,),
        (data / "train_data" / "train_data", "--labels", data / "Train.csv"),
        (tmp_path / "w.npy", "--labels", data / "Train.csv"),
    ]
    for layout in layouts:
        status, out, err = run("evaluate", *layout, "--json", "-q")
        assert status == 0, err
        found = json.loads(out)
        assert {key: found[key] for key in expected} == expected


def test_text_says_the_level(run, table: Path) -> None:
    status, out, _ = run("evaluate", "--statistics", table, "--operating-point", "recall90")
    assert status == 0
    assert "window level" in out
    assert f"{load_bundle().scenarios[0].operating_points['recall90']:.4f}" in out


def test_a_report_is_written_with_everything(run, data: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    tiny_bundle(bundle)
    status, out, err = run("evaluate", data, "--bundle", bundle, "--report", tmp_path / "r", "-q")
    assert status == 0, err
    found = json.loads((tmp_path / "r" / "evaluation.json").read_text())
    assert {"members", "scenarios", "profiles", "importance", "threshold_curve"} <= set(found)
    assert set(found["members"]) == {"both.lightgbm", "both.xgboost", "both.perceptron", "optical.lightgbm"}
    assert (tmp_path / "r" / "roc.png").exists()
    assert "report in" in out
    status, _, err = run("evaluate", data, "--bundle", bundle, "--report", tmp_path / "r", "-q")
    assert (status, "E401" in err) == (2, True)


def test_a_run_decides_at_an_operating_point(run, tmp_path: Path) -> None:
    """At recall90 more windows are above, at precision90 fewer, and probabilities stay."""
    scene = cut_sample(tmp_path / "scene", (192, 0), (256, 256), images=False)
    above = {}
    for point in ("recall90", "precision90"):
        status, _, err = run(
            scene, "--out", tmp_path / point, "--operating-point", point, "-q", "--outline", "windows"
        )
        assert status == 0, err
        with xr.open_dataset(tmp_path / point / "windows.nc", engine="scipy") as record:
            above[point] = int((record.probability > record.threshold).sum())
            limits = set(np.unique(record.threshold))  # float32 in the file
            probability = record.probability.to_numpy()
        assert limits <= {np.float32(s.operating_points[point]) for s in load_bundle().scenarios}
        counts = json.loads((tmp_path / point / "run.json").read_text())["counts"]["windows"]
        assert counts["landslide"] == above[point]
        np.testing.assert_array_equal(probability, above.setdefault("probability", probability))
    assert above["recall90"] > above["precision90"] > 0
    status, _, err = run(scene, "--out", tmp_path / "x", "--operating-point", "f1", "--threshold", "0.5")
    assert (status, "E402" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([], 2, "E402: give one of WINDOWS"),
        (["--statistics", "T", "--map", "m"], 2, "2 of them"),
        (["--statistics", "T", "--threshold", "0.5", "--operating-point", "f1"], 2, "not both"),
        (["--statistics", "T", "--inventory", "x"], 2, "--inventory cannot be combined"),
        (["--statistics", "T", "--labels", "x"], 2, "--labels cannot be combined"),
        (["--map", "m", "--inventory", "x", "--profile", "all"], 2, "--profile cannot be combined"),
        (["--map", "m"], 2, "needs --inventory"),
        (["--map", "m", "--inventory", "x"], 4, "E160"),
        (["--out-of-fold"], 2, "E526"),
        (["--statistics", "T", "--out-of-fold"], 2, "E526"),
        (["--statistics", "T", "--profile", "networks"], 5, "E523"),
        (["--statistics", "nowhere.csv"], 4, "E120"),
        (["nowhere.npy"], 4, "E140"),
        (["nowhere.npy", "--labels", "l.csv"], 4, "E144"),
    ],
)
def test_what_makes_no_sense_is_refused(
    run, table: Path, tmp_path: Path, arguments: list[str], status: int, words: str
) -> None:
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        found, out, err = run("evaluate", *[str(table) if a == "T" else a for a in arguments])
    finally:
        os.chdir(here)
    assert found == status, err
    assert words in err
    assert out == ""
    assert "Traceback" not in err
