"""Elevation model of a scene: its band, and the notices on it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from landslide_map.errors import InputError, Notice
from landslide_map.inputs.sentinel1.consistency import resolution_m
from landslide_map.raster.band import RasterBand
from landslide_map.raster.nodata import alpha_bands
from landslide_map.raster.open import open_band, opened

COARSEST_DEM_M: Final = 100.0
"""SRTM's 90 m still show slopes. Of nine windows of hills with 150 m of relief none is flat at 10 m, one
where heights are means over 90 m, five over 250 m, eight over 1000 m (tests/unit/test_terrain.py)."""


def open_elevation(path: Path) -> RasterBand:
    """Open elevation; a picture of it (hillshade, colours) has three bands."""
    with opened(path) as dataset:
        count = dataset.count - len(alpha_bands(dataset))
    if count != 1:
        raise InputError(
            "E101", f"{path}: has {count} bands; expected one, elevation in metres; correct dem in scene.yaml"
        )
    return open_band(path)


def elevation_notices(dem: RasterBand) -> list[Notice]:
    """Warn (W380) of elevation too coarse for slopes: what it calls flat is left out of the map."""
    pixel = resolution_m(dem.grid)
    if pixel <= COARSEST_DEM_M:
        return []
    return [
        Notice(
            "W380",
            f"{dem.path}: pixels of {pixel:.0f} m smooth slopes away, so that steep ground is taken for flat "
            "and not analysed; give a DEM of 30 m, such as Copernicus GLO-30, or none",
        )
    ]
