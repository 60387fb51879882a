"""The published method alone: ``--outline windows`` writes the same bytes that are there beside outlines."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest

from landslide_map import map_scene
from sample_scenes.make_scene import make_scene


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("outline")
    scene = make_scene(folder / "scene", seed=11, size=192)
    for outline in ("objects", "windows"):
        map_scene(scene, folder / outline, outline=outline)
    return {outline: folder / outline for outline in ("objects", "windows")}


@pytest.mark.parametrize("name", ["probability.tif", "class.tif", "windows.nc"])
def test_files_of_the_published_method_have_the_same_bytes_with_and_without_objects(
    maps: dict[str, Path], name: str
) -> None:
    assert (maps["windows"] / name).read_bytes() == (maps["objects"] / name).read_bytes()


def test_landslides_of_windows_alone_are_the_layer_windows_beside_objects(maps: dict[str, Path]) -> None:
    alone = gpd.read_file(maps["windows"] / "landslides.gpkg", layer="landslides")
    beside = gpd.read_file(maps["objects"] / "landslides.gpkg", layer="windows")
    assert len(alone) > 0
    assert alone.geometry.to_wkb().tolist() == beside.geometry.to_wkb().tolist()
    pd.testing.assert_frame_equal(  # every field, to the last bit
        pd.DataFrame(alone[beside.columns.drop("geometry")]),
        pd.DataFrame(beside.drop(columns="geometry")),
        check_exact=True,
    )
    assert not (maps["windows"] / "candidates.gpkg").exists()
    assert not (maps["windows"] / "outline_probability.tif").exists()
