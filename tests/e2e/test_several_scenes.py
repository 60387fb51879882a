"""Several scenes in one go: two halves make the map of the whole, failures cost only themselves, resuming."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import zipfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pyogrio
import pytest
import rasterio
from rasterio.windows import from_bounds

from landslide_map.errors import LandslideMapError
from landslide_map.mapping.map_scene import MapResult, map_scene
from landslide_map.mapping.map_scenes import Outcome, SeveralResult, map_scenes, scene_names
from landslide_map.models.bundle.load import Bundle, load_bundle
from landslide_map.products.columns import ANALYSED, LANDSLIDES
from landslide_map.products.geopackage import read_layer
from tests.support import messages
from tests.support.killed_process import heard_by
from tests.support.made_once import made_once
from tests.support.raised import raised
from tests.support.sample_scene import cut_sample, without_images

LEFT, TOP, ROWS, COLS, EMPTY = 798_760, 2_658_120, 256, 320, 128
"""A part, and so many columns without data on the left."""
CUT = 128
"""Windows of 64 pixels do not cross it, landslides do."""
THRESHOLD = 0.6


def rows(folder: Path, name: str, first: int, stop: int) -> Path:
    """Write the scene of some rows of pixels only; files are cut once for each folder."""
    files = folder / "files"
    cut = files / "scene.yaml" if files.exists() else cut_sample(files, (192, 0), (ROWS, COLS - EMPTY))
    text = re.sub(r"(?<=[ :])(s[12]/)", f"{files}/\\1", cut.read_text())
    grid = f"{{epsg: 32651, ulx: {LEFT}, uly: {TOP - 10 * first}, width: {COLS}, height: {stop - first}}}"
    path = folder / f"{name}.yaml"
    path.write_text(f"{text}grid: {grid}\n")
    return path


def codes(result: SeveralResult) -> list[str]:
    return [error.code for error in result.failures.values() if isinstance(error, LandslideMapError)]


@dataclass(frozen=True)
class Made:
    """Scenes that are read only, and their results."""

    halves: list[Path]
    small: list[Path]
    """Two scenes of three windows each, without images."""
    whole: MapResult
    both: SeveralResult

    @classmethod
    def below(cls, folder: Path) -> Made:
        halves = [rows(folder, "north", 0, CUT), rows(folder, "south", CUT, ROWS)]
        small = [without_images(scene) for scene in (rows(folder, "a", 0, 64), rows(folder, "b", 64, CUT))]
        one, options = rows(folder, "whole", 0, ROWS), {"threshold": THRESHOLD, "outline": "windows"}
        whole = map_scene(one, folder / "whole", **options)
        return cls(halves, small, whole, map_scenes(halves, folder / "both", **options))


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made_once(tmp_path_factory, "several-scenes", Made.below)


@pytest.fixture
def halves(scenes: Made) -> list[Path]:
    return scenes.halves


@pytest.fixture
def small(scenes: Made) -> list[Path]:
    return scenes.small


@pytest.fixture
def whole(scenes: Made) -> MapResult:
    return scenes.whole


@pytest.fixture
def both(scenes: Made) -> SeveralResult:
    return scenes.both


def test_two_halves_merged_are_the_map_of_the_whole(both: SeveralResult, whole: MapResult) -> None:
    parts = [o.result for o in both.outcomes]
    assert [o.name for o in both.outcomes] == ["north", "south"]
    merged, _ = read_layer(both.polygons, LANDSLIDES)
    expected, _ = read_layer(whole.polygons, LANDSLIDES)
    assert both.landslides == len(merged) == len(expected) < sum(p.landslides for p in parts if p)
    across = merged[merged["scenes"] == "north, south"]
    border = TOP - 10 * CUT
    assert len(across) > 0
    for shape in across.geometry:
        assert shape.bounds[1] < border < shape.bounds[3]
    exact = ["prob_max", "windows", "windows_above", "scenario", "event_time", "s2_post", "descending_pre"]
    for _, row in merged.iterrows():
        (same,) = [other for _, other in expected.iterrows() if other.geometry.equals(row.geometry)]
        assert row[exact].equals(same[exact])
        assert row["prob_mean"] == pytest.approx(same["prob_mean"], abs=1.1e-3)
        assert row["area_m2"] == pytest.approx(same["area_m2"], rel=1e-4)


def test_the_area_analysed_is_that_of_the_whole(both: SeveralResult, whole: MapResult) -> None:
    merged, _ = read_layer(both.polygons, ANALYSED)
    expected, _ = read_layer(whole.polygons, ANALYSED)
    assert len(merged) == len(expected) > 1
    for (_, row), (_, same) in zip(merged.iterrows(), expected.iterrows(), strict=True):
        assert row[["status", "reason", "scenario"]].equals(same[["status", "reason", "scenario"]])
        assert row.geometry.equals(same.geometry)
        assert row["area_m2"] == pytest.approx(same["area_m2"], rel=1e-4)


def test_the_geopackage_is_dressed_like_that_of_one_scene(both: SeveralResult, whole: MapResult) -> None:
    def dress(path: Path) -> list[tuple[str, ...]]:
        with closing(sqlite3.connect(path)) as database:
            styles = database.execute("SELECT f_table_name, styleName, styleQML FROM layer_styles")
            titles = database.execute("SELECT table_name, name, title, description FROM gpkg_data_columns")
            renderers = [(layer, name, ElementTree.fromstring(qml)) for layer, name, qml in styles]
            drawn = [
                (layer, name, ElementTree.tostring(qml.find("renderer-v2"))) for layer, name, qml in renderers
            ]
            return [*drawn, *(row for row in titles if row[1] != "Scenes")]

    assert dress(both.polygons) == dress(whole.polygons)
    info = pyogrio.read_info(both.polygons, layer=LANDSLIDES)
    one = pyogrio.read_info(whole.polygons, layer=LANDSLIDES)
    assert [name for name in info["fields"] if name != "scenes"] == one["fields"].tolist()
    assert info["crs"] == one["crs"]
    assert info["layer_metadata"]["scenes"] == "north; south"
    assert info["layer_metadata"]["bundle_sha256"] == one["layer_metadata"]["bundle_sha256"]
    assert "scenes_missing" not in info["layer_metadata"]


def test_each_scene_has_the_result_of_a_run_of_its_own(
    both: SeveralResult, halves: list[Path], tmp_path: Path
) -> None:
    alone = map_scene(halves[1], tmp_path / "alone", threshold=THRESHOLD, outline="windows")
    for name in ("probability.tif", "class.tif", "landslides.gpkg", "windows.nc"):
        assert (both.out / "south" / name).read_bytes() == (alone.out / name).read_bytes()


class Mapped(list[str]):
    """The names of the scenes that were begun, as their progress shows."""

    def __call__(self, stage: str, _done: int, _total: int) -> None:
        name, of_scene, _ = stage.partition(": ")
        if of_scene and name not in self:
            self.append(name)


@pytest.fixture
def mapped() -> Mapped:
    return Mapped()


def test_a_failing_scene_costs_itself_and_the_command_goes_on_from_there(
    halves: list[Path], both: SeveralResult, tmp_path: Path, mapped: Mapped
) -> None:
    broken = rows(tmp_path, "broken", 0, CUT)
    good = broken.read_text()
    broken.write_text(good.replace("B04.tif", "absent.tif"))
    reported: list[Outcome] = []
    scenes = [halves[0], broken, halves[1]]
    first = map_scenes(
        scenes,
        tmp_path / "out",
        threshold=THRESHOLD,
        outline="windows",
        progress=mapped,
        on_outcome=reported.append,
    )
    assert reported == list(first.outcomes)
    assert mapped == ["north", "broken", "south"]
    assert list(first.failures) == ["broken"]
    assert codes(first) == ["E101"]
    assert "without a map: broken" in first.summary()
    assert not (tmp_path / "out" / "broken").exists()
    merged, tags = read_layer(first.polygons, LANDSLIDES)
    assert tags["scenes_missing"] == "broken"
    assert len(merged) == both.landslides
    said = json.loads((tmp_path / "out" / "scenes.json").read_text())["scenes"]
    assert list(said) == ["broken", "north", "south"]
    assert "absent.tif" in said["broken"]["error"]
    mapped.clear()
    broken.write_text(good)
    again = map_scenes(scenes, tmp_path / "out", threshold=THRESHOLD, outline="windows", progress=mapped)
    assert mapped == ["broken"]
    assert [o.kept for o in again.outcomes] == [True, False, True]
    assert not again.failures
    assert again.landslides == both.landslides  # its ground is the north's: counted once
    merged, tags = read_layer(again.polygons, LANDSLIDES)
    assert "scenes_missing" not in tags
    assert set(merged["scenes"]) <= {"north, broken", "north, broken, south", "south"}


def test_a_finished_scene_is_kept_only_if_it_is_the_same(
    halves: list[Path], both: SeveralResult, tmp_path: Path, mapped: Mapped
) -> None:
    shutil.copytree(both.out, tmp_path / "out")
    before = (tmp_path / "out" / "landslides.gpkg").read_bytes()
    map_scenes(halves, tmp_path / "out", threshold=THRESHOLD, outline="windows", progress=mapped)
    assert mapped == []
    assert (tmp_path / "out" / "landslides.gpkg").read_bytes() == before
    other = map_scenes(halves, tmp_path / "out", threshold=0.4, outline="windows", progress=mapped)
    assert mapped == []
    assert codes(other) == ["E401", "E401"]
    assert f"threshold was {THRESHOLD} and is 0.4" in str(other.failures["north"])
    assert (tmp_path / "out" / "landslides.gpkg").read_bytes() == before
    replaced = map_scenes(
        halves, tmp_path / "out", threshold=0.4, outline="windows", progress=mapped, overwrite=True
    )
    assert mapped == ["north", "south"]
    assert not replaced.failures


def test_bundles_are_loaded_once(small: list[Path], tmp_path: Path) -> None:
    loaded: list[Path | None] = []

    def spied(path: Path | None) -> Bundle:
        loaded.append(path)
        return load_bundle(path)

    map_scenes(small, tmp_path / "out", outline="windows", load=spied)
    assert loaded == [None]


def test_names_come_from_files_and_folders_and_must_differ() -> None:
    assert list(scene_names(["x/a.yaml", "x/b/scene.yaml", "c.d.yml"])) == ["a", "b", "c.d"]
    for clash in (["x/a.yaml", "y/a.yaml"], ["a/scene.yaml", "x/a.yaml"], ["a.yaml", "a.yaml"]):
        with raised("E402", messages.RENAME_ONE_OF_THEM):
            scene_names(clash)


def test_the_folder_of_a_single_result_is_refused_before_any_work(
    halves: list[Path], whole: MapResult, mapped: Mapped
) -> None:
    with pytest.raises(LandslideMapError) as caught:
        map_scenes(halves, whole.out, progress=mapped)
    assert caught.value.code == "E401"
    assert mapped == []


def test_an_interruption_says_what_is_finished(small: list[Path], tmp_path: Path) -> None:
    def interrupt(stage: str, _done: int, _total: int) -> None:
        if stage == "b: write map":
            raise KeyboardInterrupt

    with raised(KeyboardInterrupt, "1 of 2 scenes are finished", "b (1 of 1 rows of blocks are kept in "):
        map_scenes(small, tmp_path / "out", outline="windows", progress=interrupt)
    assert (tmp_path / "out" / "a" / "run.json").exists()


def test_an_interruption_while_polygons_are_merged_says_that_all_scenes_are_finished(
    small: list[Path], tmp_path: Path
) -> None:
    def interrupt(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "tempfile.mkdtemp" and Path(arguments[0]).parent == tmp_path / "out":
            raise KeyboardInterrupt

    with heard_by(interrupt), pytest.raises(KeyboardInterrupt) as stop:
        map_scenes(small, tmp_path / "out", outline="windows")
    assert str(stop.value) == "2 of 2 scenes are finished; the same command merges their polygons"
    assert not (tmp_path / "out" / "scenes.json").exists()
    assert all(outcome.kept for outcome in map_scenes(small, tmp_path / "out", outline="windows").outcomes)
    assert (tmp_path / "out" / "scenes.json").exists()


def test_all_scenes_are_in_one_project_with_paths_that_lead_somewhere(both: SeveralResult) -> None:
    with zipfile.ZipFile(both.project) as archive:
        root = ElementTree.fromstring(archive.read("landslides.qgs"))
    sources = {layer.findtext("id"): layer.findtext("datasource", "") for layer in root.iter("maplayer")}
    assert len(sources) == len({*sources.values()})
    for source in sources.values():
        assert (both.out / source.partition("|")[0]).is_file()
    assert "./probability.vrt" in sources.values()


def test_a_mosaic_holds_the_rasters_of_all_scenes(both: SeveralResult, whole: MapResult) -> None:
    for name in ("probability", "class", "image_after", "image_change_descending"):
        with (
            rasterio.open(both.out / f"{name}.vrt") as mosaic,
            rasterio.open(whole.out / f"{name}.tif") as one,
        ):
            assert (mosaic.crs, mosaic.count, mosaic.dtypes) == (one.crs, one.count, one.dtypes)
            parts = [rasterio.open(both.out / scene / f"{name}.tif") for scene in ("north", "south")]
            assert mosaic.bounds[3] == max(part.bounds[3] for part in parts)
            assert mosaic.bounds[1] == min(part.bounds[1] for part in parts)
            for part in parts:
                window = from_bounds(*part.bounds, transform=mosaic.transform).round()
                here = mosaic.read(window=window)
                if part is parts[1]:  # on top where both are
                    there = part.dataset_mask() > 0
                    np.testing.assert_array_equal(here[:, there], part.read()[:, there])
                    assert (mosaic.dataset_mask()[window.toslices()][there] > 0).all()
