"""A small Sentinel-1 GRD product of known geometry: a circular orbit over a turning Earth."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyproj
import rasterio
from rasterio.control import GroundControlPoint
from scipy.optimize import minimize_scalar, root

LINES, SAMPLES = 700, 900
LINE_S, SAMPLE_M = 0.0015, 10.0
NEAR_M = 880_000.0
"""Slant range of the first sample."""
_RADIUS_M, _TURN_S, _EARTH_RAD_S = 7_071_000.0, 5924.0, 7.2921159e-5
_INCLINATION = np.radians(98.18)
_TO_DEGREES = pyproj.Transformer.from_crs(4978, 4979, always_xy=True)
_TO_EARTH_FIXED = pyproj.Transformer.from_crs(4979, 4978, always_xy=True)


def position(seconds: float | np.ndarray) -> np.ndarray:
    """Return where the satellite is, Earth-fixed metres; on its way south at 24 degrees north."""
    seconds = np.asarray(seconds, float)
    along = np.radians(180.0 - 24.3) + 2 * np.pi * seconds / _TURN_S
    x, y = np.cos(along), np.sin(along) * np.cos(_INCLINATION)
    turn = np.radians(-53.0) - _EARTH_RAD_S * seconds
    return _RADIUS_M * np.stack(
        [
            x * np.cos(turn) - y * np.sin(turn),
            x * np.sin(turn) + y * np.cos(turn),
            np.sin(along) * np.sin(_INCLINATION),
        ]
    )


def ground_range(distance: float, seconds: float) -> float:
    """Return the ground range of a slant range: between the polynomials of two times, by their shares."""
    x = distance - NEAR_M
    early, late = 1.60 * x - 9e-7 * x**2, 1.602 * x - 9e-7 * x**2 + 4.0
    share = min(max((seconds + 0.4) / 2.0, 0.0), 1.0)
    return early * (1 - share) + late * share


def seen_at(longitude: float, latitude: float, height: float) -> tuple[float, float]:
    """Return line and sample of a place: where the satellite is nearest to it."""
    place = np.array(_TO_EARTH_FIXED.transform(longitude, latitude, height))

    def distance(seconds: float) -> float:
        return float(np.linalg.norm(position(seconds) - place))

    # Nearest by thirds of a parabola, then by the equation of Doppler.
    near = minimize_scalar(distance, bounds=(-5, 5), method="bounded").x

    def doppler(seconds: np.ndarray) -> float:
        step = 1e-3
        velocity = (position(seconds[0] + step) - position(seconds[0] - step)) / (2 * step)
        return float(((position(seconds[0]) - place) * velocity).sum() / 1e6)

    nearest = float(root(doppler, [near], tol=1e-12).x[0])
    return nearest / LINE_S, ground_range(distance(nearest), nearest) / SAMPLE_M


@cache
def place_of(line: float, sample: float, height: float = 0.0) -> tuple[float, float]:
    """Return longitude and latitude of a line and sample at a height, right of the orbit."""
    start = position(line * LINE_S)
    lon, lat, _ = _TO_DEGREES.transform(*start)

    def off(at: np.ndarray) -> list[float]:
        found = seen_at(at[0], at[1], height)
        return [found[0] - line, found[1] - sample]

    found = root(off, [lon - 5.9, lat + 1.1], tol=1e-9)
    assert found.success
    return float(found.x[0]), float(found.x[1])


@dataclass(frozen=True)
class Product:
    """What the files of a product hold."""

    start: str = "2024-04-05T21:55:00"
    orbit: int = 53295
    numbers: Callable[[str], np.ndarray] | None = None
    """Polarisation -> digital numbers, ``(LINES, SAMPLES)``."""
    noise: float = 2000.0
    noise_factor: tuple[float, float] = (1.0, 1.0)

    @property
    def name(self) -> str:
        start = self.start.replace("-", "").replace(":", "")
        return f"S1A_IW_GRDH_1SDV_{start}_{start[:-2]}25_{self.orbit:06}_066A00_AAAA"

    def write(self, folder: Path) -> Path:
        """Write the SAFE folder."""
        product = folder / f"{self.name}.SAFE"
        (product / "annotation" / "calibration").mkdir(parents=True)
        (product / "measurement").mkdir()
        (product / "manifest.safe").write_text("<xfdu/>")
        for number, polarisation in enumerate(("vv", "vh"), 1):
            stem = (
                f"s1a-iw-grd-{polarisation}-20240405t215500-20240405t215525-{self.orbit:06}-066a00-00{number}"
            )
            texts = {
                f"annotation/{stem}.xml": self._annotation(polarisation),
                f"annotation/calibration/calibration-{stem}.xml": _calibration(),
                f"annotation/calibration/noise-{stem}.xml": self._noise(),
            }
            for name, text in texts.items():
                (product / name).write_text(text)
            points = [
                GroundControlPoint(r, c, *place_of(r, c)) for r in (0, LINES - 1) for c in (0, SAMPLES - 1)
            ]
            numbers = land(polarisation, self.orbit) if self.numbers is None else self.numbers(polarisation)
            with rasterio.open(
                product / "measurement" / f"{stem}.tiff", "w", driver="GTiff", width=SAMPLES, height=LINES,
                count=1, dtype="uint16", gcps=points, crs="EPSG:4326",
            ) as file:  # fmt: skip
                file.write(numbers.astype(np.uint16), 1)
        return product

    def _time(self, seconds: float) -> str:
        return str(np.datetime64(self.start, "ns") + np.timedelta64(round(seconds * 1e9), "ns"))

    def _annotation(self, polarisation: str) -> str:
        vectors = "".join(
            f"<orbit><time>{self._time(t)}</time><frame>Earth Fixed</frame>"
            + "<position>{}</position></orbit>".format(
                "".join(f"<{k}>{v!r}</{k}>" for k, v in zip("xyz", position(t).tolist(), strict=True))
            )
            for t in range(-70, 81, 10)
        )
        points = ""
        for line in (0, LINES // 2, LINES - 1):
            for sample in (0, SAMPLES // 2, SAMPLES - 1):
                lon, lat = place_of(line, sample)
                points += (
                    f"<geolocationGridPoint><line>{line}</line><pixel>{sample}</pixel>"
                    f"<latitude>{lat!r}</latitude><longitude>{lon!r}</longitude><height>0.0</height>"
                    f"<incidenceAngle>{38 + sample / 900}</incidenceAngle></geolocationGridPoint>"
                )
        conversions = "".join(
            f"<coordinateConversion><azimuthTime>{self._time(t)}</azimuthTime><sr0>{NEAR_M}</sr0><gr0>0.0</gr0>"
            f"<srgrCoefficients>{numbers}</srgrCoefficients></coordinateConversion>"
            for t, numbers in ((-0.4, "0.0 1.60 -9e-7"), (1.6, "4.0 1.602 -9e-7"))
        )
        return (
            f"<product><adsHeader><missionId>S1A</missionId><polarisation>{polarisation.upper()}</polarisation>"
            f"<absoluteOrbitNumber>{self.orbit}</absoluteOrbitNumber></adsHeader><pass>Descending</pass>"
            f"<orbitList>{vectors}</orbitList><imageInformation>"
            f"<productFirstLineUtcTime>{self._time(0)}</productFirstLineUtcTime>"
            f"<rangePixelSpacing>{SAMPLE_M}</rangePixelSpacing><azimuthTimeInterval>{LINE_S}</azimuthTimeInterval>"
            f"<numberOfSamples>{SAMPLES}</numberOfSamples><numberOfLines>{LINES}</numberOfLines>"
            f"</imageInformation>{conversions}{points}</product>"
        )

    def _noise(self) -> str:
        lut = f"<pixel>0 {SAMPLES - 1}</pixel><noiseRangeLut>{self.noise} {self.noise}</noiseRangeLut>"
        along = "{} {}".format(*self.noise_factor)
        return (
            f"<noise><noiseRangeVector><line>0</line>{lut}</noiseRangeVector>"
            "<noiseAzimuthVector><firstAzimuthLine>0</firstAzimuthLine>"
            f"<lastAzimuthLine>{LINES - 1}</lastAzimuthLine>"
            f"<firstRangeSample>0</firstRangeSample><lastRangeSample>{SAMPLES - 1}</lastRangeSample>"
            f"<line>0 {LINES - 1}</line><noiseAzimuthLut>{along}</noiseAzimuthLut>"
            "</noiseAzimuthVector></noise>"
        )


def sigma_look_up(sample: float) -> float:
    """Return digital numbers over the square root of sigma0, as the products have it."""
    return 480.0 + 40.0 * sample / (SAMPLES - 1)


def land(polarisation: str, seed: int = 1) -> np.ndarray:
    """Return digital numbers of land with speckle: -10 dB in VV, -16 dB in VH, and noise."""
    looks = np.random.default_rng(seed).gamma(4.4, 1 / 4.4, (LINES, SAMPLES))
    power = (0.1 if polarisation == "vv" else 0.025) * looks * 500**2
    return np.maximum(np.sqrt(power + 2000.0), 1)


def zipped_product(product: Path) -> Path:
    """Pack a product as it is delivered, and return the zip."""
    path = product.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(product.rglob("*")):
            if file.is_file():
                archive.write(file, f"{product.name}/{file.relative_to(product).as_posix()}")
    return path


def _calibration() -> str:
    vectors = "".join(
        f"<calibrationVector><line>{line}</line><pixel>0 {SAMPLES - 1}</pixel>"
        f"<sigmaNought>{sigma_look_up(0)} {sigma_look_up(SAMPLES - 1)}</sigmaNought></calibrationVector>"
        for line in (0, LINES - 1)
    )
    return f"<calibration>{vectors}</calibration>"
