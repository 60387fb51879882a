"""Folders of Sentinel-2 band files: which file is which band, and what each maker's numbers mean."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio

from landslide_map.check.check_scene import describe_inputs
from landslide_map.errors import InputError
from landslide_map.grid import Block
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.sentinel2.families import resolved
from landslide_map.inputs.sentinel2.image import open_optical
from landslide_map.scene.model import OpticalSpec, Scene
from landslide_map.stack.acquisitions import read_acquisition
from tests.support.rasters import grid_at, write_band
from tests.support.safe_product import EPSG, LEFT, TOP, land, write_product
from tests.support.shared_data import shared_data

EVENT = datetime.fromisoformat("2024-04-02T23:58:00Z")
CODES = {"blue": "B02", "green": "B03", "red": "B04", "nir": "B08"}


def bands(folder: Path, name: str, offset: int = 1000, *, dtype: str = "uint16", short: bool = False) -> None:
    """Write the four bands; `name` has a place for the band's code."""
    for band, pixels in land(offset).items():
        code = CODES[band].replace("B0", "B") if short else CODES[band]
        path = folder / name.format(code, band)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_band(path, pixels.astype(dtype), grid_at(EPSG, LEFT, TOP, pixels.shape))


def aws(folder: Path) -> None:
    bands(folder, "R10m/{}.tif")
    bands(folder, "R20m/{}.tif")
    (folder / "tileInfo.json").write_text(json.dumps({"timestamp": "2024-04-10T02:30:12.345Z"}))


def earth_search(folder: Path) -> None:
    bands(folder / "S2B_MSIL2A_20240410T022529_N0510_R046_T51RUH_20240410T045508", "{}.tif")


def colours(folder: Path) -> None:
    bands(folder / "S2B_MSIL2A_20240410T022529_N0510_R046_T51RUH_20240410T045508", "{1}.tif")


def planetary_computer(folder: Path) -> None:
    bands(
        folder / "S2B_MSIL2A_20240410T022529_N0510_R046_T51RUH_20240410T045508",
        "T51RUH_20240410T022529_{}_10m.tif",
    )


def maja(folder: Path) -> None:
    stem = "SENTINEL2B_20240410-022529-461_L2A_T51RUH_D"
    bands(folder / stem, f"{stem}_V1-1_FRE_{{}}.tif", 0, dtype="int16", short=True)
    bands(folder / stem, f"{stem}_V1-1_SRE_{{}}.tif", 0, dtype="int16", short=True)


@pytest.mark.parametrize(
    ("make", "offset"),
    [(aws, 0), (earth_search, 0), (colours, 0), (planetary_computer, 0), (maja, 1000)],
)
def test_a_folder_of_bands_is_an_image(tmp_path: Path, make, offset: float):
    make(tmp_path)
    image, _, files = open_optical(OpticalSpec(path=tmp_path), EVENT)
    assert set(image.bands) == set(CODES)
    assert image.acquired is not None
    assert f"{image.acquired:%Y%m%d}" == "20240410"
    assert (image.scale, image.offset) == (1, offset), "added to reach the numbers of training"
    for band, raster in image.bands.items():
        with rasterio.open(raster.path) as dataset:
            assert np.array_equal(dataset.read(1), land(1000 - int(offset))[band]), band
    assert not any("R20m" in str(path) or "SRE" in str(path) for path in files)


def test_a_zip_alone_in_a_folder_is_taken(tmp_path: Path):
    path = tmp_path / "S2B_MSIL2A_20240410T022529_N0510_R046_T51RUH_20240410T045508.SAFE.zip"
    path.write_bytes(b"")
    assert resolved(OpticalSpec(path=tmp_path)).path == path


def test_two_images_in_a_folder_are_not_mixed(tmp_path: Path):
    earth_search(tmp_path)
    bands(tmp_path / "S2B_MSIL2A_20240415T022529_N0510_R046_T51RUH_20240415T045508", "{}.tif")
    with pytest.raises(InputError) as error:
        open_optical(OpticalSpec(path=tmp_path), EVENT)
    assert error.value.code == "E101"


def test_a_folder_without_bands_is_no_image(tmp_path: Path):
    with pytest.raises(InputError) as error:
        open_optical(OpticalSpec(path=tmp_path), EVENT)
    assert error.value.code == "E101"


