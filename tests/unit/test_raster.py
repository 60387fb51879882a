"""Opening bands: what is refused, where pixels lie, what a thinned sample returns."""

from __future__ import annotations

import warnings
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp

from landslide_map.grid import Block
from landslide_map.inputs.sentinel1.files import EDGE, sample
from landslide_map.raster.open import files_of, gdal_path, open_band
from landslide_map.raster.resample import read_block
from landslide_map.raster.sampling import decimated, sample_windows, valid_at
from tests.support.raised import raised

VALUES = np.arange(100 * 80, dtype=np.float32).reshape(100, 80)
TRANSFORM = Affine(10, 0, 500000, 0, -10, 5000000)


def write(
    path: Path, values: Any = VALUES, crs: Any = "EPSG:32633", transform: Any = TRANSFORM, **more: Any
) -> Path:
    profile = {"width": values.shape[1], "height": values.shape[0], "count": 1, "dtype": values.dtype, **more}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(
            path, "w", **{"driver": "GTiff", "crs": crs, "transform": transform} | profile
        ) as dataset:
            dataset.write(values, 1)
    return path


def refused(code: str, said: str, *args: Any) -> None:
    with raised(code, said):
        open_band(*args)


def test_a_band_is_described_as_it_lies(tmp_path: Path) -> None:
    band = open_band(write(tmp_path / "a.tif", nodata=-9999))
    assert band.grid.crs == CRS.from_epsg(32633)
    assert band.grid.transform == TRANSFORM
    assert band.grid.shape == (100, 80)
    assert band.nodata == (-9999,)
    assert files_of(band) == (tmp_path / "a.tif",)


def test_pixel_is_point_and_pixel_is_area_lie_alike(tmp_path: Path) -> None:
    """GDAL moves the tie point of Point files itself; half a pixel more would be 5 m of error."""
    area = write(tmp_path / "area.tif")
    point = write(tmp_path / "point.tif")
    with rasterio.open(point, "r+") as dataset:
        dataset.update_tags(AREA_OR_POINT="Point")
    with rasterio.open(point) as dataset:
        assert dataset.tags()["AREA_OR_POINT"] == "Point"
    assert open_band(point).grid == open_band(area).grid


def test_a_path_may_lead_into_a_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bands.zip", "w") as archive:
        archive.write(write(tmp_path / "a.tif"), "inner/a.tif")
    band = open_band(tmp_path / "bands.zip" / "inner" / "a.tif")
    assert band.path.startswith("/vsizip/")
    assert np.array_equal(decimated(band), VALUES)
    assert files_of(band) == (tmp_path / "bands.zip",)
    refused("E101", "no item named", tmp_path / "bands.zip" / "inner" / "b.tif")
    assert gdal_path("/data/a.tif") == "/data/a.tif"


