"""Medians against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from landslide_map.features.medians import window_medians

PIXEL = st.one_of(
    st.floats(-1e4, 1e4, width=32),
    st.sampled_from([np.nan, np.inf, -np.inf]),
    st.sampled_from([0.0, -0.0, 7.0]),
)
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)


def median(plane):
    origin = np.array([0])
    return window_medians(plane, origin, origin, plane.shape)[0, 0]


def test_windows_of_a_plane_have_the_medians_of_their_own_pixels():
    rng = np.random.default_rng(8)
    plane = rng.integers(0, 30, (20, 30)).astype(np.float32)
    plane[rng.random(plane.shape) < 0.4] = np.nan
    plane[:8, :8] = np.nan
    tops, lefts = [0, 5, 12], [0, 3, 22]
    medians = window_medians(plane, np.array(tops), np.array(lefts), (8, 8))
    assert np.isnan(medians[0, 0])
    windows = np.array([[plane[row : row + 8, col : col + 8] for col in lefts] for row in tops])
    expected = np.nanmedian(windows.reshape(9, 64)[1:].astype(np.float64), axis=1)
    assert medians.ravel()[1:].tolist() == expected.tolist()


@settings(max_examples=300)
@given(hnp.arrays(np.float32, SHAPES, elements=PIXEL))
def test_the_median_of_any_finite_pixels_is_that_of_numpy(plane):
    pixels = plane[np.isfinite(plane)].astype(np.float64)
    got = median(plane)
    assert np.isnan(got) if pixels.size == 0 else got == np.median(pixels)


@pytest.mark.parametrize("size", [4095, 4096])
@pytest.mark.parametrize("kind", ["noise", "digital numbers", "ramp", "falling", "two values", "hill"])
def test_the_median_of_a_window_is_exact_whatever_its_order(kind, size):
    rng = np.random.default_rng(9)
    ramp = np.arange(size, dtype=np.float64)
    pixels = {
        "noise": rng.normal(size=size),
        "digital numbers": np.rint(rng.normal(1500, 20, size)),
        "ramp": ramp,
        "falling": -ramp,
        "two values": (ramp % 3 > 0).astype(np.float64),
        "hill": -abs(ramp - size / 2),
    }[kind]
    assert median(pixels.reshape(1, -1)) == np.median(pixels)
