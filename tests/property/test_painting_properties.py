"""Patches of windows of any size, stride and grid, against a plain double loop over pixels and windows."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from landslide_map.products.painting import least_over, mean_over, window_mosaic
from landslide_map.windows import WindowPlan, offsets


@st.composite
def plans(draw):
    size = draw(st.integers(1, 9))
    rows, cols = draw(st.integers(size, 24)), draw(st.integers(size, 24))
    stride = draw(st.integers(1, size))
    return WindowPlan(offsets(rows, size, stride), offsets(cols, size, stride), size, stride, (rows, cols))


def window_values(draw, plan, elements):
    values = draw(st.lists(elements, min_size=plan.count, max_size=plan.count))
    return np.array(values).reshape(plan.grid_shape)


def painted(patch_values, plan):
    return window_mosaic(plan).paint(patch_values, 0, plan.shape[0])


def covering(plan):
    """Return which windows lie over each pixel, ``(rows, columns, *plan.grid_shape)``, the obvious way."""
    row, col = (np.arange(n)[:, None] for n in plan.shape)
    down = (plan.row_starts <= row) & (row < plan.row_starts + plan.size)
    across = (plan.col_starts <= col) & (col < plan.col_starts + plan.size)
    return down[:, None, :, None] & across[None, :, None, :]


@settings(max_examples=60)
@given(st.data(), plans())
def test_means_equal_a_loop_over_pixels_and_stay_in_range(data, plan):
    elements = st.one_of(st.floats(-1e6, 1e6, width=32), st.just(float("nan")))
    values = window_values(data.draw, plan, elements)
    found = painted(mean_over(values, plan), plan)
    over_pixel = covering(plan)
    for row, col in np.ndindex(plan.shape):
        over = values[over_pixel[row, col]]
        over = over[~np.isnan(over)]
        if over.size == 0:
            assert np.isnan(found[row, col])
        else:
            # float32 output: half a unit in the last place of the largest term.
            np.testing.assert_allclose(
                found[row, col], over.mean(), rtol=1e-6, atol=1e-7 * abs(over).max() + 1e-40
            )
            assert np.float32(over.min()) <= found[row, col] <= np.float32(over.max())


@settings(max_examples=60)
@given(st.data(), plans())
def test_the_least_equals_a_loop_over_pixels(data, plan):
    values = window_values(data.draw, plan, st.integers(0, 255)).astype(np.uint8)
    expected = np.where(covering(plan), values, 255).min(axis=(2, 3))
    np.testing.assert_array_equal(painted(least_over(values, plan), plan), expected)


@given(plans(), st.floats(-1e30, 1e30))
def test_a_constant_stays_exactly_constant(plan, value):
    assert (mean_over(np.full(plan.grid_shape, value), plan) == np.float32(value)).all()


@settings(max_examples=60)
@given(st.data(), plans())
def test_strips_painted_one_by_one_are_the_whole_bit_for_bit(data, plan):
    mosaic = window_mosaic(plan)
    values = mean_over(window_values(data.draw, plan, st.floats(0, 1)), plan)
    inner = data.draw(st.sets(st.integers(1, plan.shape[0]), max_size=5)) - {plan.shape[0]}
    strips = [mosaic.paint(values, *rows) for rows in pairwise([0, *sorted(inner), plan.shape[0]])]
    assert np.concatenate(strips).tobytes() == painted(values, plan).tobytes()
