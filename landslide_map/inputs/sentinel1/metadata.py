"""Metadata of Sentinel-1: time, satellite and track from names, tags and orbit arithmetic.

Product names and GDAL tags are read into one :class:`Identity`; nothing here opens a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Final

from landslide_map.options import BackscatterUnits, Quantity
from landslide_map.untrusted.times import utc_time_or_none


@dataclass(frozen=True, slots=True)
class Identity:
    """Properties of a Sentinel-1 image from one source of metadata; None where it lacks them."""

    acquired: datetime | None = None
    """UTC start of sensing."""
    platform: str | None = None
    """``S1A`` ..."""
    absolute_orbit: int | None = None
    relative_orbit: int | None = None
    orbit: str | None = None
    """``ascending`` or ``descending``."""
    family: str | None = None
    """Producer: ``GRD, OPERA, HyP3, Planetary Computer, AWS RTC``. GRD is the Earth Engine or SNAP kind,
    named after the SAFE it was made from."""
    units: BackscatterUnits | None = None
    quantity: Quantity | None = None
    filtered: bool | None = None
    """Whether speckle was filtered."""
    polarisation: str | None = None
    """``VV, VH, HH`` or ``HV``, where the file is of one."""

    def completed(self, other: Identity) -> Identity:
        """Return this identity with its gaps filled from `other`, of lower precedence."""
        gaps = {f.name: getattr(other, f.name) for f in fields(self) if getattr(self, f.name) is None}
        return replace(self, **gaps)


Recorded = tuple[tuple[str, Identity], ...]
"""Sources of metadata and the properties from each, in order of precedence."""


def sources_of(recorded: Recorded) -> dict[str, str]:
    """Return the source of each property: the first that has it.

    >>> tags, name = Identity(platform="S1A"), Identity(platform="S1B", relative_orbit=7)
    >>> sources_of((("tags", tags), ("name", name)))
    {'platform': 'tags', 'relative_orbit': 'name'}
    """
    return {
        known.name: source
        for known in fields(Identity)
        if (source := next((s for s, one in recorded if getattr(one, known.name) is not None), None))
    }


_TIME: Final = r"\d{8}T\d{6}"
_SAFE: Final = re.compile(
    rf"(?P<platform>S1[ABCD])_(?:IW|EW|WV|S[1-6])_(?P<level>GRD|SLC|RTC|OCN)._.?S?(?P<polarisations>[SD][VH])_"
    rf"(?P<start>{_TIME})(?:_{_TIME}_(?P<orbit>\d{{6}})_[0-9A-F]{{6}})?",
    re.IGNORECASE,
)
_MEASUREMENT: Final = re.compile(
    rf"(?P<platform>s1[abcd])-(?:iw\d?|ew\d?|s[1-6])-(?:grd|slc)-(?P<polarisation>vv|vh|hh|hv)-"
    rf"(?P<start>{_TIME})-{_TIME}-(?P<orbit>\d{{6}})-",
    re.IGNORECASE,
)
_OPERA: Final = re.compile(
    rf"OPERA_L2_RTC-S1_T(?P<track>\d{{3}})-\d{{6}}-IW[123]_(?P<start>{_TIME})Z_{_TIME}Z_"
    rf"(?P<platform>S1[ABCD])_\d+_v\d+\.\d+",
    re.IGNORECASE,
)
_HYP3: Final = re.compile(
    rf"(?P<platform>S1[ABCD])_(?:IW|EW|S[1-6])_(?P<start>{_TIME})_[SD][VH][PRO]_RTC\d{{2}}_G_"
    rf"(?P<quantity>[gs])(?P<scale>[pda])[uw](?P<filter>[nf])[ec][dm]_[0-9A-F]{{4}}",
    re.IGNORECASE,
)
_PYROSAR: Final = re.compile(
    rf"(?P<platform>S1[ABCD])__(?:IW|EW|SM|S\d)_+(?P<pass>[AD])_(?P<start>{_TIME})_.*?(?:VV|VH|HH|HV)_"
    r"(?P<quantity>sigma0|gamma0)-(?P<model>elp|rtc)(?P<db>_db)?",
    re.IGNORECASE,
)
_S1TILING: Final = re.compile(
    r"(?P<platform>s1[abcd])_\d{2}[C-X][A-Z]{2}_(?:vv|vh|hh|hv)_(?P<pass>ASC|DES)_(?P<track>\d{3})_"
    r"(?P<day>\d{8})t(?P<clock>\d{6}|xxxxxx)(?P<kind>_GammaNaughtRTC|_NormLim)?",
    re.IGNORECASE,
)
_PASSES: Final = {"A": "ascending", "D": "descending"}
_POLARISATION: Final = re.compile(r"(?<![A-Za-z0-9])(VV|VH|HH|HV)(?![A-Za-z0-9])", re.IGNORECASE)
_MONTHLY_MOSAIC: Final = re.compile(r"mosaic_\d{4}_M\d{2}|monthly[-_ ]?mosaic", re.IGNORECASE)
_SCALES: Final[dict[str, BackscatterUnits]] = {"p": "power", "d": "db", "a": "amplitude"}


def identify(names: Iterable[str]) -> Identity:
    """Return the properties that the names of a file and its folders declare.

    Parameters
    ----------
    names : iterable of str
        The file name first, then its folders from the nearest outwards: nearer names come first.

    Returns
    -------
    Identity
        Times as UTC. Polarisation is read from the first name only: a folder may hold several.

    Examples
    --------
    >>> opera = "OPERA_L2_RTC-S1_T137-292319-IW1_20221102T015903Z_20250222T020850Z_S1A_30_v1.0_VV.tif"
    >>> found = identify([opera])
    >>> found.relative_orbit, found.platform, found.units, found.polarisation
    (137, 'S1A', 'power', 'VV')
    """
    known = Identity()
    for depth, name in enumerate(names):
        known = known.completed(_from_name(name))
        if depth == 0:
            found = {text.upper() for text in _POLARISATION.findall(name.replace("_", " "))}
            known = replace(known, polarisation=found.pop() if len(found) == 1 else None)
    return known


def _from_name(name: str) -> Identity:
    """Recognise one name; the more specific family first, as a HyP3 folder may carry a SAFE id too."""
    if found := _OPERA.search(name):
        return Identity(
            utc_time_or_none(found["start"]),
            found["platform"].upper(),
            relative_orbit=int(found["track"]),
            family="OPERA",
            units="power",
            quantity="gamma0_rtc",
            filtered=False,
        )
    if found := _HYP3.search(name):
        return Identity(
            utc_time_or_none(found["start"]),
            found["platform"].upper(),
            family="HyP3",
            units=_SCALES[found["scale"].lower()],
            # HyP3 "sigma0" is terrain-flattened as well, unlike the ellipsoid sigma0 of training.
            quantity="gamma0_rtc",
            filtered=found["filter"].lower() == "f",
        )
    if found := _PYROSAR.search(name):
        return _of_pyrosar(found)
    if found := _S1TILING.search(name):
        clock = found["clock"].replace("xxxxxx", "000000").replace("XXXXXX", "000000")
        return Identity(
            utc_time_or_none(f"{found['day']}T{clock}"),
            found["platform"].upper(),
            relative_orbit=int(found["track"]),
            orbit=_PASSES[found["pass"][0].upper()],
            family="S1Tiling",
            units="power",
            quantity="gamma0_rtc" if (found["kind"] or "").lower() == "_gammanaughtrtc" else None,
        )
    if re.search(r"(^|[-_])(iw-)?v[vh]\.rtc\.tiff?$", name, re.IGNORECASE):
        return Identity(family="Planetary Computer", units="power", quantity="gamma0_rtc", filtered=False)
    if found := _SAFE.search(name) or _MEASUREMENT.search(name):
        return Identity(
            utc_time_or_none(found["start"]),
            found["platform"].upper(),
            absolute_orbit=int(found["orbit"]) if found["orbit"] else None,
            family="GRD",
        )
    return Identity()


def _of_pyrosar(found: re.Match[str]) -> Identity:
    quantity: Quantity = "gamma0" if found["quantity"].lower() == "gamma0" else "sigma0"
    return Identity(
        utc_time_or_none(found["start"]),
        found["platform"].upper(),
        orbit=_PASSES[found["pass"].upper()],
        family="pyroSAR",
        units="db" if found["db"] else "power",
        quantity="gamma0_rtc" if found["model"].lower() == "rtc" else quantity,
    )


def from_text(text: str) -> Identity:
    """Return the granule that a product was made from, by the text beside it (HyP3's README).

    >>> made_from = "made from S1A_IW_GRDH_1SDV_20210809T173953_20210809T174018_039156_049F13_6FF8"
    >>> from_text(made_from).absolute_orbit, from_text(made_from).platform
    (39156, 'S1A')
    """
    found = _SAFE.search(text)
    if found is None or not found["orbit"]:
        return Identity()
    return Identity(platform=found["platform"].upper(), absolute_orbit=int(found["orbit"]))


def from_tags(tags: Mapping[str, str]) -> Identity:
    """Return the properties in the GDAL tags of a file (OPERA, AWS ``sentinel-s1-rtc-indigo``, STAC-like).

    The TIFF tag ``DateTime`` is left alone: it is when the file was written.

    Examples
    --------
    >>> tags = {"ORBIT_DIRECTION": "ascending", "ABSOLUTE_ORBIT_NUMBER": "30643", "MISSION_ID": "S1A"}
    >>> from_tags(tags).orbit, from_tags(tags).absolute_orbit
    ('ascending', 30643)
    """
    lower = {key.lower(): value.strip() for key, value in tags.items()}

    def first(*keys: str) -> str:
        return next((lower[key] for key in keys if lower.get(key)), "")

    product = Identity()
    scenes = [_from_name(scene) for scene in first("scenes").split(",")]
    times = [scene.acquired for scene in scenes if scene.acquired]
    if "scenes" in lower and "tile_id" in lower:
        product = Identity(family="AWS RTC", units="power", quantity="gamma0_rtc", filtered=False)
    elif "burst_id" in lower:
        product = Identity(family="OPERA", units="power", quantity="gamma0_rtc", filtered=False)
    platform = re.sub(r"^SENTINEL-?1", "S1", first("platform", "mission_id").upper())
    direction = first("orbit_pass_direction", "orbit_direction", "sat:orbit_state", "pass").lower()
    return replace(
        product,
        acquired=min(times)
        if times
        else utc_time_or_none(first("zero_doppler_start_time", "start_datetime", "datetime", "date")),
        platform=platform if re.fullmatch(r"S1[ABCD]", platform) else None,
        absolute_orbit=_integer(first("absolute_orbit_number", "sat:absolute_orbit")),
        relative_orbit=_integer(first("track_number", "sat:relative_orbit", "relative_orbit")),
        orbit={"asc": "ascending", "desc": "descending"}.get(re.sub(r"ending$", "", direction)),
    )


def is_monthly_mosaic(names: Iterable[str]) -> bool:
    """Whether a name is that of a monthly mosaic, which mixes both orbit directions.

    A user's own mosaic of the slices of one pass is none.
    """
    return any(_MONTHLY_MOSAIC.search(name) for name in names)


def relative_orbit(platform: str | None, absolute_orbit: int | None) -> int | None:
    """Return the relative orbit (1-175), or None where the satellite's constant is not known.

    Sentinel-1C was moved along its orbit in June 2026, from absolute orbit 8019 on. Before its regular
    service, which began about orbit 1616 (26 March 2025), only metadata count.

    Examples
    --------
    >>> relative_orbit("S1A", 39156), relative_orbit("S1B", 30148), relative_orbit("S1C", 638)
    (59, 22, None)
    >>> relative_orbit("S1C", 8018), relative_orbit("S1C", 8019), relative_orbit("S1D", 4469)
    (147, 46, 53)
    """
    if absolute_orbit is None:
        return None
    if platform == "S1C":
        if absolute_orbit < _S1C_REGULAR:
            return None
        offset = 172 if absolute_orbit < _S1C_MOVED else 99
    elif platform in _FIRST_ORBITS:
        offset = _FIRST_ORBITS[platform]
    else:
        return None
    return (absolute_orbit - offset) % 175 + 1


_FIRST_ORBITS: Final = {"S1A": 73, "S1B": 27, "S1D": 42}
"""Satellite -> absolute orbit that was relative orbit 1."""
_S1C_REGULAR: Final = 1616
"""Absolute orbit of Sentinel-1C from which on its data are regular."""
_S1C_MOVED: Final = 8019
"""Absolute orbit of Sentinel-1C from which on it flies in another place of the orbit."""


def local_solar_hour(acquired: datetime, longitude: float) -> float:
    """Return the mean solar time at `longitude` (degrees east), hours in [0, 24)."""
    return (seconds_of_day(acquired) / 3600 + longitude / 15) % 24


def direction(acquired: datetime, longitude: float, latitude: float) -> str | None:
    """Return the orbit direction that the local solar time implies, or None where it implies none.

    Sentinel-1 crosses the equator northwards at 18:00 and southwards at 06:00 local time; above 70 degrees
    the swath spans too many hours.

    Examples
    --------
    >>> direction(datetime(2024, 1, 23, 8, 47, 48, tzinfo=UTC), longitude=143.3, latitude=-5.4)
    'ascending'
    """
    hour = local_solar_hour(acquired, longitude)
    if abs(latitude) >= 70:
        return None
    if 15 <= hour <= 21:
        return "ascending"
    return "descending" if 3 <= hour <= 9 else None


def seconds_of_day(moment: datetime) -> float:
    """Return the seconds since midnight UTC."""
    utc = moment.astimezone(UTC)
    return utc.hour * 3600 + utc.minute * 60 + utc.second + utc.microsecond / 1e6


def has_time_of_day(moment: datetime) -> bool:
    """Whether `moment` is more than a date; exactly 00:00:00 is how a mere date is written."""
    return seconds_of_day(moment) != 0


def time_of_day_gap(a: datetime, b: datetime) -> float:
    """Return how far apart the times of day of `a` and `b` are, seconds, across midnight if shorter."""
    gap = abs(seconds_of_day(a) - seconds_of_day(b))
    return min(gap, 86400 - gap)


def _integer(text: str) -> int | None:
    return int(text) if text.isdigit() else None
