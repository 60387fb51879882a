"""Images in several files: exports that were cut, products of one tile, variables of NetCDF."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from rasterio.crs import CRS

from landslide_map.bands import OPTICAL
from landslide_map.errors import InputError
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.scene.model import Scene
from landslide_map.stack.acquisitions import read_acquisition
from tests.support.rasters import whole
from tests.support.safe_product import BANDS, EPSG, LEFT, TOP, land, write_product, zipped

EVENT = "2024-04-02T23:58:00Z"
AFTER = "2024-04-10T02:25:29Z"
FACTS = {"offset": "present", "datetime": AFTER}
PIXELS = land(1000)


def opened(folder: Path, post: Any, **more: Any) -> SceneInputs:
    document = {"event": {"time": EVENT}, "s2": {"post": post}, **more}
    return open_inputs(Scene.model_validate(document, context={"folder": folder}))


def read(inputs: SceneInputs) -> np.ndarray[Any, Any]:
    return np.stack([read_acquisition(inputs, band, whole(inputs.grid)) for band in OPTICAL])


def write_part(
    path: Path, rows: slice = slice(None), cols: slice = slice(None), crs: int = EPSG, **options: Any
) -> str:
    """Write a part of the image with its four bands."""
    pixels = np.stack([PIXELS[band][rows, cols] for band in BANDS]).astype(options.pop("dtype", "uint16"))
    corner = Affine(10, 0, LEFT + 10 * (cols.start or 0), 0, -10, TOP - 10 * (rows.start or 0))
    profile = {"count": 4, "dtype": pixels.dtype, "crs": CRS.from_epsg(crs), "transform": corner}
    shape = {"height": pixels.shape[1], "width": pixels.shape[2]}
    with rasterio.open(path, "w", driver="GTiff", **{**profile, **shape, **options}) as dataset:
        dataset.write(pixels)
        dataset.descriptions = tuple(BANDS.values())
    return path.name


@pytest.fixture
def expected(tmp_path: Path) -> np.ndarray[Any, Any]:
    return read(opened(tmp_path, {"path": write_part(tmp_path / "whole.tif"), **FACTS}))


CUTS: dict[str, list[tuple[slice, slice]]] = {
    "west, east": [(slice(None), slice(0, 50)), (slice(None), slice(50, 120))],
    "south, north": [(slice(70, 128), slice(None)), (slice(0, 70), slice(None))],
    "four": [(slice(r, r + 64), slice(c, c + 60)) for r in (0, 64) for c in (0, 60)],
    "overlapping": [(slice(None), slice(0, 80)), (slice(None), slice(40, 120))],
}


@pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("how", [{}, {"nodata": 0}, {"dtype": "float32", "nodata": np.nan}], ids=str)
def test_parts_are_read_as_the_whole(
    cuts: list[tuple[slice, slice]], how: dict[str, Any], expected: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    names = [write_part(tmp_path / f"{i}.tif", *cut, **how) for i, cut in enumerate(cuts)]
    inputs = opened(tmp_path, {"path": names, **FACTS})
    np.testing.assert_array_equal(read(inputs), expected)
    assert [file.name for file in inputs.files] == names
    assert inputs.optical is not None
    assert inputs.optical.product == f"{names[0]} and {len(names) - 1} more"


def test_lists_of_band_files_and_of_mappings(expected: np.ndarray[Any, Any], tmp_path: Path) -> None:
    halves = {"w": slice(0, 60), "e": slice(60, 120)}
    for name, cols in halves.items():
        for band, code in BANDS.items():
            with rasterio.open(
                tmp_path / f"{code}_{name}.tif",
                "w",
                driver="GTiff",
                width=60,
                height=128,
                count=1,
                dtype="uint16",
                crs=CRS.from_epsg(EPSG),
                transform=Affine(10, 0, LEFT + 10 * cols.start, 0, -10, TOP),
            ) as dataset:
                dataset.write(PIXELS[band][:, cols], 1)
    lists = {code: [f"{code}_{name}.tif" for name in halves] for code in BANDS.values()}
    mappings = [{code: f"{code}_{name}.tif" for code in BANDS.values()} | FACTS for name in halves]
    for post in (lists | FACTS, mappings):
        np.testing.assert_array_equal(read(opened(tmp_path, post)), expected)


def test_one_file_of_an_export_stands_for_all_and_none_may_lack(
    expected: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    west = write_part(tmp_path / "s2-0000000000-0000000000.tif", cols=slice(0, 64))
    east = write_part(tmp_path / "s2-0000000000-0000000064.tif", cols=slice(64, 120))
    for post in (west, [west, east], [east]):
        found = opened(tmp_path, {"path": post, **FACTS})
        np.testing.assert_array_equal(read(found), expected)
    (tmp_path / west).unlink()
    assert refused(tmp_path, {"path": east, **FACTS}) == "E101"


def test_values_below_a_mask_stay_out_of_the_other_part(tmp_path: Path) -> None:
    """The first part lies on top, but where its mask says that there is nothing the other one shows."""
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        first = write_part(tmp_path / "a.tif", dtype="float32")
        with rasterio.open(tmp_path / first, "r+") as dataset:
            mask = np.full(dataset.shape, 255, np.uint8)
            mask[:, 60:] = 0
            dataset.write(np.where(mask, dataset.read(), 9999))
            dataset.write_mask(mask)
    second = write_part(tmp_path / "b.tif", cols=slice(60, 120), dtype="float32")
    found = opened(tmp_path, {"path": [first, second], **FACTS})
    alone = opened(tmp_path, {"path": write_part(tmp_path / "c.tif", dtype="float32"), **FACTS})
    np.testing.assert_array_equal(read(found), read(alone))


def test_two_products_of_one_tile_and_day(tmp_path: Path) -> None:
    """A datatake may end within a tile: each product holds a half, the rest is 0."""
    halves = []
    for name, keep in (("west", slice(0, 60)), ("east", slice(60, 120))):
        pixels = {band: np.zeros_like(values) for band, values in PIXELS.items()}
        for band, values in PIXELS.items():
            pixels[band][:, keep] = values[:, keep]
        (tmp_path / name).mkdir()
        halves.append(zipped(write_product(tmp_path / name, pixels)))
    (tmp_path / "whole").mkdir()
    both = opened(tmp_path, list(map(str, halves)))
    alone = opened(tmp_path, str(write_product(tmp_path / "whole", PIXELS)))
    np.testing.assert_array_equal(read(both), read(alone))


SPOILED: dict[str, Callable[[Path], Any]] = {
    "another zone": lambda f: write_part(f / "b.tif", cols=slice(60, 120), crs=32652),
    "half a pixel": lambda f: write_part(
        f / "b.tif", cols=slice(60, 120), transform=Affine(10, 0, LEFT + 605, 0, -10, TOP)
    ),
    "another pixel size": lambda f: write_part(
        f / "b.tif", cols=slice(60, 120), transform=Affine(20, 0, LEFT + 600, 0, -20, TOP)
    ),
    "another kind of number": lambda f: write_part(f / "b.tif", cols=slice(60, 120), dtype="float32"),
    "another day": lambda f: {
        "path": write_part(f / "b.tif", cols=slice(60, 120)),
        "offset": "present",
        "datetime": "2024-04-15T02:25:29Z",
    },
    "another offset": lambda f: {
        "path": write_part(f / "b.tif", cols=slice(60, 120)),
        "offset": "absent",
        "datetime": AFTER,
    },
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_parts_that_are_not_of_one_image_are_refused(spoil: Callable[[Path], Any], tmp_path: Path) -> None:
    first = {"path": write_part(tmp_path / "a.tif", cols=slice(0, 60)), **FACTS}
    second = spoil(tmp_path)
    assert (
        refused(tmp_path, [first, second if isinstance(second, dict) else {**FACTS, "path": second}])
        == "E109"
    )


def test_elevation_in_tiles(tmp_path: Path) -> None:
    scene = {"path": write_part(tmp_path / "s2.tif"), **FACTS}
    tiles = []
    for i, cols in enumerate((slice(0, 60), slice(60, 120))):
        tiles.append(write_part(tmp_path / f"dem{i}.tif", cols=cols, dtype="float32"))
        with rasterio.open(tmp_path / tiles[-1]) as dataset:
            heights, profile = dataset.read(1) % 800, dataset.profile | {"count": 1}
        with rasterio.open(tmp_path / tiles[-1], "w", **profile) as dataset:
            dataset.write(heights, 1)
    inputs = opened(tmp_path, scene, dem=tiles)
    assert inputs.dem is not None
    assert inputs.dem.grid == inputs.grid
    assert {"dem0.tif", "dem1.tif"} < {file.name for file in inputs.files}


def netcdf(path: Path, *, placed: bool = True, times: int = 0) -> str:
    """Write a variable for each band, as openEO does."""
    rows, cols = PIXELS["red"].shape
    x = xr.Variable("x", LEFT + 5 + 10.0 * np.arange(cols))
    y = xr.Variable("y", TOP - 5 - 10.0 * np.arange(rows))
    if placed:
        x.attrs["standard_name"], y.attrs["standard_name"] = (f"projection_{a}_coordinate" for a in "xy")
    wkt = CRS.from_epsg(EPSG).to_wkt()
    data = xr.Dataset(coords={"x": x, "y": y})
    data["crs"] = xr.DataArray(0, attrs={"spatial_ref": wkt, "crs_wkt": wkt})
    for band, code in (("blue", "B02"), ("green", "B03"), ("red", "B04"), ("nir", "B08")):
        values = PIXELS[band].astype("int16")
        dims: tuple[str, ...] = ("y", "x")
        if times:
            values, dims = np.stack([values] * times), ("t", *dims)
        data[code] = xr.DataArray(values, dims=dims, attrs={"grid_mapping": "crs"})
    data.to_netcdf(path, engine="scipy")
    return path.name


def test_variables_of_a_netcdf_file_are_bands(expected: np.ndarray[Any, Any], tmp_path: Path) -> None:
    numbers = {"bands": {"blue": 1, "green": 2, "red": 3, "nir": 4}}
    for facts in (FACTS, FACTS | numbers):
        post = {"path": netcdf(tmp_path / "a.nc"), **facts}
        inputs = opened(tmp_path, post)
        np.testing.assert_array_equal(read(inputs), expected)
        assert [file.name for file in inputs.files] == ["a.nc"]


@pytest.mark.parametrize(
    ("how", "facts", "code"),
    [
        ({"placed": False}, {}, "E103"),
        ({"times": 2}, {}, "E101"),
        ({}, {"bands": {"blue": 2, "green": 1, "red": 3, "nir": 4}}, "E206"),
        ({}, {"bands": {"blue": 1, "green": 2, "red": 3, "nir": 9}}, "E101"),
    ],
)
def test_a_netcdf_file_that_cannot_be_read_as_it_is(
    how: dict[str, Any], facts: dict[str, Any], code: str, tmp_path: Path
) -> None:
    assert refused(tmp_path, {"path": netcdf(tmp_path / "a.nc", **how), **FACTS, **facts}) == code


def refused(folder: Path, post: Any) -> str:
    with pytest.raises(InputError) as caught:
        opened(folder, post)
    return caught.value.code
