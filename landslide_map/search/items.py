"""STAC items as candidates: the property and asset names of each catalogue, and what an item must have.

Names differ between Earth Search, the Planetary Computer and the Copernicus Data Space; product names are the
same everywhere and fill the gaps.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin

import shapely
from shapely.geometry.base import BaseGeometry

from landslide_map.inputs.sentinel1.metadata import direction, identify, relative_orbit
from landslide_map.search.area import WIDEST_DEG, Area
from landslide_map.search.candidates import Asset, Candidate, Optical, Rejected, Slice
from landslide_map.untrusted.times import utc_time_or_none

SENSING: Final = timedelta(minutes=20)
"""Longest time from the start of a datatake to its last tile."""
_OPTICAL_ASSETS: Final = {
    "B02": ("B02", "B02_10m", "blue"),
    "B03": ("B03", "B03_10m", "green"),
    "B04": ("B04", "B04_10m", "red"),
    "B08": ("B08", "B08_10m", "nir"),
    "SCL": ("SCL", "SCL_20m", "scl"),
}
_RADAR_ASSETS: Final = {"vv": ("vv", "VV", "0_VV"), "vh": ("vh", "VH", "0_VH")}
_OPTICAL_NAME: Final = re.compile(
    r"(?P<platform>S2[A-D])_MSI(?P<level>L1C|L2A)_(?P<start>\d{8}T\d{6})(?:_N(?P<baseline>\d{4}))?"
    r"(?:_R(?P<orbit>\d{3}))?(?:_T(?P<tile>\d{2}[C-X][A-Z]{2}))?(?:_(?P<made>\d{8}T\d{6}))?"
)
_RADAR_NAME: Final = re.compile(
    r"(?P<platform>S1[A-D])_(?P<mode>IW|EW|WV|S[1-6])_[A-Z]{3}._\dS[SD][VH]_"
    r"(?P<start>\d{8}T\d{6})_(?P<end>\d{8}T\d{6})_(?P<orbit>\d{6})_"
)
_SENSED: Final = re.compile(r"_S(\d{8}T\d{6})")
_TAKEN: Final = re.compile(r"(\d{8}T\d{6}_\d{6})")


class UnusableItemError(ValueError):
    """An item that lacks or contradicts a needed property; the text names it."""


@dataclass(frozen=True, slots=True)
class Source:
    """Source of an item."""

    catalogue: str
    base: str | Path | None = None
    """Address or file of the item, for relative addresses in it."""
    root: Path | None = None
    """Folder that files on this machine must lie in."""


def read_item(item: Any, area: Area, source: Source) -> Candidate | Rejected | None:
    """Return an item as a candidate; None for what is neither Sentinel-1 nor Sentinel-2.

    Parameters
    ----------
    item : object
        Parsed JSON of any shape, as a server sent it.
    area : Area
    source : Source
    """
    name = str(item.get("id", "an item without id")) if isinstance(item, Mapping) else "no item"
    try:
        if not isinstance(item, Mapping) or not isinstance(item.get("properties"), Mapping):
            raise UnusableItemError("it is no STAC item")
        texts = _names(item)
        if any(text.upper().startswith("S2") for text in texts):
            return _optical(item, texts, area, source)
        if any(re.match(r"S1[A-D]|OPERA_L2_RTC", text.upper()) for text in texts):
            return _radar(item, texts, area, source)
    except UnusableItemError as error:
        return Rejected(name, str(error))
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError, RecursionError):
        return Rejected(name, "its properties or footprint have another form than STAC's")
    return None


def _names(item: Mapping[str, Any]) -> list[str]:
    """Return candidates of a product name: the most reliable first."""
    properties = item["properties"]
    private = properties.get("_private")
    recorded = [
        properties.get("s2:product_uri"),
        private.get("product_name") if isinstance(private, Mapping) else None,
        item.get("id"),
    ]
    return [re.sub(r"\.SAFE$", "", text) for text in recorded if isinstance(text, str)]


def _optical(item: Mapping[str, Any], names: list[str], area: Area, source: Source) -> Candidate:
    properties = item["properties"]
    name = _first_match(_OPTICAL_NAME, names)
    if (name.get("level") or "L2A") == "L1C" or properties.get("s2:product_type") == "S2MSI1C":
        raise UnusableItemError("it is Level-1C; Level-2A is needed")
    tile = _tile(properties, name, names)
    footprint = _footprint(item, area)
    _check_zone(footprint, tile)
    recorded, taken = utc_time_or_none(properties.get("datetime")), _compact(name.get("start"))
    start = recorded or utc_time_or_none(properties.get("start_datetime")) or taken
    if start is None:
        raise UnusableItemError("it does not say when it was taken")
    only_datatake = taken is None or abs(start - taken) < timedelta(seconds=1)
    datatake = str(properties.get("s2:datatake_id") or properties.get("eopf:datatake_id") or "")
    strip = str(properties.get("s2:datastrip_id") or properties.get("eopf:datastrip_id") or "")
    sensed = _SENSED.search(strip)
    key = _TAKEN.search(datatake)
    when = key.group(1) if key else (name.get("start") or f"{start:%Y%m%dT%H%M%S}")
    assets = _assets(item, _OPTICAL_ASSETS, source)
    if missing := sorted({"B02", "B03", "B04", "B08"} - set(assets)):
        raise UnusableItemError(f"it lacks the files of {', '.join(missing)}")
    return Optical(
        id=str(item["id"]),
        catalogue=source.catalogue,
        platform=_platform(properties, name.get("platform"), "S2"),
        tile=tile,
        start=start,
        end=start + SENSING if only_datatake else start,
        datatake=f"{when}/{sensed.group(1) if sensed else ''}",
        baseline=_baseline(properties, name.get("baseline")),
        generated=str(properties.get("s2:generation_time") or name.get("made") or ""),
        relative_orbit=_integer(properties.get("sat:relative_orbit") or name.get("orbit")),
        cloud=_percent(properties.get("eo:cloud_cover")),
        nodata=_percent(properties.get("s2:nodata_pixel_percentage", _statistics(properties).get("nodata"))),
        footprint=footprint,
        assets=assets,
        product=next((text for text in names if _OPTICAL_NAME.search(text)), names[-1]),
    )


def _radar(item: Mapping[str, Any], names: list[str], area: Area, source: Source) -> Candidate:
    properties = item["properties"]
    name = _first_match(_RADAR_NAME, names)
    mode = properties.get("sar:instrument_mode") or name.get("mode") or "IW"
    if mode != "IW":
        raise UnusableItemError(f"it was taken in mode {mode}; IW is needed")
    footprint = _footprint(item, area)
    assets = _assets(item, _RADAR_ASSETS, source)
    identity = identify([*(one.href.split("?")[0].rsplit("/", 1)[-1] for one in assets.values()), *names])
    rtc = "rtc" in f"{item.get('collection')} {item['id']}".lower() or identity.quantity == "gamma0_rtc"
    # Raw products are only reported, with any address of their files.
    missing = sorted({"vv", "vh"} - set(assets)) if rtc else []
    if missing or not {"VV", "VH"} <= set(properties.get("sar:polarizations", ("VV", "VH"))):
        raise UnusableItemError(f"it lacks {' and '.join(missing).upper() or 'VV or VH'}")
    # The name has the start of the slice; `datetime` is its middle in some catalogues.
    start = (
        _compact(name.get("start")) or utc_time_or_none(properties.get("start_datetime")) or identity.acquired
    )
    start = start or utc_time_or_none(properties.get("datetime"))
    if start is None:
        raise UnusableItemError("it does not say when it was taken")
    platform = _platform(properties, name.get("platform") or identity.platform, "S1")
    absolute = _integer(properties.get("sat:absolute_orbit") or name.get("orbit"))
    number = _integer(properties.get("sat:relative_orbit")) or identity.relative_orbit
    state = properties.get("sat:orbit_state")
    middle = footprint.centroid
    return Slice(
        id=str(item["id"]),
        catalogue=source.catalogue,
        platform=platform,
        absolute_orbit=absolute,
        relative_orbit=number or relative_orbit(platform, absolute),
        state=state if state in {"ascending", "descending"} else direction(start, middle.x, middle.y),
        start=start,
        end=_compact(name.get("end")) or utc_time_or_none(properties.get("end_datetime")) or start,
        family=(identity.family or "RTC") if rtc else "GRD",
        geocoded=rtc,
        footprint=footprint,
        assets=assets,
        product=next((text for text in names if re.match(r"S1|OPERA", text)), names[-1]),
        units="power" if rtc else None,
        quantity="gamma0_rtc" if rtc else None,
    )


def _first_match(pattern: re.Pattern[str], names: list[str]) -> dict[str, str | None]:
    return next((found.groupdict() for text in names if (found := pattern.search(text))), {})


def _footprint(item: Mapping[str, Any], area: Area) -> BaseGeometry:
    """Return the footprint on the area's turn of longitudes, or refuse one that cannot be true."""
    geometry = item.get("geometry")
    if not isinstance(geometry, Mapping) or geometry.get("type") not in {"Polygon", "MultiPolygon"}:
        raise UnusableItemError("it has no footprint")
    try:
        shape = shapely.make_valid(shapely.geometry.shape(geometry))
    except (shapely.errors.ShapelyError, ValueError, TypeError, IndexError):
        raise UnusableItemError("its footprint is no polygon") from None
    west, south, east, north = shape.bounds if not shape.is_empty else (0.0, 1.0, 0.0, 0.0)
    if not (-361 <= west <= east <= 361 and -90 <= south < north <= 90):
        raise UnusableItemError("its footprint is not in degrees")
    shape = area.placed(shape)
    west, south, east, north = shape.bounds
    # Meridians converge: at 80 degrees a tile of 110 km is six degrees wide.
    widest = WIDEST_DEG / _narrowing(max(abs(south), abs(north)))
    if east - west > min(widest, 180.0):
        raise UnusableItemError(f"its footprint is {east - west:.0f} degrees wide, which no image is")
    return shape


