"""Tiles of an elevation model, joined: copied where they can be, the sea where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.warp
from affine import Affine
from rasterio.crs import CRS

from landslide_map.grid import Grid
from landslide_map.search.area import Area
from landslide_map.search.elevation_tiles import ElevationTiles, join_tiles, tiles_of
from landslide_map.search.network import Network
from tests.support.loopback import loopback
from tests.support.rasters import write_band

ROWS = 60
# rasterio multiplies transforms with `*` itself.
pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")


def plane(longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """Heights that any interpolation must keep."""
    return 100 * (longitude % 360) + 10 * latitude


def tile(folder: Path, name: str, south: int, west: int, columns: int = ROWS) -> Path:
    """Write a coarse tile on the lattice of the real ones: shifted by half a pixel."""
    dx, dy = 1 / columns, 1 / ROWS
    place = Affine(dx, 0, west - dx / 2, 0, -dy, south + 1 + dy / 2)
    longitude = place.c + dx * (np.arange(columns) + 0.5)
    latitude = place.f - dy * (np.arange(ROWS) + 0.5)
    heights = plane(*np.meshgrid(longitude, latitude)).astype(np.float32)
    path = folder / f"{name}.tif"
    write_band(path, heights, Grid(CRS.from_epsg(4326), place, columns, ROWS))
    return path


def expected(dataset: rasterio.DatasetReader) -> np.ndarray:
    place = dataset.transform
    x = place.c + place.a * (np.arange(dataset.width) + 0.5)
    y = place.f + place.e * (np.arange(dataset.height) + 0.5)
    columns, rows = np.meshgrid(x, y)
    longitude, latitude = rasterio.warp.transform(dataset.crs, "EPSG:4326", columns.ravel(), rows.ravel())
    return plane(np.array(longitude), np.array(latitude)).reshape(columns.shape)


def test_tiles_are_named_after_their_south_western_corner():
    assert tiles_of(Area.of_box(-0.5, -0.5, 0.5, 0.5)) == [
        "Copernicus_DSM_COG_10_S01_00_W001_00_DEM",
        "Copernicus_DSM_COG_10_S01_00_E000_00_DEM",
        "Copernicus_DSM_COG_10_N00_00_W001_00_DEM",
        "Copernicus_DSM_COG_10_N00_00_E000_00_DEM",
    ]
    across = tiles_of(Area.of_box(179.5, -16.5, -179.5, -16.4))
    assert [name[29:33] for name in across] == ["E179", "W180"]


def test_neighbours_of_one_width_are_copied_and_the_sea_is_zero(tmp_path: Path):
    tiles = [tile(tmp_path, "a", 23, 121), tile(tmp_path, "b", 23, 122)]
    area = Area.of_box(121.6, 23.3, 122.4, 24.2)
    join_tiles(tiles, area, tmp_path / "dem.tif")
    with rasterio.open(tmp_path / "dem.tif") as dataset:
        heights, truth = dataset.read(1), expected(dataset)
        top = dataset.transform.f
        bounds = dataset.bounds
    land = top - (np.arange(len(heights)) + 0.5) / ROWS < 24 + 0.5 / ROWS
    assert np.array_equal(heights[land], truth[land].astype(np.float32))
    assert not heights[~land].any()
    assert bounds.left <= 121.58
    assert bounds.right >= 122.42


def test_tiles_of_different_widths_meet_without_a_step(tmp_path: Path):
    tiles = [tile(tmp_path, "a", 49, 10, ROWS), tile(tmp_path, "b", 50, 10, ROWS * 2 // 3)]
    area = Area.of_box(10.3, 49.7, 10.7, 50.3)
    join_tiles(tiles, area, tmp_path / "dem.tif")
    with rasterio.open(tmp_path / "dem.tif") as dataset:
        heights, truth = dataset.read(1), expected(dataset)
    assert np.abs(heights - truth).max() < 1.0, "a pixel is 1.7 m in the plane"


def test_across_the_antimeridian_heights_stay_in_their_place(tmp_path: Path):
    tiles = [tile(tmp_path, "a", -17, 179), tile(tmp_path, "b", -17, -180)]
    area = Area.of_box(179.8, -16.7, -179.8, -16.4)
    join_tiles(tiles, area, tmp_path / "dem.tif")
    with rasterio.open(tmp_path / "dem.tif") as dataset:
        heights, truth = dataset.read(1), expected(dataset)
        assert dataset.crs.is_projected
    inside = np.s_[len(heights) // 4 : -len(heights) // 4, 100:-100]
    assert np.abs(heights[inside] - truth[inside]).max() < 1.0, "a pixel is 1.7 m in the plane"


def test_a_tile_that_a_server_does_not_have_is_sea(tmp_path: Path):
    area = Area.of_box(121.6, 23.3, 122.4, 23.5)
    first, second = tiles_of(area)
    with loopback() as server, Network() as network:
        server.files[f"/{first}/{first}.tif"] = b"II*\0"
        tiles = ElevationTiles(server.url)
        assert tiles.there(area, network) == [first]
        (download,) = tiles.downloads([first], tmp_path)
        assert download.target == tmp_path / "elevation" / f"{first}.tif"
    assert second not in str(download)


@pytest.mark.parametrize("nested", [True, False])
def test_tiles_in_a_folder_are_used_where_they_lie(tmp_path: Path, nested: bool):
    area = Area.of_box(121.3, 23.3, 121.4, 23.5)
    (name,) = tiles_of(area)
    folder = tmp_path / name if nested else tmp_path
    folder.mkdir(exist_ok=True)
    path = tile(folder, name, 23, 121)
    with Network() as network:
        tiles = ElevationTiles(str(tmp_path))
        assert tiles.there(area, network) == [name]
        assert tiles.files([name], tmp_path / "images") == [path]
        assert tiles.downloads([name], tmp_path / "images") == []
        assert network.hosts == ()
