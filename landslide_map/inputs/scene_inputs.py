"""Inputs of a scene after reading: images, tracks and elevation without their product family.

Readers turn files into these values; alignment turns these values into pixels on the grid.
Nothing here opens a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from landslide_map.errors import Notice
from landslide_map.grid import Grid
from landslide_map.options import BackscatterUnits, Quantity
from landslide_map.raster.band import FLOAT32, RasterBand


@dataclass(frozen=True, slots=True)
class UnopenedBand:
    """A band that only pixel members read, before it is opened."""

    path: str
    index: int = 1
    nodata: tuple[float, ...] | None = None
    """None for what the file says."""
    placed: Grid | None = None
    """Grid of the pixels, if the product declares it outside of the raster."""
    like: Grid | None = None
    """A band of the same image, on the same ground."""
    limits: tuple[float, float] = FLOAT32


@dataclass(frozen=True, slots=True)
class OpticalImage:
    """A post-event Sentinel-2 image; training DN = ``stored * scale + offset``."""

    bands: dict[str, RasterBand]
    """Bands among ``red, green, blue, nir``; a band that the files lack has no entry."""
    scale: float
    """1 for digital numbers, 10000 for reflectance."""
    offset: float
    """1000 where the stored numbers lack the baseline-04.00 offset, else 0."""
    offset_reason: str
    """Reason for the offset, one sentence."""
    acquired: datetime | None = None
    """UTC."""
    scene_classification: RasterBand | None = None
    """SCL (20 m), where the product has it."""
    further: Mapping[str, UnopenedBand] = field(default_factory=dict)
    """``b05, b06, b07, b8a, b11, b12`` (20 m) and ``b01, b09`` (60 m), those that there are; of the same
    scale and offset."""
    product: str = ""
    """Product name or first file name, for reports."""
    baseline: str | None = None
    """Processing baseline, e.g. ``05.09``."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Property -> where it is known from, as of :class:`RadarImage`."""


@dataclass(frozen=True, slots=True)
class LevelOneImage:
    """The Level-1C product of the post-event image; reflectance = ``(stored + offset) / 10000``."""

    bands: Mapping[str, UnopenedBand]
    """``b01`` ... ``b12``, without ``b8a``."""
    offset: float
    """-1000 from baseline 04.00 on, else 0."""
    acquired: datetime
    """UTC."""
    product: str = ""


@dataclass(frozen=True, slots=True)
class HiddenGround:
    """Mask of layover and shadow that comes with a product."""

    mask: RasterBand
    codes: tuple[float, ...]
    """Values of the mask that hide the ground."""


@dataclass(frozen=True, slots=True)
class RadarImage:
    """One Sentinel-1 acquisition of one track: VV and VH of one datatake."""

    bands: dict[str, tuple[RasterBand, ...]]
    """``vv, vh`` -> slices, bursts or frames of the same datatake (usually one)."""
    units: BackscatterUnits
    quantity: Quantity
    acquired: datetime
    """UTC."""
    orbit: str
    """``descending`` or ``ascending``."""
    relative_orbit: int | None = None
    platform: str | None = None
    """``S1A`` ..."""
    product: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Property -> where it is known from, e.g. ``relative_orbit`` -> ``tags``."""
    moved: tuple[float, float] = (0.0, 0.0)
    """Rows and columns by which the image was displaced before its grids were moved."""
    hidden: tuple[HiddenGround | None, ...] = ()
    """Mask of each slice, where the product has one."""


@dataclass(frozen=True, slots=True)
class RadarComposite:
    """A ready four-band composite in dB; ``post_vv, post_vh, diff_vv, diff_vh``."""

    bands: dict[str, RasterBand]
    quantity: Quantity
    product: str = ""


@dataclass(frozen=True, slots=True)
class RadarTrack:
    """All of one orbit direction: either images before and after, or a composite."""

    orbit: str
    pre: tuple[RadarImage, ...] = ()
    post: tuple[RadarImage, ...] = ()
    composite: RadarComposite | None = None
    incidence: tuple[UnopenedBand, ...] = ()
    """Angles from the normal of the ellipsoid; of each slice, the first valid one counts."""
    local_incidence: tuple[UnopenedBand, ...] = ()
    """Angles from the normal of the ground."""

    @property
    def quantity(self) -> Quantity:
        """Radiometry of the absolute bands."""
        return self.composite.quantity if self.composite else self.post[0].quantity

    @property
    def raster_bands(self) -> tuple[RasterBand, ...]:
        """Every raster band of the track."""
        if self.composite is not None:
            return tuple(self.composite.bands.values())
        images = (*self.pre, *self.post)
        masks = tuple(one.mask for image in images for one in image.hidden if one is not None)
        return (*(band for image in images for slices in image.bands.values() for band in slices), *masks)


@dataclass(frozen=True, slots=True)
class WaterMask:
    """Water mask of the scene, as polygons or a raster."""

    band: RasterBand | None = None
    """Above 0 where there is water."""
    shapes: tuple[Any, ...] = ()
    """Polygons of water, in the projection of the grid."""


@dataclass(frozen=True, slots=True)
class SceneInputs:
    """Everything a run reads, checked, and the grid it is read into."""

    grid: Grid
    event_time: datetime
    optical: OpticalImage | None
    tracks: dict[str, RadarTrack]
    """Orbit direction -> track; a missing direction has no entry."""
    dem: RasterBand | None = None
    optical_before: tuple[OpticalImage, ...] = ()
    """Sentinel-2 images before the event, the latest first; only outlines are made with them."""
    optical_l1c: LevelOneImage | None = None
    """Only pixel members read it."""
    water: WaterMask | None = None
    every_member: bool = False
    """Whether members also vote on channels unlike those that they were trained on."""
    files: tuple[Path, ...] = ()
    """Every file on disk that is read, for the manifest."""
    notices: tuple[Notice, ...] = field(default=())

    @property
    def sensors(self) -> set[str]:
        """Sensors of the scene, among ``optical, descending, ascending``."""
        return {*self.tracks, *(["optical"] if self.optical else [])}
