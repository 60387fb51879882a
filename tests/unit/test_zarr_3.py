"""Zarr stores of version 3: EOPF products with digital numbers, and GeoZarr with reflectance."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from rasterio.windows import Window

from landslide_map.errors import LandslideMapError
from landslide_map.grid import Block, Grid
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.sentinel2.eopf import ARRAYS
from landslide_map.inputs.sentinel2.image import open_optical
from landslide_map.raster.band import RasterBand
from landslide_map.raster.dataset import open_dataset
from landslide_map.raster.nodata import read_valid
from landslide_map.scene.model import OpticalSpec, Scene
from landslide_map.stack.acquisitions import read_acquisition
from tests.support.safe_product import EPSG, LEFT, TOP, land
from tests.support.shared_data import shared_data
from tests.support.zarr_zip import zipped

EVENT = datetime.fromisoformat("2026-09-20T00:00:00Z")
NAME = "S2C_MSIL2A_20260927T100041_N0513_R122_T51RUH_20260927T122613"
CHUNK = 32


def write_store(folder: Path, *, geozarr: bool, attributes: dict[str, Any] | None = None) -> Path:
    """Write a product: plain chunks of digital numbers, or shards of reflectance without the offset."""
    store = folder / f"{NAME}.zarr"
    root = zarr.create_group(store)
    if not geozarr:
        root.attrs["stac_discovery"] = {
            "id": NAME,
            "properties": {"start_datetime": "2026-09-27T10:00:41.024Z", "processing:version": "05.13"},
        }
    for band, name in ARRAYS.items():
        dn = land(1000)["red" if band == "scl" else band]
        values, pixel = dn.astype(np.uint16), 10
        if band == "scl":
            values, pixel = np.full((dn.shape[0] // 2, dn.shape[1] // 2), 4, np.uint8), 20
        elif geozarr:
            values = ((dn - 1000.0) / 10000).astype(np.float32)
            values[:3] = np.nan
        packed: dict[str, Any] = {"chunks": (CHUNK, CHUNK)}
        if geozarr and band != "scl":
            packed |= {
                "shards": tuple(-(-size // CHUNK) * CHUNK for size in values.shape),
                "fill_value": np.nan,
            }
        array = root.create_array(name, shape=values.shape, dtype=values.dtype, **packed)
        array[:] = values
        where = {
            "proj:transform": [pixel, 0, LEFT, 0, -pixel, TOP, 0, 0, 1],
            "proj:epsg": EPSG,
            "spatial:bbox": [0.0, 0.0, 0.0, 0.0],
        }
        array.attrs.update((attributes or {}) | where)
    return store


@pytest.mark.parametrize("packing", ["folder", "flat zip", "zip with a top folder"])
@pytest.mark.parametrize("geozarr", [False, True])
def test_the_numbers_on_the_grid_are_those_of_the_safe_product(tmp_path: Path, packing: str, geozarr: bool):
    path = store = write_store(tmp_path, geozarr=geozarr)
    if packing != "folder":
        path = zipped(store, "" if packing == "flat zip" else f"{store.name}/")
    inputs = open_inputs(Scene.model_validate({"event": {"time": EVENT}, "s2": {"post": path}}))
    assert inputs.optical is not None
    assert (inputs.optical.baseline, inputs.optical.acquired and inputs.optical.acquired.day) == ("05.13", 27)
    rows, cols = inputs.grid.shape
    assert (inputs.grid.crs.to_epsg(), inputs.grid.bounds[0], inputs.grid.bounds[3]) == (EPSG, LEFT, TOP)
    top = 3 if geozarr else 0
    for band, dn in land(1000).items():
        seen = read_acquisition(inputs, band, Block(0, 0, rows, cols))
        assert np.isnan(seen[:top]).all()
        assert np.allclose(seen[top:], dn[top:], atol=0.01), band
    assert not {notice.code for notice in inputs.notices} & {"W202", "W203"} - (
        {"W202"} if geozarr else set()
    )


def test_the_attributes_of_a_real_geozarr_are_understood(tmp_path: Path):
    path = shared_data("fixtures/catalogues/eopf/zarr_v3_geozarr_tree_S2A_MSIL2A_20251008.json")
    node = json.loads(path.read_text())
    for name in ARRAYS["red"].split("/"):
        node = node["members"][name]
    store = write_store(tmp_path, geozarr=True)
    array = store / ARRAYS["red"] / "zarr.json"
    own = json.loads(array.read_text())
    real = {**node, "shape": own["shape"], "chunk_grid": own["chunk_grid"], "codecs": own["codecs"]}
    real["attributes"] |= {key: own["attributes"][key] for key in ("proj:transform", "proj:epsg")}
    array.write_text(json.dumps(real))
    image, _, _ = open_optical(OpticalSpec(path=store), EVENT)
    assert (image.scale, image.offset) == (10000, 1000)


def test_a_window_and_fewer_pixels_are_those_of_the_array(tmp_path: Path):
    store = write_store(tmp_path, geozarr=False)
    red = land(1000)["red"]
    with open_dataset(f'ZARR:"{store}":/{ARRAYS["red"]}') as dataset:
        assert np.array_equal(dataset.read(1, window=Window(5, 30, 40, 10)), red[30:40, 5:45])
        grid = Grid(None, None, *red.shape[::-1])  # type: ignore[arg-type]
        third = read_valid(dataset, RasterBand("", grid), Window(0, 0, 60, 60), (20, 20))
    assert np.array_equal(third, red[1:60:3, 1:60:3])


def spoiled_json(change: dict[str, Any]):
    def spoil(store: Path) -> None:
        path = store / ARRAYS["red"] / "zarr.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | change))

    return spoil


def cut_chunk(store: Path) -> None:
    for path in (store / ARRAYS["red"] / "c").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:7])


@pytest.mark.parametrize(
    "spoil",
    [
        spoiled_json({"codecs": [{"name": "numcodecs.pickle"}]}),
        spoiled_json({"codecs": [{"name": "bytes"}, {"name": "no_such"}]}),
        spoiled_json({"shape": [10, 10, 10]}),
        spoiled_json({"shape": "many"}),
        spoiled_json({"attributes": {}}),
        spoiled_json({"data_type": "complex64"}),
        cut_chunk,
        lambda store: (store / ARRAYS["red"] / "zarr.json").write_text("{"),
        lambda store: (store / ARRAYS["nir"] / "zarr.json").unlink(),
    ],
)
def test_a_damaged_store_has_a_code(tmp_path: Path, spoil: Any):
    store = write_store(tmp_path, geozarr=False)
    spoil(store)
    with pytest.raises(LandslideMapError) as error:
        open_optical(OpticalSpec(path=store), EVENT)
    assert error.value.code == "E101"


def test_without_the_package_what_to_install_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = write_store(tmp_path, geozarr=False)
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(LandslideMapError) as error:
        open_optical(OpticalSpec(path=store), EVENT)
    assert error.value.code == "E612"
