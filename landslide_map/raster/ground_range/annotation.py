"""Annotation of one polarisation of a Sentinel-1 GRD product: orbit, timing, calibration and noise.

Product specification S1-RS-MDA-52-7441. The XML goes through the gate of foreign files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt

from landslide_map.untrusted.xml_tree import parse_xml

Floats = npt.NDArray[np.float64]
Table = npt.NDArray[np.float32]

LIGHT_M_S: Final = 299_792_458.0
_MOST_SIDE: Final = 200_000
"""Lines or samples of a product; those of a minute of IW data have 42,000."""


@dataclass(frozen=True, slots=True)
class StateVectors:
    """Positions of the satellite."""

    time: npt.NDArray[np.datetime64]
    """``(vector,)``, UTC, nanoseconds."""
    position: Floats
    """``(vector, 3)``, Earth-fixed, metres."""


@dataclass(frozen=True, slots=True)
class Timing:
    """When and how far away the lines and samples of an image were seen."""

    first_line: np.datetime64
    line_s: float
    """Seconds between lines."""
    sample_m: float
    """Metres on the ground between samples."""
    lines: int
    samples: int


@dataclass(frozen=True, slots=True)
class RangeConversion:
    """Polynomials from slant range to ground range, at several times."""

    time: npt.NDArray[np.datetime64]
    """``(polynomial,)``, UTC."""
    origin_m: Floats
    """``(polynomial,)``: slant range at which a polynomial has its origin."""
    coefficients: Floats
    """``(polynomial, degree)``, lowest degree first."""


@dataclass(frozen=True, slots=True)
class TiePoints:
    """Positions of points of the image, from the product's geolocation grid."""

    line: Floats
    sample: Floats
    longitude: Floats
    latitude: Floats
    height: Floats
    """Metres above the ellipsoid."""
    incidence: Floats
    """Degrees from the normal of the ellipsoid."""


@dataclass(frozen=True, slots=True)
class LookUp:
    """A value at some lines and at every sample."""

    lines: Floats
    """``(vector,)``, increasing."""
    values: Table
    """``(vector, sample)``."""

    def rows(self, lines: Floats, first: int, stop: int) -> Floats:
        """Return the values of `lines` at samples ``[first, stop)``, interpolated between vectors."""
        below = np.clip(np.searchsorted(self.lines, lines, side="right") - 1, 0, max(len(self.lines) - 2, 0))
        if len(self.lines) == 1:
            return np.repeat(self.values[:, first:stop].astype(np.float64), len(lines), axis=0)
        span = self.lines[below + 1] - self.lines[below]
        share = np.clip((lines - self.lines[below]) / span, 0.0, 1.0)[:, None]
        upper = self.values[below, first:stop].astype(np.float64)
        lower = self.values[below + 1, first:stop].astype(np.float64)
        return np.asarray(upper * (1 - share) + lower * share)


@dataclass(frozen=True, slots=True)
class AzimuthNoise:
    """Factor of the noise along the lines of one part of the image."""

    lines: tuple[int, int]
    """First line and the one after the last."""
    samples: tuple[int, int]
    at: Floats
    factor: Floats


@dataclass(frozen=True, slots=True)
class Annotation:
    """Everything that geocoding and calibration of one polarisation need."""

    timing: Timing
    orbit: StateVectors
    conversion: RangeConversion
    tie_points: TiePoints
    sigma: LookUp
    """Digital number over the square root of sigma0."""
    noise: LookUp | None
    """Power of the thermal noise in squared digital numbers; None where the product has none."""
    azimuth_noise: tuple[AzimuthNoise, ...]
    platform: str
    absolute_orbit: int
    direction: str
    """``ascending`` or ``descending``."""


def read_annotation(product: bytes, calibration: bytes, noise: bytes) -> Annotation:
    """Read the three XML documents of one polarisation.

    Raises
    ------
    ValueError
        Where one of them is damaged, or lacks what is needed.
    """
    root = parse_xml(product)
    timing = _timing(root)
    noise_root = parse_xml(noise)
    return Annotation(
        timing=timing,
        orbit=_orbit(root),
        conversion=_conversion(root),
        tie_points=_tie_points(root),
        sigma=_sigma(parse_xml(calibration), timing.samples),
        noise=_noise(noise_root, timing.samples),
        azimuth_noise=tuple(_azimuth_noise(noise_root)),
        platform=_text(root, "missionId").upper(),
        absolute_orbit=int(_text(root, "absoluteOrbitNumber")),
        direction=_text(root, "pass").lower(),
    )


def read_orbit_file(content: bytes) -> StateVectors:
    """Read an orbit file (EOF) of the Copernicus POD service; ValueError where it is none."""
    root = parse_xml(content)
    vectors = list(root.iter("OSV"))
    times = [_text(one, "UTC").removeprefix("UTC=") for one in vectors]
    return _state_vectors(times, [[_text(one, axis) for axis in "XYZ"] for one in vectors])