def _narrowing(latitude: float) -> float:
    """Return how much shorter a degree of longitude is than on the equator."""
    return math.cos(math.radians(min(abs(latitude), 89.0)))


def _check_zone(footprint: BaseGeometry, tile: str) -> None:
    """Refuse a footprint that lies elsewhere than the UTM zone in the tile's name."""
    zone = re.match(r"\d{2}", tile)
    if zone is None:
        return
    middle = footprint.centroid
    meridian = int(zone.group()) * 6 - 183
    away = abs((middle.x - meridian + 180) % 360 - 180)
    if away > 3 + 2 / _narrowing(middle.y) and abs(middle.y) < 84:
        raise UnusableItemError(
            f"its footprint lies at {middle.x:.1f} degrees, its tile T{tile} within 3 of {meridian}"
        )


def _assets(
    item: Mapping[str, Any], names: Mapping[str, tuple[str, ...]], source: Source
) -> dict[str, Asset]:
    assets = item.get("assets")
    if not isinstance(assets, Mapping):
        raise UnusableItemError("it has no files")
    found = {}
    for band, keys in names.items():
        asset = next((assets[key] for key in keys if isinstance(assets.get(key), Mapping)), None)
        href = None if asset is None else _href(asset, source)
        if asset is not None and href is not None:
            size = asset.get("file:size")
            checksum = asset.get("file:checksum")
            found[band] = Asset(
                href,
                size if isinstance(size, int) and size > 0 else None,
                checksum if isinstance(checksum, str) else None,
            )
    return found


