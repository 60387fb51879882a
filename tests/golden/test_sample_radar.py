"""The radar of the sample scene against hand arithmetic on planes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from sample_scenes.simulator.cover import Cover
from sample_scenes.simulator.radar import ANGULAR, LOOKS, Facets, Geometry, speckle

Image = npt.NDArray[np.float64]
SHAPE = (48, 160)
INCIDENCE = 40.0


def _forest() -> Cover:
    zero = np.zeros(SHAPE)
    names = ("grass", "field", "bare", "water", "scar")
    return Cover({"forest": zero + 1, **dict.fromkeys(names, zero)}, zero, zero)


def _geocoded(elevation: Image, orbit: str) -> Image:
    """Return noise-free sigma0 for gamma0 = 1, in the middle of the map."""
    geometry = Geometry(orbit, INCIDENCE, elevation)
    facets: Facets = geometry.facets(_forest(), elevation)
    row, col = np.meshgrid(np.arange(16.0, 32.0), np.arange(60.0, 100.0), indexing="ij")
    return geometry.geocode(facets.power(np.ones(SHAPE)), row, col)


def _rising_along_the_line_of_sight(orbit: str, rise: float) -> Image:
    """Return a plane that rises by `rise` (m per m) away from the sensor."""
    azimuth = np.radians({"ascending": 348.0, "descending": 192.0}[orbit] + 90)
    row, col = np.indices(SHAPE)
    return np.asarray(10 * rise * (col * np.sin(azimuth) - row * np.cos(azimuth)))


@pytest.mark.parametrize("orbit", ["ascending", "descending"])
def test_level_ground_sends_gamma0_times_cos_incidence(orbit: str) -> None:
    assert _geocoded(np.zeros(SHAPE), orbit) == pytest.approx(np.cos(np.radians(INCIDENCE)), rel=1e-6)


@pytest.mark.parametrize("orbit", ["ascending", "descending"])
@pytest.mark.parametrize("rise", [0.3, -0.4])
def test_a_slope_is_foreshortened_or_stretched(orbit: str, rise: float) -> None:
    # Facets send cos(t) + rise sin(t) per map area; the slope takes 1 - rise / tan(t) of its length in range;
    # the canopy answers a little less the more slantwise the rays come.
    t = np.radians(INCIDENCE)
    expected = (np.cos(t) + rise * np.sin(t)) / (1 - rise / np.tan(t))
    expected *= (np.cos(t - np.arctan(rise)) / np.cos(t)) ** ANGULAR["forest"]
    observed = _geocoded(_rising_along_the_line_of_sight(orbit, rise), orbit)
    assert observed.mean() == pytest.approx(expected, rel=0.01)


def test_a_slope_that_faces_west_is_bright_to_the_ascending_pass_that_looks_east() -> None:
    rises_eastwards = _rising_along_the_line_of_sight("ascending", 0.3)
    assert (
        _geocoded(rises_eastwards, "ascending").mean() > 2 * _geocoded(rises_eastwards, "descending").mean()
    )


def test_a_slope_steeper_than_the_rays_lies_in_shadow() -> None:
    assert _geocoded(_rising_along_the_line_of_sight("ascending", -1.3), "ascending").max() == 0


def test_speckle_has_mean_one_and_four_looks() -> None:
    values = speckle((400, 400), np.random.default_rng(1))
    assert values.mean() == pytest.approx(1)
    assert values.var() == pytest.approx(1 / LOOKS, rel=0.05)
