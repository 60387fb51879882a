"""The scene.yaml of a selection, with the origin of each image as comments."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from landslide_map.search.candidates import Optical, Slice
from landslide_map.search.choose_radar import Pass, Track
from landslide_map.search.clouds import optical_file
from landslide_map.search.selection import Selection, radar_file

BANDS = ("B02", "B03", "B04", "B08", "SCL")


def scene_text(selection: Selection, folder: Path, images: Path, *, name: str | None = None) -> str:
    """Return the text of a scene.yaml.

    Parameters
    ----------
    selection : Selection
    folder : Path
        Folder of scene.yaml; paths are relative to it.
    images : Path
        Folder that the images are downloaded to.
    name : str, optional
        Of the event.
    """
    lines = [
        "# Written by `landslide-map find`; edit it as you like (docs/scene-format.md).",
        f"# Catalogues: {', '.join(selection.catalogues)}.",
        "event:",
        f"  time: {selection.event.time:%Y-%m-%dT%H:%M:%SZ}",
    ]
    if name:
        lines.append(f"  name: {json.dumps(name)}")
    lines += ["grid:", f"  aoi: {_path(folder / 'area.geojson', folder)}"]
    post = selection.optical.post
    if post is None:
        lines.append(
            "# No Sentinel-2 image after the event was found: Sentinel-1 alone votes, in the area's UTM zone."
        )
    else:
        clear = post.clearness
        lines += [
            "s2:",
            f"  # {post.image.product}: {clear.cloud:.0f} % cloud, {post.days:.1f} days after the event",
            "  post:",
            *[f"    {line}" for line in _optical(post.image, folder, images)],
        ]
    pre = selection.optical.pre
    if pre is not None:
        lines.append(
            f"# The clearest comparable image before: {pre.image.product} ({pre.clearness.cloud:.0f} % cloud)"
        )
    if selection.radar.tracks:
        lines.append("s1:")
        for track in selection.radar.tracks.values():
            lines += _track(track, folder, images)
    if selection.elevation:
        lines += [
            "# Copernicus GLO-30, heights above the geoid EGM2008; the sea is 0",
            f"dem: {_path(images / 'dem.tif', folder)}",
        ]
    return "\n".join(lines) + "\n"


def _optical(image: Optical, folder: Path, images: Path) -> list[str]:
    lines = []
    for band in BANDS:
        if band in image.assets:
            href = image.assets[band].href
            local = not href.startswith(("http://", "https://"))
            lines.append(
                f"{band}: {_path(Path(href) if local else optical_file(images, image, band), folder)}"
            )
    lines.append("offset: auto  # decided by the processing baseline and the pixels")
    lines.append(f"datetime: {image.start:%Y-%m-%dT%H:%M:%SZ}")
    return lines


def _track(track: Track, folder: Path, images: Path) -> list[str]:
    lines = [
        f"  {track.state}:",
        f"    # relative orbit {track.relative_orbit}, {track.family}; passes within {track.days} days after",
    ]
    for side, passes in (("pre", track.pre), ("post", track.post)):
        lines.append(f"    {side}:")
        for one in sorted(passes, key=lambda p: p.start):
            lines += [f"      {line}" for line in _pass(track, one, folder, images)]
    return lines


def _pass(track: Track, one: Pass, folder: Path, images: Path) -> list[str]:
    first = one.first
    lines = [f"- # covers {one.covered:.0%} of the area"]
    for band in ("vv", "vh"):
        files = [_path(radar_file(images, s.product, band, s.assets[band]), folder) for s in one.slices]
        lines.append(f"  {band}: {files[0] if len(files) == 1 else '[' + ', '.join(files) + ']'}")
    lines += [f"  {key}: {value}" for key, value in _facts(first).items()]
    lines += [
        f"  datetime: {one.start:%Y-%m-%dT%H:%M:%SZ}",
        f"  pass: {track.state}",
        f"  relative_orbit: {track.relative_orbit}",
        f"  platform: {first.platform}",
    ]
    return lines


def _facts(first: Slice) -> dict[str, str]:
    facts = {"units": first.units, "quantity": first.quantity}
    if first.family == "Planetary Computer":
        facts["nodata"] = "[-32768, 0]"
    return {key: value for key, value in facts.items() if value}


def _path(path: Path, folder: Path) -> str:
    """Return a path as YAML, relative to the folder of scene.yaml."""
    text = Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix()
    return (
        text if re.fullmatch(r"[A-Za-z0-9._/][A-Za-z0-9._/ +=-]*[A-Za-z0-9._/-]", text) else json.dumps(text)
    )
