"""Candidates of a search: Sentinel-2 tiles and Sentinel-1 slices, from any catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shapely.geometry.base import BaseGeometry


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of a candidate."""

    href: str
    """Address, or path on this machine."""
    size: int | None = None
    """Bytes; None where the catalogue has no size."""
    checksum: str | None = None
    """Checksum as the catalogue writes it: a multihash, or MD5 in hexadecimal."""


@dataclass(frozen=True, slots=True)
class Optical:
    """One Sentinel-2 Level-2A tile of one datatake."""

    id: str
    catalogue: str
    platform: str
    """``S2A`` ..."""
    tile: str
    """``51RUH``."""
    start: datetime
    """Earliest possible time of sensing, UTC."""
    end: datetime
    """Latest possible time of sensing, UTC."""
    datatake: str
    """Datatake and datastrip without their processing, equal for all versions of one image."""
    baseline: tuple[int, int]
    """Processing baseline, ``(5, 10)``; ``(0, 0)`` where it is unknown."""
    generated: str
    """Time of processing as text that sorts; empty where it is unknown."""
    relative_orbit: int | None
    cloud: float | None
    """Cloud cover of the whole tile by the catalogue, percent."""
    nodata: float | None
    """Part of the whole tile without data by the catalogue, percent."""
    footprint: BaseGeometry
    """Degrees, longitudes counted as the area's."""
    assets: dict[str, Asset]
    """``B02, B03, B04, B08`` and, where there is one, ``SCL``; or ``product``, a whole SAFE."""
    product: str
    """Name of the product without its ending, for folders and for its baseline."""


@dataclass(frozen=True, slots=True)
class Slice:
    """One Sentinel-1 product: a slice, burst or frame of one pass."""

    id: str
    catalogue: str
    platform: str
    """``S1A`` ..."""
    absolute_orbit: int | None
    relative_orbit: int | None
    state: str | None
    """``ascending`` or ``descending``."""
    start: datetime
    end: datetime
    family: str
    """``Planetary Computer``, ``OPERA``, ``HyP3`` ..., or ``GRD``, which is not geocoded."""
    geocoded: bool
    footprint: BaseGeometry
    assets: dict[str, Asset]
    """``vv`` and ``vh``."""
    product: str
    """Name of the product, for folders."""
    units: str | None = None
    quantity: str | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A candidate that was not taken, and why."""

    id: str
    reason: str


Candidate = Optical | Slice
