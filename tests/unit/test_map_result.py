"""Summary and views of a result."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import xarray as xr
from matplotlib.figure import Figure
from shapely.geometry import box

import landslide_map
from landslide_map.errors import Notice
from landslide_map.mapping.result import MapResult


def result_of(out: Path, landslides: int, above: int, analysed: int = 4, *codes: str) -> MapResult:
    windows = {"planned": 4, "analysed": analysed, "landslide": above}
    return MapResult(out, landslides, windows, tuple(Notice(code, "<text>") for code in codes), 1.0)


@pytest.mark.parametrize(
    ("landslides", "above", "analysed", "codes", "begins"),
    [
        (1, 2, 4, (), "1 landslide area;"),
        (2, 2, 4, (), "2 landslide areas;"),
        (0, 0, 4, (), "no landslide found;"),
        (0, 2, 4, (), "no landslide outlined; see the windows"),
        (0, 2, 4, ("I420",), "no landslide area is large enough"),
        (0, 0, 0, (), "NOTHING COULD BE ANALYSED"),
    ],
)
def test_a_summary_never_calls_windows_above_the_threshold_no_landslide(
    landslides: int, above: int, analysed: int, codes: tuple[str, ...], begins: str, tmp_path: Path
) -> None:
    assert result_of(tmp_path, landslides, above, analysed, *codes).summary().startswith(begins)


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rioxarray with affine 3.1
def test_views_give_what_the_files_hold(tmp_path: Path) -> None:
    frame = gpd.GeoDataFrame({"id": [1]}, geometry=[box(0, 0, 20, 20)], crs=32651)
    frame.to_file(tmp_path / "landslides.gpkg", layer="landslides", engine="pyogrio")
    pixels = np.array([[0.25, np.nan], [0.5, 1.0]], np.float32)
    profile = {"driver": "GTiff", "width": 2, "height": 2, "count": 1, "dtype": "float32", "nodata": np.nan}
    transform = rasterio.Affine(10, 0, 0, 0, -10, 20)
    with rasterio.open(
        tmp_path / "probability.tif", "w", crs="EPSG:32651", transform=transform, **profile
    ) as target:
        target.write(pixels, 1)
    xr.Dataset({"probability": (("row", "col"), pixels)}).to_netcdf(tmp_path / "windows.nc", engine="scipy")
    result = result_of(tmp_path, 1, 2, 4, "W207")
    assert result.landslides_frame().geometry.iloc[0].area == 400
    np.testing.assert_array_equal(result.probability_raster(), pixels)
    np.testing.assert_array_equal(result.windows_dataset()["probability"], pixels)
    assert "&lt;text&gt;" in result._repr_html_()
    assert len(result.plot(Figure().subplots()).images) == 1


def test_the_package_lists_its_public_names() -> None:
    names: dict[str, object] = {}
    exec("from landslide_map import *", names)
    assert {"map_scene", "score", "check_scene", "stack_scene", "MapResult"} <= names.keys()
    assert set(landslide_map.__all__) <= set(dir(landslide_map))
    assert "train" in dir(landslide_map)
    with pytest.raises(AttributeError):
        _ = landslide_map.nothing
