"""Files of a result for people: images, QGIS project, quicklook and report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from landslide_map.errors import Notice
from landslide_map.grid import Grid
from landslide_map.mapping.report_facts import ReportFacts
from landslide_map.products import ITEM, LANDSLIDES, PROJECT, QUICKLOOK, REPORT
from landslide_map.products.imagery import Strips, write_images
from landslide_map.products.project import title_of, write_project
from landslide_map.products.quicklook import write_quicklook
from landslide_map.products.report.html_report import ReportText, write_report
from landslide_map.products.saved_project import saved_by_person
from landslide_map.products.stac_item import write_item
from landslide_map.runtime import timings
from landslide_map.runtime.threads import reading_threads


@contextmanager
def images_beside(
    staging: Path, grid: Grid, tags: Mapping[str, str], display: Strips | None
) -> Iterator[None]:
    """Write the images of a scene while the block writes other files; all are there after it.

    Parameters
    ----------
    staging : Path
        Folder for the files.
    grid : Grid
        Of the scene.
    tags : mapping of str to str
        About the map.
    display : mapping or None
        Pixels that images are made of; None where there are to be no images.
    """
    with reading_threads() as submit:
        images = submit(write_images, staging, grid, display, tags) if display else None
        yield
        if images:
            images.result()


def write_pages(
    staging: Path, rasters: Path, out: Path, tags: Mapping[str, str], facts: ReportFacts
) -> tuple[Notice, ...]:
    """Write project, quicklook, report and catalogue item of the outlines in `staging`; return notices.

    Parameters
    ----------
    staging : Path
        Folder with ``landslides.gpkg``.
    rasters : Path
        Folder with the images and rasters.
    out : Path
        Folder that the files will move to; a project there that a person has saved is kept (I431).
    tags : mapping of str to str
        About the map, with ``threshold_lowest`` and ``event_time``.
    facts : ReportFacts
        For the report.
    """
    event_time = datetime.fromisoformat(tags["event_time"])
    write_pictures(staging, rasters, tags, facts)
    if kept := saved_by_person(out / PROJECT):
        message = f"{PROJECT} was saved by a person and is kept; move it away to get a new one"
    else:
        threshold = float(tags["threshold_lowest"])
        with timings.work("write project"):
            write_project(staging / PROJECT, rasters, threshold=threshold, tags=tags, event_time=event_time)
    write_item(staging / ITEM, rasters, tags=tags, event_time=event_time, outlines=staging / LANDSLIDES)
    return (Notice("I431", message),) if kept else ()


def write_pictures(staging: Path, rasters: Path, tags: Mapping[str, str], facts: ReportFacts) -> None:
    """Write quicklook and report of the outlines in `staging`; parameters as of :func:`write_pages`."""
    threshold = float(tags["threshold_lowest"])
    title = title_of(tags, datetime.fromisoformat(tags["event_time"]))
    outlines = staging / LANDSLIDES
    text = ReportText(title, tags, threshold, facts.images, facts.notices)

    def quicklook() -> None:
        with timings.work("write quicklook"):
            target = staging / QUICKLOOK
            write_quicklook(rasters, target, threshold=threshold, tags=tags, title=title, outlines=outlines)

    with reading_threads() as submit:
        drawn = submit(quicklook)
        with timings.work("write report"):
            write_report(staging / REPORT, rasters, text, outlines)
        drawn.result()
