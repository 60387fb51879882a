"""Consistency of the images of one orbit direction: direction, track, radiometry, pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import combinations, product
from typing import Final

import numpy as np
from rasterio.warp import transform, transform_bounds
from shapely.geometry import box

from landslide_map.errors import InputError, Notice
from landslide_map.grid import Grid
from landslide_map.inputs.scene_inputs import RadarTrack
from landslide_map.inputs.sentinel1 import dates, differences, units
from landslide_map.inputs.sentinel1.border_noise import border_noise_notices
from landslide_map.inputs.sentinel1.families import SAME_PASS_S
from landslide_map.inputs.sentinel1.files import OpenedImage, windows_across
from landslide_map.inputs.sentinel1.metadata import (
    direction,
    has_time_of_day,
    local_solar_hour,
    time_of_day_gap,
)
from landslide_map.options import Quantity

TRACK_GAP_S: Final = 240.0
"""Half the 8.2 minutes by which neighbouring tracks differ in time of day over one place."""
COARSE_M: Final = 15.0
LEVEL_STEP_DB: Final = 4.0
"""Difference of levels of two dates that a season does not reach: 2.5 dB from November to December."""
OTHER_GROUND: Final = 0.2
"""Share of an image beyond another, from which their levels are those of other ground."""
CLEAN_BORDERS: Final = datetime(2018, 3, 13, tzinfo=UTC)
"""Date from which ESA's processor leaves no noise at the borders of images."""
BORDER_DB, BORDER_SHARE = -30.0, 0.005
"""Land and calm water are brighter in VV: in 18 real images at most 0.0008 of the pixels are not."""
_METRES_PER_DEGREE: Final = 111_320.0


def check(
    orbit: str, pre: Sequence[OpenedImage], post: Sequence[OpenedImage], event_time: datetime
) -> list[Notice]:
    """Refuse images that must not be compared; return doubts about the others.

    Raises
    ------
    InputError
        E302, E303, E304, E306, E315, E316; see :func:`landslide_map.inputs.sentinel1.track.open_track`.
    """
    _check_files_differ([*pre, *post])
    dates.check_sides(pre, post, event_time)
    notices = dates.compare_declarations([*pre, *post], event_time)
    for image in (*pre, *post):
        notices += _check_direction(orbit, image)
    _check_same_track(pre, post)
    notices += _check_radiometry(pre, post)
    notices += _check_pixels_differ(pre, post)
    notices += _level_notices(orbit, [*pre, *post])
    notices += _alignment_notices(orbit, pre, post)
    notices += _border_notices([*pre, *post])
    notices += dates.distance_notices(orbit, pre, post, event_time)
    grids = [band.grid for item in (*pre, *post) for band in item.image.bands["vv"]]
    return notices + product_notices(orbit, post[0].image.quantity, grids)


def check_tracks_differ(tracks: Iterable[RadarTrack]) -> None:
    """Refuse (E306) a file that is listed under both orbit directions."""
    seen: dict[tuple[str, int], str] = {}
    for track in tracks:
        for band in track.raster_bands:
            other = seen.setdefault((band.path, band.index), track.orbit)
            if other != track.orbit:
                raise InputError(
                    "E306",
                    f"{band.path}: is listed under {other} and under {track.orbit}; an image is of one "
                    "direction only, correct scene.yaml",
                )


def product_notices(orbit: str, quantity: Quantity, grids: Iterable[Grid]) -> list[Notice]:
    """Say how the product differs from the training data: terrain-flattened (W313), coarse (W312)."""
    notices = []
    if quantity != "sigma0":
        notices.append(
            Notice(
                "W313",
                f"{orbit}: {quantity} is not the ellipsoid sigma0 of training; absolute backscatter of "
                "terrain-flattened images is not used, only the differences, unless --members all says so"
                if quantity == "gamma0_rtc"
                else f"{orbit}: gamma0 is 0.6-1.6 dB above the sigma0 of training in absolute backscatter; "
                "differences are unaffected",
            )
        )
    coarsest = max(resolution_m(grid) for grid in grids)
    if coarsest > COARSE_M:
        notices.append(
            Notice(
                "W312",
                f"{orbit}: Sentinel-1 pixels of {coarsest:.0f} m; training had 10 m, small slides are lost",
            )
        )
    return notices


