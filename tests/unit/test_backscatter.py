"""Conversions against hand arithmetic; pytest turns every RuntimeWarning into an error."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from landslide_map.inputs.sentinel1.backscatter import DB_LIMITS, FLOOR_DB, mask_db, to_db, to_power
from tests.support.raised import raised

UNITS = ("db", "power", "amplitude")
FILL = [0.0, -9999.0, -32768.0, -999.0, np.finfo(np.float32).min, -np.inf, np.inf, np.nan, 1e300, -1e300]


def test_power_of_known_decibels():
    # 3 dB doubles, 10 dB is a factor of ten: 10**0.3 = 1.9952623.
    got = to_power(np.array([3.0, 10.0, -20.0, 0.0]), "db")
    np.testing.assert_allclose(got, [1.9952623, 10.0, 0.01, 1.0], rtol=1e-6)


def test_amplitude_is_squared_and_power_left_alone():
    np.testing.assert_allclose(to_power(np.array([0.5, 3.0]), "amplitude"), [0.25, 9.0], rtol=1e-6)
    np.testing.assert_array_equal(to_power(np.array([0.25, 9.0]), "power"), np.float32([0.25, 9.0]))


def test_decibels_of_known_power():
    got = to_db(np.array([1.0, 2.0, 0.001]))
    np.testing.assert_allclose(got, [0.0, 3.0103, -30.0], atol=1e-5)


def test_mean_in_power_differs_from_mean_in_decibels():
    # 1 and 0.01 average to 0.505 = -2.967 dB, not to -10 dB.
    power = to_power(np.array([0.0, -20.0]), "db")
    assert float(to_db(power.mean(keepdims=True))[0]) == pytest.approx(10 * math.log10(0.505), abs=1e-5)


@pytest.mark.parametrize("units", ["power", "amplitude"])
def test_nothing_that_is_not_positive_and_plausible_becomes_power(units):
    assert np.isnan(to_power(np.array(FILL), units)).all()


def test_decibel_fill_is_missing_but_zero_decibels_is_a_measurement():
    got = to_power(np.array(FILL), "db")
    assert got[0] == 1.0
    assert np.isnan(got[1:]).all()


def test_mask_keeps_both_ends_of_the_range():
    got = mask_db(np.array([-90.0, 60.0, -90.1, 60.1]))
    np.testing.assert_array_equal(got, np.float32([-90.0, 60.0, np.nan, np.nan]))


@pytest.mark.parametrize("fill", [0.0, -1.0, -np.inf, np.inf, np.nan, 1e-60, -1e300])
def test_to_db_never_invents_a_number(fill):
    assert np.isnan(to_db(np.array([fill]))).all()


def test_floor_touches_only_what_lies_below_it():
    np.testing.assert_allclose(to_db(np.array([1e-7, 1e-6])), [FLOOR_DB, -60.0], atol=1e-5)


def test_integers_and_scalars_of_any_shape_are_taken():
    assert to_power(np.array([[4]], np.uint16), "amplitude").tolist() == [[16.0]]
    assert to_db(np.array(100, np.int32)).shape == ()


def test_unknown_units_are_a_programming_error():
    with raised(ValueError, "units='linear'"):
        to_power(np.array([1.0]), "linear")


@given(hnp.arrays(np.float32, 20, elements=st.floats(-60, 40, width=32)))
def test_round_trip_through_power_is_exact_to_a_ten_thousandth(decibels):
    # float32 holds 7 digits of power, that is 4e-7 * 4.34 dB.
    np.testing.assert_allclose(to_db(to_power(decibels, "db")), decibels, atol=1e-4)


@given(
    hnp.arrays(st.sampled_from([np.float32, np.float64]), 20, elements={"allow_subnormal": False}),
    st.sampled_from(UNITS),
)
def test_any_input_gives_a_plausible_decibel_or_nan_without_a_warning(values, units):
    decibels = to_db(to_power(values, units))
    assert decibels.dtype == np.float32
    finite = decibels[~np.isnan(decibels)]
    assert ((finite >= FLOOR_DB) & (finite <= DB_LIMITS[1] + 1e-3)).all()
