"""Sentinel-2 rasters without their SAFE product: one multi-band raster, or one file per band.

Which band is which comes from scene.yaml or the band descriptions, date and baseline from the
names of files and folders.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from landslide_map import bands
from landslide_map.bands import FURTHER_BANDS
from landslide_map.errors import InputError
from landslide_map.inputs.scene_inputs import UnopenedBand
from landslide_map.raster.band import RasterBand
from landslide_map.raster.nodata import alpha_bands
from landslide_map.raster.open import netcdf_variables, open_band, opened
from landslide_map.scene.model import OpticalSpec

PRODUCT_NAME = re.compile(
    r"S2[A-D]_MSI(?P<level>L1C|L2A)_(?P<time>\d{8}T\d{5,6})(?:_N(?P<baseline>\d{4}))?", re.IGNORECASE
)
TILE_NAME = re.compile(r"T\d{2}[C-X][A-Z]{2}_(?P<time>\d{8}T\d{6})_", re.IGNORECASE)
BAND_WORDS = {
    "red": {"b04", "b4", "red"},
    "green": {"b03", "b3", "green"},
    "blue": {"b02", "b2", "blue"},
    "nir": {"b08", "b8", "nir"},
    "scl": {"scl"},
}
BAND_CODE = re.compile(r"(?<![A-Z0-9])(?:B(?:0?[1-9]|1[0-2])|SCL)(?![A-Z0-9])", re.IGNORECASE)
"""Not B8A: where there is no B08 it may stand for it."""
ANY_CODE = re.compile(r"(?<![A-Z0-9])(?:B(?:0?[1-9]|1[0-2]|8A)|SCL)(?![A-Z0-9])", re.IGNORECASE)
OTHER_BANDS = {
    "edge",
    "rededge",
    "narrow",
    "b8a",
    "b05",
    "b06",
    "b07",
    "coastal",
    "aerosol",
    "swir",
    "cirrus",
}
"""Words that make "red edge" or "narrow nir" another band."""
ZERO = (0.0,)
"""No data in Sentinel-2 products, where neither scene.yaml nor the file says otherwise."""
SATURATED = 65535.0
"""Value of ESA's products for a saturated sensor; files made of them seldom declare it."""


def open_files(spec: OpticalSpec) -> dict[str, RasterBand]:
    """Open the rasters that `spec` names: ``red, green, blue, nir, scl``, those that exist."""
    if spec.path is None:
        for name, path in (*spec.band_files.items(), *([("scl", spec.SCL)] if spec.SCL else [])):
            _check_name(name, path)
        rasters = {name: _only_band(name, path, spec) for name, path in spec.band_files.items()}
    elif variables := netcdf_variables(spec.path):
        rasters = _of_variables(spec, variables)
    else:
        numbers = spec.bands.given if spec.bands else _described_bands(spec.path)
        _check_descriptions(spec.path, numbers)
        measured = tuple(numbers.values())
        rasters = {
            name: open_band(spec.path, i, spec.nodata, default=ZERO, measured=measured)
            for name, i in numbers.items()
        }
    for raster in rasters.values():
        _refuse_level_1c(raster.path)
    if spec.nodata is None:
        rasters = {
            name: replace(r, nodata=tuple(dict.fromkeys((*r.nodata, *ZERO, SATURATED))))
            for name, r in rasters.items()
        }
    if spec.SCL is not None:
        rasters["scl"] = open_band(spec.SCL, nodata=ZERO)
    return rasters


def further_bands(spec: OpticalSpec) -> dict[str, UnopenedBand]:
    """Return the bands of one raster that describe themselves as those of 20 m or 60 m."""
    if spec.path is None or netcdf_variables(spec.path):
        return {}
    with opened(spec.path) as dataset:
        descriptions = [(text or "").strip() for text in dataset.descriptions]
    nodata = (*ZERO, SATURATED) if spec.nodata is None else spec.nodata
    found = {}
    for name in FURTHER_BANDS:
        own = re.compile(rf"B0?{name[1:].lstrip('0')}(?![0-9A-Z])", re.IGNORECASE)
        numbers = [i for i, text in enumerate(descriptions, 1) if own.match(text)]
        if len(numbers) == 1:
            found[name] = UnopenedBand(str(spec.path), numbers[0], nodata)
    return found


def check_band_name(band: str, path: Path) -> None:
    """Refuse a file that is named after another band of 20 m or 60 m (E206), or is of Level-1C (E201)."""
    _refuse_level_1c(str(path))
    said = {code.lower() for code in ANY_CODE.findall(path.name)}
    if said and not said & {band, f"b{band[1:].lstrip('0')}"}:
        raise InputError(
            "E206",
            f"{path}: listed as {band.upper()}, but its name says {', '.join(sorted(said)).upper()}; "
            "list each band under its own key in scene.yaml, or rename the file",
        )


def _of_variables(spec: OpticalSpec, variables: Mapping[str, str]) -> dict[str, RasterBand]:
    """Open the variables of a NetCDF file that are bands, as openEO and xarray write them."""
    names = list(variables)
    if spec.bands:
        given = spec.bands.given
        if too_high := {name: i for name, i in given.items() if i > len(names)}:
            raise InputError(
                "E101", f"{spec.path}: has {len(names)} variables ({', '.join(names)}); bands says {too_high}"
            )
        chosen = {name: names[i - 1] for name, i in given.items()}
        if wrong := {name: recorded for name, recorded in chosen.items() if contradicts(recorded, name)}:
            raise InputError("E206", f"{spec.path}: variables are read as other bands than named: {wrong}")
    else:
        numbers = _bands_in(spec.path, names)
        chosen = {name: names[i - 1] for name, i in numbers.items()}
    return {name: _only_time(variables[recorded], spec) for name, recorded in chosen.items()}


