"""Incidence angles of a Sentinel-1 track: as scene.yaml lists them, or beside the bands of a product."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from landslide_map.inputs.scene_inputs import RadarImage, RadarTrack, UnopenedBand
from landslide_map.raster.dataset import files_in, plain_path
from landslide_map.raster.ground_range.product import INCIDENCE, ground_range_band
from landslide_map.scene.model import TrackSpec
from landslide_map.untrusted.files import ZIP_ERRORS, inside_zip, zip_names

_HYP3: Final = re.compile(r"(?P<stem>S1[ABCD]_.+_RTC\d\d_G_.+)_(?:VV|VH)\.tiff?", re.IGNORECASE)
_OPERA: Final = re.compile(r"OPERA_L2_RTC-S1_(?P<burst>T\d{3}-\d{6}-IW[123])_.+", re.IGNORECASE)
_HYP3_ENDINGS: Final = {"incidence": "inc_map_ell", "local_incidence": "inc_map"}
_OPERA_ENDINGS: Final = {"incidence": "incidence_angle", "local_incidence": "local_incidence_angle"}


def with_angles(track: RadarTrack, spec: TrackSpec) -> RadarTrack:
    """Return a track with its incidence angles, those that there are."""
    return replace(
        track,
        incidence=angles("incidence", spec.incidence, track.post),
        local_incidence=angles("local_incidence", spec.local_incidence, track.post),
    )


def angle_files(track: RadarTrack) -> list[Path]:
    """Return the files on disk that hold the angles of a track."""
    return [file for band in (*track.incidence, *track.local_incidence) for file in files_in(band.path)]


def angles(
    kind: str, listed: Sequence[Path] | None, images: Sequence[RadarImage]
) -> tuple[UnopenedBand, ...]:
    """Return the bands of one kind of angle.

    Parameters
    ----------
    kind : {"incidence", "local_incidence"}
        From the normal of the ellipsoid (HyP3 ``inc_map_ell``, OPERA ``incidence_angle``) or of the ground
        (HyP3 ``inc_map``, OPERA ``local_incidence_angle``). GRD products have the first in their annotation.
    listed : sequence of Path, optional
        What scene.yaml lists: instead of what lies beside the bands.
    images : sequence of RadarImage
        Those of one track, which sees the ground at the same angles each time.
    """
    if listed is not None:
        return tuple(UnopenedBand(str(path)) for path in listed)
    bands = [band for image in images[:1] for band in image.bands.get("vv", ())]
    geocoded = [one for band in bands if (one := ground_range_band(band.path))]
    if geocoded:
        own = geocoded if kind == "incidence" else []
        return tuple(UnopenedBand(replace(one, polarisation=INCIDENCE).name) for one in own)
    files = [plain_path(band.path) for band in bands]
    found = dict.fromkeys(path for file in files for path in _beside(file, kind))
    return tuple(UnopenedBand(str(path)) for path in found)


def _beside(file: Path, kind: str) -> Iterable[Path]:
    if own := _HYP3.fullmatch(file.name):
        wanted = re.compile(rf"{re.escape(own['stem'])}_{_HYP3_ENDINGS[kind]}\.tiff?", re.IGNORECASE)
    elif own := _OPERA.fullmatch(file.name):
        static = rf"OPERA_L2_RTC-S1-STATIC_{own['burst']}_.+_{_OPERA_ENDINGS[kind]}\.tiff?"
        wanted = re.compile(static, re.IGNORECASE)
    else:
        return []
    # The longer ending of OPERA ends with the shorter one.
    others = re.compile(r"_local_incidence_angle\.tiff?$", re.IGNORECASE)
    names = (path for path in _neighbours(file) if wanted.fullmatch(path.name))
    return sorted(path for path in names if kind == "local_incidence" or not others.search(path.name))


def _neighbours(file: Path) -> Iterable[Path]:
    member = inside_zip(file)
    try:
        if member is None:
            return list(file.parent.iterdir())
        folder = file.parent.relative_to(member.zip).as_posix().removeprefix(".")
        return [member.zip / name for name in zip_names(member.zip) if name.rpartition("/")[0] == folder]
    except ZIP_ERRORS:
        return []
