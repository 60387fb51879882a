"""Window plans and painting, by hand on grids small enough to draw."""

import numpy as np
import pytest

from landslide_map.codes import CODES
from landslide_map.errors import InputError, UsageError
from landslide_map.windows import WindowPlan, offsets, paint, plan_windows

NAN = float("nan")


def row_plan(width: int, stride: int, size: int = 4) -> WindowPlan:
    """Return a plan with one row of windows of `size` px."""
    return WindowPlan(offsets(size, size, stride), offsets(width, size, stride), size, stride, (size, width))


@pytest.mark.parametrize(
    ("length", "stride", "expected"),
    [
        (64, 64, [0]),
        (65, 64, [0, 1]),
        (128, 64, [0, 64]),
        (200, 64, [0, 64, 128, 136]),
        (100, 8, [0, 8, 16, 24, 32, 36]),
    ],
)
def test_the_last_window_ends_with_the_axis(length, stride, expected):
    assert offsets(length, 64, stride).tolist() == expected
    assert offsets(length, 64, stride).dtype == np.int64


def test_a_stride_that_skips_pixels_is_refused():
    with pytest.raises(ValueError, match="stride=65 px must be between 1 and size=64 px"):
        offsets(200, 64, 65)


def test_an_axis_shorter_than_a_window_is_refused():
    with pytest.raises(ValueError, match="length=63 px is smaller than size=64 px"):
        offsets(63, 64, 64)


def test_a_plan_of_a_full_tile_has_the_known_number_of_windows():
    plan = plan_windows((10980, 10980), stride=64)
    assert plan.count == 172**2
    assert plan.grid_shape == (172, 172)
    assert (plan.size, plan.stride, plan.shape) == (64, 64, (10980, 10980))
    assert plan.row_starts[-1] == 10980 - 64


@pytest.mark.parametrize("stride", [7, 65, 0, -8])
def test_a_stride_out_of_range_is_a_usage_error_with_a_documented_code(stride):
    with pytest.raises(UsageError, match=rf"the stride is {stride} px; it must be from 8 to 64 px") as caught:
        plan_windows((100, 100), stride)
    assert caught.value.code in CODES
    assert caught.value.exit_status == 2


@pytest.mark.parametrize("shape", [(63, 500), (500, 63)])
def test_a_grid_smaller_than_one_window_is_an_input_error_that_says_what_to_do(shape):
    with pytest.raises(
        InputError, match=rf"{shape[0]} rows and {shape[1]} columns.*64 x 64 px.*larger"
    ) as caught:
        plan_windows(shape, 64)
    assert caught.value.code in CODES
    assert caught.value.exit_status == 4


def test_painting_averages_the_windows_over_each_pixel():
    # Windows of 4 px at columns 0, 2, 4 and 5 of 9: the last step is 1.
    plan = row_plan(9, stride=2)
    assert plan.col_starts.tolist() == [0, 2, 4, 5]
    painted = paint([1, 2, 4, 8], plan, (0, 1))
    expected = [1, 1, 1.5, 1.5, 3, 14 / 3, 6, 6, 8]
    np.testing.assert_array_equal(painted, np.float32([expected]))
    assert painted.dtype == np.float32


def test_windows_without_a_value_are_left_out_and_leave_holes_where_they_are_alone():
    painted = paint([NAN, 2, NAN, NAN], row_plan(9, stride=2), (0, 1))
    np.testing.assert_array_equal(painted, np.float32([[NAN, NAN, 2, 2, 2, 2, NAN, NAN, NAN]]))


def test_rows_and_columns_are_not_swapped_when_painting():
    plan = WindowPlan(offsets(6, 4, 2), offsets(4, 4, 2), 4, 2, (6, 4))
    assert paint([0.0, 1.0], plan, slice(None))[:, 0].tolist() == [0, 0, 0.5, 0.5, 1, 1]


def test_a_strip_can_be_a_slice_or_a_pair():
    plan, values = row_plan(9, stride=2), [1, 2, 4, 8]
    np.testing.assert_array_equal(paint(values, plan, slice(1, 3)), paint(values, plan, (1, 3)))
    assert paint(values, plan, slice(2, None)).shape == (2, 9)


@pytest.mark.parametrize("rows", [(0, 5), (-1, 2), (2, 2), slice(3, 1)])
def test_a_strip_outside_the_grid_is_refused(rows):
    with pytest.raises(ValueError, match="not a strip of a grid of 4 rows"):
        paint([1, 2, 4, 8], row_plan(9, stride=2), rows)


def test_values_of_another_plan_are_refused():
    with pytest.raises(ValueError, match=r"shape \(3,\) are not one for each of 4 windows"):
        paint([1, 2, 4], row_plan(9, stride=2), (0, 1))


def test_a_rounded_mean_never_leaves_the_range_of_its_values():
    # 0.1 + 0.1 + 0.1 is not 0.3 in binary: a plain mean of equal values may differ from them.
    value = np.float64(0.1)
    plan = plan_windows((100, 100), 8)
    assert set(paint(np.full(plan.count, value), plan, (0, 100)).ravel()) == {np.float32(value)}


@pytest.mark.parametrize("shape", [(1024, 64), (1030, 70), (3000, 64), (2048, 64), (1087, 64), (64, 64)])
@pytest.mark.parametrize("stride", [8, 48, 64])
def test_every_window_ends_in_one_row_of_blocks(shape: tuple[int, int], stride: int) -> None:
    plan = plan_windows(shape, stride)
    counted = [row for block_row in plan.block_rows for row in plan.ending_in(block_row)]
    assert counted == list(range(len(plan.row_starts)))
    for block_row in plan.block_rows:
        ends = [int(plan.row_starts[row]) + 64 for row in plan.ending_in(block_row)]
        assert ends, "a row of blocks without a window could not be told from one that is missing"
        assert all(block_row * 1024 < end <= (block_row + 1) * 1024 for end in ends)
