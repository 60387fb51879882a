"""Windows painted into cells, by hand on grids small enough to draw."""

import numpy as np
import pytest

from landslide_map.products.painting import WindowMosaic, least_over, mean_over, window_mosaic
from landslide_map.windows import WindowPlan, offsets, plan_windows
from tests.support.raised import raised

NAN = float("nan")
UNEQUAL = WindowMosaic(np.array([0, 1, 4]), np.array([0, 2, 3, 5]))
NUMBERED = np.arange(6).reshape(2, 3)


def row_plan(width: int, stride: int, size: int = 4) -> WindowPlan:
    """Return a plan with one row of windows of `size` px."""
    return WindowPlan(offsets(size, size, stride), offsets(width, size, stride), size, stride, (size, width))


def test_a_patch_is_the_mean_of_the_windows_over_it():
    # Windows of 4 px at columns 0, 2, 4 and 5 of 9: the last step is 1.
    plan = row_plan(9, stride=2)
    assert plan.col_starts.tolist() == [0, 2, 4, 5]
    assert window_mosaic(plan).col_edges.tolist() == [0, 2, 4, 5, 6, 8, 9]
    assert window_mosaic(plan).row_edges.tolist() == [0, 4]
    means = mean_over([[1, 2, 4, 8]], plan)
    np.testing.assert_array_equal(means, np.float32([[1, 1.5, 3, 14 / 3, 6, 8]]))
    assert means.dtype == np.float32


def test_windows_without_a_value_are_left_out_and_leave_holes_where_they_are_alone():
    means = mean_over([[NAN, 2, NAN, NAN]], row_plan(9, stride=2))
    np.testing.assert_array_equal(means, np.float32([[NAN, 2, 2, 2, NAN, NAN]]))


def test_the_least_of_the_windows_over_a_patch():
    least = least_over(np.uint8([[3, 251, 1, 255]]), row_plan(9, stride=2))
    assert least.tolist() == [[3, 3, 1, 1, 1, 255]]
    assert least.dtype == np.uint8


def test_rows_and_columns_are_not_swapped():
    plan = WindowPlan(offsets(6, 4, 2), offsets(4, 4, 2), 4, 2, (6, 4))
    assert mean_over([[0.0], [1.0]], plan).tolist() == [[0], [0.5], [1]]
    assert least_over(np.array([[7], [5]]), plan).tolist() == [[7], [5], [5]]


def test_values_of_another_plan_are_refused():
    for over in (mean_over, least_over):
        with raised(ValueError, "shape (1, 3) are not one for each of (1, 4) windows"):
            over(np.array([[1, 2, 4]]), row_plan(9, stride=2))


def test_a_rounded_mean_never_leaves_the_range_of_its_values():
    # 0.1 + 0.1 + 0.1 is not 0.3 in binary: a plain mean of equal values may differ from them.
    plan = plan_windows((100, 100), 8)
    assert set(mean_over(np.full(plan.grid_shape, 0.1), plan).ravel()) == {np.float32(0.1)}


def test_patches_know_their_pixels():
    assert UNEQUAL.shape == (2, 3)
    assert UNEQUAL.grid_shape == (4, 5)
    assert UNEQUAL.pixels.tolist() == [[2, 1, 2], [6, 3, 6]]


def test_painting_gives_every_pixel_the_value_of_its_patch():
    assert UNEQUAL.paint(NUMBERED, 0, 4).tolist() == [[0, 0, 1, 2, 2], *[[3, 3, 4, 5, 5]] * 3]
    assert UNEQUAL.paint(NUMBERED, 2, 3).tolist() == [[3, 3, 4, 5, 5]]


@pytest.mark.parametrize(("start", "stop"), [(0, 5), (-1, 2), (2, 2), (3, 1)])
def test_rows_outside_the_grid_are_refused(start, stop):
    with raised(ValueError, "not rows of a grid of 4"):
        UNEQUAL.paint(NUMBERED, start, stop)


def test_values_of_other_patches_are_refused():
    with raised(ValueError, "shape (3, 2) are not one for each of (2, 3) cells"):
        UNEQUAL.paint(NUMBERED.T, 0, 4)
