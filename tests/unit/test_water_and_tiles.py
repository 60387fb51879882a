"""Water masks, folders of elevation tiles, and heights above the ellipsoid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import rasterio.warp
import shapely
from affine import Affine

from landslide_map.bands import WATER_CLASS
from landslide_map.errors import InputError
from landslide_map.grid import Block
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.raster.dataset import short_name
from landslide_map.scene.model import Scene
from landslide_map.stack.channels import read_channels, water_known
from landslide_map.stack.slope import elevation_block
from tests.support.safe_product import EPSG, LEFT, TOP, land, write_product

ROWS, COLS = 128, 120
LAKE = (LEFT + 200, TOP - 900, LEFT + 500, TOP - 300)
"""Left, bottom, right, top."""


def opened(tmp_path: Path, *, classes: np.ndarray | None = None, **document: Any) -> SceneInputs:
    safe = write_product(tmp_path / "s2", land(1000, (ROWS, COLS)), classes=classes)
    whole = {"event": {"time": "2024-04-02T23:58:00Z"}, "s2": {"post": str(safe)}, **document}
    return open_inputs(Scene.model_validate(whole, context={"folder": tmp_path}))


def water(inputs: SceneInputs, block: Block | None = None) -> np.ndarray:
    return read_channels(inputs, [WATER_CLASS], block or Block(0, 0, ROWS, COLS))[0]


def lake() -> np.ndarray:
    found = np.zeros((ROWS, COLS), np.float32)
    found[30:90, 20:50] = 1
    return found


def codes(inputs: SceneInputs) -> set[str]:
    return {notice.code for notice in inputs.notices}


def vector(path: Path, outline: shapely.Geometry, crs: int = EPSG) -> Path:
    gpd.GeoSeries([outline], crs=EPSG).to_crs(crs).to_file(path)
    return path


@pytest.mark.parametrize(("name", "crs"), [("lake.gpkg", EPSG), ("lake.geojson", 4326), ("lake.shp", 32650)])
def test_polygons_are_water_in_any_projection(tmp_path, name, crs):
    inputs = opened(tmp_path, water=str(vector(tmp_path / name, shapely.box(*LAKE), crs)))
    np.testing.assert_array_equal(water(inputs), lake())
    np.testing.assert_array_equal(water(inputs, Block(17, 31, 50, 40)), lake()[17:67, 31:71])
    assert tmp_path / name in inputs.files


def test_a_raster_is_water_above_0_and_unknown_where_it_has_no_data(tmp_path):
    values = (lake() * 2)[::3, ::3].astype(np.uint8)  # 2 is a lake in the masks of Copernicus
    values[:5] = 255
    with rasterio.open(
        tmp_path / "wbm.tif", "w", driver="GTiff", width=values.shape[1], height=values.shape[0], count=1,
        dtype="uint8", nodata=255, crs=f"EPSG:{EPSG}", transform=Affine(30, 0, LEFT, 0, -30, TOP),
    ) as file:  # fmt: skip
        file.write(values, 1)
    found = water(opened(tmp_path, water=str(tmp_path / "wbm.tif")))
    assert np.isnan(found[:15]).all()
    np.testing.assert_array_equal(found[15:], np.repeat(np.repeat(values, 3, 0), 3, 1)[15:ROWS, :COLS] > 0)


def test_mask_and_classification_are_joined(tmp_path):
    classes = np.full((ROWS // 2, COLS // 2), 4, np.uint8)
    classes[:, 50:] = 6
    classes[:, :5] = 0
    inputs = opened(tmp_path, classes=classes, water=str(vector(tmp_path / "lake.gpkg", shapely.box(*LAKE))))
    expected = lake()
    expected[:, 100:] = 1
    np.testing.assert_array_equal(water(inputs), expected)
    assert water_known(inputs)


def test_a_mask_beside_the_grid_is_said(tmp_path):
    path = vector(tmp_path / "lake.gpkg", shapely.box(*LAKE).buffer(10), EPSG)
    moved = shapely.box(LEFT + 90_000, TOP - 900, LEFT + 91_000, TOP)
    assert "W382" in codes(opened(tmp_path / "a", water=str(vector(tmp_path / "far.gpkg", moved))))
    assert "W382" not in codes(opened(tmp_path / "b", water=str(path)))


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("water.geojson", '{"type": "FeatureCollection", "features": []}', "E150"),
        ("water.tif", "no raster", "E101"),
        ("water.geojson", json.dumps({"type": "Point", "coordinates": [121, 24]}), "E152"),
    ],
)
def test_what_is_no_mask_is_refused(tmp_path, name, text, code):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as refused:
        opened(tmp_path, water=str(tmp_path / name))
    assert refused.value.code == code


def tile(folder: Path, name: str, left: float, crs: str = f"EPSG:{EPSG}", value: float = 0.0) -> Path:
    """Heights that rise to the east, 30 m pixels, with a fill of SRTM in one corner."""
    folder.mkdir(exist_ok=True)
    east = left + 30 * (np.arange(40) + 0.5) - LEFT
    heights = np.tile(500 + 0.3 * east + value, (60, 1)).astype(np.float32)
    heights[-3:, :3] = -32767
    with rasterio.open(
        folder / name, "w", driver="GTiff", width=40, height=60, count=1, dtype="float32", crs=crs,
        transform=Affine(30, 0, left, 0, -30, TOP + 30),
    ) as file:  # fmt: skip
        file.write(heights, 1)
    return folder / name


def test_tiles_of_a_folder_that_cover_the_grid_are_joined(tmp_path):
    folder = tmp_path / "dem"
    names = [f"Copernicus_DSM_COG_10_N24_00_E12{i}_00_DEM.tif" for i in range(3)]
    for i, name in enumerate(names):
        tile(folder, name, LEFT - 600 + 1200 * i)
    tile(folder, names[0].replace("_DEM", "_WBM"), LEFT - 600, value=900)
    tile(folder / "far", names[1], LEFT + 600_000)
    (folder / "readme.txt").write_text("no raster")
    inputs = opened(tmp_path, dem=str(folder))
    assert {folder / name for name in names[:2]} == {path for path in inputs.files if "dem" in path.parts}
    assert inputs.dem is not None
    found = elevation_block(inputs.dem, inputs.grid, Block(0, 0, ROWS, COLS))
    inner = found[:, 5:-5]
    np.testing.assert_allclose(
        inner[np.isfinite(inner)],
        np.broadcast_to(500 + 3 * (np.arange(COLS) + 0.5)[5:-5], inner.shape)[np.isfinite(inner)],
        atol=0.01,
    )
    assert np.isfinite(inner).mean() > 0.9


def copernicus_tile(path: Path, west: float, south: float, rows: int, cols: int, edge: float) -> Path:
    """Heights that rise to the north-east; half a pixel off whole degrees, as GLO-30 lies."""
    dx, dy = edge / cols, edge / rows
    transform = Affine(dx, 0, west - dx / 2, 0, -dy, south + edge + dy / 2)
    lon, lat = (np.arange(n) + 0.5 for n in (cols, rows))
    heights = rising(*np.meshgrid(transform.c + lon * dx, transform.f - lat * dy)).astype(np.float32)
    with rasterio.open(
        path, "w", driver="GTiff", width=cols, height=rows, count=1, dtype="float32", crs="EPSG:4326",
        transform=transform,
    ) as file:  # fmt: skip
        file.write(heights, 1)
    return path


def rising(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    return 500 + 20_000 * (lon - 121) + 10_000 * (lat - 24)


def test_tiles_of_different_pixel_widths_are_joined_without_a_seam(tmp_path):
    """As north and south of 50, 60, 70 and 80 degrees."""
    right, bottom = LEFT + 10 * COLS, TOP - 10 * ROWS
    lon, lat = (np.array(at) for at in rasterio.warp.transform(
        f"EPSG:{EPSG}", "EPSG:4326", [(LEFT + right) / 2, LEFT], [(TOP + bottom) / 2, TOP]))  # fmt: skip
    folder, edge = tmp_path / "dem", 0.02
    folder.mkdir()
    for i, west in enumerate((lon[0] - edge, lon[0])):
        copernicus_tile(folder / f"south{i}.tif", west, lat[0] - edge, 72, 72, edge)
        copernicus_tile(folder / f"north{i}.tif", west, lat[0], 72, 48, edge)
    for given in (str(folder), [str(path) for path in sorted(folder.iterdir())]):
        inputs = opened(tmp_path / str(type(given)), dem=given)
        assert inputs.dem is not None
        assert len([path for path in inputs.files if path.parent == folder]) == 4
        assert short_name(inputs.dem.path) == "north0.tif and 3 more"
        found = elevation_block(inputs.dem, inputs.grid, Block(0, 0, ROWS, COLS))
        cols, rows = np.meshgrid(LEFT + 10 * (np.arange(COLS) + 0.5), TOP - 10 * (np.arange(ROWS) + 0.5))
        at = rasterio.warp.transform(f"EPSG:{EPSG}", "EPSG:4326", cols.ravel(), rows.ravel())
        np.testing.assert_allclose(found.ravel(), rising(*map(np.array, at)), atol=0.05)
        halves = [elevation_block(inputs.dem, inputs.grid, Block(r, 0, ROWS // 2, COLS)) for r in (0, 64)]
        assert np.concatenate(halves).tobytes() == found.tobytes()


def test_a_folder_without_a_tile_of_the_scene_is_refused(tmp_path):
    tile(tmp_path / "dem", "far.tif", LEFT + 600_000)
    with pytest.raises(InputError) as refused:
        opened(tmp_path, dem=str(tmp_path / "dem"))
    assert refused.value.code == "E101"


def test_heights_above_the_ellipsoid_are_reported(tmp_path):
    below = tile(tmp_path / "dem", "sea.tif", LEFT, f"EPSG:{EPSG}+5773")
    assert "I381" not in codes(opened(tmp_path / "a", dem=str(below)))
    path = tmp_path / "dem" / "ellipsoid.tif"
    left, top = rasterio.warp.transform(f"EPSG:{EPSG}", "EPSG:4326", [LEFT], [TOP])
    with rasterio.open(
        path, "w", driver="GTiff", width=80, height=80, count=1, dtype="float32", crs="EPSG:4979",
        transform=Affine(0.0003, 0, left[0] - 0.005, 0, -0.0003, top[0] + 0.005),
    ) as file:  # fmt: skip
        file.write(np.arange(6400, dtype=np.float32).reshape(80, 80), 1)
    assert "I381" in codes(opened(tmp_path / "b", dem=str(path)))
