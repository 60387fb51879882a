"""Elevation of an area: tiles of the Copernicus GLO-30 model, joined; a tile that does not exist is sea."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
import rasterio.merge
import rasterio.warp
from affine import Affine
from rasterio.enums import Resampling
from rasterio.errors import RasterioError

from landslide_map.errors import InputError
from landslide_map.raster.dataset import open_dataset
from landslide_map.runtime.atomic import whole_file
from landslide_map.search.area import Area
from landslide_map.search.download import Download
from landslide_map.search.network import Network

GLO30: Final = "https://copernicus-dem-30m.s3.amazonaws.com"
"""The model's public files, readable without an account."""
MARGIN_DEG: Final = 0.02
"""Elevation reaches this far beyond the area: slopes at its edge need neighbours."""
_UTM_PIXEL_M: Final = 30.0


@dataclass(frozen=True, slots=True)
class ElevationTiles:
    """Tiles below an address or a folder."""

    base: str = GLO30

    def there(self, area: Area, network: Network) -> list[str]:
        """Return the tiles that exist of those that touch the area."""
        names = tiles_of(area)
        if self._remote:
            return [name for name in names if network.exists(self.place(name))]
        return [name for name in names if Path(self.place(name)).is_file()]

    def place(self, name: str) -> str:
        """Return address or path of a tile."""
        if self._remote:
            return f"{self.base.rstrip('/')}/{name}/{name}.tif"
        flat = Path(self.base) / f"{name}.tif"
        return str(flat if flat.is_file() else Path(self.base) / name / f"{name}.tif")

    def downloads(self, names: list[str], folder: Path) -> list[Download]:
        """Return the tiles to fetch; none for those on this machine."""
        if not self._remote:
            return []
        return [Download(self.place(name), folder / "elevation" / f"{name}.tif") for name in names]

    def files(self, names: list[str], folder: Path) -> list[Path]:
        """Return the tiles on this machine, once they are downloaded."""
        if not self._remote:
            return [Path(self.place(name)) for name in names]
        return [folder / "elevation" / f"{name}.tif" for name in names]

    @property
    def _remote(self) -> bool:
        return self.base.startswith(("http://", "https://"))


def tiles_of(area: Area) -> list[str]:
    """Return the names of the tiles that touch an area: of their south-western corners.

    >>> tiles_of(Area.of_box(121.2, 23.9, 121.6, 24.2))[:2]
    ['Copernicus_DSM_COG_10_N23_00_E121_00_DEM', 'Copernicus_DSM_COG_10_N24_00_E121_00_DEM']
    """
    west, south, east, north = area.shape.bounds
    rows = range(math.floor(max(south - MARGIN_DEG, -90)), math.ceil(min(north + MARGIN_DEG, 90)))
    cols = range(math.floor(west - MARGIN_DEG), math.ceil(east + MARGIN_DEG))
    return [_name(row, (col + 180) % 360 - 180) for row in rows for col in cols]


def _name(south: int, west: int) -> str:
    vertical = f"{'N' if south >= 0 else 'S'}{abs(south):02}"
    return f"Copernicus_DSM_COG_10_{vertical}_00_{'E' if west >= 0 else 'W'}{abs(west):03}_00_DEM"


def join_tiles(tiles: list[Path], area: Area, target: Path) -> None:
    """Write one elevation raster of the area from its tiles; where there is none, the sea, 0 m.

    Tiles have fewer columns towards the poles: those of another width are resampled bilinearly, the others
    copied. Across 180 degrees the raster is in UTM, as degrees jump there.
    """
    west, south, east, north = area.shape.bounds
    bounds = (west - MARGIN_DEG, south - MARGIN_DEG, east + MARGIN_DEG, north + MARGIN_DEG)
    with whole_file(target) as partial:
        try:
            if bounds[0] >= -180 and bounds[2] <= 180:
                _in_degrees(tiles, bounds, partial)
            else:
                _in_utm(tiles, area, partial)
        except RasterioError as error:
            raise InputError(
                "E101",
                f"{target}: cannot be made of elevation tiles ({error}); one of them is damaged, or the disk "
                "is full. Remove the tiles beside it, free disk space and run the same command again",
            ) from error


def _in_degrees(tiles: list[Path], bounds: tuple[float, float, float, float], target: Path) -> None:
    finest = min(tiles, key=lambda path: _pixel(path)[0])
    with open_dataset(finest) as dataset:
        place = dataset.transform
    # Onto the pixels of the finest tile, so that it and all of its width are copied, not resampled.
    dx, dy = place.a, -place.e
    left = place.c + math.floor((bounds[0] - place.c) / dx) * dx
    top = place.f + math.ceil((bounds[3] - place.f) / dy) * dy
    right = left + math.ceil((bounds[2] - left) / dx) * dx
    bottom = top - math.ceil((top - bounds[1]) / dy) * dy
    with ExitStack() as opened:
        rasterio.merge.merge(
            [opened.enter_context(open_dataset(path)) for path in tiles],
            bounds=(left, bottom, right, top),
            res=(dx, dy),
            nodata=0,
            resampling=Resampling.bilinear,
            dst_path=target,
            dst_kwds=_KIND | {"nodata": None},
        )


_KIND: Final[dict[str, Any]] = {
    "driver": "GTiff",
    "dtype": "float32",
    "compress": "deflate",
    "predictor": 3,
    "tiled": True,
    "blockxsize": 512,
    "blockysize": 512,
}


def _pixel(path: Path) -> tuple[float, float]:
    with open_dataset(path) as dataset:
        return dataset.transform.a, dataset.transform.e


def _in_utm(tiles: list[Path], area: Area, target: Path) -> None:
    longitude, latitude = area.centre
    zone = int(((longitude + 180) % 360) // 6) + 1
    crs = rasterio.crs.CRS.from_epsg((32600 if latitude >= 0 else 32700) + zone)
    shape = area.plane(area.shape)
    easting, northing = (v[0] for v in rasterio.warp.transform("EPSG:4326", crs, [longitude], [latitude]))
    margin = MARGIN_DEG * 111_000 + max(shape.bounds[2] - shape.bounds[0], 0) * 0.02
    half_width = max(abs(shape.bounds[0]), abs(shape.bounds[2])) + margin
    half_height = max(abs(shape.bounds[1]), abs(shape.bounds[3])) + margin
    left, top = round(easting - half_width, -2), round(northing + half_height, -2)
    place = Affine(_UTM_PIXEL_M, 0, left, 0, -_UTM_PIXEL_M, top)
    size = (math.ceil(2 * half_height / _UTM_PIXEL_M) + 4, math.ceil(2 * half_width / _UTM_PIXEL_M) + 4)
    heights = np.full(size, np.nan, np.float32)
    for path in tiles:
        with open_dataset(path) as dataset:
            piece = np.full(size, np.nan, np.float32)
            rasterio.warp.reproject(
                rasterio.band(dataset, 1),
                piece,
                dst_transform=place,
                dst_crs=crs,
                dst_nodata=np.nan,
                resampling=Resampling.bilinear,
            )
        heights = np.where(np.isnan(heights), piece, heights)
    with rasterio.open(
        target, "w", **_KIND, width=size[1], height=size[0], count=1, crs=crs, transform=place
    ) as out:
        out.write(np.nan_to_num(heights, nan=0.0), 1)
