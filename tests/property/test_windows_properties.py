"""What holds for windows of any size, stride and axis."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from landslide_map.windows import offsets


@st.composite
def axes(draw):
    size = draw(st.integers(1, 64))
    return draw(st.integers(size, 300)), size, draw(st.integers(1, size))


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
