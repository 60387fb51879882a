"""Area of interest in longitude and latitude: how much of it a footprint covers, also across 180 degrees."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyproj
import shapely
from shapely.geometry.base import BaseGeometry

from landslide_map.errors import UsageError
from landslide_map.vector.inventory import read_polygons
from landslide_map.vector.reproject import projected

WIDEST_DEG: Final = 20.0
"""A footprint wider than this at middle latitudes was drawn around the globe the wrong way, degrees."""
LARGEST_KM2: Final = 250_000.0
"""Largest area that is searched: some twenty Sentinel-2 tiles."""
_HALF_TURN: Final = 180.0


@dataclass(frozen=True)
class Area:
    """Polygons in degrees; longitudes run on without a jump, from `centre` - 180 to `centre` + 180."""

    shape: BaseGeometry

    @classmethod
    def of_box(cls, west: float, south: float, east: float, north: float) -> Area:
        """Return a box; `west` > `east` crosses the antimeridian.

        Raises
        ------
        UsageError
            E704 where the numbers are no box in degrees.
        """
        degrees = all(map(math.isfinite, (west, south, east, north)))
        if not degrees or not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south < north <= 90):
            raise UsageError(
                "E704",
                f"--bbox {west:g} {south:g} {east:g} {north:g}: expected degrees west, south, east, north, "
                "south below north (west > east crosses the antimeridian).",
            )
        return cls._checked(shapely.box(west, south, east + 360 * (west > east), north), "--bbox")

    @classmethod
    def of_file(cls, path: Path) -> Area:
        """Return the polygons of a vector file, in any projection.

        Raises
        ------
        InputError
            E150, E151, E152 as an inventory of polygons.
        UsageError
            E704.
        """
        table, _ = read_polygons(path)
        shapes = projected(table.geometry, "EPSG:4326")
        if table.crs.is_geographic and table.crs != shapes.crs:
            shapes = shapes.to_crs("EPSG:4326")
        if not np.isfinite(shapes.bounds.to_numpy()).all():
            raise UsageError("E704", f"{path}: holds shapes where its projection has no place on the Earth.")
        parts = shapely.get_parts(shapes.to_numpy())
        first = _middle(parts[0])
        return cls._checked(shapely.union_all([unwrapped(part, first) for part in parts]), str(path))

    @classmethod
    def _checked(cls, shape: BaseGeometry, name: str) -> Area:
        area = cls(shape)
        if not shape.is_valid or shape.is_empty or area.km2 == 0:
            raise UsageError("E704", f"{name}: holds no area to search.")
        if area.km2 > LARGEST_KM2:
            raise UsageError(
                "E704",
                f"{name}: has {area.km2:,.0f} km2, one search takes {LARGEST_KM2:,.0f} at most; divide "
                "it. Scenes are mapped together afterwards (landslide-map a.yaml b.yaml --out results/).",
            )
        return area

    @cached_property
    def centre(self) -> tuple[float, float]:
        """Longitude and latitude of the middle, degrees."""
        west, south, east, north = self.shape.bounds
        return (west + east) / 2, (south + north) / 2

    @property
    def km2(self) -> float:
        """Area on the ellipsoid, km2."""
        return float(self.plane(self.shape).area / 1e6)

    def boxes(self) -> list[tuple[float, float, float, float]]:
        """Return the bounds as west, south, east, north in [-180, 180]: two boxes across 180 degrees.

        Servers answer a box with west > east wrongly or not at all.

        >>> Area.of_box(179.5, -17, -179.5, -16).boxes()
        [(179.5, -17.0, 180.0, -16.0), (-180.0, -17.0, -179.5, -16.0)]
        """
        west, south, east, north = (float(value) for value in self.shape.bounds)
        west, east = (west + 180) % 360 - 180, (east + 180) % 360 - 180
        if west < east:
            return [(west, south, east, north)]
        return [(west, south, 180.0, north), (-180.0, south, east, north)]

    def covered(self, footprint: BaseGeometry) -> float:
        """Return the share of the area that a footprint covers, 0 to 1."""
        if not footprint.intersects(self.shape):
            return 0.0
        return float(self.plane(footprint.intersection(self.shape)).area / self.plane(self.shape).area)

    def placed(self, footprint: BaseGeometry) -> BaseGeometry:
        """Return a footprint with its longitudes counted as those of the area."""
        parts = [unwrapped(part, self.centre[0]) for part in shapely.get_parts(footprint)]
        return shapely.union_all(parts)

    def geojson(self) -> dict[str, Any]:
        """Return the area as a GeoJSON feature collection; longitudes stay in [-180, 180]."""
        world = shapely.box(-180, -90, 180, 90)
        pieces = [
            shapely.transform(self.shape.intersection(shapely.transform(world, _shift(turn))), _shift(-turn))
            for turn in (-360.0, 0.0, 360.0)
        ]
        polygons = [
            part for piece in pieces for part in shapely.get_parts(piece) if part.geom_type == "Polygon"
        ]
        return {
            "type": "FeatureCollection",
            "features": [
                {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(polygon)}
                for polygon in polygons
                if polygon.area > 0
            ],
        }

    def plane(self, shape: BaseGeometry) -> BaseGeometry:
        """Return a shape in metres, equal areas."""
        return shapely.transform(shape, self._project)

    @cached_property
    def _project(self) -> Any:
        longitude, latitude = self.centre
        to_plane = pyproj.Transformer.from_crs(
            "EPSG:4326", f"+proj=laea +lat_0={latitude} +lon_0={longitude} +datum=WGS84", always_xy=True
        )
        return lambda points: np.column_stack(to_plane.transform(points[:, 0], points[:, 1]))


def unwrapped(part: BaseGeometry, longitude: float) -> BaseGeometry:
    """Return a polygon in degrees on the turn around `longitude`; its own jump at 180 degrees is undone."""
    west, _, east, _ = part.bounds
    if east - west > _HALF_TURN:
        part = shapely.transform(part, lambda p: np.where([True, False], p + (p < 0) * 360.0, p))
    turns = round((longitude - _middle(part)) / 360.0)
    return shapely.transform(part, _shift(360.0 * turns)) if turns else part


def _shift(degrees: float) -> Any:
    return lambda points: points + np.array([degrees, 0.0])


def _middle(part: BaseGeometry) -> float:
    west, _, east, _ = part.bounds
    return float((west + east) / 2)
