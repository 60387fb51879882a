"""Fill that no tag declares: in Sentinel-2 images, whatever its value and units."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
from scipy.ndimage import gaussian_filter

from landslide_map.errors import InputError
from landslide_map.grid import Block
from landslide_map.inputs.coverage import covered
from landslide_map.inputs.scene_inputs import OpticalImage
from landslide_map.inputs.sentinel2.fill import without_fill
from landslide_map.inputs.sentinel2.image import open_optical
from landslide_map.raster.resample import read_block
from landslide_map.scene.model import OpticalSpec
from tests.support.rasters import grid_at, write_band
from tests.support.real_scenes import BIGEARTHNET, TERRAMIND
from tests.support.safe_product import BANDS, land
from tests.support.shared_data import shared_data

EVENT = datetime(2017, 1, 1, tzinfo=UTC)
SHAPE = (128, 120)
GRID = grid_at(32651, 300000, 2700000, SHAPE)
FILLED = 48
"""Columns at the left that hold no measurement."""


def image_with(
    folder: Path,
    fill: float,
    *,
    kind: str = "uint16",
    tag: float | None = None,
    offset: int = 1000,
    **spec: object,
) -> tuple[OpticalImage, list[str]]:
    """Open an image with a filled left part; `kind` is the type of the files, reflectance if float16."""
    reflectance = spec.get("units") == "reflectance"
    files = {}
    for band, values in land(offset, SHAPE).items():
        stored = (values / 10000 if reflectance else values).astype(kind)
        stored[:, :FILLED] = fill
        files[BANDS[band]] = folder / f"{band}.tif"
        write_band(files[BANDS[band]], stored, GRID)
        if tag is not None:
            with rasterio.open(files[BANDS[band]], "r+") as dataset:
                dataset.nodata = tag
    image, notices, _ = open_optical(OpticalSpec(**files, **spec), EVENT)
    return image, [notice.code for notice in notices]


@pytest.mark.parametrize(
    ("fill", "kind", "tag", "offset", "units"),
    [
        (0, "float32", np.nan, 1000, "dn"),  # a cube turned to floating point
        (0, "uint16", 65535, 1000, "dn"),  # only saturation is tagged
        (1, "uint16", 0, 1000, "dn"),  # the edge of a swath
        (-9999, "int16", None, 1000, "dn"),
        (-9999, "float32", 0, 0, "dn"),
        (-1000, "int16", None, 0, "dn"),  # 0 less the offset of 1000
        (1000, "uint16", None, 1000, "dn"),  # 0 and an added offset
        (-0.1, "float32", None, 0, "reflectance"),  # 0 less the offset, divided by 10000
        (0.0, "float32", np.nan, 0, "reflectance"),
        (-9999, "float32", None, 0, "reflectance"),
        (3e38, "float32", None, 0, "reflectance"),
        (1e300, "float64", None, 1000, "dn"),
    ],
)
def test_fill_is_no_data_in_run_checks_and_coverage(
    tmp_path: Path, fill: float, kind: str, tag: float | None, offset: int, units: str
) -> None:
    image, codes = image_with(tmp_path, fill, kind=kind, tag=tag, offset=offset, units=units)
    assert image.offset == 1000 - offset
    assert "W203" not in codes  # a mosaic was blamed
    for band in image.bands.values():
        read = read_block(band, GRID, Block(0, 0, *SHAPE))
        assert np.isnan(read[:, :FILLED]).all()
        assert np.isfinite(read[:, FILLED:]).mean() > 0.98
        found = covered(band, GRID)
        assert found is not None
        assert found.mean() == pytest.approx(1 - FILLED / SHAPE[1], abs=0.03)


@pytest.mark.parametrize(("fill", "tag", "said"), [(1, None, True), (-9999, None, True), (0, None, False)])
def test_fill_that_nothing_declares_is_reported(
    tmp_path: Path, fill: int, tag: float | None, said: bool
) -> None:
    codes = image_with(tmp_path, fill, kind="int16", tag=tag)[1]
    assert ("I350" in codes) == said  # zero is no data in each product: nothing to report


def test_a_white_background_is_refused_until_it_is_declared(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        image_with(tmp_path, 20000)
    assert caught.value.code == "E350"
    image, _ = image_with(tmp_path, 20000, nodata=20000)
    assert np.isnan(read_block(image.bands["red"], GRID, Block(0, 0, *SHAPE))[:, :FILLED]).all()


@pytest.mark.parametrize(("width", "said"), [(0, False), (6, True)])
@pytest.mark.parametrize("softness", [0.1, 5])
def test_numbers_cut_off_below_are_no_fill(width: int, said: bool, softness: float) -> None:
    """Shade has the lowest number in all bands here and there and ends softly; a swath does not."""
    random = np.random.default_rng(2)
    light = gaussian_filter(random.normal(size=(300, 300)), softness)
    light = 1300 + 200 * light / light.std()
    pixels = {
        band: np.maximum(light + random.normal(0, 30, light.shape), 1010).round().astype(np.float32)
        for band in ("blue", "green", "red", "nir")
    }
    for band in pixels.values():
        band[:, :width] = 1
    equal = np.all([band == 1010 for band in pixels.values()], axis=0)
    assert equal.mean() > 0.02
    assert without_fill("s", pixels, "dn", zero=True)[1] == ((1.0,) if said else ())


def test_one_absurd_pixel_is_kept_out(tmp_path: Path) -> None:
    image, _ = image_with(tmp_path, 0, kind="float32")
    for value in (3e38, -3e38, 70000, -2000):
        with rasterio.open(image.bands["nir"].path, "r+") as dataset:
            values = dataset.read(1)
            values[100, 100] = value
            dataset.write(values, 1)
        read = read_block(image.bands["nir"], GRID, Block(0, 0, *SHAPE))
        assert np.isnan(read[100, 100])
        assert np.nanmax(read) < 20000


def test_declared_zeros_are_measurements(tmp_path: Path) -> None:
    image, codes = image_with(tmp_path, 0, offset=0, nodata=(), SCL=None)
    assert "I350" not in codes
    assert np.isfinite(read_block(image.bands["red"], GRID, Block(0, 0, *SHAPE))).all()


@pytest.mark.parametrize("name", [*TERRAMIND, *BIGEARTHNET])
def test_real_images_have_no_fill(name: str) -> None:
    if name in TERRAMIND:
        with rasterio.open(shared_data("real", "terramind", "S2L2A", f"{name}.tif")) as dataset:
            stored = dataset.read([2, 3, 4, 8])
    else:
        folder = shared_data("real", "bigearthnet", "BigEarthNet-S2-Example", name)
        stored = np.stack(
            [rasterio.open(folder / f"{name}_{band}.tif").read(1) for band in ("B02", "B03", "B04", "B08")]
        )
    pixels = dict(zip(("blue", "green", "red", "nir"), stored.astype(np.float32), strict=True))
    seen, values, notices = without_fill(name, pixels, "dn", zero=True)
    assert (values, notices) == ((), [])
    assert all(np.array_equal(seen[band], pixels[band]) for band in pixels)
    assert not (stored == stored[0]).all(axis=0).any()
