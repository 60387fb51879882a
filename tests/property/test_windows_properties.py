"""What holds for windows of any size, stride and grid; painting against a plain double loop."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from landslide_map.windows import WindowPlan, offsets, paint


@st.composite
def axes(draw):
    size = draw(st.integers(1, 64))
    return draw(st.integers(size, 300)), size, draw(st.integers(1, size))


@st.composite
def plans(draw):
    size = draw(st.integers(1, 9))
    rows, cols = draw(st.integers(size, 24)), draw(st.integers(size, 24))
    stride = draw(st.integers(1, size))
    return WindowPlan(offsets(rows, size, stride), offsets(cols, size, stride), size, stride, (rows, cols))


def window_values(draw, plan, elements):
    return np.array(draw(st.lists(elements, min_size=plan.count, max_size=plan.count)))


@given(axes())
def test_every_pixel_is_covered_and_no_window_repeats(axis):
    length, size, stride = axis
    starts = offsets(length, size, stride).tolist()
    assert starts == sorted(set(starts))
    assert starts[0] == 0
    assert starts[-1] + size == length
    assert all(b - a <= stride for a, b in pairwise(starts))


@given(axes())
def test_no_window_can_be_left_out(axis):
    length, size, stride = axis
    starts = offsets(length, size, stride).tolist()
    assert len(starts) == 1 + -(-(length - size) // stride)


def covering(plan, row, col):
    """Return the windows over a pixel, the slow and obvious way."""
    width = plan.grid_shape[1]
    return [
        i * width + j
        for i, top in enumerate(plan.row_starts)
        for j, left in enumerate(plan.col_starts)
        if top <= row < top + plan.size and left <= col < left + plan.size
    ]


@settings(deadline=None, max_examples=60)
@given(st.data(), plans())
def test_painting_equals_a_loop_over_pixels_and_stays_in_range(data, plan):
    elements = st.one_of(st.floats(-1e6, 1e6, width=32), st.just(float("nan")))
    values = window_values(data.draw, plan, elements)
    painted = paint(values, plan, slice(None))
    for row, col in np.ndindex(plan.shape):
        over = values[covering(plan, row, col)]
        over = over[~np.isnan(over)]
        if over.size == 0:
            assert np.isnan(painted[row, col])
        else:
            # float32 output: half a unit in the last place of the largest term.
            np.testing.assert_allclose(
                painted[row, col], over.mean(), rtol=1e-6, atol=1e-7 * abs(over).max() + 1e-40
            )
            assert np.float32(over.min()) <= painted[row, col] <= np.float32(over.max())


@settings(deadline=None)
@given(plans(), st.floats(-1e30, 1e30))
def test_a_constant_stays_exactly_constant(plan, value):
    painted = paint(np.full(plan.count, value), plan, slice(None))
    assert (painted == np.float32(value)).all()


@settings(deadline=None, max_examples=60)
@given(st.data(), plans())
def test_strips_painted_one_by_one_are_the_whole_bit_for_bit(data, plan):
    values = window_values(data.draw, plan, st.floats(0, 1))
    edges = [
        0,
        *sorted(data.draw(st.sets(st.integers(1, plan.shape[0]), max_size=5)) - {plan.shape[0]}),
        plan.shape[0],
    ]
    strips = [paint(values, plan, pair) for pair in pairwise(edges)]
    assert np.concatenate(strips).tobytes() == paint(values, plan, slice(None)).tobytes()
