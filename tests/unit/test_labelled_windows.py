from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from landslide_map.datasets.labelled_windows import read_labelled_windows
from tests.support import messages
from tests.support.filled_weights import synthetic_windows
from tests.support.raised import raised

WINDOWS = synthetic_windows(2, 4)
NAMES = ["ID_b", "ID_a", "007", "ID_c"]


def folder_of_windows(folder: Path, names: list[str] = NAMES) -> Path:
    folder.mkdir(parents=True)
    for name, window in zip(names, WINDOWS, strict=False):
        np.save(folder / f"{name}.npy", window)
    return folder


def table(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


LABELS = "ID,label\nID_b,1\n007,0\nID_a,0\n"


@pytest.mark.parametrize("place", ["train_data/train_data", "train_data", "."])
def test_the_layout_of_the_competition(tmp_path: Path, place: str) -> None:
    folder_of_windows(tmp_path / "data" / place)
    table(tmp_path / "data" / "Train.csv", LABELS)
    found = read_labelled_windows(tmp_path / "data")
    assert found.windows.ids == ("ID_b", "007", "ID_a")
    np.testing.assert_array_equal(found.labels, [1, 0, 0])
    np.testing.assert_array_equal(found.windows.read(0, 3), WINDOWS[[0, 2, 1]])
    assert (found.unlabelled, found.folds) == (1, None)


def test_an_array_and_its_table_are_in_one_order(tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", WINDOWS[:3])
    labels = table(tmp_path / "l.csv", "ID,label,fold\nx,0,2\ny,1,0\nz,0,1\n")
    found = read_labelled_windows(tmp_path / "w.npy", labels)
    assert found.windows.ids == ("x", "y", "z")
    assert found.folds is not None
    np.testing.assert_array_equal(found.folds, [2, 0, 1])
    np.testing.assert_array_equal(found.windows.read(0, 3), WINDOWS[:3])


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("ID,label\nID_b,1\nnone,0\n", "E142", "none.npy: no such window (1 of 2"),
        ("ID,label\nID_b,1\nID_b,0\n", "E142", "occurs twice"),
        ("ID,label\nID_b,1\n,0\n", "E142", "row 2 has no ID"),
        ("ID,label\nID_b,1\nID_a,2\n", "E122", "1 of 2 labels are neither 0 nor 1"),
        ("ID,label\nID_b,1\nID_a,\n", "E122", "neither 0 nor 1"),
        ("ID,label\nID_b,1\nID_a,1\n", "E122", "every label is 1"),
        ("ID,label\n", "E122", "there are no labels"),
        ("id,class\nID_b,1\n", "E144", "has no column ID"),
        ("", "E144", "cannot be read as a CSV file"),
        ("ID,label,fold\nID_b,1,0\nID_a,0,x\n", "E144", "column fold"),
        ("ID,label,fold\nID_b,1,0\nID_a,0,-1\n", "E144", "column fold"),
    ],
)
def test_tables_of_labels_that_are_wrong(tmp_path: Path, text: str, code: str, words: str) -> None:
    folder_of_windows(tmp_path / "data")
    with raised(code, words):
        read_labelled_windows(tmp_path / "data", table(tmp_path / "l.csv", text))


def test_what_is_not_there(tmp_path: Path) -> None:
    with raised("E140", messages.NO_SUCH_FILE_OR_FOLDER):
        read_labelled_windows(tmp_path / "nowhere")
    folder_of_windows(tmp_path / "data")
    with raised("E144", "has no Train.csv"):
        read_labelled_windows(tmp_path / "data")
    with raised("E144", messages.NO_SUCH_FILE_EXPECTED_A_CSV):
        read_labelled_windows(tmp_path / "data", tmp_path / "l.csv")


def test_another_number_of_windows_than_of_labels(tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", WINDOWS)
    with raised("E142", "3 IDs for 4 windows"):
        read_labelled_windows(tmp_path / "w.npy", table(tmp_path / "l.csv", LABELS))