def resolution_m(grid: Grid) -> float:
    """Return the pixel height in metres, roughly for geographic grids."""
    factor = _METRES_PER_DEGREE if grid.crs.is_geographic else float(grid.crs.linear_units_factor[1])
    return abs(grid.transform.e) * factor


def _check_files_differ(images: Sequence[OpenedImage]) -> None:
    seen: dict[tuple[str, int], str] = {}
    for item in images:
        for name, slices in item.image.bands.items():
            for band in slices:
                key = (band.path, band.index)
                if key in seen:
                    same = "twice" if seen[key] == name else f"as {seen[key]} and as {name}"
                    raise InputError(
                        "E306" if seen[key] == name else "E305",
                        f"{band.path}: band {band.index} is listed {same}; list every image once",
                    )
                seen[key] = name


def _check_direction(orbit: str, item: OpenedImage) -> list[Notice]:
    """Refuse ascending listed under descending and the reverse (E303)."""
    acquired = item.image.acquired
    for recorded, source in ((item.spec.orbit, "declared pass:"), (item.recorded.orbit, "its tags say")):
        if recorded and recorded != orbit:
            raise InputError(
                "E303", f"{item.where}: listed under {orbit}, but {source} {recorded}; move it in scene.yaml"
            )
    longitude, latitude = centre(item.image.bands["vv"][0].grid)
    for moment, source, remedy in (
        (acquired, "", "correct datetime: (UTC)"),
        (item.recorded.acquired, ", as its tags or name say,", "list the right file"),
    ):
        implied = direction(moment, longitude, latitude) if moment and has_time_of_day(moment) else None
        if moment and implied and implied != orbit:
            raise InputError(
                "E303",
                f"{item.where}: listed under {orbit}, but {moment:%H:%M} UTC{source} is "
                f"{local_solar_hour(moment, longitude):.1f} h solar time, which is {implied}; move it in "
                f"scene.yaml, or {remedy}",
            )
    if not has_time_of_day(acquired):
        return [
            Notice(
                "W318",
                f"{item.where}: the time of day is unknown, so orbit direction and track cannot be verified",
            )
        ]
    if direction(acquired, longitude, latitude) is None and abs(latitude) < 70:
        return [
            Notice(
                "W318",
                f"{item.where}: listed under {orbit}, but {acquired:%H:%M} UTC is "
                f"{local_solar_hour(acquired, longitude):.1f} h solar time, when Sentinel-1 never passes; "
                "check datetime: (UTC)",
            )
        ]
    return []


def centre(grid: Grid) -> tuple[float, float]:
    """Return longitude and latitude of the grid's centre."""
    left, bottom, right, top = grid.bounds
    (longitude,), (latitude,) = transform(grid.crs, "EPSG:4326", [(left + right) / 2], [(bottom + top) / 2])
    return longitude, latitude


def _check_same_track(pre: Sequence[OpenedImage], post: Sequence[OpenedImage]) -> None:
    """Refuse different tracks: by relative orbit, else by time of day (E304)."""
    reference = post[0]
    for item in (*pre, *post[1:]):
        known = item.image.relative_orbit, reference.image.relative_orbit
        recorded = item.recorded.relative_orbit, reference.recorded.relative_orbit
        for (one, other), source in ((known, ""), (recorded, ", as their tags or names say")):
            if one is not None and other is not None and one != other:
                raise InputError(
                    "E304",
                    f"{item.where} is of track {one}, {reference.where} of track {other}{source}; another "
                    "track sees the slopes from another angle and the difference is meaningless. "
                    "List one track only",
                )
        if None not in known:
            continue
        times = item.image.acquired, reference.image.acquired
        if all(has_time_of_day(t) for t in times) and time_of_day_gap(*times) > TRACK_GAP_S:
            raise InputError(
                "E304",
                f"{item.where} was taken at {times[0]:%H:%M:%S} UTC, {reference.where} at "
                f"{times[1]:%H:%M:%S}; images of one track repeat to the minute, "
                "so these are of different tracks. List one only",
            )


