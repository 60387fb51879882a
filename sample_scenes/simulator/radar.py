"""Sentinel-1 ground range detected sigma0 in mountains: foreshortening, layover, shadow and speckle.

The sensor is far away: rays are parallel at the incidence angle. Every facet of the surface sends
``gamma0 * (cos(incidence) + rise * sin(incidence))`` times its map area into the slant-range bin that it
falls in (facets that share a bin add up: layover; facets that no ray reaches send nothing: shadow).
Geocoding then looks up, for every map pixel, the bin that the reference elevation says it is in, as
range-Doppler terrain correction does. No terrain flattening: this is ellipsoid sigma0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from sample_scenes.simulator.cover import Cover
from sample_scenes.simulator.noise import Field, power_law_field
from sample_scenes.simulator.terrain import PIXEL_M

OVERSAMPLING = 3
"""Facets per pixel along the range."""
LOOKS = 4
"""Independent looks; Sentinel-1 IW GRD at full resolution has 4.4."""
CORRELATION = 0.88
"""Width (pixels) of the correlation of the field: 20 m resolution at 10 m spacing allows 0.8 to 1.2."""
NOISE_DB = {"vv": -26.0, "vh": -27.5}
"""Noise equivalent sigma0; IW reaches -24 at the worst and -30 at the best."""
FLOOR_DB = -49.0
"""Backscatter of digital number 1 of the product, the least that is left after noise removal."""
HEADING = {"ascending": 348.0, "descending": 192.0}

GAMMA0_DB = {
    "forest": (-7.3, -13.7),
    "grass": (-10.0, -17.0),
    "field": (-10.2, -17.5),
    "soil": (-10.6, -19.5),
    "cut": (-9.0, -16.0),
    "burn": (-8.6, -15.6),
    "bare": (-10.5, -19.0),
    "gravel": (-10.8, -19.0),
    "rock": (-8.8, -17.0),
    "old_scar": (-7.8, -14.8),
    "snow": (-15.0, -22.0),
    "water": (-18.0, -28.0),
    "scar": (-7.4, -14.2),
}
"""Cover -> VV and VH."""
DEBRIS_DB = 2.4
"""Texture that boulders and wet patches add inside scars."""
RESOLUTION = 0.85
"""Standard deviation of the impulse response, pixels: 20 m resolution."""
ANGULAR = {
    "forest": 0.2,
    "grass": 0.5,
    "field": 0.6,
    "soil": 0.8,
    "cut": 0.4,
    "burn": 0.3,
    "bare": 1.0,
    "gravel": 1.0,
    "rock": 1.0,
    "old_scar": 0.9,
    "snow": 1.2,
    "water": 2.0,
    "scar": 1.0,
}
"""Backscatter also goes with cos(local incidence) to this power: surfaces reflect, canopies scatter."""
MOISTURE_DB = {"forest": 0.3, "burn": 0.4, "cut": 0.7, "grass": 0.9, "field": 1.2, "soil": 1.3, "water": 1.5}
"""Change of backscatter per unit of wetness; 1 for the other covers."""
SLIDE_DB = 1.3
"""Deviation between slides of what stripping does to backscatter: some brighten, some darken, some hide."""


@dataclass(frozen=True, slots=True)
class Facets:
    """The surface cut into facets, lines of them along the range."""

    where: npt.NDArray[np.float32]
    """(2, line, facet) row and column on the map."""
    gain: Field
    """(line, facet) sigma0 in its bin for gamma0 = 1; 0 in shadow."""
    index: npt.NDArray[np.int64]
    """Flat index of the nearer of the two bins that a facet falls between."""
    weight: Field
    """Share of the farther bin."""
    shape: tuple[int, int]
    """Shape of the slant image, (line, bin)."""

    def power(self, gamma0: Field) -> Field:
        """Return the noise-free sigma0 in slant range of a map of gamma0 (power)."""
        power = ndimage.map_coordinates(gamma0, self.where, order=1, mode="nearest") * self.gain
        size = self.shape[0] * self.shape[1]
        near = np.bincount(self.index, (power * (1 - self.weight)).ravel(), size)
        far = np.bincount(self.index + 1, (power * self.weight).ravel(), size)
        return np.asarray(near + far, float).reshape(self.shape)


@dataclass(frozen=True, slots=True)
class Geometry:
    """One track over one elevation model; maps are `(row, col)`, slant images `(line, bin)`."""

    orbit: str
    incidence: float
    """Degrees."""
    elevation: Field
    """The reference elevation that geocoding uses, m."""

    @property
    def _look(self) -> tuple[float, float]:
        """East and north components of the look direction on the ground (to the right of the heading)."""
        azimuth = np.radians(HEADING[self.orbit] + 90)
        return float(np.sin(azimuth)), float(np.cos(azimuth))

    def _ground(self, row: Field, col: Field) -> tuple[Field, Field]:
        """Map pixels -> along-track and ground-range coordinates, pixels."""
        east, north = self._look
        return -(col * north + row * east), col * east - row * north

    def _map(self, along: Field, ground: Field) -> tuple[Field, Field]:
        """Inverse of `_ground`."""
        east, north = self._look
        return -(along * east + ground * north), ground * east - along * north

    def _frame(self) -> tuple[Field, Field]:
        """Return along-track lines and ground-range samples that cover the map."""
        rows, cols = self.elevation.shape
        corners = self._ground(np.array([0.0, 0, rows, rows]), np.array([0.0, cols, 0, cols]))
        (a0, a1), (g0, g1) = ((np.floor(c.min()), np.ceil(c.max())) for c in corners)
        return np.arange(a0, a1 + 1), np.arange(g0, g1 + 1, 1 / OVERSAMPLING)

    def _bin(self, ground: Field, height: Field) -> Field:
        """Slant-range bin; on level ground bins are one pixel apart."""
        theta = np.radians(self.incidence)
        reference = float(self.elevation.max())
        return np.asarray(ground + (reference - height) / PIXEL_M / np.tan(theta))

    def facets(self, cover: Cover, elevation: Field) -> Facets:
        """Return how every facet of the surface `elevation` (m) with `cover` answers this track."""
        along, ground = self._frame()
        where = np.stack([axis.astype(np.float32) for axis in self._map(along[:, None], ground[None, :])])
        height = ndimage.map_coordinates(elevation, where, order=1, mode="nearest")
        theta = np.radians(self.incidence)
        rise = np.gradient(height, PIXEL_M / OVERSAMPLING, axis=1)
        across = np.gradient(height, PIXEL_M, axis=0)
        facing = np.clip(np.cos(theta) + rise * np.sin(theta), 0, None)
        cosine = facing / np.sqrt(1 + rise**2 + across**2) / np.cos(theta)
        # Above every ray that grazed something nearer to the sensor?
        ray = ground * PIXEL_M * np.cos(theta) + height * np.sin(theta)
        seen = ray >= np.maximum.accumulate(ray, axis=1) - 1e-9
        exponent = sum(ANGULAR[name] * fraction for name, fraction in cover.fractions.items())
        exponent = ndimage.map_coordinates(exponent, where, order=1, mode="nearest")
        gain = facing * np.maximum(cosine, 1e-3) ** exponent * seen / OVERSAMPLING

        width = int(self._bin(ground[-1], self.elevation.min() - 50.0) - self._origin) + 8
        bins = np.clip(self._bin(ground[None, :], height) - self._origin, 0, width - 2)
        first = np.floor(bins).astype(np.int64)
        index = np.arange(len(along))[:, None] * width + first
        return Facets(where, gain, index.ravel(), bins - first, (len(along), width))

    @property
    def _origin(self) -> float:
        return float(self._frame()[1][0]) - 8

    def geocode(self, slant: Field, row: Field, col: Field) -> Field:
        """Return `slant` looked up at map positions, pixel centres being whole numbers."""
        height = ndimage.map_coordinates(self.elevation, (row, col), order=1, mode="nearest")
        along, ground = self._ground(row, col)
        lines = along - self._frame()[0][0]
        bins = self._bin(ground, height) - self._origin
        return np.asarray(ndimage.map_coordinates(slant, (lines, bins), order=1, mode="nearest"))


def speckle(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """Return unit-mean speckle of LOOKS looks, correlated between neighbours as oversampled pixels are."""
    total = np.zeros(shape, np.float32)
    for _ in range(2 * LOOKS):
        part = rng.standard_normal(shape, dtype=np.float32)
        total += ndimage.gaussian_filter(part, CORRELATION, mode="wrap", truncate=3) ** 2
    return np.asarray(total / total.mean(dtype=float), float)


def gamma0(cover: Cover, texture_db: Field, polarisation: str) -> Field:
    """Return the gamma0 (power) of the mixed pixels on the map, neither wet nor dry."""
    total = np.zeros(cover.vigour.shape)
    vh = polarisation == "vh"
    for name, fraction in cover.fractions.items():
        level = 10 ** (GAMMA0_DB[name][vh] / 10) * fraction
        if name == "field":
            level = level * 10 ** ((0.3 if vh else 0.15) * (cover.crop - 0.5))
        total += level
    return total * 10 ** (texture_db / 10)


def moisture(cover: Cover) -> Field:
    """Return the change of backscatter (dB) of the mixed pixels per unit of wetness."""
    return np.asarray(sum(MOISTURE_DB.get(name, 1.0) * own for name, own in cover.fractions.items()))


@dataclass(frozen=True, slots=True)
class CleanImages:
    """Noise-free sigma0 of one state of the ground in slant range."""

    power: dict[str, Field]
    """Polarisation -> sigma0."""
    moisture: Field
    """Change per unit of wetness, dB."""


def clean_images(geometry: Geometry, cover: Cover, elevation: Field, texture_db: Field) -> CleanImages:
    """Return what a track sees of a surface `elevation` (m), before weather, noise and speckle."""
    facets = geometry.facets(cover, elevation)
    sent = {polarisation: gamma0(cover, texture_db, polarisation) for polarisation in ("vv", "vh")}
    power = {polarisation: facets.power(own) for polarisation, own in sent.items()}
    wet = facets.power(sent["vv"] * moisture(cover))
    return CleanImages(power, wet / np.maximum(power["vv"], 1e-9))


def acquire(
    geometry: Geometry, clean: CleanImages, where: tuple[Field, Field], rng: np.random.Generator
) -> dict[str, npt.NDArray[np.float32]]:
    """Return one geocoded acquisition in dB: weather, thermal noise, speckle, noise removed, geocoded."""
    shape = clean.moisture.shape
    wetness = rng.normal(0, 0.35) + 0.4 * power_law_field(shape, rng, exponent=1.8, longest=150)
    weather = 10 ** (clean.moisture * wetness / 10)
    images = {}
    for polarisation, power in clean.power.items():
        noise = 10 ** (NOISE_DB[polarisation] / 10)
        measured = ndimage.gaussian_filter(power * weather, RESOLUTION) + noise
        measured = np.maximum(measured * speckle(shape, rng) - noise, 10 ** (FLOOR_DB / 10))
        images[polarisation] = (10 * np.log10(geometry.geocode(measured, *where))).astype(np.float32)
    return images


def texture(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """Return the lasting texture of backscatter, dB."""
    return 0.7 * power_law_field(shape, rng, exponent=0.7, longest=20)
