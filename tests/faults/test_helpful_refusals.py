"""Mistakes that people make: each is refused with its cause and the way out, and nothing is mapped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from landslide_map_cli.main import cli

from landslide_map.errors import InputError, SceneError, UsageError
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.scene.model import Scene, load_scene
from tests.support import messages
from tests.support.radar_files import passes
from tests.support.raised import raised
from tests.support.safe_product import land, write_product

EVENT = "event: {time: 2024-04-02T23:58:00Z}\n"


def refused(path: Path, text: str, code: str = "E001") -> str:
    path.write_text(text)
    with pytest.raises(SceneError) as caught:
        load_scene(path)
    assert caught.value.code == code
    return caught.value.message


def test_all_missing_files_are_listed_at_once(tmp_path: Path) -> None:
    (tmp_path / "s2").mkdir()
    (tmp_path / "s2" / "B02_10m.tif").touch()
    path = tmp_path / "scene.yaml"
    path.write_text(
        EVENT + "s2: {post: {B02: s2/B02_1Om.tif, B03: s3/B03.tif, B04: s2\\B04.tif}}\ndem: gone.tif\n"
    )
    with pytest.raises(InputError) as caught:
        open_inputs(load_scene(path))
    said = caught.value.message
    assert caught.value.code == "E101"
    for key in ("s2.post.B02", "s2.post.B03", "s2.post.B04", "dem"):
        assert f"{key}: {tmp_path}" in said
    assert "B02_10m.tif?" in said
    assert f"no folder {tmp_path / 's3'}" in said
    assert "backslashes" in said
    assert "folder of scene.yaml" in said


def test_sentinel_2_of_another_area_is_blamed_itself(tmp_path: Path) -> None:
    product = write_product(tmp_path / "s2", land(1000))
    scene = Scene.model_validate(
        {
            "event": {"time": "2024-04-02T23:58:00Z"},
            "s2": {"post": product},
            "s1": {"ascending": passes(tmp_path)},
        }
    )
    with raised("E105", messages.DIFFERENT_AREAS) as caught:
        open_inputs(scene)
    assert "the Sentinel-2 image lies at" in caught.value.message


@pytest.mark.parametrize("name", ["S2A_MSIL2A_x.SAFE", "images", "a.zip", "B04.tif"])
def test_what_is_given_as_a_scene_is_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if path.suffix == ".tif":
        path.write_bytes(b"II*\0" + b"\xff" * 99)
    else:
        path.mkdir()
    with raised("E001", "scene.yaml"):
        load_scene(path)


def test_a_folder_with_a_scene_names_it(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(EVENT)
    with raised("E001", "mine.yaml"):
        load_scene(tmp_path)


def test_tabs_and_backslashes_are_named(tmp_path: Path) -> None:
    path = tmp_path / "scene.yaml"
    said = refused(path, "event:\n\ttime: 2024-04-02T23:58:00Z\n")
    assert "line 2" in said
    assert "tab" in said.lower()
    assert "backslash" in refused(path, EVENT + 's2: {post: "C:\\Users\\me\\B04.tif"}\n')


def test_a_threshold_in_per_cent_is_named(tmp_path: Path) -> None:
    said = refused(tmp_path / "scene.yaml", EVENT + "threshold: 50\ns2: {post: a.tif}\n", "E003")
    assert "0.5" in said


def test_the_command_line_decides_instead_of_the_scene(tmp_path: Path) -> None:
    path = tmp_path / "scene.yaml"
    path.write_text(EVENT + "threshold: 0.4\ns2: {post: a.tif}\n")
    assert load_scene(path, operating_point="recall90").threshold is None
    path.write_text(EVENT + "operating_point: f1\ns2: {post: a.tif}\n")
    assert load_scene(path, threshold=0.3).operating_point is None
    with pytest.raises(UsageError) as caught:
        load_scene(path, threshold=0.3, operating_point="f1")
    assert caught.value.code == "E402"


def test_a_mistyped_command_maps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ok.yaml").write_text(EVENT + "s2: {post: a.tif}\n")
    found = CliRunner().invoke(cli, ["chekc", "ok.yaml", "--out", "results"])
    assert found.exit_code == 2
    assert "did you mean check?" in found.output
    assert not (tmp_path / "results").exists()


def test_a_product_may_be_a_folder_named_as_a_zip(tmp_path: Path) -> None:
    product = write_product(tmp_path / "s2", land(1000))
    product.rename(tmp_path / "s2.zip")
    scene = Scene.model_validate(
        {"event": {"time": "2024-04-02T23:58:00Z"}, "s2": {"post": tmp_path / "s2.zip"}}
    )
    found = open_inputs(scene)
    assert found.optical is not None
    assert np.isfinite(found.optical.offset)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no C locale")
def test_an_ascii_terminal_opens_files_of_any_name(tmp_path: Path) -> None:
    (tmp_path / "能登").mkdir()
    path = tmp_path / "scene.yaml"
    path.write_text("event: {time: 2024-04-02T23:58:00Z}\ns2: {post: 能登/B04.tif}\n", encoding="utf-8")
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    start = [sys.executable, "-c", "from landslide_map_cli.start import main; main()"]
    done = subprocess.run(
        [*start, "check", str(path)], env={**os.environ, **ascii_only}, capture_output=True, text=True
    )
    assert done.returncode == 4, done.stderr
    assert "E101" in done.stderr