def _only_time(path: str, spec: OpticalSpec) -> RasterBand:
    with opened(path) as dataset:
        if dataset.count != 1:
            raise InputError(
                "E101",
                f"{path}: has {dataset.count} times; expected one image. Write one time into a file of its "
                "own",
            )
    return open_band(path, 1, spec.nodata, default=ZERO)


def _check_name(band: str, path: Path) -> None:
    """Refuse (E206) a file that is named after another band."""
    said = {code.lower() for code in BAND_CODE.findall(path.name)}
    if said and not said & BAND_WORDS[band]:
        raise InputError(
            "E206",
            f"{path}: listed as {band}, but its name says {', '.join(sorted(said)).upper()}; "
            "list each band under its own key in scene.yaml, or rename the file",
        )


def _check_descriptions(path: Path, numbers: Mapping[str, int]) -> None:
    """Refuse (E206) a band that describes itself as another one."""
    with opened(path) as dataset:
        descriptions = [text or "" for text in dataset.descriptions]
    for name, number in numbers.items():
        text = descriptions[number - 1] if number <= len(descriptions) else ""
        if contradicts(text, name):
            raise InputError(
                "E206",
                f"{path}: band {number} is read as {name} but describes itself as {text!r}; bands are "
                "counted from 1: correct scene.yaml, or the description in the file",
            )


def contradicts(description: str, name: str) -> bool:
    """Return whether a band description says another Sentinel-2 band than `name`.

    >>> contradicts("B1", "blue"), contradicts("B02 (blue)", "blue"), contradicts("B8A", "nir")
    (True, False, False)
    >>> contradicts("Band 1", "red"), contradicts("Red edge 1", "red")
    (False, True)
    """
    words = set(re.split(r"[^a-z0-9]+", description.lower()))
    codes = {code.lower() for code in ANY_CODE.findall(description.replace("_", " "))}
    recorded = {band for band, known in BAND_WORDS.items() if (words | codes) & known}
    other = bool(words & OTHER_BANDS) or bool(codes - set().union(*BAND_WORDS.values()))
    if name == "nir" and (words | codes) & {"b8a", "narrow"}:
        return False  # where there is no B08 it may stand for it
    return other or (bool(recorded) and name not in recorded)


def _only_band(name: str, path: Path, spec: OpticalSpec) -> RasterBand:
    with opened(path) as dataset:
        count = dataset.count - len(alpha_bands(dataset))
    if count != 1:
        raise InputError("E101", f"{path}: has {count} bands, expected one; give it as path, with bands")
    _check_descriptions(path, {name: 1})
    return open_band(path, 1, spec.nodata, default=ZERO)


def _described_bands(path: Path) -> dict[str, int]:
    """Return band name -> number from the band descriptions, e.g. ``B4_red``."""
    with opened(path) as dataset:
        return _bands_in(path, [text or "" for text in dataset.descriptions])


def _bands_in(path: Path | None, descriptions: list[str]) -> dict[str, int]:
    """Return band name -> number among descriptions, or names of variables."""
    words = [set(re.split(r"[^a-z0-9]+", text.lower())) for text in descriptions]
    found = {
        name: [i for i, said in enumerate(words, 1) if said & known and not said & OTHER_BANDS]
        for name, known in BAND_WORDS.items()
    }
    if any(len(numbers) > 1 for numbers in found.values()) or not any(found[name] for name in bands.OPTICAL):
        raise InputError(
            "E101",
            f"{path}: its band descriptions ({', '.join(map(repr, descriptions))}) do not name the bands. "
            "Write bands: {red: 1, green: 2, blue: 3, nir: 4} with the right numbers in scene.yaml",
        )
    return {name: numbers[0] for name, numbers in found.items() if numbers}


def _refuse_level_1c(path: str) -> None:
    if any(match["level"].upper() == "L1C" for match in PRODUCT_NAME.finditer(path)):
        raise InputError("E201", f"{path}: is Level-1C (top of atmosphere); Level-2A is needed: fetch MSIL2A")


def dates_in_names(paths: list[str]) -> datetime | None:
    """Return the one acquisition time in file and folder names; the innermost name counts.

    Raises
    ------
    InputError
        E109 where the bands are of different times.
    """
    recorded = {}
    for path in paths:
        for pattern in (PRODUCT_NAME, TILE_NAME):
            for match in pattern.finditer(path):
                recorded[path] = _time(match["time"])
    if len(set(recorded.values())) > 1:
        listing = ", ".join(f"{Path(path).name} of {time:%Y-%m-%d %H:%M}" for path, time in recorded.items())
        raise InputError(
            "E109", f"the bands are of different times ({listing}); expected one Sentinel-2 image"
        )
    return next(iter(recorded.values()), None)


def _time(text: str) -> datetime:
    """Return a compact time; some data sets cut zeros off the clock (``T94161`` for 09:41:61)."""
    day, clock = text.upper().split("T")
    hours, minutes, seconds = (int(clock.zfill(6)[i : i + 2]) for i in (0, 2, 4))
    midnight = datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC)
    return midnight + timedelta(hours=hours, minutes=minutes, seconds=seconds)


def baseline_in_names(paths: list[str]) -> str | None:
    """Return the processing baseline in file and folder names, e.g. ``05.09``."""
    found = {match["baseline"] for path in paths for match in PRODUCT_NAME.finditer(path)} - {None}
    if len(found) != 1:
        return None
    digits = found.pop()
    return f"{digits[:2]}.{digits[2:]}"