@pytest.mark.parametrize(
    "options", [{}, {"compress": "deflate", "tiled": True, "blockxsize": 16, "blockysize": 16}]
)
@pytest.mark.parametrize("share", [0.1, 0.6, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, options: dict[str, Any], share: float) -> None:
    noise = np.random.default_rng(0).normal(size=(200, 200)).astype(np.float32)
    path = write(tmp_path / "a.tif", noise, **options)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    refused("E101", "a.tif: cannot be read; it is truncated", path)


def test_what_is_no_raster_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.tif").touch()
    (tmp_path / "text.tif").write_text("hello")
    refused("E101", "no such file", tmp_path / "absent.tif")
    refused("E101", "not a raster", tmp_path / "empty.tif")
    refused("E101", "not a raster", tmp_path / "text.tif")
    refused("E101", "not a raster", tmp_path)


def test_a_band_that_is_not_there_is_refused(tmp_path: Path) -> None:
    refused("E101", "there is no band 2, the file has 1", write(tmp_path / "a.tif"), 2)


def test_what_cannot_be_placed_is_refused(tmp_path: Path) -> None:
    refused("E103", "no coordinate reference system", write(tmp_path / "a.tif", crs=None))
    refused("E104", "rotated", write(tmp_path / "b.tif", transform=Affine(10, 1, 0, 1, -10, 0)))
    refused("E104", "not north-up", write(tmp_path / "c.tif", transform=Affine(10, 0, 0, 0, 10, 0)))


def test_ground_control_points_alone_are_refused(tmp_path: Path) -> None:
    gcps = [GroundControlPoint(r, c, 10 + c / 1000, 50 - r / 1000) for r in (0, 99) for c in (0, 79)]
    path = write(tmp_path / "grd.tif", crs=None, transform=Affine.identity())
    with rasterio.open(path, "r+") as dataset:
        dataset.gcps = (gcps, CRS.from_epsg(4326))
    refused("E311", "terrain-correct it first", path)


def test_complex_pixels_are_refused(tmp_path: Path) -> None:
    refused("E108", "complex", write(tmp_path / "slc.tif", VALUES.astype(np.complex64)))


@pytest.mark.parametrize("internal", [True, False])
@pytest.mark.parametrize("declared", [None, (0.0,), ()])
def test_a_mask_of_the_file_is_honoured_whatever_is_declared(
    tmp_path: Path, internal: bool, declared: tuple[float, ...] | None
) -> None:
    path, valid = write(tmp_path / "a.tif", VALUES + 1), np.tile([True, False], (100, 40))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(valid)
    band = open_band(path, 1, declared)
    expected = np.where(valid, VALUES + 1, np.nan)
    np.testing.assert_array_equal(decimated(band), expected)
    np.testing.assert_array_equal(read_block(band, band.grid, Block(0, 0, 100, 80)), expected)


@pytest.mark.parametrize("described", [None, "alpha", "dataMask"])
@pytest.mark.parametrize("count", [1, 3, 4, 6])
def test_an_alpha_band_is_honoured_whatever_the_number_of_bands(
    tmp_path: Path, count: int, described: str | None
) -> None:
    """GDAL itself offers it as a mask in files of two and of four bands only."""
    path, alpha = tmp_path / "a.tif", np.tile([255, 0], (100, 40)).astype(np.float32)
    layout = {"width": 80, "height": 100, "count": count + 1, "dtype": "float32", "transform": TRANSFORM}
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:32633", **layout, alpha="unspecified") as dataset:
        for number in range(1, count + 1):
            dataset.write(VALUES + number, number)
        dataset.write(alpha, count + 1)
        if described:
            dataset.set_band_description(count + 1, described)
            dataset.colorinterp = [ColorInterp.undefined] * (count + 1)
        else:
            dataset.colorinterp = [ColorInterp.undefined] * count + [ColorInterp.alpha]
    last = open_band(path, count)
    expected = np.where(alpha > 0, VALUES + count, np.nan)
    np.testing.assert_array_equal(decimated(last), expected)
    np.testing.assert_array_equal(read_block(last, last.grid, Block(0, 0, 100, 80)), expected)
    measured = open_band(path, count, measured=(1, count + 1))  # near infrared that a program calls alpha
    assert np.isfinite(decimated(measured)).all()


@pytest.mark.parametrize("nodata", [(), (7.0,)])
@pytest.mark.parametrize("kind", ["float32", "float64", "int16", "uint8", "int32"])
def test_run_and_checks_have_one_rule(tmp_path: Path, kind: str, nodata: tuple[float, ...]) -> None:
    """A fill of 1e300 was missing in a run and a valid infinity in its checks."""
    values = np.arange(60).reshape(6, 10).astype(kind)
    values[0] = {"float64": 1e300, "float32": np.inf}.get(kind, np.iinfo("uint8").max)
    band = replace(open_band(write(tmp_path / "a.tif", values), 1, nodata), limits=(5.0, 200.0))
    run = read_block(band, band.grid, Block(0, 0, 6, 10))
    np.testing.assert_array_equal(run, decimated(band))
    np.testing.assert_array_equal(run, sample(band)[0])
    rows, cols = (places.ravel() for places in np.indices((6, 10)))
    np.testing.assert_array_equal(np.isfinite(run).ravel(), valid_at(band, rows, cols))
    assert np.isnan(run[0]).all()
    assert np.isfinite(run[1:]).all() == (not nodata or 7 not in values)
    unlimited = open_band(write(tmp_path / "b.tif", values))
    assert np.isnan(decimated(unlimited)[0]).all() == (kind[0] == "f")


@pytest.mark.parametrize(
    ("dtype", "fill"),
    [
        ("float32", -3.4028234663852886e38),
        ("float64", -32768.0),
        ("int16", -9999),
        ("uint16", 0),
        ("float32", np.nan),
    ],
)
def test_nodata_becomes_nan(tmp_path: Path, dtype: str, fill: float) -> None:
    values = np.full((20, 30), 7, dtype)
    values[:5] = fill
    thinned = decimated(open_band(write(tmp_path / "a.tif", values, nodata=fill)))
    assert thinned.dtype == np.float32
    assert np.isnan(thinned[:5]).all()
    assert (thinned[5:] == 7).all()


def test_infinity_is_no_measurement(tmp_path: Path) -> None:
    values = np.array([[1, -np.inf], [np.inf, 2]], np.float32)
    assert np.isnan(decimated(open_band(write(tmp_path / "a.tif", values)))).sum() == 2


def test_a_nodata_value_the_type_cannot_hold_matches_nothing(tmp_path: Path) -> None:
    values = np.full((4, 4), 241, np.uint8)  # -9999 would wrap around to 241
    assert np.isfinite(decimated(open_band(write(tmp_path / "a.tif", values), 1, (-9999.0,)))).all()


def test_a_sample_of_a_large_band_is_thin_and_unbiased(tmp_path: Path) -> None:
    columns = np.tile(np.arange(2400, dtype=np.float32), (1800, 1))
    thinned = decimated(open_band(write(tmp_path / "a.tif", columns, compress="deflate")))
    assert thinned.size <= 1_100_000
    assert np.median(thinned) == pytest.approx(1199.5, abs=3)
    assert set(np.unique(thinned)) <= set(range(2400))  # pixels are picked, not averaged


@pytest.mark.parametrize("shape", [(1000, 900), (1000, 1100)], ids=["read at once", "window by window"])
def test_windows_of_a_sample_hold_the_pixels_where_they_lie(tmp_path: Path, shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(1, 2**15, shape, dtype=np.uint16)
    pixels[100:300, 200:500] = 0
    band = open_band(write(tmp_path / "band.tif", pixels, nodata=0))
    found, integer = sample(band)
    windows = sample_windows(shape, EDGE)
    assert integer
    assert found.shape == (len(windows) * EDGE, EDGE)
    for i, window in enumerate(windows):
        expected = pixels[window.toslices()].astype(np.float64)
        expected[expected == 0] = np.nan
        np.testing.assert_array_equal(found[i * EDGE : (i + 1) * EDGE], expected)
