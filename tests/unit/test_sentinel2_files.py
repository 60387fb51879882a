"""Loose Sentinel-2 rasters: which band is which, date and baseline from names, the offset, zeros."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio

from landslide_map.errors import InputError
from landslide_map.grid import Block
from landslide_map.inputs.scene_inputs import OpticalImage
from landslide_map.inputs.sentinel2.band_files import baseline_in_names, dates_in_names
from landslide_map.inputs.sentinel2.image import open_optical
from landslide_map.inputs.sentinel2.offset import BandSample, offset_verdict
from landslide_map.raster.resample import read_block
from landslide_map.scene.model import OpticalSpec
from tests.support.rasters import grid_at, write_band
from tests.support.safe_product import BANDS, land
from tests.support.shared_data import shared_data

EVENT = datetime(2017, 1, 1, tzinfo=UTC)
GRID = grid_at(32651, 300000, 2700000, (128, 120))
BGRN = ("blue", "green", "red", "nir")


def opened(**spec: object) -> tuple[OpticalImage, list[str]]:
    image, notices, _ = open_optical(OpticalSpec(**spec), EVENT)
    return image, [notice.code for notice in notices]


def band_files(folder: Path, offset: int, prefix: str = "", nodata: float | None = None) -> dict[str, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    files = {BANDS[band]: folder / f"{prefix}{BANDS[band]}_10m.tif" for band in BANDS}
    for band, values in land(offset).items():
        write_band(files[BANDS[band]], values, GRID)
        if nodata is not None:
            with rasterio.open(files[BANDS[band]], "r+") as dataset:
                dataset.nodata = nodata
    return files


def multi_band(path: Path, order: list[str], descriptions: list[str | None], offset: int = 1000) -> Path:
    pixels = land(offset)
    profile = {"width": 120, "height": 128, "count": len(order), "dtype": "uint16"}
    with rasterio.open(
        path, "w", driver="GTiff", crs=GRID.crs, transform=GRID.transform, **profile
    ) as dataset:
        for number, (band, description) in enumerate(zip(order, descriptions, strict=True), 1):
            dataset.write(pixels[band], number)
            if description:
                dataset.set_band_description(number, description)
    return path


@pytest.mark.parametrize(
    "descriptions",
    [
        ["B02", "B03", "B04", "B08"],
        ["B2", "B3", "B4", "B8"],
        ["blue", "green", "red", "nir"],
        ["B2_blue", "B3_green", "B4_red", "B8 (NIR)"],
    ],
)
def test_band_descriptions_name_the_bands(tmp_path: Path, descriptions: list[str | None]) -> None:
    path = multi_band(tmp_path / "s2.tif", ["blue", "green", "red", "nir"], descriptions)
    image, codes = opened(path=path)
    assert {name: band.index for name, band in image.bands.items()} == {
        "blue": 1,
        "green": 2,
        "red": 3,
        "nir": 4,
    }
    assert image.offset == 0
    assert "W213" in codes  # no name holds the date


def test_the_narrow_infrared_and_red_edge_are_not_taken_for_nir_and_red(tmp_path: Path) -> None:
    order = ["red", "red", "nir", "nir", "green", "blue"]
    names: list[str | None] = ["red edge 1", "B04", "B8A narrow nir", "B08", "B03", "B02"]
    image, _ = opened(path=multi_band(tmp_path / "s2.tif", order, names))
    assert {name: band.index for name, band in image.bands.items()} == {
        "red": 2,
        "nir": 4,
        "green": 5,
        "blue": 6,
    }


def test_declared_numbers_win_over_descriptions(tmp_path: Path) -> None:
    path = multi_band(tmp_path / "s2.tif", ["red", "green", "blue", "nir"], [None] * 4)
    image, _ = opened(path=path, bands={"red": 1, "green": 2, "blue": 3, "nir": 4})
    assert image.bands["nir"].index == 4


def test_a_lacking_band_is_noticed_and_has_no_entry(tmp_path: Path) -> None:
    path = multi_band(
        tmp_path / "s2.tif", ["red", "green", "blue"], ["B4_red", "B3_green", "B2_blue"], offset=0
    )
    image, codes = opened(path=path)
    assert set(image.bands) == {"red", "green", "blue"}
    assert "W211" in codes


def test_date_and_baseline_come_from_the_parent_folder(tmp_path: Path) -> None:
    folder = tmp_path / "S2B_MSIL2A_20220413T150759_N0400_R025_T33XWJ_20220414T082126.SAFE" / "R10m"
    image, codes = opened(**band_files(folder, 1000, "T33XWJ_20220413T150759_"))
    assert image.acquired == datetime(2022, 4, 13, 15, 7, 59, tzinfo=UTC)
    assert image.baseline == "04.00"
    assert image.offset_reason.startswith("processing baseline 04.00")
    assert "W213" not in codes


@pytest.mark.parametrize(
    ("path", "date", "baseline"),
    [
        ("/a/T33XWJ_20220413T150759_B02_10m.jp2", datetime(2022, 4, 13, 15, 7, 59, tzinfo=UTC), None),
        ("/S2A_MSIL2A_20190212T192651_N0212_R013_T07HFE_20201007T160857/x.tif",
         datetime(2019, 2, 12, 19, 26, 51, tzinfo=UTC), "02.12"),
        # The clock of this BigEarthNet folder lost its zero and names a 61st second.
        ("/S2B_MSIL2A_20180204T94161_57_38/B02.tif", datetime(2018, 2, 4, 9, 42, 1, tzinfo=UTC), None),
        ("/data/red.tif", None, None),
    ],
)  # fmt: skip
def test_names_give_date_and_baseline(path: str, date: datetime | None, baseline: str | None) -> None:
    assert dates_in_names([path]) == date
    assert baseline_in_names([path]) == baseline


def test_a_declared_date_wins_over_the_name_and_says_so(tmp_path: Path) -> None:
    when = datetime(2022, 5, 1, tzinfo=UTC)
    image, codes = opened(**band_files(tmp_path, 1000, "T33XWJ_20220413T150759_"), datetime=when)
    assert image.acquired == when
    assert "W213" in codes


@pytest.mark.parametrize(("stored", "added"), [(0, 1000), (1000, 0)])
@pytest.mark.parametrize("stated", ["auto", "right"])
def test_the_offset_of_loose_files_is_decided_on_pixels_or_stated(
    tmp_path: Path, stored: int, added: int, stated: str
) -> None:
    offset = stated if stated == "auto" else ("present" if stored else "absent")
    image, codes = opened(**band_files(tmp_path, stored), offset=offset)
    assert (image.scale, image.offset) == (1, added)
    assert ("W202" in codes) == (added == 1000)


def test_reflectance_becomes_training_numbers(tmp_path: Path) -> None:
    """A reflectance of 0.03 is a training DN of 1300, by hand."""
    files = {}
    for band, values in land(0).items():
        files[BANDS[band]] = tmp_path / f"{band}.tif"
        write_band(files[BANDS[band]], (values / 10000).astype(np.float32), GRID)
    image, _ = opened(**files, units="reflectance")
    assert 0.03 * image.scale + image.offset == pytest.approx(1300)


@pytest.mark.parametrize("stated", ["auto", "present"])
def test_digital_numbers_divided_with_the_offset_in_them_are_not_given_it_twice(
    tmp_path: Path, stated: str
) -> None:
    """A DN of 1300 (reflectance 0.03) divided by 10000 is 0.13: it must become 1300 again."""
    files = {}
    for band, values in land(1000).items():
        files[BANDS[band]] = tmp_path / f"{band}.tif"
        write_band(files[BANDS[band]], (values / 10000).astype(np.float32), GRID)
    image, codes = opened(**files, units="reflectance", offset=stated)
    assert 0.13 * image.scale + image.offset == pytest.approx(1300)
    assert ("W203" in codes) == (stated == "auto")


@pytest.mark.parametrize(("columns", "said"), [(60, True), (120, False), (0, False)])
def test_a_mosaic_of_images_with_and_without_the_offset_is_doubtful(
    tmp_path: Path, columns: int, said: bool
) -> None:
    """Either is taken for the whole, and 1000 DN are wrong in the other part."""
    files = {}
    for band, values in land(1000, (256, 240)).items():
        files[BANDS[band]] = tmp_path / f"{band}.tif"
        mixed = values.astype(int)
        mixed[:, : 2 * columns] -= 1000
        write_band(files[BANDS[band]], mixed.clip(1).astype(np.uint16), grid_at(32651, 0, 0, (256, 240)))
    _, notices, _ = open_optical(OpticalSpec(**files), EVENT)
    reported = [n.message for n in notices if n.code == "W203"]
    assert len(reported) == said
    assert not said or "present in 8 and absent in 8 places" in reported[0]


def test_numbers_clipped_for_display_are_doubtful(tmp_path: Path) -> None:
    """Where 2500 is white, NIR of forest and bright scars are all alike."""
    files = {}
    for band, values in land(1000).items():
        files[BANDS[band]] = tmp_path / f"{band}.tif"
        write_band(files[BANDS[band]], values.clip(0, 3500), GRID)
    _, notices, _ = open_optical(OpticalSpec(**files), EVENT)
    reported = [n.message for n in notices if n.code == "W350"]
    assert len(reported) == 1
    assert "in nir have its highest value, 3500 DN" in reported[0]


def test_nodata_is_declared_tagged_or_zero(tmp_path: Path) -> None:
    plain, _ = opened(**band_files(tmp_path / "plain", 1000))
    tagged, _ = opened(**band_files(tmp_path / "tagged", 1000, nodata=65535))
    declared, _ = opened(**band_files(tmp_path / "declared", 1000, nodata=65535), nodata=(7,))
    none, _ = opened(**band_files(tmp_path / "none", 1000), nodata=())
    assert [image.bands["red"].nodata for image in (plain, tagged, declared, none)] == [
        (0, 65535),
        (65535, 0),
        (7,),
        (),
    ]


def test_zeros_in_one_band_only_are_reported(tmp_path: Path) -> None:
    files = band_files(tmp_path, 0)
    dark = land(0)["nir"]
    dark[:5] = 0
    write_band(files["B08"], dark, GRID)
    assert "I212" in opened(**files)[1]
    assert "I212" not in opened(**files, nodata=())[1]


def test_cloud_in_the_classification_does_not_hide_the_offset() -> None:
    """Two thirds cloud, by SCL: the rest decides."""
    pixels = land(0)
    classes = np.full((128, 120), 4, np.float32)
    classes[:85] = 9
    for band in pixels.values():
        band[:85] = 9000
    sample = BandSample({name: values.astype(np.float32) for name, values in pixels.items()}, classes)
    assert offset_verdict(sample)[0] == "absent"


def test_snow_does_not_prove_the_offset() -> None:
    snow = {band: np.full((50, 50), level, np.float32) for band, level in
            {"blue": 7000, "green": 6900, "red": 6800, "nir": 6000}.items()}  # fmt: skip
    assert offset_verdict(BandSample(snow))[0] == "undecided"


@pytest.mark.parametrize(
    ("plants", "water", "verdict"),
    [
        # Haze lifts plants without the offset to 1000; the water beside them shows that it is haze.
        ((1100, 1150, 1000, 3500), (450, 400, 300, 100), "undecided"),
        ((1100, 1150, 1000, 3500), (1300, 1250, 1100, 1050), "present"),
        # Between 700 and 900 nothing is proven; up to 700 absence is.
        ((850, 900, 800, 3500), (1300, 1250, 1100, 1050), "undecided"),
        ((850, 900, 700, 3500), (1300, 1250, 1100, 1050), "absent"),
    ],
)
def test_plants_prove_the_offset_only_where_nothing_is_darker(
    plants: tuple[int, ...], water: tuple[int, ...], verdict: str
) -> None:
    """Blue, green, red and NIR of the upper four fifths of an image, and of the rest."""
    bands = {name: np.full((50, 50), level, np.float32) for name, level in zip(BGRN, plants, strict=True)}
    for name, level in zip(BGRN, water, strict=True):
        bands[name][40:] = level
    assert offset_verdict(BandSample(bands))[0] == verdict


@pytest.mark.parametrize(
    ("site", "verdict"),
    [
        ("282D_485L_3_3", "absent"),
        ("38D_378R_2_3", "absent"),
        ("433D_629L_3_1", "present"),  # its lowest B12, which haze cannot lift, is 1087
        ("609U_541L_3_0", "undecided"),  # snow
        ("637U_59R_1_3", "absent"),
    ],
)
def test_the_verdict_on_real_images(site: str, verdict: str) -> None:
    with rasterio.open(shared_data("real", "terramind", "S2L2A", f"{site}.tif")) as dataset:
        stored = dataset.read([2, 3, 4, 8]).astype(np.float32)
    assert offset_verdict(BandSample(dict(zip(BGRN, stored, strict=True))))[0] == verdict


def test_the_real_snowy_image_is_not_taken_for_one_with_the_offset() -> None:
    name = "S2B_MSIL2A_20180204T94161_57_38"
    folder = shared_data("real", "bigearthnet", "BigEarthNet-S2-Example", name)
    image, _ = opened(**{band: folder / f"{name}_{band}.tif" for band in BANDS.values()}, offset="absent")
    assert image.offset == 1000


def test_the_hokkaido_image_is_read_without_nir() -> None:
    image, codes = opened(path=shared_data("real", "hokkaido_2018", "s2_post_rgb_utm54n_10m.tif"))
    assert {name: band.index for name, band in image.bands.items()} == {"red": 1, "green": 2, "blue": 3}
    assert image.offset == 1000
    assert "W211" in codes


def test_coarse_pixels_are_reported(tmp_path: Path) -> None:
    files = band_files(tmp_path, 1000)
    for band, values in land(1000).items():
        write_band(files[BANDS[band]], values[::2, ::2], grid_at(32651, 300000, 2700000, (64, 60), 20))
    assert "W214" in opened(**files)[1]


@pytest.mark.parametrize("tag", [None, 0.0])
def test_saturated_pixels_are_missing_in_loose_files_too(tmp_path: Path, tag: float | None) -> None:
    files = band_files(tmp_path, 1000, nodata=tag)
    with rasterio.open(files["B04"], "r+") as dataset:
        values = dataset.read(1)
        values[3, 4] = 65535
        dataset.write(values, 1)
    image, _ = opened(**files)
    assert set(image.bands["red"].nodata) == {0, 65535}
    read = read_block(image.bands["red"], GRID, Block(0, 0, 8, 8))
    assert np.isnan(read).nonzero() == (3, 4)
    image, _ = opened(**files, nodata=[0])  # declared values are no data, without a check
    assert read_block(image.bands["red"], GRID, Block(0, 0, 8, 8))[3, 4] == 65535


@pytest.mark.parametrize(
    ("descriptions", "numbers", "read"),
    [
        (("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8"), (1, 2, 3, 7), None),  # counted from 0
        (("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8"), (2, 3, 4, 8), (2, 3, 4, 8)),
        (("red", "green", "blue", "nir"), (1, 2, 3, 4), None),
        (("blue", "green", "red edge 1", "nir"), (1, 2, 3, 4), None),
        (("blue", "green", "red", "B8A"), (1, 2, 3, 4), (1, 2, 3, 4)),  # where there is no B08
        (("Band 1", "Band 2", "Band 3", "Band 4"), (1, 2, 3, 4), (1, 2, 3, 4)),  # a count, no name
    ],
)
def test_declared_numbers_must_not_contradict_descriptions(
    tmp_path: Path, descriptions: tuple[str, ...], numbers: tuple[int, ...], read: tuple[int, ...] | None
) -> None:
    order = ["nir"] * len(descriptions)
    for band, number in zip(BGRN, numbers, strict=True):
        order[number - 1] = band
    path = multi_band(tmp_path / "s2.tif", order, list(descriptions))
    spec = {"path": path, "bands": dict(zip(BGRN, numbers, strict=True))}
    if read is None:
        with pytest.raises(InputError) as caught:
            opened(**spec)
        assert caught.value.code == "E206"
    else:
        assert tuple(opened(**spec)[0].bands[band].index for band in BGRN) == read


def test_a_file_of_one_band_must_not_describe_itself_as_another(tmp_path: Path) -> None:
    files = band_files(tmp_path, 1000)
    renamed = files["B04"].rename(tmp_path / "red.tif")
    with rasterio.open(renamed, "r+") as dataset:
        dataset.set_band_description(1, "B3")
    with pytest.raises(InputError) as caught:
        opened(**(files | {"B04": renamed}))
    assert caught.value.code == "E206"
