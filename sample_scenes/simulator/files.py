"""Files of a simulated event: rasters, outlines and scene.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pyogrio
import rasterio
from affine import Affine
from rasterio import features
from scipy import ndimage
from shapely.geometry import shape as as_shape

from sample_scenes.simulator.scars import without_crumbs

SIMULATED = "SIMULATED data of an event that never happened; not satellite data"
WRITTEN = "2026-11-21T00:00:00.000Z"
"""A fixed time stamp for the GeoPackage."""
STEP_DB = 1 / 8
"""Backscatter is kept in steps far below speckle, so that files stay small."""


@dataclass(frozen=True, slots=True)
class PixelGrid:
    """Place of a raster."""

    epsg: int
    transform: Affine
    width: int
    height: int

    def coarser(self, times: int) -> PixelGrid:
        """Return the grid of pixels so many times as large."""
        return PixelGrid(
            self.epsg, self.transform @ Affine.scale(times), self.width // times, self.height // times
        )


def write_raster(
    path: Path,
    image: npt.NDArray[np.float32] | npt.NDArray[np.uint16] | npt.NDArray[np.uint8],
    grid: PixelGrid,
    *,
    description: str,
    **tags: str,
) -> None:
    """Write one band as a compressed tiled GeoTIFF that says it is simulated."""
    path.parent.mkdir(parents=True, exist_ok=True)
    floating = image.dtype.kind == "f"
    if floating:
        image = (np.round(image.astype(float) / STEP_DB) * STEP_DB).astype(np.float32)
    profile = dict(
        driver="GTiff",
        dtype=image.dtype,
        count=1,
        width=grid.width,
        height=grid.height,
        crs=rasterio.crs.CRS.from_epsg(grid.epsg),
        transform=grid.transform,
        nodata=np.nan if floating else 0,
        tiled=True,
        blockxsize=256,
        blockysize=256,
        compress="deflate",
        zlevel=7,
        predictor=3 if floating else 2,
    )
    with rasterio.open(path, "w", **profile) as out:
        out.write(image, 1)
        out.set_band_description(1, description)
        out.update_tags(TIFFTAG_IMAGEDESCRIPTION=SIMULATED, **tags)


def write_elevation(path: Path, elevation: npt.NDArray[np.float64], grid: PixelGrid) -> None:
    """Write an elevation model in whole decimetres, which need little space."""
    write_raster(path, np.round(elevation, 1).astype(np.float32), grid, description="elevation before, m")


def write_outlines(
    path: Path,
    slid: npt.NDArray[np.bool_],
    grid: PixelGrid,
    grounds: dict[str, npt.NDArray[np.float64]],
) -> None:
    """Write the true outlines, layer ``landslides_truth``: slides that ran together are one polygon.

    Parts that the edge of the scene leaves smaller than a slide may be are left out. Each polygon says what
    covered most of it before, ``ground``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    parts, _ = ndimage.label(without_crumbs(slid))
    shapes = features.shapes(parts.astype(np.int32), mask=parts > 0, transform=grid.transform)
    outlines = {int(number): as_shape(geometry) for geometry, number in shapes}
    index = np.arange(1, parts.max() + 1)
    covered = {name: ndimage.mean(share, parts, index) for name, share in grounds.items()}
    most = np.argmax(np.stack(list(covered.values())), axis=0) if index.size else []
    frame = gpd.GeoDataFrame(geometry=[outlines[number] for number in index], crs=f"EPSG:{grid.epsg}")
    frame["area_m2"] = frame.area
    frame["ground"] = [list(covered)[number] for number in most]
    frame["origin"] = "simulated"
    path.unlink(missing_ok=True)
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": WRITTEN})  # same seed, same bytes
    try:
        frame.to_file(
            path, layer="landslides_truth", driver="GPKG", engine="pyogrio", geometry_type="Polygon"
        )
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


@dataclass(frozen=True, slots=True)
class SceneText:
    """Content of ``scene.yaml``; file names are relative to it."""

    seed: int
    event: str
    """Time of the event."""
    post: dict[str, str]
    pre: list[dict[str, str]]
    radar: dict[str, dict[str, list[dict[str, str]]]]


def _image(keys: dict[str, str]) -> list[str]:
    return [*(f"{key}: {value}" for key, value in keys.items()), "units: dn", "offset: present"]


def write_scene(path: Path, text: SceneText) -> None:
    """Write ``scene.yaml``."""
    lines = [
        f"# {SIMULATED}.",
        f"# Made by sample_scenes/simulator with seed {text.seed}.",
        "# The coordinates lie in the open Philippine Sea.",
        "# Digital numbers of Sentinel-2 are 10000 * reflectance + 1000, hence offset: present.",
        "event:",
        f"  time: {text.event}",
        "  name: simulated",
        "s2:",
        "  post:",
        *(f"    {line}" for line in _image(text.post)),
        *(["  pre:"] if text.pre else []),
        *(f"    - {{{', '.join(_image(image))}}}" for image in text.pre),
        "s1:",
    ]
    for orbit, sides in text.radar.items():
        lines.append(f"  {orbit}:")
        for side, acquisitions in sides.items():
            lines.append(f"    {side}:")
            for acquisition in acquisitions:
                items = ", ".join(f"{key}: {value}" for key, value in acquisition.items())
                lines.append(f"      - {{{items}, units: db, quantity: sigma0}}")
    path.write_text("\n".join(lines) + "\n")
