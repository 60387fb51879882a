"""Files of a result for people: images, QGIS project, quicklook and report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from landslide_map.errors import Notice
from landslide_map.inputs.scene_inputs import RadarTrack, SceneInputs
from landslide_map.mapping import provenance
from landslide_map.products import ITEM, PROJECT, QUICKLOOK, REPORT
from landslide_map.products.imagery import Strips, write_images
from landslide_map.products.project import title_of, write_project
from landslide_map.products.quicklook import write_quicklook
from landslide_map.products.report.html_report import ReportText, write_report
from landslide_map.products.saved_project import saved_by_person
from landslide_map.products.stac_item import write_item
from landslide_map.runtime import timings
from landslide_map.runtime.notices import Notices
from landslide_map.window_record import WindowRecord


def write_views(
    stage: Path,
    out: Path,
    inputs: SceneInputs,
    tags: Mapping[str, str],
    record: WindowRecord,
    *,
    notices: Notices,
    display: Strips | None = None,
) -> None:
    """Write images, project, quicklook and report of a scene.

    Parameters
    ----------
    stage : Path
        Folder with the files of the map.
    out : Path
        Folder that they will move to; a project there that a person has saved is kept (I431).
    inputs : SceneInputs
        Opened.
    tags : mapping of str to str
        About the map, with ``threshold_lowest``.
    record : WindowRecord
        Of its windows.
    notices : Notices
        Of the run. The report shows those about the scene: the same scene, the same bytes. Gets I431.
    display : mapping, optional
        Pixels that images are made of, where there are to be any.
    """
    if display:
        write_images(stage, inputs.grid, display, tags)
    threshold, title = float(tags["threshold_lowest"]), title_of(tags, inputs.event_time)
    with timings.work("write quicklook"):
        write_quicklook(stage, stage / QUICKLOOK, threshold=threshold, tags=tags, title=title)
    with timings.work("write report"):
        unlike = provenance.unlike_training(record)
        shown = {**tags, "unlike_training": _unlike_words(unlike)} if unlike else tags
        text = ReportText(title, shown, threshold, list(_rows(inputs)), notices.about_scene)
        write_report(stage / REPORT, stage, text)
    notices.about_run += _write_project(stage, out, inputs, tags)
    write_item(stage / ITEM, stage, tags=tags, event_time=inputs.event_time)


def _write_project(
    stage: Path, out: Path, inputs: SceneInputs, tags: Mapping[str, str]
) -> tuple[Notice, ...]:
    if saved_by_person(out / PROJECT):
        message = f"{PROJECT} was saved by a person and is kept; move it away to get a new one"
        return (Notice("I431", message),)
    threshold = float(tags["threshold_lowest"])
    with timings.work("write project"):
        write_project(stage / PROJECT, stage, threshold=threshold, tags=tags, event_time=inputs.event_time)
    return ()


def _unlike_words(unlike: Mapping[str, float | None]) -> str:
    return f"{unlike['windows']} windows (distance above {unlike['limit']}; median {unlike['median']})"


def _rows(inputs: SceneInputs) -> Iterator[tuple[str, str, str]]:
    """Yield what, when and which product for every image, as the report shows them."""
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
