"""EOPF Zarr products: the same numbers as the SAFE product, from a folder and from a zip."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from landslide_map.errors import InputError
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.sentinel2.eopf import ARRAYS, read_store
from landslide_map.inputs.sentinel2.image import open_optical
from landslide_map.mapping.file_hashes import input_identities
from landslide_map.raster.open import open_band, opened
from landslide_map.scene.model import OpticalSpec, Scene
from tests.support.safe_product import EPSG, LEFT, TOP, land
from tests.support.shared_data import shared_data
from tests.support.zarr_zip import zipped

EVENT = datetime.fromisoformat("2025-09-30T00:00:00Z")
NAME = "S2A_MSIL2A_20251008T100041_N0511_R122_T51RUH_20251008T122613"


def write_store(
    folder: Path, *, pixels: dict[str, np.ndarray] | None = None, root: dict | None = None
) -> Path:
    """Write a product of version 2 with uncompressed arrays and the attributes of the real ones."""
    store = folder / f"{NAME}.zarr"
    pixels = pixels or land(1000)
    root = root or {
        "stac_discovery": {
            "id": f"{NAME}.SAFE",
            "bbox": [122.4, 23.9, 121.0, 24.4],
            "properties": {
                "datetime": None,
                "start_datetime": "2025-10-08T10:00:41.024Z",
                "eopf:baseline": "05.11",
                "processing:version": "",
            },
        }
    }
    entries: dict[str, Any] = {".zgroup": {"zarr_format": 2}, ".zattrs": root}
    for band, array in ARRAYS.items():
        if band == "scl":
            rows, cols = pixels["red"].shape
            values, pixel = np.full((rows // 2, cols // 2), 4, np.uint8), 20
        else:
            values, pixel = pixels[band].astype("<u2"), 10
        for parent in [p.as_posix() for p in Path(array).parents if p.as_posix() != "."]:
            entries[f"{parent}/.zgroup"] = {"zarr_format": 2}
        entries[f"{array}/.zarray"] = {
            "zarr_format": 2,
            "shape": values.shape,
            "chunks": values.shape,
            "dtype": values.dtype.str,
            "compressor": None,
            "fill_value": 0 if band != "scl" else None,
            "filters": None,
            "order": "C",
            "dimension_separator": ".",
        }
        entries[f"{array}/.zattrs"] = {
            "_ARRAY_DIMENSIONS": ["y", "x"],
            "proj:epsg": EPSG,
            "scale_factor": 1e-4,
            "add_offset": -0.1,
            "proj:transform": [pixel, 0, LEFT, 0, -pixel, TOP, 0, 0, 1],
            "proj:shape": values.shape,
        }
        (store / array).mkdir(parents=True)
        (store / array / "0.0").write_bytes(values.tobytes())
    for name, content in entries.items():
        (store / name).parent.mkdir(parents=True, exist_ok=True)
        (store / name).write_text(json.dumps(content))
    (store / ".zmetadata").write_text(json.dumps({"zarr_consolidated_format": 1, "metadata": entries}))
    return store


INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize("packing", ["folder", "flat zip", "zip with a top folder"])
def test_the_numbers_are_those_of_the_safe_product(tmp_path: Path, packing: str):
    path = store = write_store(tmp_path)
    if packing != "folder":
        path = zipped(store, "" if packing == "flat zip" else f"{store.name}/")
    image, notices, files = open_optical(OpticalSpec(path=path), EVENT)
    assert (image.scale, image.offset, image.baseline) == (1, 0, "05.11")
    assert image.acquired == datetime.fromisoformat("2025-10-08T10:00:41.024Z")
    assert image.scene_classification is not None
    for band, raster in image.bands.items():
        with opened(raster.path) as dataset:
            assert np.array_equal(dataset.read(1), land(1000)[band]), band
        assert (raster.grid.crs.to_epsg(), raster.grid.transform.c, raster.grid.transform.f) == (
            EPSG,
            LEFT,
            TOP,
        )
    assert not [n for n in notices if n.code == "W203"]
    assert len(input_identities(files)) >= (6 if packing == "folder" else 1)


def test_a_store_gives_the_grid_of_a_scene(tmp_path: Path):
    scene = Scene.model_validate({"event": {"time": EVENT}, "s2": {"post": write_store(tmp_path)}})
    inputs = open_inputs(scene)
    assert inputs.grid.shape == land(1000)["red"].shape
    assert inputs.grid.crs.to_epsg() == EPSG


def test_the_metadata_of_real_products_are_understood(tmp_path: Path):
    for name, epsg in (("S2A_MSIL2A_20251008", 32632), ("S2C_MSIL2A_20250811", None)):
        path = shared_data("fixtures", "catalogues", "eopf", f"zarr_v2_metadata_tree_{name}.json")
        tree = json.loads(path.read_text())
        entries: dict[str, Any] = {}

        def add(node: dict[str, Any], where: str, entries: dict[str, Any] = entries) -> None:
            entries[f"{where}.zattrs"] = node["attributes"]
            if "shape" in node:
                entries[f"{where}.zarray"] = {"shape": node["shape"]}
            for key, child in node.get("members", {}).items():
                add(child, f"{where}{key}/")

        add(tree, "")
        store = tmp_path / f"{name}.zarr"
        store.mkdir()
        (store / ".zmetadata").write_text(json.dumps({"metadata": entries}))
        found = read_store(store)
        assert found.baseline == "05.11"
        assert found.acquired is not None
        assert f"{found.acquired:%Y%m%d}" == name[-8:]
        assert set(found.arrays) == set(ARRAYS)
        assert found.arrays["red"][1].shape == (10980, 10980)
        assert found.arrays["scl"][1].shape == (5490, 5490)
        assert epsg is None or found.arrays["red"][1].crs.to_epsg() == epsg


def test_unusual_times_and_properties_of_a_store_are_skipped(tmp_path: Path):
    for number, properties in enumerate([[], {"start_datetime": "0001-01-01T00:00:00+14:00"}]):
        store = write_store(tmp_path / str(number))
        change(store, lambda e, own=properties: e[".zattrs"]["stac_discovery"].update(properties=own))
        found = read_store(store)
        assert found.acquired is not None
        assert found.acquired.year >= 2015


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda s: (s / ".zmetadata").write_text("{"), "E101"),
        (lambda s: (s / ".zmetadata").write_text('{"metadata": []}'), "E101"),
        (lambda s: (s / ".zmetadata").rename(s / "zarr.json"), "E101"),
        (lambda s: change(s, lambda e: e.pop(f"{ARRAYS['nir']}/.zarray")), "E101"),
        (lambda s: change(s, lambda e: e[f"{ARRAYS['nir']}/.zattrs"].pop("proj:transform")), "E101"),
        (lambda s: change(s, lambda e: e[f"{ARRAYS['nir']}/.zattrs"].update({"proj:epsg": "no"})), "E101"),
        (
            lambda s: change(
                s, lambda e: e[f"{ARRAYS['nir']}/.zattrs"].update({"proj:epsg": "http://127.0.0.1:1/crs"})
            ),
            "E101",
        ),
        (
            lambda s: change(
                s,
                lambda e: e[f"{ARRAYS['nir']}/.zattrs"].update(
                    {"proj:transform": [10, 0, float("nan"), 0, -10, 0]}
                ),
            ),
            "E101",
        ),
        (
            lambda s: change(s, lambda e: e[f"{ARRAYS['nir']}/.zarray"].update(shape=[float("inf"), 3])),
            "E101",
        ),
        (lambda s: change(s, lambda e: e[f"{ARRAYS['nir']}/.zarray"].update(shape=[7, 7])), "E109"),
        (lambda s: (s / ARRAYS["nir"] / "0.0").write_bytes(b"short"), "E101"),
        (
            lambda s: change(
                s, lambda e: e[".zattrs"]["stac_discovery"].update(id=NAME.replace("L2A", "L1C"))
            ),
            "E201",
        ),
    ],
)
def test_a_spoiled_store_has_its_code(tmp_path: Path, spoil, code: str):
    store = write_store(tmp_path)
    spoil(store)
    with pytest.raises(InputError) as error:
        open_optical(OpticalSpec(path=store), EVENT)
    assert error.value.code == code


def change(store: Path, spoil) -> None:
    document = json.loads((store / ".zmetadata").read_text())
    spoil(document["metadata"])
    (store / ".zmetadata").write_text(json.dumps(document))


def test_a_decoded_band_keeps_its_place(tmp_path: Path):
    store = read_store(write_store(tmp_path))
    array, grid = store.arrays["red"]
    assert open_band(array, placed=grid).grid == grid


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"chunks": [100_000, 100_000]}, "E112"),
        ({"chunks": [10**9, 10**9]}, "E112"),
        ({"chunks": [0, 0]}, "E101"),
        ({"compressor": {"id": "pickle"}}, "E101"),
        ({"compressor": {"id": [1]}}, "E101"),
        ({"compressor": {"id": "zstd", "level": 1}}, "E101"),
        ({"filters": [{"id": "zlib"}, {"id": "json2"}]}, "E101"),
        ({"dimension_separator": "/../"}, "E101"),
        ({"fill_value": "hello"}, "E101"),
        ({"dtype": "|O"}, "E101"),
    ],
)
def test_unusual_arrays_are_refused(tmp_path: Path, fields: dict[str, Any], code: str):
    store = write_store(tmp_path)
    document = json.loads((store / ".zmetadata").read_text())
    for array in ARRAYS.values():
        own = document["metadata"][f"{array}/.zarray"]
        own |= fields
        (store / array / ".zarray").write_text(json.dumps(own))
    (store / ".zmetadata").write_text(json.dumps(document))
    with pytest.raises(InputError) as caught:
        open_optical(OpticalSpec(path=store), EVENT)
    assert caught.value.code == code


def test_references_to_other_files_are_not_followed(tmp_path: Path):
    store = write_store(tmp_path)
    document = json.loads((store / ".zmetadata").read_text())
    (store / ".zmetadata").write_text(json.dumps({**document, "record_size": 1000}))
    with pytest.raises(InputError) as caught:
        open_optical(OpticalSpec(path=store), EVENT)
    assert caught.value.code == "E113"