def _orbit(root: Element) -> StateVectors:
    vectors = list(root.iter("orbit"))
    if any((_text(one, "frame") or "Earth Fixed") != "Earth Fixed" for one in vectors):
        raise ValueError("its orbit is in another frame than the Earth-fixed one")
    positions = [next(one.iter("position"), Element("none")) for one in vectors]
    times = [_text(one, "time") for one in vectors]
    return _state_vectors(times, [[_text(one, axis) for axis in "xyz"] for one in positions])


def _state_vectors(times: Sequence[str], positions: Sequence[Sequence[str]]) -> StateVectors:
    if len(times) < 4:
        raise ValueError(f"it has {len(times)} state vectors of the orbit; at least four are needed")
    position = np.array([[float(value) for value in one] for one in positions])
    if not (np.isfinite(position).all() and (np.linalg.norm(position, axis=1) > 6.5e6).all()):
        raise ValueError("its state vectors are not the orbit of a satellite")
    return StateVectors(np.array([_moment(text) for text in times]), position)


def _timing(root: Element) -> Timing:
    found = Timing(
        _moment(_text(root, "productFirstLineUtcTime")),
        float(_text(root, "azimuthTimeInterval")),
        float(_text(root, "rangePixelSpacing")),
        int(_text(root, "numberOfLines")),
        int(_text(root, "numberOfSamples")),
    )
    if not (0 < found.line_s < 1 and 0 < found.sample_m < 1000):
        raise ValueError("its spacing of lines or samples is impossible")
    if not (0 < found.lines <= _MOST_SIDE and 0 < found.samples <= _MOST_SIDE):
        raise ValueError(f"it has {found.lines:,} lines of {found.samples:,} samples")
    return found


def _conversion(root: Element) -> RangeConversion:
    entries = list(root.iter("coordinateConversion"))
    if not entries:
        raise ValueError("it has no conversion from slant range to ground range; is it a GRD product?")
    tables = [_numbers(one, "srgrCoefficients") for one in entries]
    if not tables[0].size or any(one.size != tables[0].size for one in tables):
        raise ValueError("its conversions to ground range are incomplete")
    coefficients = np.array(tables)
    coefficients[:, 0] += [float(_text(one, "gr0") or 0) for one in entries]
    times = np.array([_moment(_text(one, "azimuthTime")) for one in entries])
    return RangeConversion(times, np.array([float(_text(one, "sr0")) for one in entries]), coefficients)


def _tie_points(root: Element) -> TiePoints:
    points = list(root.iter("geolocationGridPoint"))
    if len(points) < 4:
        raise ValueError("it has no grid of geolocation points")
    names = ("line", "pixel", "longitude", "latitude", "height", "incidenceAngle")
    return TiePoints(*(np.array([float(_text(one, name)) for one in points]) for name in names))


def _sigma(root: Element, samples: int) -> LookUp:
    table = _look_up(root, "calibrationVector", "sigmaNought", samples)
    if table is None or not (table.values > 0).all():
        raise ValueError("it has no calibration to sigma0")
    return table


def _noise(root: Element, samples: int) -> LookUp | None:
    """Return the noise of range vectors; before IPF 2.90 (March 2018) they have another name."""
    return _look_up(root, "noiseRangeVector", "noiseRangeLut", samples) or _look_up(
        root, "noiseVector", "noiseLut", samples
    )


def _look_up(root: Element, vector: str, values: str, samples: int) -> LookUp | None:
    entries = list(root.iter(vector))
    if not entries:
        return None
    at = np.arange(samples, dtype=np.float64)
    lines, rows = [], []
    for one in entries:
        pixel, value = _numbers(one, "pixel"), _numbers(one, values)
        if pixel.size != value.size or not pixel.size or (np.diff(pixel) <= 0).any():
            raise ValueError(f"a {vector} of it is incomplete")
        lines.append(float(_text(one, "line")))
        rows.append(np.interp(at, pixel, value).astype(np.float32))
    order = np.unique(lines, return_index=True)[1]
    return LookUp(np.array(lines)[order], np.stack(rows)[order])


def _azimuth_noise(root: Element) -> Iterator[AzimuthNoise]:
    for one in root.iter("noiseAzimuthVector"):
        at, factor = _numbers(one, "line"), _numbers(one, "noiseAzimuthLut")
        if at.size != factor.size or not at.size:
            raise ValueError("a noiseAzimuthVector of it is incomplete")
        lines, samples = (
            (int(_text(one, f"first{name}")), int(_text(one, f"last{name}")) + 1)
            for name in ("AzimuthLine", "RangeSample")
        )
        yield AzimuthNoise(lines, samples, at, factor)


def _numbers(element: Element, tag: str) -> Floats:
    return np.array([float(text) for text in _text(element, tag).split()])


def _text(element: Element, tag: str) -> str:
    found = next(element.iter(tag), None)
    return (found.text or "").strip() if found is not None else ""


def _moment(text: str) -> np.datetime64:
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?", text):
        raise ValueError(f"{text[:40]!r} is no time")
    return np.datetime64(text, "ns")
