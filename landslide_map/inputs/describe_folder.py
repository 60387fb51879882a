"""Commented scene.yaml from the images in a folder, or a template."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from landslide_map.errors import InputError, Notice
from landslide_map.inputs.sentinel1.families import passes, products_in
from landslide_map.inputs.sentinel1.folder import sorted_radar
from landslide_map.inputs.sentinel2 import safe
from landslide_map.inputs.sentinel2.band_files import dates_in_names
from landslide_map.inputs.sentinel2.families import resolved
from landslide_map.inputs.sentinel2.loose_bands import loose_bands
from landslide_map.scene.model import OpticalSpec, Radar, RadarSpec, TrackSpec

TEMPLATE: Final = """\
# What a run needs to know; every key is explained in docs/scene-format.md.
# `landslide-map check scene.yaml` says what was understood of each file.
event:
  time: 2024-01-31T12:00:00Z    # of the earthquake or storm, UTC with a Z: replace it
  # name: my event
# grid: {aoi: area.geojson}     # only this area; without it, the whole Sentinel-2 image
s2:
  # A Level-2A image after the event: SAFE folder or zip, or a folder with one file for each band.
  post: S2B_MSIL2A_20240210T022529_N0510_R046_T51RUH_20240210T045508.SAFE.zip
s1:
  # Geocoded images of one track for each direction. `s1: folder/` sorts products automatically.
  descending:
    pre:
      - {vv: before_vv.tif, vh: before_vh.tif, units: db, datetime: 2024-01-25T21:55:00Z}
    post:
      - {vv: after_vv.tif, vh: after_vh.tif, units: db, datetime: 2024-02-06T21:55:00Z}