def _check_radiometry(pre: Sequence[OpenedImage], post: Sequence[OpenedImage]) -> list[Notice]:
    """Refuse mixed radiometry (E315); warn of mixed products (W307) and satellites (W308)."""
    reference = post[0]
    for item in (*pre, *post):
        if item.image.quantity != reference.image.quantity:
            raise InputError(
                "E315",
                f"{item.where} is {item.image.quantity}, {reference.where} is {reference.image.quantity}; "
                "their difference would show the terrain. Use one kind of product before and after",
            )
    notices = []
    for what, code, before, after in (
        ("products", "W307", _kinds(pre), _kinds(post)),
        ("satellites", "W308", _platforms(pre), _platforms(post)),
    ):
        if before and after and before != after:
            notices.append(
                Notice(
                    code,
                    f"{reference.where}: {what} differ, {' + '.join(sorted(before))} before the event and "
                    f"{' + '.join(sorted(after))} after; the differences contain that too",
                )
            )
    return notices


def _kinds(images: Sequence[OpenedImage]) -> set[str]:
    """Name the products: family, filtering and pixel size."""
    return {
        f"{item.recorded.family or 'unnamed'}{' filtered' if item.recorded.filtered else ''} "
        f"{resolution_m(band.grid):.0f} m"
        for item in images
        for band in item.image.bands["vv"]
    }


def _platforms(images: Sequence[OpenedImage]) -> set[str]:
    return {item.image.platform for item in images if item.image.platform}


def _check_pixels_differ(pre: Sequence[OpenedImage], post: Sequence[OpenedImage]) -> list[Notice]:
    """Compare images that were sampled at the same places: all of a grid, and each before with each after."""
    notices: list[Notice] = []
    decibels = {item.where: units.decibels_of(item.vv_pixels, item.image.units) for item in (*pre, *post)}
    for before, after in product(pre, post):
        if before.image.bands["vv"][0].grid == after.image.bands["vv"][0].grid:
            notices += differences.check_change(
                decibels[before.where], decibels[after.where], f"{before.where} and {after.where}"
            )
    for side in (pre, post):
        for one, other in combinations(side, 2):
            alike = one.image.bands["vv"][0].grid == other.image.bands["vv"][0].grid
            apart = abs((one.image.acquired - other.image.acquired).total_seconds()) > SAME_PASS_S
            if alike and apart:
                differences.check_differ(
                    decibels[one.where], decibels[other.where], f"{one.where} and {other.where}"
                )
    filtered = [item for item in (*pre, *post) if item.recorded.filtered]
    if filtered and not notices:
        message = f"{filtered[0].where}: speckle was filtered, as its name says; training images were not"
        notices = [Notice("W314", message)]
    noise = []
    for grid in {item.image.bands["vv"][0].grid for item in (*pre, *post)}:
        group = [item.where for item in (*pre, *post) if item.image.bands["vv"][0].grid == grid]
        noise += border_noise_notices([(where, decibels[where]) for where in group], windows_across(grid))
    # One example of quiet speckle is enough: all images of a track come from the same processing.
    return notices[:1] + sorted(noise, key=lambda notice: notice.message)


