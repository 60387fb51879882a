"""Text report of ``landslide-map check`` for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from landslide_map.raster.dataset import short_name
from landslide_map.runtime.progress import duration


def report_lines(report: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a report of :func:`landslide_map.check.check_scene.check_scene`."""
    grid = report["grid"]
    yield f"Event       {report['event_time']}"
    yield (
        f"Grid        {grid['crs']}, {grid['width']} x {grid['height']} pixels of 10 m, "
        f"{grid['area_km2']:g} km2, from {grid['bounds'][0]:.10g} {grid['bounds'][3]:.10g}"
    )
    yield from _optical(report["sentinel2"])
    for orbit in ("descending", "ascending"):
        yield from _track(orbit, report["sentinel1"].get(orbit))
    yield f"DEM         {'none' if report['dem'] is None else _file(report['dem'])}"
    yield f"Bundle      {report['bundle']['name']} ({report['bundle']['sha256'][:12]})"
    yield ""
    yield from _quantiles(report["quantiles"])
    yield ""
    windows, cost = report["windows"], report["estimate"]
    memory, least = cost["memory_bytes"] / 1e9, cost["least_memory_bytes"] / 1e9
    yield f"Windows     {windows['count']} of 64 x 64 pixels, stride {windows['stride']}"
    networks = report["bundle"]["networks"]
    besides = f", without {networks} of the bundle's members, which are networks" if networks else ""
    yield f"Estimate    {duration(cost['seconds'])} and {memory:.1f} GB of memory on 2 cores{besides}"
    yield f"            (not less than {math.ceil(10 * least) / 10:.1f} GB with --memory)"
    if report["notices"]:
        yield ""
        yield from (f"{notice['code']}: {notice['message']}" for notice in report["notices"])


def _optical(image: dict[str, Any] | None) -> Iterator[str]:
    if image is None:
        yield "Sentinel-2  none"
        return
    when = "date unknown"
    if image["acquired"]:
        when = f"{image['acquired']}, {image['days_after_event']:g} days after the event"
    yield f"Sentinel-2  {image['product']}"
    source = image["sources"].get
    yield f"    {when} ({source('acquired', '-')})"
    known = [("", "platform"), ("relative orbit ", "relative_orbit"), ("baseline ", "baseline")]
    shown = [f"{title}{image[key]} ({source(key, '-')})" for title, key in known if image[key] is not None]
    yield f"    {', '.join(shown) or 'baseline unknown'}"
    yield f"    DN = stored * {image['scale']:g} {image['offset']:+g} ({image['offset_reason']})"
    for name, band in image["bands"].items():
        yield f"    {name:6}{_file(band, source('nodata'))}"
    if image["scene_classification"]:
        yield f"    SCL   {_file(image['scene_classification'])}"


def _track(orbit: str, track: dict[str, Any] | None) -> Iterator[str]:
    if track is None:
        yield f"Sentinel-1  {orbit}: none"
        return
    if "composite" in track:
        composite = track["composite"]
        yield f"Sentinel-1  {orbit}: composite {composite['product']}, dB, {composite['quantity']}"
        for name, band in composite["bands"].items():
            yield f"    {name:8}{_file(band)}"
        return
    for side in ("pre", "post"):
        for image in track[side]:
            yield f"Sentinel-1  {orbit} {side}: {', '.join(_known(image))}"
            rows, columns = image["moved"]
            if rows or columns:
                yield f"    moved back by {columns:+.1f} columns and {rows:+.1f} rows"
            source = image["sources"].get("nodata")
            for name, slices in image["bands"].items():
                yield from (f"    {name:6}{_file(band, source)}" for band in slices)


def _known(image: dict[str, Any]) -> Iterator[str]:
    """Yield the properties of a Sentinel-1 image, each with its source."""
    for key in ("acquired", "platform", "orbit", "relative_orbit", "polarisation", "units", "quantity"):
        if image[key]:
            title = "relative orbit " if key == "relative_orbit" else ""
            source = image["sources"].get(key)
            yield f"{title}{image[key]}{f' ({source})' if source else ''}"


def _file(band: dict[str, Any], source: str | None = None) -> str:
    nodata = ", ".join(f"{value:g}" for value in band["nodata"]) or "NaN"
    number = f" band {band['band']}" if band["band"] != 1 else ""
    return (
        f"{short_name(band['path'])}{number}: {band['crs'][:40]}, pixel {band['pixel']:.6g}, nodata {nodata}"
        f"{f' ({source})' if source else ''}"
    )


def _quantiles(quantiles: dict[str, dict[str, Any]]) -> Iterator[str]:
    yield f"{'':14}{'this scene, 5 / 50 / 95 %':>32}{'training data':>32}   valid"
    for name, numbers in quantiles.items():
        scene = "-" if numbers["scene"] is None else _three(numbers["scene"])
        yield f"{name:14}{scene:>32}{_three(numbers['training']):>32}{numbers['valid']:8.0%}"


def _three(values: list[float]) -> str:
    return "".join(f"{value:10.0f}" if abs(value) >= 100 else f"{value:10.2f}" for value in values)
