"""The kernels against SciPy, NumPy and exact rational arithmetic."""

import warnings
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from landslide_map.features.moments import (
    COUNT,
    HIGH,
    LOW,
    M2,
    M3,
    M4,
    MEAN,
    cell_moments,
    empty_cells,
    merge_columns,
    merge_rows,
    summarise,
)

NAN = float("nan")


def describe(plane):
    """Return the seven statistics of a whole plane."""
    plane = np.atleast_2d(plane)
    edges = [np.array([0, n]) for n in plane.shape]
    return summarise(cell_moments(plane, *edges), plane.size)[0, 0]


def test_a_window_by_hand():
    # 0, 0, 0, 4: deviations -1, -1, -1, 3; m2 = 3, m3 = 24 / 4 = 6, m4 = 84 / 4 = 21.
    expected = [1, 1, np.sqrt(3), 0, 4, 6 / 3**1.5, 21 / 9 - 3]
    np.testing.assert_allclose(describe([[0.0, 0.0], [0.0, 4.0]]), expected, rtol=1e-15)


def test_moments_of_a_cell_by_hand():
    cells = cell_moments(np.array([[0.0, 0.0, 9.0], [0.0, 4.0, NAN]]), np.array([0, 2]), np.array([0, 2, 3]))
    first, second = cells[0, :, 0], cells[0, :, 1]
    assert first[[COUNT, MEAN, M2, M3, M4, LOW, HIGH]].tolist() == [4, 1, 12, 24, 84, 0, 4]
    assert second[[COUNT, MEAN, M2, M3, M4, LOW, HIGH]].tolist() == [1, 9, 0, 0, 0, 9, 9]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("missing", [0.0, 0.3, 0.99])
def test_statistics_are_those_of_scipy(dtype, missing):
    rng = np.random.default_rng(3)
    plane = rng.gamma(2.0, 300.0, (64, 64)).astype(dtype)
    plane[rng.random(plane.shape) < missing] = NAN
    pixels = plane[~np.isnan(plane)].astype(np.float64)
    expected = [
        pixels.size / 4096,
        pixels.mean(),
        pixels.std(),
        pixels.min(),
        pixels.max(),
        stats.skew(pixels),
        stats.kurtosis(pixels),
    ]
    np.testing.assert_allclose(describe(plane), expected, rtol=1e-12)


@pytest.mark.parametrize("spread", [1.0, 1e-3, 1e-6])
def test_a_large_mean_does_not_swamp_a_small_spread(spread):
    pixels = 1e6 + spread * np.random.default_rng(5).gamma(2.0, 1.0, (16, 16))
    exact = [Fraction(value) for value in pixels.ravel().tolist()]
    mean = sum(exact) / len(exact)
    m2, m3, m4 = (sum((value - mean) ** power for value in exact) / len(exact) for power in (2, 3, 4))
    _, got_mean, std, _, _, skew, kurtosis = describe(pixels)
    np.testing.assert_allclose(got_mean, float(mean), rtol=1e-15)
    # The pixels differ by as little as 1e-12 of themselves; 1e-9 is what float64 leaves of 1e-16.
    np.testing.assert_allclose(std, float(m2) ** 0.5, rtol=1e-9)
    np.testing.assert_allclose(skew, float(m3) / float(m2) ** 1.5, rtol=1e-7)
    np.testing.assert_allclose(kurtosis, float(m4) / float(m2) ** 2 - 3, rtol=1e-7)


@pytest.mark.parametrize("value", [0.0, 0.1, -17.3, 1e6 / 3, 1e-30])
@pytest.mark.parametrize("size", [2, 7, 64])
def test_a_constant_window_has_no_spread_and_no_shape_as_in_scipy(value, size):
    plane = np.full((size, size), value)
    fraction, mean, std, low, high, skew, kurtosis = describe(plane)
    assert (fraction, mean, std, low, high) == (1, value, 0, value, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # SciPy warns of what it returns
        assert np.isnan([stats.skew(plane.ravel()), stats.kurtosis(plane.ravel())]).all()
    assert np.isnan([skew, kurtosis]).all()


def test_two_constant_cells_of_one_value_merge_into_a_constant_window():
    cells = cell_moments(np.full((8, 8), 0.1), np.array([0, 3, 8]), np.array([0, 5, 8]))
    whole = merge_rows(merge_columns(cells, np.array([0]), np.array([2])), np.array([0]), np.array([2]))
    assert summarise(whole, 64)[0, 0, 1:5].tolist() == [0.1, 0, 0.1, 0.1]


@pytest.mark.parametrize("nothing", [NAN, np.inf, -np.inf])
def test_an_empty_window_has_a_valid_fraction_and_nothing_else(nothing):
    got = describe(np.full((5, 4), nothing))
    assert got[0] == 0
    assert np.isnan(got[1:]).all()


@pytest.mark.parametrize("nothing", [NAN, np.inf, -np.inf])
def test_a_single_valid_pixel_is_its_own_mean_and_extremes(nothing):
    plane = np.full((5, 4), nothing, dtype=np.float32)
    plane[3, 1] = -7.5
    got = describe(plane)
    assert got[:5].tolist() == [1 / 20, -7.5, 0, -7.5, -7.5]
    assert np.isnan(got[5:]).all()


def test_columns_beyond_the_tile_of_the_kernel_are_not_lost():
    plane = np.arange(3 * 1000, dtype=np.float64).reshape(3, 1000)
    edges = np.array([0, 100, 255, 257, 900, 1000])
    cells = cell_moments(plane, np.array([0, 3]), edges)
    parts = [plane[:, a:b] for a, b in pairwise(edges)]
    np.testing.assert_allclose(cells[0, MEAN], [part.mean() for part in parts], rtol=1e-15)
    np.testing.assert_allclose(cells[0, M2], [part.var() * part.size for part in parts], rtol=1e-12)
    assert cells[0, HIGH].tolist() == [part.max() for part in parts]


def test_merging_leaves_empty_cells_out():
    full = cell_moments(np.array([[1.0, 2.0, 6.0]]), np.array([0, 1]), np.array([0, 3]))
    row = np.concatenate([empty_cells(1, 1), full, empty_cells(1, 1)], axis=2)
    merged = merge_columns(row, np.array([0, 0, 1, 0]), np.array([3, 2, 3, 1]))
    np.testing.assert_array_equal(merged[0, :, 0], full[0, :, 0])
    np.testing.assert_array_equal(merged[0, :, 1], full[0, :, 0])
    np.testing.assert_array_equal(merged[0, :, 2], full[0, :, 0])
    np.testing.assert_array_equal(merged[0, :, 3], empty_cells(1, 1)[0, :, 0])
