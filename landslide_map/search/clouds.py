"""Clouds inside the area: counted on the scene classification, else the catalogue's figure for the tile."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyproj
import rasterio.features
import shapely
from affine import Affine
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.windows import Window

from landslide_map.errors import LandslideMapError, Notice
from landslide_map.raster.dataset import open_dataset
from landslide_map.runtime.progress import silent
from landslide_map.search.area import Area
from landslide_map.search.candidates import Asset, Optical
from landslide_map.search.choose_optical import Clearness
from landslide_map.search.download import Download, fetch, file_name
from landslide_map.search.network import Network

PIXEL_M: Final = 160.0
"""Pixels on which clouds are counted, metres."""
_NODATA: Final = (0, 1)
_CLOUD: Final = (3, 8, 9, 10)
"""Classes of cloud shadow, clouds of medium and high probability, and cirrus."""
_SNOW: Final = 11
_NO_ACCESS: Final = {"E700", "E710", "E712"}
_STEP_DEG: Final = 0.05


@dataclass
class CloudCounter:
    """Called with an image: reads its scene classification, which it keeps in `folder`."""

    area: Area
    network: Network
    folder: Path
    notices: list[Notice] = field(default_factory=list)
    _denied: bool = False
    """Whether the provider refused a file, or did not answer: so it will be with the others."""

    def __call__(self, image: Optical) -> Clearness:
        """Return cloud, snow and cover of the image inside the area."""
        asset = image.assets.get("SCL")
        if asset is not None and not self._denied:
            try:
                return self._counted(self._file(image, asset))
            except (LandslideMapError, RasterioError, ValueError) as error:
                self._denied = getattr(error, "code", "") in _NO_ACCESS
                self.notices.append(
                    Notice(
                        "W708",
                        f"{image.id}: its scene classification cannot be read ({error}); the catalogue's "
                        "cloud cover of the whole tile is used.",
                    )
                )
        covered = 100 * self.area.covered(image.footprint)
        return Clearness(50.0 if image.cloud is None else image.cloud, 100 - covered, None, False)

    def _file(self, image: Optical, asset: Asset) -> Path:
        if not asset.href.startswith(("http://", "https://")):
            return Path(asset.href)
        target = optical_file(self.folder, image, "SCL")
        fetch([Download(asset.href, target, asset.size, asset.checksum)], self.network, silent)
        return target

    def _counted(self, path: Path) -> Clearness:
        with open_dataset(path) as dataset:
            if not dataset.crs or dataset.dtypes[0] != "uint8":
                raise ValueError("no scene classification")
            shape = self._on(dataset.crs)
            place, step = dataset.transform, max(PIXEL_M / dataset.transform.a, 1.0)
            left, bottom, right, top = shape.bounds
            col, row = int((left - place.c) / place.a), int((top - place.f) / place.e)
            cols = range(max(col, 0), min(math.ceil((right - place.c) / place.a), dataset.width))
            rows = range(max(row, 0), min(math.ceil((bottom - place.f) / place.e), dataset.height))
            if not cols or not rows:
                return Clearness(100.0, 100.0, None, True)
            out = (max(int(len(rows) / step), 1), max(int(len(cols) / step), 1))
            window = Window(cols.start, rows.start, len(cols), len(rows))
            classes = dataset.read(1, window=window, out_shape=out, resampling=Resampling.nearest)
        read = shapely.box(
            place.c + cols.start * place.a,
            place.f + rows.stop * place.e,
            place.c + cols.stop * place.a,
            place.f + rows.start * place.e,
        )
        width, height = place.a * len(cols) / out[1], place.e * len(rows) / out[0]
        pixel = Affine(width, 0, read.bounds[0], 0, height, read.bounds[3])
        inside = rasterio.features.geometry_mask([shape], out, pixel, invert=True, all_touched=True)
        seen = classes[inside]
        valid = ~np.isin(seen, _NODATA)
        if not valid.any():
            return Clearness(100.0, 100.0, None, True)
        cloud = 100 * float(np.isin(seen[valid], _CLOUD).mean())
        snow = 100 * float((seen[valid] == _SNOW).mean())
        share = float(valid.mean()) * shape.intersection(read).area / shape.area
        return Clearness(cloud, 100 * (1 - share), snow, True)

    def _on(self, crs: Any) -> Any:
        to_crs = pyproj.Transformer.from_crs("EPSG:4326", crs.to_wkt(), always_xy=True)
        edges = shapely.segmentize(self.area.shape, _STEP_DEG)
        return shapely.transform(edges, lambda p: np.column_stack(to_crs.transform(p[:, 0], p[:, 1])))


def optical_file(folder: Path, image: Optical, band: str) -> Path:
    """Return where a band of an image is kept."""
    return folder / "sentinel2" / file_name(image.product) / file_name(image.assets[band].href)
