"""The published method alone: ``--outline windows`` writes the same bytes that are there beside outlines."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import psutil
import pytest
import rasterio
import xarray as xr
from rasterio.features import rasterize

from landslide_map import map_scene
from landslide_map.mapping.compile_ahead import LOOPS, compiling_ahead, dispatcher
from tests.support.sample_scene import DENSE, DENSE_SHAPE, cut_sample

CLASSES = {3: np.s_[:, 10:30], 9: np.s_[20:45, 35:60], 11: np.s_[60:70, :], 0: np.s_[80:, 80:]}
"""Code of the scene classification -> rows and columns of 20 m that get it."""


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("outline")
    scene = cut_sample(folder / "scene", DENSE, DENSE_SHAPE)
    with rasterio.open(scene.parent / "s2" / "SCL.tif", "r+") as file:
        classes = file.read(1)
        for code, part in CLASSES.items():
            classes[part] = code
        file.write(classes, 1)
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


def test_windows_and_outlines_have_shares_of_cloud_snow_and_shadow(maps: dict[str, Path]) -> None:
    with rasterio.open(maps["objects"].parent / "scene" / "s2" / "SCL.tif") as file:
        classes = np.kron(file.read(1), np.ones((2, 2), int))
        place = {"out_shape": classes.shape, "transform": file.transform @ file.transform.scale(0.5)}
    masks = {"cloud": np.isin(classes, (8, 9, 10)), "snow": classes == 11, "shadow": classes == 3}
    record = xr.load_dataset(maps["objects"] / "windows.nc", engine="scipy")
    found = gpd.read_file(maps["objects"] / "candidates.gpkg", layer="candidates")
    inside = [rasterize([shape], **place).astype(bool) & (classes != 0) for shape in found.geometry]
    for name, mask in masks.items():
        tiles = [np.split(row, 3, axis=1) for row in np.split(np.where(classes == 0, np.nan, mask), 3)]
        expected = [[np.nanmean(tile) for tile in row] for row in tiles]
        np.testing.assert_allclose(record[f"{name}_fraction"], expected, atol=1e-6)
        shares = [mask[own].mean() if own.any() else np.nan for own in inside]
        np.testing.assert_allclose(found[f"{name}_share"], shares, atol=6e-4)
        assert found[f"{name}_share"].max() > 0
    assert float(record["snow_or_cloud_fraction"].max()) < 0.5


def test_loops_compiled_ahead_are_those_that_a_run_calls(maps: dict[str, Path]) -> None:
    """Other types in :data:`.LOOPS` would be compiled for nothing, and the first run on a machine is slow."""
    assert maps
    called = [(loop, types) for loop, types in map(dispatcher, LOOPS) if loop.signatures]
    assert len(called) > len(LOOPS) / 2
    assert [loop for loop, types in called if types not in loop.signatures] == []


def test_compiling_ahead_ends_with_the_run() -> None:
    before = set(psutil.Process().children())
    with compiling_ahead(needed=True):
        (child,) = set(psutil.Process().children()) - before
        assert "landslide_map.mapping.compile_ahead" in child.cmdline()
    assert not child.is_running()
