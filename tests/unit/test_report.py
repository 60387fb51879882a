from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from landslide_map.evaluation.inventory_match import match
from landslide_map.evaluation.report import plots
from landslide_map.evaluation.report.window_text import FIGURES, window_text
from landslide_map.evaluation.report.write import FILES, write_object_report, write_window_report
from landslide_map.evaluation.windows import LabelledPredictions, figures, predict_labelled
from landslide_map.models.bundle.load import Bundle
from tests.support.labelled import made_up_statistics, tiny_bundle
from tests.support.raised import raised
from tests.unit.test_objects import AREA, CRS, compared, square


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def evaluated(bundle: Bundle) -> tuple[dict, LabelledPredictions]:
    statistics, labels = made_up_statistics()
    predicted = predict_labelled(statistics, labels, bundle=bundle, all_members=True, out_of_fold=True)
    return figures(predicted, all_members=True), predicted


@pytest.fixture(scope="module")
def written(evaluated: tuple[dict, LabelledPredictions], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports") / "r"
    write_window_report(folder, *evaluated)
    return folder


def rows(text: str, heading: str) -> dict[str, list[str]]:
    """Cells of the first table below a heading, by first cell."""
    below = text.split(f"## {heading}")[1]
    table = re.search(r"(\|.*\|\n)+", below)
    assert table
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[0].splitlines()]
    return {cells[0]: cells[1:] for cells in lines[2:]}


def figures_of(report: Path) -> dict:
    """Return the figures of a report, without what says which files are its own."""
    stored = json.loads((report / "evaluation.json").read_text())
    return {key: value for key, value in stored.items() if key not in ("outputs", "seal")}


def test_the_words_say_the_numbers_of_the_json(
    evaluated: tuple[dict, LabelledPredictions], written: Path
) -> None:
    stored = figures_of(written)
    assert stored == evaluated[0]
    text = (written / "report.md").read_text()
    expected = [f"{stored[key]:.4f}" for key in FIGURES]
    assert rows(text, "Ensemble")["ensemble"] == expected
    for group in ("Members", "Scenarios", "Profiles"):
        for name, cells in rows(text, group).items():
            own = stored[group.lower()][name]
            assert cells[0] == str(own["n"])
            assert cells[2:] == [f"{own[key]:.4f}" for key in FIGURES], name
    assert "Out of fold" in text
    assert str(stored["confusion"]["tp"]) in text


def test_every_picture_is_there_named_in_the_text_and_not_blank(written: Path) -> None:
    text = (written / "report.md").read_text()
    found = {path.name for path in written.glob("*.png")}
    assert found == {
        "roc.png",
        "precision_recall.png",
        "reliability.png",
        "thresholds.png",
        "member_correlation.png",
    }
    assert found | {"report.md", "evaluation.json"} <= set(FILES)
    for name in found:
        assert f"({name})" in text
        pixels = np.asarray(Image.open(written / name).convert("RGB"))
        assert min(pixels.shape[:2]) > 400
        assert pixels.std() > 10


def test_a_trained_on_evaluation_says_that_it_flatters(bundle: Bundle) -> None:
    statistics, labels = made_up_statistics()
    predicted = predict_labelled(statistics, labels, bundle=bundle)
    result = figures(predicted, ids=[f"ID_{i}" for i in range(len(labels))])
    assert "trained on 120 of these windows: the figures flatter it" in window_text(result, set())


def test_drawing_touches_no_global_state(tmp_path: Path) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    plots.bars(tmp_path / "bars.png", "title", "label", {"a": 1.0, "b": None}, ["1", "none"])
    assert dict(matplotlib.rcParams) == before
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_an_existing_report_is_replaced_only_on_request_and_nothing_else_is_touched(
    evaluated: tuple[dict, LabelledPredictions], written: Path, tmp_path: Path
) -> None:
    result, predicted = evaluated
    folder = tmp_path / "r"
    shutil.copytree(written, folder)
    (folder / "notes.txt").write_text("mine")
    (folder / "probability.tif").write_text("a map")
    with raised("E401", "holds report.md"):
        write_window_report(folder, result, predicted)
    write_window_report(folder, result | {"bundle": "another"}, predicted, overwrite=True)
    assert json.loads((folder / "evaluation.json").read_text())["bundle"] == "another"
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / "probability.tif").read_text() == "a map"
    (folder / "roc.png").write_bytes(b"a picture of the user's own")
    with raised("E404", "roc.png"):
        write_window_report(folder, result, predicted, overwrite=True)


def test_without_matplotlib_the_report_is_refused_before_anything_is_written(
    evaluated: tuple[dict, LabelledPredictions], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with raised("E612", "landslide-map[report]"):
        write_window_report(tmp_path / "r", *evaluated)
    assert not (tmp_path / "r").exists()


def test_the_report_of_objects(tmp_path: Path) -> None:
    known = [square(600, 600, 80), square(3000, 0, 500)]
    found = match(*(np.array(own, dtype=object) for own in ([square(0, 0, 640)], known)), AREA, CRS)
    result = found.figures | {"map": "results", "inventory_file": "known.gpkg", "outlines": "objects"}
    result |= {"notices": ["W150: repaired"], "windows": compared([AREA], known)}
    write_object_report(tmp_path / "r", replace(found, figures=result))
    assert figures_of(tmp_path / "r") == result
    text = (tmp_path / "r" / "report.md").read_text()
    assert rows(text, "Landslides")["inventory: hit"] == ["2", "0", "1", "0.5000"]
    sizes = rows(text, "By size")
    for own in result["size_classes"]:
        assert sizes[own["name"]][:2] == [str(own["landslides"]), str(own["hit"])]
    assert rows(text, "Area")["shared"] == [f"{result['area']['shared_m2'] / 1e6:.4f}"]
    exact = rows(text, "Area with a tolerance")["0 m"]
    assert exact[0] == f"{found.figures['area']['precision']:.4f}"
    assert text.count("## Landslides (object level)") == 2  # of objects and of windows
    assert (tmp_path / "r" / "outlines.png").stat().st_size > 5000
    assert "object level" in text
    assert "W150: repaired" in text
    assert (tmp_path / "r" / "hit_rate.png").stat().st_size > 5000
