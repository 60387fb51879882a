"""One Sentinel-2 image of several parts: files of an export that was cut, or products of one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from landslide_map.errors import InputError
from landslide_map.inputs.scene_inputs import UnopenedBand
from landslide_map.inputs.sentinel2.families import resolved
from landslide_map.inputs.sentinel2.offset import OffsetDecision
from landslide_map.inputs.shards import shards_of
from landslide_map.raster.band import RasterBand
from landslide_map.raster.joined import joined_name
from landslide_map.raster.open import open_band
from landslide_map.scene.model import OpticalSpec

SAME_PASS_S: Final = 3600.0
"""Products of one pass begin within this time; the next pass over the same ground is days later."""


@dataclass(frozen=True, slots=True)
class Found:
    """Files and metadata of an image, before its pixels are read."""

    name: str
    rasters: dict[str, RasterBand]
    """``red, green, blue, nir, scl``, those that exist."""
    further: dict[str, UnopenedBand] = field(default_factory=dict)
    """``b05`` ..., those that exist."""
    offset: OffsetDecision | None = None
    acquired: datetime | None = None
    baseline: str | None = None
    sun_zenith: float | None = None
    metadata: tuple[Path, ...] = ()
    reflectance: bool = False
    """Whether the numbers are known to be reflectance."""


def whole(spec: OpticalSpec) -> list[OpticalSpec]:
    """Return the parts of an image, each once; one file of an export that was cut stands for all."""
    parts: dict[str, OpticalSpec] = {}
    for part in (spec, *spec.more):
        one = resolved(part)
        for path in [None] if one.path is None else shards_of(one.path):
            key = str(path or one.band_files)
            parts.setdefault(key, one.model_copy(update={"path": path, "more": ()}))
    first, *others = parts.values()
    alike = {name: getattr(first, name) for name in ("units", "offset")}
    for other in others:
        if {name: getattr(other, name) for name in alike} != alike:
            raise InputError("E109", f"{_name(other)}: has other units or another offset than {_name(first)}")
        if first.datetime and other.datetime:
            _check_time(_name(other), other.datetime, first.datetime)
    return [first, *others]


def joined(parts: Sequence[Found]) -> Found:
    """Return the one image that parts make, the first on top where they overlap.

    Raises
    ------
    InputError
        E109 parts differ in bands, date or offset, or do not share their pixels.
    """
    first, *others = parts
    if not others:
        return first
    names = set.intersection(*({*part.rasters} for part in parts))
    for part in others:
        if ({*part.rasters} ^ {*first.rasters}) - {"scl"}:
            raise InputError(
                "E109", f"{part.name}: has other bands than {first.name}; list parts of one image"
            )
        if _numbers(part) != _numbers(first):
            raise InputError(
                "E109",
                f"{part.name}: its numbers have another offset or scale than {first.name}; map each as a "
                "scene of its own: landslide-map a.yaml b.yaml --out results",
            )
        if part.acquired and first.acquired:
            _check_time(part.name, part.acquired, first.acquired)
    return replace(
        first,
        name=f"{first.name} and {len(others)} more",
        rasters={
            name: _one_band([part.rasters[name] for part in parts]) for name in first.rasters if name in names
        },
        further={
            name: _joined_further([part.further[name] for part in parts])
            for name in first.further
            if all(name in part.further for part in parts)
        },
        acquired=min((part.acquired for part in parts if part.acquired), default=None),
        metadata=tuple(dict.fromkeys(path for part in parts for path in part.metadata)),
    )


def _joined_further(bands: Sequence[UnopenedBand]) -> UnopenedBand:
    """Return one band of several parts; it may not be a Zarr array, which has no projection."""
    return replace(bands[0], path=joined_name([band.path for band in bands]), placed=None)


def _one_band(bands: Sequence[RasterBand]) -> RasterBand:
    first = bands[0]
    if other := next((band for band in bands if band.index != first.index), None):
        raise InputError("E109", f"{other.path}: has its bands in another order than {first.path}")
    if len({band.path for band in bands}) == 1:
        return first
    nodata = tuple(dict.fromkeys(value for band in bands for value in band.nodata))
    return open_band(joined_name([band.path for band in bands]), first.index, nodata)


def _numbers(part: Found) -> tuple[float, float] | None:
    return None if part.offset is None else (part.offset.scale, part.offset.offset)


def _check_time(name: str, time: datetime, first: datetime) -> None:
    if abs((time - first).total_seconds()) > SAME_PASS_S:
        raise InputError(
            "E109",
            f"{name}: was taken {time:%Y-%m-%d %H:%M}, another part of the image {first:%Y-%m-%d %H:%M} UTC; "
            "parts of one image are of one pass. Name one image as s2.post; images before the "
            "event go below s2.pre",
        )


def _name(spec: OpticalSpec) -> str:
    return str(spec.path or next(iter(spec.band_files.values())))
