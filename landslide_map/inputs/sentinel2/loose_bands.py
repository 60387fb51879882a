"""Sentinel-2 images as plain band files: those of a folder, grouped by name."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from landslide_map.errors import InputError
from landslide_map.inputs.sentinel2.band_files import dates_in_names

_BAND: Final = re.compile(
    r"^(?P<lead>|.*[_.-])(?:(?P<code>B0?[2348]|SCL)(?:_[12]0m)?|(?P<colour>blue|green|red|nir|scl))\.(?:tiff?|jp2)$",
    re.IGNORECASE,
)
_COLOURS: Final = {"blue": "B02", "green": "B03", "red": "B04", "nir": "B08", "scl": "SCL"}
_NEEDED: Final = {"B02", "B03", "B04", "B08"}
_DAY: Final = re.compile(r"(?<!\d)(20\d{2})[-_]?(\d{2})[-_]?(\d{2})(?!\d)")


@dataclass(frozen=True, slots=True)
class LooseBands:
    """Files of one image."""

    files: dict[str, Path]
    """``B02, B03, B04, B08`` and, where there is one, ``SCL``."""
    acquired: datetime | None
    """Time from the names, UTC; None where they have no date."""
    by_day: bool
    """Whether only the day is known."""


def loose_bands(folder: Path) -> list[LooseBands]:
    """Return the images with bands as single files in a folder, not below it."""
    groups: dict[str, dict[str, Path]] = defaultdict(dict)
    for path in sorted(folder.iterdir()):
        if (name := _BAND.match(path.name)) and path.is_file():
            band = _COLOURS[name["colour"].lower()] if name["colour"] else name["code"].upper()
            band = band if band == "SCL" else f"B0{band[-1]}"
            groups[name["lead"]].setdefault(band, path)
    return [_image(files) for files in groups.values() if set(files) >= _NEEDED]


def _image(files: dict[str, Path]) -> LooseBands:
    try:
        acquired = dates_in_names([str(path) for path in files.values()])
    except InputError:
        acquired = None
    if acquired is not None:
        return LooseBands(files, acquired, by_day=False)
    return LooseBands(files, _day_in(path.name for path in files.values()), by_day=True)


def _day_in(names: Iterable[str]) -> datetime | None:
    """Return the beginning of the one day that every name has."""
    found = [_DAY.findall(name) for name in names]
    days = {day for each in found for day in each}
    if len(days) != 1 or not all(found):
        return None
    try:
        year, month, day = map(int, days.pop())
        return datetime(year, month, day, tzinfo=UTC)
    except ValueError:
        return None
