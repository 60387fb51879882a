"""Real pixels as scenes for outlines: labelled patches of Landslide4Sense, and a flood in Spain."""

from __future__ import annotations

import warnings
from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from rasterio import features
from rasterio.errors import NotGeoreferencedWarning
from shapely.geometry import box, shape

from tests.support.shared_data import shared_data

PATCHES = (1002, 3597, 168, 3645)
"""Landslide share 4.9, 2.2, 0.6 and 0 %."""
EPSG, TRANSFORM = 32651, Affine(10, 0, 500_000, 0, -10, 2_660_000)
"""The patches have no place; any grid of 10 m will do."""
DIVISORS = {"B02": 824.63171476, "B03": 663.41636217, "B04": 445.17289745, "B08": 1941.32229668}
"""Digital numbers of Sentinel-2 L1C per unit of the files."""
CHANNELS = {"B02": 1, "B03": 2, "B04": 3, "B08": 7}
ELEVATION, ELEVATION_M = 13, 772.83144788
CLEAREST_DN = 200.0
"""Where haze is taken off, the darkest half per cent of a visible band lies here."""
FLOOD = "Spain_7370579"


def write_patch(folder: Path, number: int, *, dem: bool = False) -> Path:
    """Write the scene of a labelled patch; return its ``scene.yaml``. Truth: :func:`patch_truth`."""
    image = _hdf5(shared_data("real", "l4s_labelled", f"image_{number}.h5"), "img")
    for band, channel in CHANNELS.items():
        numbers = image[..., channel] * DIVISORS[band]
        if band != "B08":
            numbers = numbers - np.quantile(numbers, 0.005) + CLEAREST_DN
        _write(folder / f"{band}.tif", np.clip(np.rint(numbers), 1, None).astype(np.uint16))
    _write(folder / "dem.tif", (image[..., ELEVATION] * ELEVATION_M).astype(np.float32))
    files = ", ".join(f"{band}: {band}.tif" for band in DIVISORS)
    text = f"event: {{time: 2016-01-01T00:00:01Z}}\ns2: {{post: {{{files}, offset: absent}}}}\n"
    (folder / "scene.yaml").write_text(text + ("dem: dem.tif\n" if dem else ""))
    return folder / "scene.yaml"


def patch_mask(number: int) -> npt.NDArray[np.bool_]:
    """Return which pixels of a patch are labelled landslide."""
    return np.asarray(_hdf5(shared_data("real", "l4s_labelled", f"mask_{number}.h5"), "mask")[0] > 0)


def patch_truth(number: int) -> gpd.GeoDataFrame:
    """Return the labelled landslides of a patch as polygons along pixel edges."""
    mask = patch_mask(number)
    shapes = [shape(own) for own, _ in features.shapes(mask.astype(np.uint8), mask, transform=TRANSFORM)]
    return gpd.GeoDataFrame(geometry=shapes, crs=f"EPSG:{EPSG}")


def write_flood(folder: Path) -> Path:
    """Write the scene of the flood: Sentinel-2 L1C and one date of Sentinel-1, in degrees."""
    optical = shared_data("real", "floods_spain", f"{FLOOD}_S2Hand.tif")
    radar = shared_data("real", "floods_spain", f"{FLOOD}_S1Hand.tif")
    with rasterio.open(optical) as source:
        area = gpd.GeoSeries([box(*source.bounds)], crs=source.crs)
    area.to_file(folder / "area.gpkg")
    (folder / "scene.yaml").write_text(
        "event: {time: 2016-01-01T00:00:01Z}\n"
        "grid: {aoi: area.gpkg, epsg: 32630}\n"
        f"s2: {{post: {{path: {optical}, bands: {{blue: 2, green: 3, red: 4, nir: 8}}, offset: absent}}}}\n"
        f"s1: {{descending: {{post: [{{path: {radar}, bands: {{vv: 1, vh: 2}}, units: db, quantity: sigma0, "
        "datetime: 2019-09-17T06:00:00Z}]}}\n"
    )
    return folder / "scene.yaml"


def _hdf5(path: Path, key: str) -> npt.NDArray[np.float64]:
    """Return one array of a file as GDAL reads it, with the axes it has there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(f"HDF5:{path}://{key}") as source:
            return np.asarray(source.read(), float)


def _write(path: Path, image: npt.NDArray[np.uint16] | npt.NDArray[np.float32]) -> None:
    rows, cols = image.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        dtype=image.dtype,
        count=1,
        height=rows,
        width=cols,
        crs=rasterio.crs.CRS.from_epsg(EPSG),
        transform=TRANSFORM,
    ) as out:
        out.write(image, 1)