def _level_notices(orbit: str, images: Sequence[OpenedImage]) -> list[Notice]:
    """Warn (W341) of an image with another level than the others of its track, date by date."""
    bands = {
        name: [units.decibels_of(pixels, item.image.units) for item, pixels in sampled]
        for name, sampled in (
            ("VV", [(item, item.vv_pixels) for item in images]),
            ("VH", [(item, item.vh_pixels) for item in images]),
        )
    }
    notices = []
    for number, item in enumerate(images):
        others = [i for i, other in enumerate(images) if i != number and _same_ground(item, other)]
        steps = {
            name: _step_from_others(decibels[number], [decibels[i] for i in others])
            for name, decibels in bands.items()
        }
        name = max(steps, key=lambda name: abs(steps[name]))
        if steps[name]:
            notices.append(
                Notice(
                    "W341",
                    f"{orbit}: {item.where} of {item.image.acquired:%Y-%m-%d} lies {steps[name]:+.1f} dB "
                    f"from the other images of its track over all ground in {name}. A season moves it by "
                    "2 to 3 dB: this is wet snow, rain, another calibration or other units. Leave it out if "
                    "there are others",
                )
            )
    return notices if len(images) > 2 else notices[-1:]


def _same_ground(one: OpenedImage, other: OpenedImage) -> bool:
    """Return whether two images cover each other but for a fifth: bursts of a pass show other ground."""
    grid, target = (item.image.bands["vv"][0].grid for item in (one, other))
    if grid == target:
        return True
    boxes = [box(*target.bounds), box(*transform_bounds(grid.crs, target.crs, *grid.bounds))]
    shared: float = boxes[0].intersection(boxes[1]).area
    return shared > (1 - OTHER_GROUND) * max(float(item.area) for item in boxes)


def _step_from_others(own: units.Pixels, others: Sequence[units.Pixels]) -> float:
    """Return by how much one image lies above all others; 0 where that is no more than a season."""
    steps = [_step(own, other) for other in others]
    far = bool(steps) and all(abs(one) > LEVEL_STEP_DB / 2 for one in steps)
    step = float(np.median(steps)) if far else 0.0
    return step if abs(step) > LEVEL_STEP_DB else 0.0


def _step(values: units.Pixels, other: units.Pixels) -> float:
    """Return by how much an image lies above another: where both were sampled at the same places, there."""
    if values.shape == other.shape:
        both = np.isfinite(values) & np.isfinite(other)
        if both.any():
            return float(np.median(values[both] - other[both]))
    levels = [float(np.median(one[np.isfinite(one)])) for one in (values, other) if np.isfinite(one).any()]
    return levels[0] - levels[1] if len(levels) == 2 else 0.0


def _alignment_notices(orbit: str, pre: Sequence[OpenedImage], post: Sequence[OpenedImage]) -> list[Notice]:
    """Say (I321) where images before and after lie on different pixels: one of them is resampled more."""
    if not pre:
        return []
    before, after = (side[0].image.bands["vv"][0].grid for side in (pre, post))
    if before.aligned_with(after):
        return []
    return [
        Notice(
            "I321",
            f"{orbit}: images before and after the event lie on different pixels ({resolution_m(before):g} m "
            f"and {resolution_m(after):g} m); both are resampled, which smooths their difference a little",
        )
    ]


def _border_notices(images: Sequence[OpenedImage]) -> list[Notice]:
    """Warn (W353) of dark numbers in images from before March 2018: ESA did not clean their borders."""
    for item in images:
        values = units.decibels_of(item.vv_pixels, item.image.units)
        seen = values[np.isfinite(values)]
        dark = float(np.mean(seen < BORDER_DB)) if seen.size else 0.0
        if item.image.acquired < CLEAN_BORDERS and dark > BORDER_SHARE:
            return [
                Notice(
                    "W353",
                    f"{item.where}: {dark:.1%} of VV is darker than {BORDER_DB:g} dB, as the noisy borders "
                    "of images from before March 2018 are. A margin of false change is likely: cut it off, "
                    "or take a reprocessed image",
                )
            ]
    return []