@pytest.mark.parametrize(
    ("folder", "taken"),
    [
        ("S2A_OPER_MSI_L2A_TL_VGS1_20220401T110010_A035382_T34LBQ", "2022-04-01T09:03:19"),
        ("S2A_T60CWS_20240109T203651_L2A", "2024-01-09T18:47:54"),
        ("S2B_MSIL2A_20200914T231559_N0500_R087_T01VCG_20230315T224658", "2020-09-14T23:19:31"),
    ],
)
def test_real_metadata_of_aws_hold_the_sensing_time_of_a_tile(tmp_path: Path, folder: str, taken: str):
    metadata = shared_data("fixtures", "s2_aws_tile_metadata", folder)
    for path in metadata.rglob("*"):
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    bands(tmp_path, "R10m/{}.tif")
    found = resolved(OpticalSpec(path=tmp_path))
    assert found.datetime is not None
    assert f"{found.datetime:%Y-%m-%dT%H:%M:%S}" == taken


def sentinel_hub(path: Path, bands: list[np.ndarray], *, mask: np.ndarray | None, said: bool) -> OpticalSpec:
    """Write a response of the Process API: bands of one type in the order of the evalscript."""
    stacked = [*bands, *([] if mask is None else [mask.astype(bands[0].dtype)])]
    write_band(path, np.stack(stacked), grid_at(EPSG, LEFT, TOP, bands[0].shape))
    if said:
        with rasterio.open(path, "r+") as out:
            for number, name in enumerate(["B04", "B03", "B02", "B08", "dataMask"][: len(stacked)], 1):
                out.set_band_description(number, name)
    numbers = {} if said else {"bands": {"red": 1, "green": 2, "blue": 3, "nir": 4}}
    return OpticalSpec.model_validate({"path": path, "datetime": "2024-04-10T02:25:29Z"} | numbers)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("kind", ["reflectance", "harmonised", "raw"])
def test_what_sentinel_hub_returns_becomes_training_numbers(tmp_path: Path, kind: str, masked: bool):
    """Reflectance in floats, harmonised numbers (no offset, none below 0), raw ones; a corner is missing."""
    dn = land(1000)
    outside = np.zeros(dn["red"].shape, bool)
    outside[:20, :30] = True
    stored = {
        "reflectance": [(dn[b].astype(np.float32) - 1000) / 10000 for b in dn],
        "harmonised": [np.maximum(dn[b].astype(int) - 1000, 0).astype(np.uint16) for b in dn],
        "raw": [dn[b].astype(np.uint16) for b in dn],
    }[kind]
    order = [list(dn).index(band) for band in ("red", "green", "blue", "nir")]
    values = [np.where(outside, 0, stored[i]).astype(stored[i].dtype) for i in order]
    spec = sentinel_hub(tmp_path / "response.tif", values, mask=~outside if masked else None, said=masked)
    if kind == "reflectance":
        spec = spec.model_copy(update={"units": "reflectance"})
    scene = Scene.model_validate({"event": {"time": EVENT}, "s2": {"post": spec}})
    inputs = open_inputs(scene)
    rows, cols = inputs.grid.shape
    for band in CODES:
        seen = read_acquisition(inputs, band, Block(0, 0, rows, cols))
        assert np.isnan(seen[outside]).all()
        assert np.allclose(seen[~outside], np.maximum(dn[band], 1)[~outside], atol=1), band


@pytest.mark.parametrize(("satellite", "baseline"), [("S2C", "05.11"), ("S2C", "05.12"), ("S2D", "05.13")])
def test_newer_satellites_and_baselines_are_known(tmp_path: Path, satellite: str, baseline: str):
    safe = write_product(tmp_path, land(1000), baseline=baseline)
    name = f"{satellite}_MSIL2A_20240410T022529_N{baseline.replace('.', '')}_R046_T51RUH_20240410T045508.SAFE"
    metadata = safe / "MTD_MSIL2A.xml"
    metadata.write_text(metadata.read_text().replace(safe.name, name))
    path = safe.rename(safe.with_name(name))
    inputs = open_inputs(Scene.model_validate({"event": {"time": EVENT}, "s2": {"post": path}}))
    found = describe_inputs(inputs)["sentinel2"]
    assert (found["platform"], found["relative_orbit"], found["baseline"]) == (satellite, 46, baseline)
    assert found["offset"] == 0
    assert found["sources"]["acquired"] == "metadata"
