"""Opening bands: what is refused, where pixels lie, what a thinned look returns."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from landslide_map.errors import InputError
from landslide_map.raster.open import file_of, gdal_path, open_band
from landslide_map.raster.sampling import decimated

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
    with pytest.raises(InputError, match=said) as caught:
        open_band(*args)
    assert caught.value.code == code


def test_a_band_is_described_as_it_lies(tmp_path: Path) -> None:
    band = open_band(write(tmp_path / "a.tif", nodata=-9999))
    assert band.grid.crs == CRS.from_epsg(32633)
    assert band.grid.transform == TRANSFORM
    assert band.grid.shape == (100, 80)
    assert band.nodata == (-9999,)
    assert file_of(band) == tmp_path / "a.tif"


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
    assert file_of(band) == tmp_path / "bands.zip"
    refused("E101", "truncated, damaged or not a raster", tmp_path / "bands.zip" / "inner" / "b.tif")
    assert gdal_path("/data/a.tif") == "/data/a.tif"


@pytest.mark.parametrize(
    "options", [{}, {"compress": "deflate", "tiled": True, "blockxsize": 16, "blockysize": 16}]
)
@pytest.mark.parametrize("share", [0.1, 0.6, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, options: dict[str, Any], share: float) -> None:
    noise = np.random.default_rng(0).normal(size=(200, 200)).astype(np.float32)
    path = write(tmp_path / "a.tif", noise, **options)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    refused("E101", r"a\.tif: cannot be read; it is truncated", path)


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


def test_nodata_told_by_a_mask_alone_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif")
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(np.tile([True, False], (100, 40)))
    refused("E108", "only a mask band tells", path)
    assert open_band(path, 1, (0.0,)).nodata == (0,)


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
    look = decimated(open_band(write(tmp_path / "a.tif", values, nodata=fill)))
    assert look.dtype == np.float32
    assert np.isnan(look[:5]).all()
    assert (look[5:] == 7).all()


def test_infinity_is_no_measurement(tmp_path: Path) -> None:
    values = np.array([[1, -np.inf], [np.inf, 2]], np.float32)
    assert np.isnan(decimated(open_band(write(tmp_path / "a.tif", values)))).sum() == 2


def test_a_nodata_value_the_type_cannot_hold_matches_nothing(tmp_path: Path) -> None:
    values = np.full((4, 4), 241, np.uint8)  # -9999 would wrap around to 241
    assert np.isfinite(decimated(open_band(write(tmp_path / "a.tif", values), 1, (-9999.0,)))).all()


def test_a_look_at_a_large_band_is_thin_and_unbiased(tmp_path: Path) -> None:
    columns = np.tile(np.arange(2400, dtype=np.float32), (1800, 1))
    look = decimated(open_band(write(tmp_path / "a.tif", columns, compress="deflate")))
    assert look.size <= 1_100_000
    assert np.median(look) == pytest.approx(1199.5, abs=3)
    assert set(np.unique(look)) <= set(range(2400))  # pixels are picked, not averaged
