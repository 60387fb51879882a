"""Places on the ground in a Sentinel-1 image: range and Doppler equations, by sarsen.

Reference: Guide to Sentinel-1 Geocoding, UZH-S1-GC-AD. The equations are solved exactly at the nodes of a
mesh, at some heights; line and sample between them are smooth, and are interpolated.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyproj

from landslide_map.errors import ResourceError
from landslide_map.raster.ground_range.annotation import Annotation, StateVectors

if TYPE_CHECKING:
    from sarsen.orbit import OrbitPolyfitInterpolator

Floats = npt.NDArray[np.float64]

HEIGHTS_M: Final = (-600.0, 4300.0, 9200.0)
"""Heights above the ellipsoid at which nodes are solved."""
_AROUND_S: Final = 60.0
"""State vectors so long before and after an image give the orbit."""
_DEGREE: Final = 5
_WITHIN_M: Final = 1e-3
"""Distance from the plane of zero Doppler at which a node is solved; the next step is far below it."""


def has_sarsen() -> bool:
    """Return whether the extra is installed."""
    return find_spec("sarsen") is not None


def require_sarsen(path: object) -> None:
    """Refuse (E612) where the extra is not installed."""
    if not has_sarsen():
        raise ResourceError(
            "E612",
            f"{path}: a Sentinel-1 GRD product needs the package sarsen. Install it with: "
            "pip install 'landslide-map[grd]'",
        )


class RangeDoppler:
    """Line and sample of places on the ground."""

    def __init__(self, annotation: Annotation, orbit: StateVectors | None = None) -> None:
        self._of = annotation
        self._orbit = fitted_orbit(annotation, orbit or annotation.orbit)

    def image_coordinates(self, longitude: Floats, latitude: Floats, height: Floats) -> tuple[Floats, Floats]:
        """Return where places were seen.

        Parameters
        ----------
        longitude, latitude, height : ndarray, one shape of two dimensions
            Degrees, and metres above the ellipsoid of WGS 84.

        Returns
        -------
        line, sample : ndarray, the same shape, float64
            0 is the centre of the first; outside of the image where the place is.
        """
        import xarray as xr
        from sarsen.geocoding import backward_geocode

        x, y, z = _to_earth_fixed(longitude, latitude, height)
        ground = xr.DataArray(np.stack([x, y, z]), dims=("axis", "y", "x"), coords={"axis": [0, 1, 2]})
        seen = backward_geocode(ground, self._orbit, zero_doppler_distance=_WITHIN_M, method="newton")
        distance = np.sqrt((seen.dem_distance**2).sum("axis")).to_numpy()
        elapsed = (seen.azimuth_time.to_numpy() - self._of.timing.first_line) / np.timedelta64(1, "ns") * 1e-9
        sample = self._ground_range(elapsed, distance) / self._of.timing.sample_m
        return elapsed / self._of.timing.line_s, sample

    def _ground_range(self, elapsed: Floats, distance: Floats) -> Floats:
        """Return ground range, metres: of the two polynomials around a time, by its share of each."""
        conversion = self._of.conversion
        times = (conversion.time - self._of.timing.first_line) / np.timedelta64(1, "ns") * 1e-9
        if len(times) == 1:
            return _polynomial(conversion.coefficients[0], distance - conversion.origin_m[0])
        below = np.clip(np.searchsorted(times, elapsed, side="right") - 1, 0, len(times) - 2)
        share = np.clip((elapsed - times[below]) / (times[below + 1] - times[below]), 0.0, 1.0)
        out = np.zeros(distance.shape)
        for number in np.unique(below):
            here = below == number
            each = [
                _polynomial(conversion.coefficients[i], distance[here] - conversion.origin_m[i])
                for i in (number, number + 1)
            ]
            out[here] = each[0] * (1 - share[here]) + each[1] * share[here]
        return out


def fitted_orbit(annotation: Annotation, orbit: StateVectors) -> OrbitPolyfitInterpolator:
    """Return the orbit around an image as a polynomial of time; ValueError where the vectors miss it."""
    import xarray as xr
    from sarsen.orbit import OrbitPolyfitInterpolator

    timing = annotation.timing
    around = np.timedelta64(int(_AROUND_S * 1e9), "ns")
    last = timing.first_line + np.timedelta64(int(timing.lines * timing.line_s * 1e9), "ns")
    near = (orbit.time >= timing.first_line - around) & (orbit.time <= last + around)
    times = orbit.time[near]
    if near.sum() <= _DEGREE or times.min() > timing.first_line or times.max() < last:
        raise ValueError("its state vectors do not cover the image")
    position = xr.DataArray(
        orbit.position[near].T,
        dims=("axis", "azimuth_time"),
        coords={"axis": [0, 1, 2], "azimuth_time": times},
    )
    middle = timing.first_line + (last - timing.first_line) / 2
    return OrbitPolyfitInterpolator.from_position(position, deg=_DEGREE, epoch=middle)


def _polynomial(coefficients: Floats, at: Floats) -> Floats:
    return np.asarray(np.polynomial.polynomial.polyval(at, coefficients))


def _to_earth_fixed(longitude: Floats, latitude: Floats, height: Floats) -> tuple[Any, Any, Any]:
    transformer = pyproj.Transformer.from_crs(4979, 4978, always_xy=True)
    x, y, z = transformer.transform(longitude, latitude, height)
    return x, y, z
