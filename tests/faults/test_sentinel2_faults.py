"""Sentinel-2 input that must be refused: class, code and message."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio

from landslide_map.inputs.sentinel2.image import open_optical
from landslide_map.scene.model import OpticalSpec
from tests.support.raised import raised
from tests.support.rasters import grid_at, write_band
from tests.support.safe_product import BANDS, land, write_product, zipped

EVENT = datetime(2024, 4, 2, 23, 58, tzinfo=UTC)
GRID = grid_at(32651, 300000, 2700000, (128, 120))


def refused(code: str, said: str, event: datetime = EVENT, **spec: object) -> str:
    with raised(code, said) as caught:
        open_optical(OpticalSpec(**spec), event)
    assert caught.value.exit_status == 4
    assert "\n" not in caught.value.message
    return caught.value.message


def band_files(folder: Path, pixels: dict[str, np.ndarray], prefix: str = "") -> dict[str, Path]:
    paths = {BANDS[band]: folder / f"{prefix}{BANDS[band]}.tif" for band in pixels}
    for band, values in pixels.items():
        write_band(paths[BANDS[band]], values, GRID)
    return paths


def test_a_missing_product(tmp_path: Path) -> None:
    refused("E101", "no such file", path=tmp_path / "S2A.SAFE.zip")


def test_a_folder_without_product_metadata(tmp_path: Path) -> None:
    refused("E101", "there is no MTD_MSIL2A.xml", path=tmp_path)


def test_a_truncated_zip(tmp_path: Path) -> None:
    archive = zipped(write_product(tmp_path, land(1000)))
    archive.write_bytes(archive.read_bytes()[:-4000])
    refused("E101", "not a whole zip file", path=archive)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_truncated_image(tmp_path: Path, share: float) -> None:
    safe = write_product(tmp_path, land(1000))
    image = next(safe.rglob("*_B03_10m.jp2"))
    image.write_bytes(image.read_bytes()[: int(share * image.stat().st_size)])
    assert "B03_10m.jp2" in refused("E101", "truncated", path=safe)


@pytest.mark.parametrize("name", ["MTD_MSIL2A.xml", "MTD_TL.xml"])
def test_truncated_metadata(tmp_path: Path, name: str) -> None:
    safe = write_product(tmp_path, land(1000))
    metadata = next(safe.rglob(name))
    metadata.write_text(metadata.read_text()[:400])
    refused("E101", f"{name}: cannot be read", path=safe)


def test_a_missing_band_in_a_product(tmp_path: Path) -> None:
    safe = write_product(tmp_path, land(1000))
    next(safe.rglob("*_B08_10m.jp2")).unlink()
    refused("E101", "B08_10m not found; looked for", path=safe)


@pytest.mark.parametrize("packed", [False, True])
def test_level_1c_by_its_metadata(tmp_path: Path, packed: bool) -> None:
    safe = write_product(tmp_path, land(1000), kind="S2MSI1C")
    refused("E201", "Level-2A is needed", path=zipped(safe) if packed else safe)


def test_level_1c_by_its_layout(tmp_path: Path) -> None:
    folder = tmp_path / "S2B_MSIL1C_20240410T022529_N0510_R046_T51RUH_20240410T045508.SAFE"
    folder.mkdir()
    (folder / "MTD_MSIL1C.xml").write_text("<x/>")
    refused("E201", "Level-1C", path=folder)


def test_level_1c_by_the_name_of_band_files(tmp_path: Path) -> None:
    files = band_files(tmp_path, land(1000), "S2B_MSIL1C_20240410T022529_N0510_")
    refused("E201", "Level-1C", **files)


def test_an_image_from_before_the_event(tmp_path: Path) -> None:
    safe = write_product(tmp_path, land(1000), acquired="2024-03-30T23:58:00Z")
    refused("E208", "3.0 days before the event", path=safe)


def test_a_declared_date_before_the_event(tmp_path: Path) -> None:
    early = datetime(2024, 4, 1, tzinfo=UTC)
    refused("E208", "post-event image is needed", **band_files(tmp_path, land(1000)), datetime=early)


def test_an_image_of_the_very_time_of_the_event(tmp_path: Path) -> None:
    refused("E208", "0.0 days before the event", **band_files(tmp_path, land(1000)), datetime=EVENT)


def test_metadata_and_images_that_lie_elsewhere(tmp_path: Path) -> None:
    safe = write_product(tmp_path, land(1000), left=310000)
    refused("E109", "MTD_TL.xml says", path=safe)


def test_bands_of_different_grids(tmp_path: Path) -> None:
    files = band_files(tmp_path, land(1000))
    write_band(files["B08"], land(1000)["nir"][::2, ::2], grid_at(32651, 300000, 2700000, (64, 60), 20))
    refused("E109", "on one grid", **files)


def test_a_classification_of_another_tile(tmp_path: Path) -> None:
    files = band_files(tmp_path, land(1000))
    elsewhere = grid_at(32651, 409800, 2700000, (64, 60), 20)
    write_band(tmp_path / "scl.tif", np.full((64, 60), 4, np.uint8), elsewhere)
    refused("E109", "expected the SCL of the same image", **files, SCL=tmp_path / "scl.tif")


def test_bands_of_different_dates(tmp_path: Path) -> None:
    files = band_files(tmp_path, land(1000), "T51RUH_20240410T022529_")
    files["B04"] = files["B04"].rename(tmp_path / "T51RUH_20240415T022529_B04.tif")
    refused("E109", "different times", **files)


@pytest.mark.parametrize(
    ("stored", "stated", "right"), [(1000, "absent", "present"), (0, "present", "absent")]
)
def test_an_offset_that_the_pixels_contradict(tmp_path: Path, stored: int, stated: str, right: str) -> None:
    files = band_files(tmp_path, land(stored))
    refused("E204", f"says offset: {stated}, the pixels say {right}", **files, offset=stated)


def test_an_offset_that_nothing_decides(tmp_path: Path) -> None:
    """A bright desert without the offset looks like a darker one with it: a refusal, never a guess."""
    rng = np.random.default_rng(0)
    desert = {
        band: rng.normal(level, 60, GRID.shape).astype(np.uint16)
        for band, level in {"blue": 1700, "green": 2300, "red": 3000, "nir": 3600}.items()
    }
    files = band_files(tmp_path, desert)
    refused("E204", "offset: present or offset: absent", **files)


def test_reflectance_declared_as_digital_numbers(tmp_path: Path) -> None:
    pixels = {band: (values / 10000).astype(np.float32) for band, values in land(0).items()}
    refused("E205", "write units: reflectance", **band_files(tmp_path, pixels))


def test_digital_numbers_declared_as_reflectance(tmp_path: Path) -> None:
    refused("E205", "write units: dn", **band_files(tmp_path, land(1000)), units="reflectance")


def test_an_8_bit_picture(tmp_path: Path) -> None:
    pixels = {band: np.clip(values // 40, 1, 255).astype(np.uint8) for band, values in land(0).items()}
    refused("E205", "8-bit picture", **band_files(tmp_path, pixels))


@pytest.mark.parametrize(("one", "other"), [("B04", "B08"), ("B04", "B02")])
@pytest.mark.parametrize("stored", [0, 1000])
def test_swapped_bands(tmp_path: Path, one: str, other: str, stored: int) -> None:
    files = band_files(tmp_path, land(stored))
    files = {key: path.rename(tmp_path / f"{i}.tif") for i, (key, path) in enumerate(files.items())}
    files[one], files[other] = files[other], files[one]
    stated = "absent" if stored == 0 else "present"
    refused("E206", "look swapped", **files, offset=stated)


@pytest.mark.parametrize(("one", "other"), [("B03", "B04"), ("B02", "B03"), ("B08", "B04")])
def test_files_named_after_each_other_s_band(tmp_path: Path, one: str, other: str) -> None:
    """Pixels do not separate red from green, or green from blue; names do."""
    files = band_files(tmp_path, land(1000), "T51RUH_20240410T022529_")
    files[one], files[other] = files[other], files[one]
    said = refused("E206", "its name says", **files)
    assert any(f"its name says {name};" in said for name in (one, other))


def test_one_file_listed_as_two_bands(tmp_path: Path) -> None:
    files = band_files(tmp_path, land(1000))
    files["B03"] = files["B04"].rename(tmp_path / "export.tif")
    files["B04"] = files["B03"]
    refused("E206", "red and green hold the same value in 100%", **files)


@pytest.mark.parametrize("name", ["classes.tif", "T51RUH_20240410T022529_B04_20m.tif"])
def test_a_classification_that_is_another_band(tmp_path: Path, name: str) -> None:
    """It would say of no pixel that it is cloud, and clouds would be classified as ground."""
    files = band_files(tmp_path, land(1000))
    write_band(tmp_path / name, land(1000)["red"], GRID)
    said = "expected the scene classification" if name == "classes.tif" else "its name says B04"
    refused("E206", said, **files, SCL=tmp_path / name)


def test_reflectance_that_kept_the_offset_may_not_be_called_without(tmp_path: Path) -> None:
    pixels = {band: (values / 10000).astype(np.float32) for band, values in land(1000).items()}
    files = band_files(tmp_path, pixels)
    refused(
        "E204", "says offset: absent, the pixels say present", **files, units="reflectance", offset="absent"
    )


def test_an_empty_image(tmp_path: Path) -> None:
    pixels = {band: np.zeros_like(values) for band, values in land(1000).items()}
    refused("E106", "the image is empty", **band_files(tmp_path, pixels))


def test_a_multi_band_raster_whose_bands_are_unknown(tmp_path: Path) -> None:
    write_band(tmp_path / "s2.tif", land(1000)["red"], GRID)
    refused("E101", "bands: {red: 1", path=tmp_path / "s2.tif")


def test_a_band_number_that_does_not_exist(tmp_path: Path) -> None:
    write_band(tmp_path / "s2.tif", land(1000)["red"], GRID)
    numbers = {"red": 1, "green": 2, "blue": 3, "nir": 4}
    refused("E101", "there is no band 2, the file has 1", path=tmp_path / "s2.tif", bands=numbers)


def test_a_raster_without_projection(tmp_path: Path) -> None:
    files = band_files(tmp_path, land(1000))
    with rasterio.open(files["B04"]) as dataset:
        values = dataset.read(1)
    profile = {"width": 120, "height": 128, "count": 1, "dtype": "uint16", "transform": GRID.transform}
    with rasterio.open(files["B04"], "w", driver="GTiff", **profile) as dataset:
        dataset.write(values, 1)
    refused("E103", "no coordinate reference system", **files)
