"""Facts of the report that no file of a map holds: its images and notices, kept in ``run.json``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from landslide_map.errors import Notice
from landslide_map.inputs.scene_inputs import RadarTrack, SceneInputs


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """Facts of the report besides the files of a map."""

    images: Sequence[tuple[str, str, str]] = ()
    """What, when (UTC) and which product, for every image."""
    notices: Sequence[Notice] = ()
    """About the scene."""


def report_facts(inputs: SceneInputs, notices: Sequence[Notice]) -> ReportFacts:
    """Return the facts of a scene."""
    return ReportFacts(list(_image_rows(inputs)), notices)


def facts_in(manifest: Mapping[str, Any]) -> ReportFacts:
    """Return the facts in a ``run.json``; none where it was written before they were kept.

    Raises
    ------
    ValueError, LookupError, TypeError
        They are not what a run writes.
    """
    stored = manifest.get("report")
    if stored is None:
        return ReportFacts()
    images = [(str(what), str(when), str(product)) for what, when, product in stored["images"]]
    notices = [Notice(str(one["code"]), str(one["message"])) for one in stored["notices"]]
    return ReportFacts(images, notices)


def _image_rows(inputs: SceneInputs) -> Iterator[tuple[str, str, str]]:
    """Yield kind, time and product of every image, as the report shows them."""
    if inputs.optical is not None:
        image = inputs.optical
        when = f"{image.acquired:%Y-%m-%d %H:%M}" if image.acquired else "unknown"
        yield "Sentinel-2 after", when, image.product
    for image in inputs.optical_before:
        when = f"{image.acquired:%Y-%m-%d %H:%M}" if image.acquired else "unknown"
        yield "Sentinel-2 before", when, image.product
    for orbit, track in inputs.tracks.items():
        yield from _track_rows(orbit, track)


def _track_rows(orbit: str, track: RadarTrack) -> Iterator[tuple[str, str, str]]:
    if track.composite is not None:
        yield f"Sentinel-1 {orbit}, composite", "unknown", track.composite.product
        return
    for side, images in (("before", track.pre), ("after", track.post)):
        for image in images:
            about = [image.platform, image.relative_orbit and f"track {image.relative_orbit}", image.quantity]
            what = f"Sentinel-1 {orbit}, {side} ({', '.join(str(part) for part in about if part)})"
            yield what, f"{image.acquired:%Y-%m-%d %H:%M}", image.product