def _href(asset: Mapping[str, Any], source: Source) -> str | None:
    """Return an address that can be requested, the alternative over HTTPS where the first is none.

    A file on this machine counts only for a catalogue on this machine, and only inside its folder.
    """
    alternatives = asset.get("alternate")
    recorded = [asset.get("href")]
    if isinstance(alternatives, Mapping):
        recorded += [other.get("href") for other in alternatives.values() if isinstance(other, Mapping)]
    for href in recorded:
        if not isinstance(href, str) or not href:
            continue
        if href.startswith(("https://", "http://")):
            return href
        if isinstance(source.base, str) and "://" not in href:
            return urljoin(source.base, href)
        if isinstance(source.base, Path) and source.root is not None and "://" not in href:
            path = (source.base.parent / href).resolve()
            if path.is_relative_to(source.root.resolve()):
                return str(path)
    return None


def _tile(properties: Mapping[str, Any], name: Mapping[str, str | None], names: list[str]) -> str:
    code = str(properties.get("grid:code") or "").removeprefix("MGRS-")
    recorded = [properties.get("s2:mgrs_tile"), code, name.get("tile")]
    recorded += [found.group(1) for text in names if (found := re.search(r"_T?(\d{2}[C-X][A-Z]{2})_", text))]
    for text in recorded:
        if isinstance(text, str) and re.fullmatch(r"\d{1,2}[C-X][A-Z]{2}", text):
            return text.zfill(5)
    raise UnusableItemError("it does not say its tile")


def _platform(properties: Mapping[str, Any], named: str | None, kind: str) -> str:
    recorded = re.sub(r"sentinel[- ]?", "s", str(properties.get("platform") or "").lower())
    platform = (named or recorded).upper()
    if not re.fullmatch(kind + "[A-D]", platform):
        raise UnusableItemError("it does not say its satellite")
    return platform


def _baseline(properties: Mapping[str, Any], named: str | None) -> tuple[int, int]:
    """Return the processing baseline as two numbers: as one, 05.10 would be less than 05.9."""
    recorded = str(properties.get("s2:processing_baseline") or properties.get("processing:version") or "")
    found = re.fullmatch(r"(\d{2})\.(\d{2})", recorded) or re.fullmatch(r"(\d{2})(\d{2})", named or "")
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


def _statistics(properties: Mapping[str, Any]) -> Mapping[str, Any]:
    statistics = properties.get("statistics")
    return statistics if isinstance(statistics, Mapping) else {}


def _compact(text: str | None) -> datetime | None:
    try:
        return datetime.strptime(text or "", "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _integer(value: Any) -> int | None:
    return int(value) if isinstance(value, int) or (isinstance(value, str) and value.isdigit()) else None


def _percent(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 <= value <= 100 else None
