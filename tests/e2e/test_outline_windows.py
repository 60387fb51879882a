"""The published method alone: ``--outline windows`` writes the same values that are there beside outlines."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import pytest
import rasterio
import xarray as xr
from geopandas.testing import assert_geodataframe_equal

from landslide_map import map_scene
from sample_scenes.make_scene import make_scene

RASTERS = ("probability.tif", "class.tif")


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("outline")
    scene = make_scene(folder / "scene", seed=11, size=192)
    for outline in ("objects", "windows"):
        map_scene(scene, folder / outline, outline=outline)
    return {outline: folder / outline for outline in ("objects", "windows")}


@pytest.mark.parametrize("name", RASTERS)
def test_rasters_of_the_published_method_are_the_same_with_and_without_objects(
    maps: dict[str, Path], name: str
) -> None:
    values, profiles = [], []
    for outline in maps.values():
        with rasterio.open(outline / name) as raster:  # its tags say which outlines were asked for
            values.append(raster.read().tobytes())
            profiles.append(dict(raster.profile))
    assert values[0] == values[1]
    assert str(profiles[0]) == str(profiles[1])


def test_records_of_windows_are_the_same_with_and_without_objects(maps: dict[str, Path]) -> None:
    one, other = (xr.load_dataset(outline / "windows.nc", engine="scipy") for outline in maps.values())
    assert one.equals(other)  # attributes say which outlines were asked for
    assert "probability" in one


def test_landslides_of_windows_alone_are_the_layer_windows_beside_objects(maps: dict[str, Path]) -> None:
    alone = gpd.read_file(maps["windows"] / "landslides.gpkg", layer="landslides")
    beside = gpd.read_file(maps["objects"] / "landslides.gpkg", layer="windows")
    assert len(alone) > 0
    assert_geodataframe_equal(alone[beside.columns], beside)
    assert not (maps["windows"] / "candidates.gpkg").exists()
    assert not (maps["windows"] / "outline_probability.tif").exists()
