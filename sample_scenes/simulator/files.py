"""Write the simulated event as a user would have it: rasters, outlines and scene.yaml."""

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
from shapely.geometry import shape as as_shape

SIMULATED = "SIMULATED data of an event that never happened; not satellite data"
WRITTEN = "2026-11-21T00:00:00.000Z"
"""A fixed time stamp for the GeoPackage."""
STEP_DB = 1 / 8
"""Backscatter is kept in steps far below speckle, so that files stay small."""


@dataclass(frozen=True, slots=True)
class Lattice:
    """Where a raster lies."""

    epsg: int
    transform: Affine
    width: int
    height: int


def write_raster(
    path: Path,
    image: npt.NDArray[np.float32] | npt.NDArray[np.uint16],
    lattice: Lattice,
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
        width=lattice.width,
        height=lattice.height,
        crs=rasterio.crs.CRS.from_epsg(lattice.epsg),
        transform=lattice.transform,
        nodata=np.nan if floating else 0,
        tiled=True,
        blockxsize=256,
        blockysize=256,
        compress="deflate",
        zlevel=9,
        predictor=3 if floating else 2,
    )
    with rasterio.open(path, "w", **profile) as out:
        out.write(image, 1)
        out.set_band_description(1, description)
        out.update_tags(TIFFTAG_IMAGEDESCRIPTION=SIMULATED, **tags)


def write_outlines(path: Path, slid: npt.NDArray[np.bool_], lattice: Lattice) -> None:
    """Write the true outlines, layer ``landslides_truth``: slides that ran together are one polygon."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shapes = features.shapes(slid.astype(np.uint8), mask=slid, transform=lattice.transform)
    outlines = [as_shape(geometry) for geometry, _ in shapes]
    frame = gpd.GeoDataFrame(geometry=outlines, crs=f"EPSG:{lattice.epsg}")
    frame["area_m2"] = frame.area
    frame["origin"] = "simulated"
    path.unlink(missing_ok=True)
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": WRITTEN})  # same seed, same bytes
    try:
        frame.to_file(path, layer="landslides_truth", driver="GPKG", engine="pyogrio")
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def write_scene(
    path: Path,
    *,
    event: str,
    seed: int,
    optical: dict[str, str],
    radar: dict[str, dict[str, list[dict[str, str]]]],
) -> None:
    """Write ``scene.yaml``; file names are relative to it."""
    lines = [
        f"# {SIMULATED}.",
        f"# Made by sample_scenes/make_scene.py with seed {seed}.",
        "# The coordinates lie in the open Philippine Sea.",
        "event:",
        f"  time: {event}",
        "  name: simulated",
        "s2:",
        "  post:",
        *(f"    {key}: {value}" for key, value in optical.items()),
        "    units: dn",
        "    offset: present      # digital numbers are 10000 * reflectance + 1000",
        "s1:",
    ]
    for orbit, sides in radar.items():
        lines.append(f"  {orbit}:")
        for side, acquisitions in sides.items():
            lines.append(f"    {side}:")
            for acquisition in acquisitions:
                items = ", ".join(f"{key}: {value}" for key, value in acquisition.items())
                lines.append(f"      - {{{items}, units: db, quantity: sigma0}}")
    path.write_text("\n".join(lines) + "\n")
