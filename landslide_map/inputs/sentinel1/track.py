"""Geocoded Sentinel-1: one orbit direction of ``scene.yaml`` -> a checked :class:`RadarTrack`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from landslide_map.errors import InputError, Notice
from landslide_map.grid import Grid
from landslide_map.inputs.scene_inputs import RadarComposite, RadarImage, RadarTrack
from landslide_map.inputs.sentinel1 import consistency, differences
from landslide_map.inputs.sentinel1 import units as backscatter_checks
from landslide_map.inputs.sentinel1.backscatter import DB_LIMITS, stored_limits
from landslide_map.inputs.sentinel1.families import SAME_PASS_S, files_of_dimap
from landslide_map.inputs.sentinel1.files import (
    OpenedImage,
    RadarFile,
    SampledBand,
    inspect_file,
    polarisation_of,
    sampled_band,
    shown,
)
from landslide_map.inputs.sentinel1.hidden import hidden_ground, hidden_notices
from landslide_map.inputs.sentinel1.metadata import (
    Identity,
    direction,
    has_time_of_day,
    relative_orbit,
    sources_of,
)
from landslide_map.inputs.sentinel1.placement import placed
from landslide_map.inputs.shards import shards_of
from landslide_map.options import BackscatterUnits, Quantity, Registration
from landslide_map.raster.ground_range.product import ground_range_band
from landslide_map.raster.joined import joined_files, joined_name
from landslide_map.runtime.threads import in_threads
from landslide_map.scene.model import CompositeBands, CompositeSpec, RadarSpec, TrackSpec

COMPOSITE_BANDS: Final = ("post_vv", "post_vh", "diff_vv", "diff_vh")


def open_track(
    orbit: str, spec: TrackSpec, event_time: datetime, registration: Registration = "check"
) -> tuple[RadarTrack, list[Notice]]:
    """Open, understand and check everything of one orbit direction.

    Parameters
    ----------
    orbit : str
        ``descending`` or ``ascending``: where the scene lists it.
    spec : TrackSpec
    event_time : datetime
        UTC.
    registration : {"check", "correct", "trust"}
        What to do about images that are displaced.

    Returns
    -------
    track : RadarTrack
        Images in order of time; items of one pass are joined as slices of one image.
    notices : list of Notice

    Raises
    ------
    InputError
        E101-E108 files, E301 units, E302 dates, E303 direction, E304 tracks, E305 polarisations. E306 same
        image twice, E307 differences the wrong way round, E309 unknown date, E310 mosaics. E311 and E320 not
        geocoded, E315 radiometries mixed, E316 slices of different passes. E331 displaced, E350 undeclared
        nodata.
    """
    if spec.composite is not None:
        composite, notices = _open_composite(orbit, spec.composite)
        return RadarTrack(orbit, composite=composite), notices
    given = spec.pre or ()
    images = in_threads(partial(open_image, orbit), (*given, *(spec.post or ())))
    opened = {"pre": images[: len(given)], "post": images[len(given) :]}
    notices = [notice for image in images for notice in image.notices]
    notices += consistency.check(orbit, opened["pre"], opened["post"], event_time)
    before, after = (tuple(image.image for image in opened[side]) for side in ("pre", "post"))
    before, after, found = placed(orbit, before, after, registration)
    notices += found
    notices += hidden_notices(orbit, [one for image in (*before, *after) for one in image.hidden])
    pre, post = _joined(before), _joined(after)
    if not pre:
        notices.append(
            Notice("W360", f"{orbit}: no image before the event; members that need differences do not vote")
        )
    if len(pre) == 1:
        notices.append(
            Notice(
                "I319",
                f"{orbit}: one image before the event; a median of several, as in training, is less noisy",
            )
        )
    return RadarTrack(orbit, pre=pre, post=post), notices


def open_image(orbit: str, spec: RadarSpec) -> OpenedImage:
    """Open one acquisition; see :func:`open_track` for refusals."""
    parts = _radar_files(spec)
    every = [part for group in parts.values() for part in group]
    files = [file for file, _ in every]
    where = shown(files[0].path)
    recorded = _recorded(files)
    declared = Identity(spec.datetime, spec.platform, relative_orbit=spec.relative_orbit, orbit=spec.orbit)
    known = declared.completed(recorded)
    bands: dict[str, list[SampledBand]] = {}
    notices: list[Notice] = []
    for name, group in parts.items():
        bands[name] = []
        for file, index in group:
            own = tuple(number for other, number in every if other.path == file.path)
            nodata = spec.nodata if spec.nodata is not None else file.nodata
            band, found = sampled_band(file.path, index, nodata, own, file.placed)
            bands[name].append(band)
            notices += found
    vv, vh = (np.concatenate([b.pixels.ravel() for b in bands[name]]) for name in ("vv", "vh"))
    units, found = _units(spec, known, vv, vh, where)
    notices += found
    notices += backscatter_checks.check_units(vv, vh, units, where)
    notices += backscatter_checks.check_polarisations(vv, vh, units, where)
    quantity, found = _quantity(spec.quantity if "quantity" in spec.model_fields_set else None, known, where)
    notices += found
    if known.acquired is None:
        raise InputError(
            "E309",
            f"{where}: when it was taken is neither in its tags nor in its name; add datetime: in scene.yaml",
        )
    image = RadarImage(
        bands={
            name: tuple(replace(b.band, limits=stored_limits(units)) for b in group)
            for name, group in bands.items()
        },
        units=units,
        quantity=quantity,
        acquired=known.acquired,
        orbit=orbit,
        relative_orbit=known.relative_orbit,
        platform=known.platform,
        product=_product_name(files[0].path),
        sources=_sources(declared, spec, files[0], known, orbit, bands["vv"][0].band.grid),
        hidden=tuple(hidden_ground(file.path) for file, _ in parts["vv"]),
    )
    return OpenedImage(image, spec, recorded, bands["vv"][0].pixels, bands["vh"][0].pixels, tuple(notices))


def _product_name(path: Path) -> str:
    geocoded = ground_range_band(path)
    return geocoded.product.name if geocoded else Path((joined_files(path) or (path,))[0]).name


def _agrees(acquired: datetime | None, orbit: str, grid: Grid) -> bool:
    """Return whether the local time of the day is that of an orbit direction."""
    if acquired is None or not has_time_of_day(acquired):
        return False
    return direction(acquired, *consistency.centre(grid)) == orbit


def _sources(
    declared: Identity, spec: RadarSpec, file: RadarFile, known: Identity, orbit: str, grid: Grid
) -> dict[str, str]:
    """Return the source of each property of an image, in order of precedence."""
    stated = replace(
        declared,
        units=spec.units,
        quantity=spec.quantity if "quantity" in spec.model_fields_set else None,
    )
    found = sources_of((("scene.yaml", stated), *file.recorded))
    if known.relative_orbit is not None:
        found.setdefault("relative_orbit", "absolute orbit")
    if known.units is None:
        found.setdefault("units", "pixels")
    found.setdefault("quantity", "assumed")
    found.setdefault("orbit", "time of day" if _agrees(known.acquired, orbit, grid) else "as listed")
    of_file = "metadata" if file.nodata is not None else "file and pixels"
    found["nodata"] = of_file if spec.nodata is None else "scene.yaml"
    found["polarisation"] = "name" if file.identity.polarisation else "as listed"
    if spec.bands is None and any(file.descriptions) and spec.path is not None:
        found["polarisation"] = "band descriptions"
    return {key: found[key] for key in sorted(found) if key in _SHOWN}


_SHOWN: Final = {
    "acquired",
    "platform",
    "relative_orbit",
    "orbit",
    "polarisation",
    "units",
    "quantity",
    "nodata",
}


def _radar_files(spec: RadarSpec) -> dict[str, list[tuple[RadarFile, int]]]:
    """Return the file and band number of every VV and VH slice."""
    if spec.path is not None and spec.path.suffix.lower() == ".dim":
        return {name: [(file, 1)] for name, file in files_of_dimap(spec.path).items()}
    if spec.path is not None:
        shards = [inspect_file(path) for path in shards_of(spec.path)]
        file = replace(shards[0], path=Path(joined_name([shard.path for shard in shards])))
        numbers = (spec.bands.vv, spec.bands.vh) if spec.bands else _two_bands(file)
        for name, number in zip(("vv", "vh"), numbers, strict=True):
            _check_description(file, number, name)
        return {name: [(file, number)] for name, number in zip(("vv", "vh"), numbers, strict=True)}
    parts = {
        name: [(inspect_file(path), 1) for path in paths or ()]
        for name, paths in (("vv", spec.vv), ("vh", spec.vh))
    }
    for name, group in parts.items():
        for file, number in group:
            recorded = (file.identity.polarisation or name).lower()
            if recorded != name:
                raise InputError(
                    "E305",
                    f"{file.path}: listed as {name}, but its name says {recorded.upper()}; "
                    "landslide-map needs VV as vv: and VH as vh:",
                )
            _check_description(file, number, name)
    if len(parts["vv"]) != len(parts["vh"]):
        raise InputError(
            "E305",
            f"{parts['vv'][0][0].path}: {len(parts['vv'])} VV but {len(parts['vh'])} VH files of one "
            "acquisition; give both polarisations of every slice",
        )
    return parts


def _check_description(file: RadarFile, number: int, name: str) -> None:
    """Refuse a band if its description says another polarisation (E305)."""
    text = file.descriptions[number - 1] if number <= len(file.descriptions) else ""
    recorded = polarisation_of(text)
    if recorded and recorded != name:
        raise InputError(
            "E305", f"{file.path}: band {number} is read as {name} but describes itself as {text!r}"
        )


def _two_bands(file: RadarFile) -> tuple[int, int]:
    """Find VV and VH by band description; a plain two-band file holds them in this order."""
    recorded = [polarisation_of(text) for text in file.descriptions]
    if recorded.count("vv") == 1 and recorded.count("vh") == 1:
        return recorded.index("vv") + 1, recorded.index("vh") + 1
    if len(recorded) == 2 and not any(recorded):
        return 1, 2
    raise InputError(
        "E305",
        f"{file.path}: it is unknown which of its {len(recorded)} bands are VV and VH (descriptions "
        f"{', '.join(t or '-' for t in file.descriptions)}). Add bands: {{vv: 1, vh: 2}} in scene.yaml, "
        "or give files as vv: and vh:",
    )


def _recorded(files: Sequence[RadarFile]) -> Identity:
    """Join the properties of all files of one acquisition; the earliest time counts."""
    times = [file.identity.acquired for file in files if file.identity.acquired]
    if times and (max(times) - min(times)).total_seconds() > SAME_PASS_S:
        raise InputError(
            "E316",
            f"{files[0].path}: the files of this acquisition were taken from "
            f"{min(times):%Y-%m-%d %H:%M:%S} to {max(times):%Y-%m-%d %H:%M:%S} UTC; "
            "give each pass as an item of its own",
        )
    recorded = Identity(min(times) if times else None)
    for file in files:
        recorded = recorded.completed(file.identity)
    track = recorded.relative_orbit or relative_orbit(recorded.platform, recorded.absolute_orbit)
    return replace(recorded, relative_orbit=track)


def _units(
    spec: RadarSpec, known: Identity, vv: backscatter_checks.Pixels, vh: backscatter_checks.Pixels, where: str
) -> tuple[BackscatterUnits, list[Notice]]:
    """Decide the units: scene.yaml, else the product's convention, else the pixels if they leave no doubt."""
    if spec.units and known.units and spec.units != known.units and "db" not in (spec.units, known.units):
        raise InputError(
            "E301",
            f"{where}: declared {spec.units}, but its {known.family} name says {known.units}; correct units:",
        )
    units = spec.units or known.units
    if units:
        return units, []
    inferred, notice = backscatter_checks.infer_units(vv, vh, where)
    return inferred, [notice]