# dem: dem.tif                  # elevation: flat ground is then left out
"""
_AREA: Final = {".geojson", ".gpkg", ".shp", ".kml"}
_AREA_NAME: Final = re.compile(r"(^|[_-])(aoi|area|extent|boundary|footprint)([_.-]|$)", re.IGNORECASE)
_ELEVATION: Final = re.compile(r"(^|[_-])(dem|dsm|dtm|elevation)([_.-]|$)", re.IGNORECASE)
_PRODUCT: Final = re.compile(r"S2[A-D]_MSIL2A_", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Image:
    """A Sentinel-2 image in a folder."""

    path: Path
    """Product, folder of bands, or the red band of single files."""
    acquired: datetime | None
    files: Mapping[str, Path] = field(default_factory=dict)
    """Band -> file, where each is listed."""
    by_day: bool = False

    @property
    def about(self) -> str:
        """Name and date, for a comment."""
        if self.acquired is None:
            return f"{self.path.name}, date unknown"
        form = "%Y-%m-%d" if self.by_day else "%Y-%m-%d %H:%M UTC"
        return f"{self.path.name}, taken {self.acquired:{form}}"

    def dated(self, event_time: datetime) -> bool:
        """Return whether it is known on which side of the event the image is."""
        return self.acquired is not None and not (self.by_day and self.acquired.date() == event_time.date())


@dataclass(frozen=True, slots=True)
class Described:
    """Text of a scene.yaml, and remarks for the user."""

    text: str
    missing: tuple[str, ...]
    """Missing parts of the scene, each a sentence; empty where it can be checked."""
    notices: tuple[Notice, ...]


def describe_folder(folder: Path, event_time: datetime | None, out: Path) -> Described:
    """Return a scene.yaml of the images in a folder.

    Parameters
    ----------
    folder : Path
    event_time : datetime, optional
        UTC; without it, images before and after cannot be distinguished.
    out : Path
        Where scene.yaml will be: paths are relative to its folder.

    Raises
    ------
    InputError
        E101 no such folder, or nothing in it that is of use.
    """
    if not folder.is_dir():
        raise InputError("E101", f"{folder}: no such folder; name the one with the images.")
    base = out.absolute().parent
    images = sorted(_optical(folder), key=lambda image: (str(image.acquired or ""), str(image.path)))
    count = len(passes(products_in(folder)))
    if not images and not count:
        raise InputError(
            "E101",
            f"{folder}: holds no Sentinel-2 Level-2A image and no geocoded Sentinel-1 product; "
            "`landslide-map init` without a folder writes a template, `landslide-map find` fetches images.",
        )
    lines = ["# Written by `landslide-map init`; every key is explained in docs/scene-format.md.", "event:"]
    if event_time is None:
        lines.append("  time:    # write when it happened, UTC with a Z, e.g. 2024-04-02T23:58:00Z")
        lines += [f"# {image.about}" for image in images]
        lines += [f"# Sentinel-1: {count} passes"] if count else []
        text = "the time of the event: give --event-time to separate images before it from images after it"
        return Described("\n".join(lines) + "\n", (text,), ())
    lines.append(f"  time: {event_time:%Y-%m-%dT%H:%M:%SZ}")
    lines += _grid_lines(folder, base, bool(images))
    found, missing = _optical_lines(images, event_time, base)
    lines += found
    notices: list[Notice] = []
    if count:
        try:
            tracks, notices = sorted_radar(Radar(folder=folder), event_time)
            lines += _radar_lines(tracks, base)
        except InputError as error:
            if error.code != "E302":
                raise
            missing.append(f"a Sentinel-1 pass after the event: all {count} are before it, or far from it")
    else:
        missing.append("Sentinel-1: no geocoded product was found (the map then rests on one sensor)")
    if elevation := _elevation(folder):
        lines.append(f"dem: {_text(elevation, base)}")
    return Described("\n".join(lines) + "\n", tuple(missing), tuple(notices))


def _optical(folder: Path) -> Iterator[_Image]:
    """Yield the Sentinel-2 images in a folder and below it."""
    seen: set[Path] = set()
    for path in [folder, *sorted(folder.rglob("*"))]:
        if any(parent in seen for parent in path.parents):
            continue
        if path.is_dir() and any(child.name.lower() == safe.PRODUCT_XML for child in path.iterdir()):
            seen.add(path)
            yield _Image(path, safe.read_product(path).acquired)
        elif path.suffix.lower() == ".zip" and _PRODUCT.search(path.name):
            yield _Image(path, safe.read_product(path).acquired)
        elif path.is_dir() and (time := _of_bands(path)) is not None:
            seen.add(path)
            yield _Image(path, time)
        elif path.is_dir():
            for one in loose_bands(path):
                yield _Image(one.files["B04"], one.acquired, one.files, one.by_day)


def _of_bands(folder: Path) -> datetime | None:
    """Return the time of an image that is a folder of band files; None where it is none, or several."""
    if not any(re.search(r"(B0?4|red)(_10m)?\.(tiff?|jp2)$", child.name, re.I) for child in folder.iterdir()):
        return None
    try:
        spec = resolved(OpticalSpec(path=folder))
    except InputError:
        return None
    files = [str(path) for path in spec.band_files.values()]
    return (spec.datetime or dates_in_names(files)) if files else None


def _optical_lines(images: list[_Image], event_time: datetime, base: Path) -> tuple[list[str], list[str]]:
    """Return the lines of the image after the event, and missing parts; other images are comments."""
    dated = [image for image in images if image.dated(event_time)]
    after = [image for image in dated if image.acquired is not None and image.acquired > event_time]
    undated = [image for image in images if image not in dated]
    post = next(iter(after or undated), None)
    if post is None or (not after and len(undated) > 1):
        others = [f"# also there: {image.about}" for image in images]
        choose = f": {len(undated)} have no date, name one as s2.post" if undated else ""
        return others, [f"a Sentinel-2 image after the event{choose}"]
    before = [image for image in dated if image not in after]
    lines = ["s2:", *_image_lines("post", post, event_time, base)]
    if before:
        lines += [f"  # {line[2:]}" for line in _image_lines("pre", before[-1], event_time, base)]
    others = [f"# also there: {image.about}" for image in images if image not in (post, *before[-1:])]
    missing = [] if after else [f"when {post.path.name} was taken: write s2.post.datetime"]
    return [*lines, *others], missing


def _image_lines(key: str, image: _Image, event_time: datetime, base: Path) -> list[str]:
    """Return the lines of an image, with its distance from the event or a place for its date."""
    days = (image.acquired - event_time).total_seconds() / 86400 if image.acquired else 0.0
    when = f"{abs(days):.1f} days {'after' if days > 0 else 'before'} the event"
    if not image.files:
        return [f"  {key}: {_text(image.path, base)}    # {when}"]
    lines = [f"  {key}:", *(f"    {band}: {_text(path, base)}" for band, path in image.files.items())]
    if not image.dated(event_time):
        return [*lines, "    # datetime: YYYY-MM-DDThh:mm:ssZ    # time of the image; not in its names"]
    remark = "; by its names, the time of day is unknown" if image.by_day else ""
    return [*lines, f"    datetime: {image.acquired:%Y-%m-%dT%H:%M:%SZ}    # {when}{remark}"]


def _radar_lines(tracks: dict[str, TrackSpec], base: Path) -> list[str]:
    lines = ["s1:"]
    for orbit, track in tracks.items():
        lines.append(f"  {orbit}:")
        for side, specs in (("pre", track.pre), ("post", track.post)):
            if specs:
                lines.append(f"    {side}:")
                lines += [f"      {line}" for spec in specs for line in _item(spec, base)]
    return lines


def _item(spec: RadarSpec, base: Path) -> list[str]:
    if spec.path is not None:
        numbers = f", bands: {{vv: {spec.bands.vv}, vh: {spec.bands.vh}}}" if spec.bands else ""
        return [f"- {{path: {_text(spec.path, base)}{numbers}}}"]
    lines = []
    for name, files in (("vv", spec.vv), ("vh", spec.vh)):
        listed = [_text(path, base) for path in files or ()]
        lines.append(f"{name}: {listed[0] if len(listed) == 1 else '[' + ', '.join(listed) + ']'}")
    return [f"- {lines[0]}", f"  {lines[1]}"]


def _grid_lines(folder: Path, base: Path, has_image: bool) -> list[str]:
    """Return the grid: an area that lies in the folder, commented out where the image decides as well."""
    shapes = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in _AREA]
    likely = [path for path in shapes if _AREA_NAME.search(path.name)]
    area = next(iter(likely or (shapes if not has_image and len(shapes) == 1 else [])), None)
    if area is None:
        return [] if has_image else ["# grid: {aoi: area.geojson}    # needed without a Sentinel-2 image"]
    comment = "# " if has_image else ""
    return [f"{comment}grid: {{aoi: {_text(area, base)}}}"]


def _elevation(folder: Path) -> Path | None:
    rasters = (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in {".tif", ".tiff"})
    return next((path for path in rasters if _ELEVATION.search(path.stem) and "RTC" not in path.name), None)


def _text(path: Path, base: Path) -> str:
    """Return a path as YAML, relative to the folder of scene.yaml."""
    text = Path(os.path.relpath(path.absolute(), base)).as_posix()
    return text if re.fullmatch(r"[A-Za-z0-9_./][A-Za-z0-9_./+=-]*", text) else json.dumps(text)
