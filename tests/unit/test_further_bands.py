"""Bands that only pixel members read: 20 m, 60 m, Level-1C and incidence angles, by an independent way."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from scipy.ndimage import map_coordinates

from landslide_map.errors import InputError
from landslide_map.grid import Block
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.scene_inputs import SceneInputs
from landslide_map.models.segmentation.scaling import L4S_DIVISOR
from landslide_map.scene.model import Scene
from landslide_map.stack.pixel_channels import read_pixel_channels, unavailable
from tests.support.safe_product import EPSG, LEFT, TOP, land, write_jp2, write_product, zipped
from tests.unit.test_eopf import write_store

ROWS, COLS = 120, 120
FURTHER = {"b05": 20, "b06": 20, "b07": 20, "b8a": 20, "b11": 20, "b12": 20, "b01": 60, "b09": 60}
EVENT = "2024-04-02T23:58:00Z"


def coarse(band: str, pixel: int) -> np.ndarray:
    """A slope with an edge, different in each band."""
    edge = ROWS * 10 // pixel
    down, across = np.mgrid[:edge, :edge]
    level = 1500 + 37 * sorted(FURTHER).index(band)
    return (level + 9 * down + 17 * across + 400 * (across > edge // 2)).astype(np.uint16)


def bilinear(values: np.ndarray, pixel: int) -> np.ndarray:
    """The centre of a 10 m pixel, in pixels of another size with the same corner."""
    at = (np.arange(ROWS) + 0.5) * 10 / pixel - 0.5
    return map_coordinates(values.astype(float), np.meshgrid(at, at, indexing="ij"), order=1, mode="nearest")


def check_equal(found: np.ndarray, expected: np.ndarray, tolerance: float = 0.01) -> None:
    """Compare, but for corners, where less than half of the weight lies on the image."""
    corners = np.isnan(found)
    assert corners.sum() <= 4 * 3
    np.testing.assert_allclose(found[~corners], expected[~corners], atol=tolerance)


def product(folder: Path, baseline: str = "05.10") -> Path:
    safe = write_product(
        folder, land(1000 if baseline >= "04.00" else 0, (ROWS, COLS)), baseline=baseline,
        classes=np.full((ROWS // 2, COLS // 2), 4, np.uint8),
    )  # fmt: skip
    images = next(safe.glob("GRANULE/*/IMG_DATA"))
    for band, pixel in FURTHER.items():
        write_jp2(images / f"R{pixel}m" / f"T51RUH_x_{band.upper()}_{pixel}m.jp2", coarse(band, pixel), pixel)
    return safe


def level_1c(folder: Path, *, offset: bool = True, acquired: str = "2024-04-10T02:25:29.024Z") -> Path:
    safe = folder / "S2B_MSIL1C_20240410T022529_N0510_R046_T51RUH_20240410T045508.SAFE"
    listed = "<RADIO_ADD_OFFSET band_id='1'>-1000</RADIO_ADD_OFFSET>" if offset else ""
    for number in range(1, 13):
        values = np.full((60, 60), 1000 + number, np.uint16)
        write_jp2(safe / "GRANULE" / "L1C_x" / "IMG_DATA" / f"T51RUH_x_B{number:02d}.jp2", values, 20)
    (safe / "MTD_MSIL1C.xml").write_text(
        f"<a><PRODUCT_START_TIME>{acquired}</PRODUCT_START_TIME><PRODUCT_TYPE>S2MSI1C</PRODUCT_TYPE>{listed}</a>"
    )
    return safe


def opened(tmp_path: Path, **document: Any) -> SceneInputs:
    return open_inputs(
        Scene.model_validate({"event": {"time": EVENT}, **document}, context={"folder": tmp_path})
    )


def whole(inputs: SceneInputs, *names: str) -> dict[str, np.ndarray]:
    return dict(zip(names, read_pixel_channels(inputs, names, Block(0, 0, ROWS, COLS)), strict=True))


@pytest.mark.parametrize("kind", ["folder", "zip", "files", "bands folder"])
def test_bands_of_an_image_lie_where_an_independent_way_puts_them(tmp_path, kind):
    safe = product(tmp_path)
    post: Any = str(safe)
    if kind == "zip":
        post = str(zipped(safe))
    elif kind != "folder":
        files = [path for path in safe.rglob("*.jp2") if "SCL" not in path.name]
        moved = {path.name: shutil.copy(path, tmp_path / path.name) for path in files}
        post = {name.split("_")[2]: str(path) for name, path in moved.items()} | {"offset": "present"}
        post["datetime"] = "2024-04-10T02:25:29Z"
        if kind == "bands folder":
            shutil.rmtree(safe)
            post = {"path": str(tmp_path), "datetime": post["datetime"], "offset": "present"}
    found = whole(opened(tmp_path, s2={"post": post}), *FURTHER)
    for band, pixel in FURTHER.items():
        check_equal(found[band], bilinear(coarse(band, pixel), pixel), 0.01)


def test_numbers_without_the_offset_get_it(tmp_path):
    found = whole(opened(tmp_path, s2={"post": str(product(tmp_path, "02.14"))}), "b11", "b01")
    check_equal(found["b11"], bilinear(coarse("b11", 20), 20) + 1000, 0.01)


def test_a_pixel_is_the_same_in_any_block(tmp_path):
    inputs = opened(tmp_path, s2={"post": str(product(tmp_path))})
    all_of_it = read_pixel_channels(inputs, ["b12", "red"], Block(0, 0, ROWS, COLS))
    part = read_pixel_channels(inputs, ["b12", "red"], Block(17, 33, 40, 51))
    np.testing.assert_array_equal(part, all_of_it[:, 17:57, 33:84])


def test_an_image_of_bands_that_describe_themselves(tmp_path):
    names = ["B2", "B3", "B4", "B8", "B11", "B8A", "B1"]
    pixels = land(1000, (ROWS, COLS))
    with rasterio.open(
        tmp_path / "s2.tif", "w", driver="GTiff", width=COLS, height=ROWS, count=len(names), dtype="uint16",
        crs=f"EPSG:{EPSG}", transform=Affine(10, 0, LEFT, 0, -10, TOP),
    ) as file:  # fmt: skip
        for i, (name, key) in enumerate(
            zip(names, ("blue", "green", "red", "nir", "red", "nir", "blue"), strict=True), 1
        ):
            file.write(pixels[key], i)
            file.set_band_description(i, name)
    post = {"path": str(tmp_path / "s2.tif"), "datetime": "2024-04-10T02:25:29Z", "offset": "present"}
    inputs = opened(tmp_path, s2={"post": post})
    found = whole(inputs, "b11", "b8a", "b01", "nir")
    np.testing.assert_array_equal(found["b8a"], found["nir"])
    np.testing.assert_array_equal(found["b11"], pixels["red"])
    assert [text.split()[0] for text in unavailable(inputs, ["b12", "b11", "b09"])] == ["b12", "b09"]


def test_a_zarr_product_gives_what_it_has(tmp_path):
    store = write_store(tmp_path)
    found = opened(tmp_path, event={"time": "2025-09-30T00:00:00Z"}, s2={"post": str(store)})
    assert found.optical is not None
    assert not found.optical.further
    assert len(unavailable(found, ["b05"])) == 1


@pytest.mark.parametrize(
    ("name", "key", "pixel", "left", "code"),
    [
        ("T51RUH_x_B12_20m.jp2", "B11", 20, LEFT, "E206"),
        ("T51RUH_x_B11_20m.jp2", "B11", 20, LEFT + 5000, "E109"),
        ("S2B_MSIL1C_20240410T022529_B11.jp2", "B11", 20, LEFT, "E201"),
    ],
)
def test_a_file_of_another_band_or_place_is_refused(tmp_path, name, key, pixel, left, code):
    safe = product(tmp_path)
    with rasterio.open(
        tmp_path / name.replace(".jp2", ".tif"), "w", driver="GTiff", width=60, height=60, count=1,
        dtype="uint16", crs=f"EPSG:{EPSG}", transform=Affine(pixel, 0, left, 0, -pixel, TOP),
    ) as file:  # fmt: skip
        file.write(coarse("b11", 20), 1)
    with pytest.raises(InputError) as refused:
        whole(
            opened(
                tmp_path, s2={"post": {"path": str(safe), key: str(tmp_path / name.replace("jp2", "tif"))}}
            ),
            "b11",
        )
    assert refused.value.code == code


@pytest.mark.parametrize(("packed", "offset"), [(False, True), (True, False)])
def test_level_1c_is_divided_as_landslide4sense_was(tmp_path, packed, offset):
    safe = level_1c(tmp_path, offset=offset)
    inputs = opened(
        tmp_path, s2={"post": str(product(tmp_path)), "post_l1c": str(zipped(safe) if packed else safe)}
    )
    names = [f"l4s_b{number:02d}" for number in range(1, 13)]
    for number, name in enumerate(names, 1):
        expected = (1000 + number - (1000 if offset else 0)) / L4S_DIVISOR[number - 1]
        np.testing.assert_allclose(whole(inputs, name)[name], expected, rtol=1e-6)
    assert any("MSIL1C" in str(file) for file in inputs.files)


@pytest.mark.parametrize(
    ("acquired", "code"), [("2024-04-01T02:25:29Z", "E208"), ("2024-04-12T02:25:29Z", "E109")]
)
def test_level_1c_of_another_pass_is_refused(tmp_path, acquired, code):
    safe = level_1c(tmp_path, acquired=acquired)
    with pytest.raises(InputError) as refused:
        opened(tmp_path, s2={"post": str(product(tmp_path)), "post_l1c": str(safe)})
    assert refused.value.code == code


def test_level_2a_is_no_level_1c(tmp_path):
    safe = product(tmp_path)
    with pytest.raises(InputError) as refused:
        opened(tmp_path, s2={"post": str(safe), "post_l1c": str(safe)})
    assert refused.value.code == "E101"


HYP3 = "S1A_IW_20240410T215500_DVP_RTC10_G_gpuned_AB12"
OPERA = "OPERA_L2_RTC-S1_T115-245714-IW1_20240410T215500Z_20240411T010229Z_S1A_30_v1.0"
STATIC = "OPERA_L2_RTC-S1-STATIC_T115-245714-IW1_20140403_S1A_30_v1.0"


def radar_scene(tmp_path: Path, stem: str, **track: Any) -> SceneInputs:
    rng = np.random.default_rng(4)
    for pol, level in (("VV", 0.1), ("VH", 0.025)):
        write(tmp_path / f"{stem}_{pol}.tif", level * rng.gamma(4.4, 1 / 4.4, (ROWS, COLS)))
    post = {"vv": f"{stem}_VV.tif", "vh": f"{stem}_VH.tif"}
    t = {"epsg": EPSG, "ulx": LEFT, "uly": TOP, "width": COLS, "height": ROWS}
    return opened(tmp_path, grid=t, s1={"descending": {"post": [post], **track}})


def write(path: Path, values: np.ndarray, kind: str = "float32") -> Path:
    rows, cols = values.shape
    with rasterio.open(
        path, "w", driver="GTiff", width=cols, height=rows, count=1, dtype=kind, crs=f"EPSG:{EPSG}",
        transform=Affine(10 * COLS / cols, 0, LEFT, 0, -10 * ROWS / rows, TOP),
    ) as file:  # fmt: skip
        file.write(values.astype(kind), 1)
    return path


def degrees() -> np.ndarray:
    return np.linspace(31, 46, COLS // 3)[None, :].repeat(ROWS // 3, axis=0)


def test_angles_of_hyp3_are_radians_beside_the_bands(tmp_path):
    write(tmp_path / f"{HYP3}_inc_map.tif", np.radians(degrees() + 5))
    write(tmp_path / f"{HYP3}_inc_map_ell.tif", np.radians(degrees()))
    found = whole(radar_scene(tmp_path, HYP3), "desc_incidence", "desc_local_incidence")
    check_equal(found["desc_incidence"], bilinear(degrees(), 30), 1e-3)
    check_equal(found["desc_local_incidence"], bilinear(degrees(), 30) + 5, 1e-3)


def test_angles_of_opera_are_degrees_of_the_same_burst(tmp_path):
    write(tmp_path / f"{STATIC}_local_incidence_angle.tif", degrees() + 5)
    write(tmp_path / f"{STATIC}_incidence_angle.tif", np.where(degrees() > 45, 0, degrees()))
    write(tmp_path / f"{STATIC.replace('245714', '245715')}_incidence_angle.tif", degrees() + 20)
    inputs = radar_scene(tmp_path, OPERA)
    assert [len(inputs.tracks["descending"].incidence), len(inputs.tracks["descending"].local_incidence)] == [
        1,
        1,
    ]
    found = whole(inputs, "desc_incidence")["desc_incidence"]
    assert np.isnan(found[:, -2:]).all()
    check_equal(found[:, :100], bilinear(degrees(), 30)[:, :100], 1e-3)


def test_listed_angles_count_instead(tmp_path):
    path = write(tmp_path / "angle.tif", degrees())
    write(tmp_path / f"{HYP3}_inc_map_ell.tif", np.radians(degrees() + 9))
    inputs = radar_scene(tmp_path, HYP3, incidence=str(path))
    np.testing.assert_allclose(whole(inputs, "desc_incidence")["desc_incidence"][0, 60], 38.5, atol=0.2)
    assert path in inputs.files
    assert unavailable(inputs, ["desc_local_incidence", "asc_incidence"]) != []


def test_numbers_that_are_no_angles_are_refused(tmp_path):
    path = write(tmp_path / "angle.tif", degrees() * 10)
    with pytest.raises(InputError) as refused:
        whole(radar_scene(tmp_path, HYP3, incidence=str(path)), "desc_incidence")
    assert refused.value.code == "E301"