def _quantity(declared: Quantity | None, known: Identity, where: str) -> tuple[Quantity, list[Notice]]:
    """Decide the radiometry: scene.yaml, else the product's convention, else ellipsoid sigma0."""
    if declared and known.quantity and declared != known.quantity:
        return declared, [
            Notice(
                "W316",
                f"{where}: declared {declared}, but {known.family} products are {known.quantity} "
                "(terrain-flattened); the declaration is followed",
            )
        ]
    return declared or known.quantity or "sigma0", []


def _joined(images: Sequence[RadarImage]) -> tuple[RadarImage, ...]:
    """Join images of one pass as slices of one image, so that no date counts twice in the median."""
    joined: list[RadarImage] = []
    for image in sorted(images, key=lambda i: (i.acquired, i.product)):
        last = joined[-1] if joined else None
        if last and last.units == image.units and _gap_s(last, image) <= SAME_PASS_S:
            bands = {name: last.bands[name] + image.bands[name] for name in last.bands}
            joined[-1] = replace(last, bands=bands, hidden=last.hidden + image.hidden)
        else:
            joined.append(image)
    return tuple(joined)


def _gap_s(first: RadarImage, second: RadarImage) -> float:
    return (second.acquired - first.acquired).total_seconds()


def _open_composite(orbit: str, spec: CompositeSpec) -> tuple[RadarComposite, list[Notice]]:
    """Open a ready composite and check its bands."""
    file = inspect_file(spec.path)
    numbers = _composite_bands(file, spec.bands)
    where = str(spec.path)
    bands: dict[str, SampledBand] = {}
    notices: list[Notice] = []
    for name in COMPOSITE_BANDS:
        bands[name], found = sampled_band(spec.path, numbers[name], spec.nodata, tuple(numbers.values()))
        notices += found
    vv, vh = bands["post_vv"].pixels, bands["post_vh"].pixels
    notices += backscatter_checks.check_units(vv, vh, "db", f"{where} (a composite is in dB)")
    notices += backscatter_checks.check_polarisations(vv, vh, "db", where)
    for name in ("diff_vv", "diff_vh"):
        notices += differences.check_composite(bands[name].pixels, name, where)
    notices += differences.check_sign((vv, vh), (bands["diff_vv"].pixels, bands["diff_vh"].pixels), where)
    declared = spec.quantity if "quantity" in spec.model_fields_set else None
    quantity, found = _quantity(declared, file.identity, where)
    notices += found
    notices += consistency.product_notices(orbit, quantity, [bands["post_vv"].band.grid])
    recorded = file.identity.orbit
    if recorded and recorded != orbit:
        raise InputError("E303", f"{where}: listed under {orbit}, but its tags say {recorded}")
    if not recorded:
        unknown = f"a composite has neither direction nor dates nor track; it is taken as {orbit} as listed"
        notices.append(Notice("I323", f"{where}: {unknown}"))
    opened = {name: replace(band.band, limits=DB_LIMITS) for name, band in bands.items()}
    return RadarComposite(opened, quantity, Path(where).name), notices


