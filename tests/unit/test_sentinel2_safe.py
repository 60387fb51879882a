"""SAFE products: real metadata as the parser's truth, small fakes for the pixels."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS

from landslide_map.inputs.scene_inputs import OpticalImage
from landslide_map.inputs.sentinel2.image import open_optical
from landslide_map.inputs.sentinel2.safe import read_product
from landslide_map.scene.model import OpticalSpec
from tests.support import messages
from tests.support.raised import raised
from tests.support.safe_product import LEFT, TOP, land, write_product, zipped
from tests.support.shared_data import shared_data

EVENT = datetime(2024, 4, 2, 23, 58, tzinfo=UTC)


def opened(path: Path, **spec: object) -> tuple[OpticalImage, list[str]]:
    image, notices, _ = open_optical(OpticalSpec(path=path, **spec), EVENT)
    return image, [notice.code for notice in notices]


@pytest.mark.parametrize(
    ("name", "baseline", "offset", "epsg", "corner", "zenith"),
    [
        (
            "S2A_MSIL2A_20190212T192651_N0212_R013_T07HFE_20201007T160857",
            "02.12",
            None,
            32707,
            (600000, 6500020),
            32.7,
        ),
        (
            "esa_S2B_MSIL2A_20210122T133229_N0214_R081_T22HBD_20210122T155500",
            "02.14",
            None,
            32722,
            (199980, 5900020),
            32.4,
        ),
        (
            "S2B_MSIL2A_20220413T150759_N0400_R025_T33XWJ_20220414T082126",
            "04.00",
            -1000,
            32633,
            (499980, 8900040),
            76.5,
        ),
        (
            "S2A_MSIL2A_20230821T221941_N0509_R029_T01KAB_20230822T021825",
            "05.09",
            -1000,
            32701,
            (99960, 8200000),
            38.4,
        ),
    ],
)
def test_real_metadata_are_understood(
    name: str,
    baseline: str,
    offset: float | None,
    epsg: int,
    corner: tuple[float, float],
    zenith: float,
    tmp_path: Path,
) -> None:
    """The fixtures hold metadata only: empty files take the place of images."""
    folder = shutil.copytree(shared_data("fixtures", "s2_safe_metadata", f"{name}.SAFE"), tmp_path / "S.SAFE")
    tree = ElementTree.parse(next(folder.glob("MTD_MSIL2A.xml")))
    for image in tree.iter("IMAGE_FILE"):
        path = folder / f"{str(image.text).strip()}.jp2"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    product = read_product(folder)
    truth = json.loads((folder / "expected_output.json").read_text())
    assert product.baseline == baseline == truth["properties"].get("s2:processing_baseline", baseline)
    assert product.add_offset == offset
    assert product.quantification == 10000
    assert product.acquired == datetime.fromisoformat(truth["properties"]["datetime"])
    assert product.sun_zenith == pytest.approx(zenith, abs=0.05)
    assert product.grid is not None
    assert product.grid.crs == CRS.from_epsg(epsg)
    assert (product.grid.transform.c, product.grid.transform.f) == corner
    assert tuple(product.grid.transform)[:2] == (10, 0)
    assert product.grid.shape == (10980, 10980)


def test_real_image_lists_name_the_10_m_bands() -> None:
    folder = shared_data("fixtures", "s2_safe_metadata")
    for product in sorted(folder.glob("*.SAFE")):
        with raised("E101", "B04_10m not found", messages.BELOW_GRANULE):
            read_product(product)


@pytest.mark.parametrize("packing", ["folder", "zip", "xml", "parent"])
def test_a_product_gives_its_pixels_whatever_its_packing(tmp_path: Path, packing: str) -> None:
    pixels = land(offset=1000)
    safe = write_product(tmp_path, pixels, classes=np.full((64, 60), 4, np.uint8))
    path = {"folder": safe, "zip": safe, "xml": safe / "MTD_MSIL2A.xml", "parent": tmp_path}[packing]
    image, codes = opened(zipped(path) if packing == "zip" else path)
    assert set(image.bands) == {"red", "green", "blue", "nir"}
    for band, raster in image.bands.items():
        with rasterio.open(raster.path) as dataset:
            assert np.array_equal(dataset.read(1), pixels[band])
        assert (raster.grid.transform.c, raster.grid.transform.f) == (LEFT, TOP)
        assert raster.nodata == (0, 65535)
    assert (image.scale, image.offset) == (1, 0)
    assert image.acquired == datetime(2024, 4, 10, 2, 25, 29, 24000, tzinfo=UTC)
    assert image.scene_classification is not None
    assert image.scene_classification.grid.transform.a == 20
    assert codes == []


def test_file_names_match_in_any_case(tmp_path: Path) -> None:
    image, _ = opened(write_product(tmp_path, land(1000), xml="MTD_MSIL2a.xml", suffix=".JP2"))
    assert image.baseline == "05.10"


def test_all_files_read_are_listed_for_the_manifest(tmp_path: Path) -> None:
    safe = write_product(tmp_path, land(1000))
    files = open_optical(OpticalSpec(path=safe), EVENT)[2]
    assert sorted(file.name.split("_")[-1] for file in files) == ["10m.jp2"] * 4 + ["MSIL2A.xml", "TL.xml"]
    assert all(file.is_file() for file in files)
    archive = zipped(safe)
    assert open_optical(OpticalSpec(path=archive), EVENT)[2] == (archive,)


@pytest.mark.parametrize(
    ("baseline", "acquired", "stored_offset", "added"),
    [
        ("02.14", "2024-04-10T02:25:29.024Z", 0, 1000),
        ("03.01", "2024-04-10T02:25:29.024Z", 0, 1000),
        ("04.00", "2024-04-10T02:25:29.024Z", 1000, 0),
        ("05.00", "2024-04-10T02:25:29.024Z", 1000, 0),
    ],
)
def test_the_baseline_decides_the_offset(
    tmp_path: Path, baseline: str, acquired: str, stored_offset: int, added: int
) -> None:
    safe = write_product(tmp_path, land(stored_offset), baseline=baseline, acquired=acquired)
    image, codes = opened(safe)
    assert (image.scale, image.offset) == (1, added)
    assert f"baseline {baseline}" in image.offset_reason
    assert ("W202" in codes) == (added == 1000)
    assert "W203" not in codes


def test_a_reprocessed_old_scene_keeps_its_offset(tmp_path: Path) -> None:
    """Collection 1 gave scenes of 2020 the offset: the baseline decides, never the date."""
    safe = write_product(tmp_path, land(1000), baseline="05.00", acquired="2020-09-14T23:15:59.024Z")
    image, _, _ = open_optical(OpticalSpec(path=safe), datetime(2020, 9, 1, tzinfo=UTC))
    assert image.offset == 0


@pytest.mark.parametrize(("baseline", "stored", "added"), [("05.10", 0, 1000), ("02.14", 1000, 1000)])
def test_dark_pixels_win_over_metadata_and_bright_ones_do_not_over_those_of_the_product(
    tmp_path: Path, baseline: str, stored: int, added: int
) -> None:
    image, codes = opened(write_product(tmp_path, land(stored), baseline=baseline))
    assert image.offset == added
    assert "W203" in codes


def test_low_sun_a_late_date_and_cloud_are_noticed(tmp_path: Path) -> None:
    classes = np.full((64, 60), 9, np.uint8)
    classes[:20] = 4
    safe = write_product(tmp_path, land(1000), acquired="2024-07-10T02:25:29Z", zenith=76.5, classes=classes)
    _, codes = opened(safe)
    assert codes.count("W209") == 2
    assert "W207" in codes


def test_a_mostly_empty_tile_is_noticed_and_zero_is_missing(tmp_path: Path) -> None:
    pixels = land(1000)
    for band in pixels.values():
        band[:, :80] = 0
    _, codes = opened(write_product(tmp_path, pixels))
    assert codes == ["W210", "I213"]


@pytest.mark.parametrize("written", [5000, 20000])
def test_another_quantification_scales_numbers_and_offset_alike(tmp_path: Path, written: int) -> None:
    """ESA: reflectance = (DN + BOA_ADD_OFFSET) / QUANTIFICATION; training DN = 10000 * reflectance + 1000."""
    reflectance = {band: (values - 1000.0) / 10000 for band, values in land(1000).items()}
    stored = {
        band: (values * written + 0.1 * written).round().astype(np.uint16)
        for band, values in reflectance.items()
    }
    safe = write_product(tmp_path, stored)
    metadata = safe / "MTD_MSIL2A.xml"
    text = metadata.read_text().replace(">10000<", f">{written}<").replace(">-1000<", f">{-0.1 * written}<")
    metadata.write_text(text)
    image, _ = opened(safe)
    made = stored["nir"] * image.scale + image.offset
    np.testing.assert_allclose(made, 10000 * reflectance["nir"] + 1000, atol=1.0)
