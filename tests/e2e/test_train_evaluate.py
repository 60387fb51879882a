"""``train`` then ``evaluate`` as a user calls them: a table in, one JSON object out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.command import command
from tests.support.labelled import tiny_recipe, write_table
from tests.support.shared_data import shared_data


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("train")
    reds = np.tile([0.15, 0.19], 30)  # labels alternate
    table = write_table(folder / "table.csv", 60, band3_mean=reds)
    (folder / "tiny.yaml").write_text(tiny_recipe().model_dump_json())  # JSON is YAML
    done = command(
        "train", "--statistics", table, "--recipe", folder / "tiny.yaml", "--out", folder / "bundle"
    )
    assert done.returncode == 0, done.stderr
    assert "optical and change: F1" in done.stdout
    return table, folder / "bundle"


def test_evaluate_prints_exactly_one_json_object(trained: tuple[Path, Path]) -> None:
    table, bundle = trained
    done = command("evaluate", "--statistics", table, "--bundle", bundle, "--json", "--scenarios")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {"n", "threshold", "f1", "precision", "recall", "auc"} <= set(found)
    assert found["n"] == 60
    assert found["trained_on"] is True
    assert "too high" in done.stderr
    assert set(found["scenarios"]) == {"optical and change", "optical"}


def test_unseen_windows_are_not_reported_as_trained_on(trained: tuple[Path, Path], tmp_path: Path) -> None:
    table = write_table(tmp_path / "other.csv", 40, ID=[f"new_{i}" for i in range(40)])
    done = command("evaluate", "--statistics", table, "--bundle", trained[1], "--json")
    assert json.loads(done.stdout)["trained_on"] is False
    assert done.stderr == ""


def test_figures_for_a_person(trained: tuple[Path, Path]) -> None:
    done = command("evaluate", "--statistics", trained[0], "--bundle", trained[1])
    assert done.returncode == 0
    assert "window level" in done.stdout
    assert "precision" in done.stdout


@pytest.mark.parametrize(
    ("args", "status", "words"),
    [
        (("train", "--statistics", "absent.csv", "--out", "x"), 4, "E120"),
        (("train", "--statistics", "TABLE", "--recipe", "nonesuch", "--out", "x"), 2, "E510"),
        (("train", "--statistics", "TABLE", "--out", "BUNDLE"), 2, "E401"),
        (("evaluate", "--statistics", "TABLE", "--bundle", "absent"), 5, "E501"),
        (("evaluate",), 2, "--statistics"),
    ],
)
def test_refusals_have_a_code_an_exit_status_and_no_traceback(
    trained: tuple[Path, Path], tmp_path: Path, args: tuple[str, ...], status: int, words: str
) -> None:
    names = {"TABLE": str(trained[0]), "BUNDLE": str(trained[1]), "x": str(tmp_path / "x")}
    done = command(*(names.get(arg, arg) for arg in args))
    assert done.returncode == status
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "x").exists()


def test_the_default_bundle_scores_the_real_table_and_says_that_it_knows_it() -> None:
    done = command("evaluate", "--statistics", shared_data("zindi", "patch_statistics.csv"), "--json")
    found = json.loads(done.stdout)
    assert found["n"] == 6075
    assert found["trained_on_windows"] == 6075
    assert found["f1"] > 0.9  # its own training windows: higher than the out-of-fold figure must be
    assert found["windows_per_scenario"] == {"all channels": 6075}