def _composite_bands(file: RadarFile, declared: CompositeBands | None) -> dict[str, int]:
    """Find the four bands: as declared, else by description (``postVV`` ...), else in documented order."""
    recorded = [text.lower().replace("_", "").replace(" ", "") for text in file.descriptions]
    wanted = {name: name.replace("_", "") for name in COMPOSITE_BANDS}
    if declared is None and all(recorded.count(key) == 1 for key in wanted.values()):
        return {name: recorded.index(key) + 1 for name, key in wanted.items()}
    numbers = (declared or CompositeBands()).model_dump()
    if declared is None and len(recorded) != len(COMPOSITE_BANDS):
        raise InputError(
            "E101",
            f"{file.path}: has {len(recorded)} bands; expected four (post_vv, post_vh, diff_vv, diff_vh "
            f"in dB), "
            "or give their numbers as bands: in scene.yaml",
        )
    for name, number in numbers.items():
        other = recorded[number - 1] if number <= len(recorded) else ""
        if other in wanted.values() and other != wanted[name]:
            raise InputError(
                "E305",
                f"{file.path}: band {number} is read as {name} but describes itself as "
                f"{file.descriptions[number - 1]!r}; correct bands: in scene.yaml",
            )
    return {name: int(number) for name, number in numbers.items()}
