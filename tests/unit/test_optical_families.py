"""Folders of Sentinel-2 band files: which file is which band, and what each maker's numbers mean."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from landslide_map.errors import InputError
from landslide_map.inputs.sentinel2.families import resolved
from landslide_map.inputs.sentinel2.image import open_optical
from landslide_map.scene.model import OpticalSpec
from tests.support.safe_product import EPSG, LEFT, TOP, land

EVENT = datetime.fromisoformat("2024-04-02T23:58:00Z")
CODES = {"blue": "B02", "green": "B03", "red": "B04", "nir": "B08"}


def bands(folder: Path, name: str, offset: int = 1000, *, dtype: str = "uint16", short: bool = False) -> None:
    """Write the four bands; `name` has a place for the band's code."""
    for band, pixels in land(offset).items():
        code = CODES[band].replace("B0", "B") if short else CODES[band]
        path = folder / name.format(code, band)
        path.parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=pixels.shape[1],
            height=pixels.shape[0],
            count=1,
            dtype=dtype,
            crs=f"EPSG:{EPSG}",
            transform=Affine(10, 0, LEFT, 0, -10, TOP),
        ) as out:
            out.write(pixels.astype(dtype), 1)


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
