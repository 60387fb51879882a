"""``train`` as a user calls it: killed in the middle, called again, and done."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from landslide_map_cli.main import cli, main
from ruamel.yaml import YAML

from landslide_map.training.windows.bundle import VOTES
from landslide_map.training.windows.train import train
from tests.support.command import command
from tests.support.forked import Forked
from tests.support.killed_process import heard_by
from tests.support.labelled import tiny_recipe
from tests.support.network_recipes import labelled_windows, tiny_window_recipe

RECIPE = tiny_window_recipe().reduced(("two", "trees"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    windows, labels = labelled_windows()
    folder = tmp_path / "data" / "train_data" / "train_data"
    folder.mkdir(parents=True)
    for name, window in enumerate(windows):
        np.save(folder / f"w{name}.npy", window)
    table = pd.DataFrame({"ID": [f"w{i}" for i in range(len(labels))], "label": labels})
    table.to_csv(tmp_path / "data" / "Train.csv", index=False)
    with (tmp_path / "tiny.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(RECIPE.model_dump(mode="json"), file)
    return tmp_path / "data"


def test_killed_training_goes_on_where_it_was(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    call = ["train", data, "--recipe", tmp_path / "tiny.yaml", "--out", out]
    said = []
    with Forked("landslide_map_cli.start", *call) as first:
        for line in first.stderr:
            said.append(line)
            if "two fold 2 of 2, epoch 1 of 2: loss" in line:
                first.kill()
                break
        first.wait()
    assert first.returncode == -signal.SIGKILL, said
    assert not out.exists()
    assert (tmp_path / "bundle.training" / "two_fold0.safetensors").is_file()
    again = command(*call)
    assert again.returncode == 0, again.stderr
    assert "1 folds of networks were finished before; 1 are to be trained" in again.stderr
    assert "two fold 2 of 2, epoch 2 of 2: loss" in again.stderr
    assert "epoch 1 of 2" not in again.stderr
    assert "out of fold at window level" in again.stdout
    found = pd.read_csv(out / VOTES)
    windows, labels = labelled_windows()
    expected = train(windows, labels, tmp_path / "other", recipe=RECIPE).votes
    np.testing.assert_allclose(found.filter(like="p_"), expected.filter(like="p_"), atol=1e-5)
    document = json.loads((out / "bundle.json").read_text())
    assert [member["name"] for member in document["members"]] == ["two", "trees"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--statistics", "x.csv"], "either DATA or --statistics"),
        (["--recipe", "default", "--members", "v10"], "--members is for networks"),
        (["--recipe", "nasios"], "E510"),
        (["--recipe", "nasios-9", "--folds", "grouped", "--from-scratch", "--device", "cpu"], "no groups"),
    ],
)
def test_wrong_calls_are_usage(arguments: list[str], said: str, data: Path, tmp_path: Path) -> None:
    from click.testing import CliRunner

    result = CliRunner().invoke(cli, ["train", str(data), "--out", str(tmp_path / "b"), *arguments])
    assert result.exit_code != 0
    assert said in result.output + str(result.exception)
    assert not (tmp_path / "b").exists()


def test_an_interrupted_training_says_where_it_goes_on(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and "_fold0." in str(arguments[0]):  # once the first epoch is learned
            raise KeyboardInterrupt

    out, recipe = tmp_path / "bundle", tmp_path / "tiny.yaml"
    with heard_by(interrupt), pytest.raises(SystemExit) as stop:
        main(["train", str(data), "--recipe", str(recipe), "--out", str(out), "--quiet"])
    assert stop.value.code == 130
    said = capsys.readouterr().err.strip()
    assert said == f"interrupted: {out}.training keeps what is finished; the same command goes on"
    assert (tmp_path / "bundle.training").is_dir()


@pytest.mark.parametrize(("step", "reported"), [(32, True), (64, False)])
def test_boosters_on_windows_that_overlap_say_that_their_figures_flatter(
    data: Path, tmp_path: Path, step: int, reported: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """A recipe on statistics knows no grouped folds: neighbours that share ground lie in different ones."""
    table = pd.read_csv(data / "Train.csv")
    table["scene"], table["row"], table["col"] = "one", 0, np.arange(len(table)) * step
    table.to_csv(data / "Train.csv", index=False)
    (tmp_path / "boosters.yaml").write_text(tiny_recipe().model_dump_json())
    with pytest.raises(SystemExit) as done:
        main(["train", str(data), "--recipe", str(tmp_path / "boosters.yaml"), "--out", str(tmp_path / "b")])
    said = capsys.readouterr()
    assert done.value.code == 0, said.err
    assert (f"of {len(table)} windows share ground with a window of another fold" in said.err) == reported
    assert ("W530" in said.err) == reported
