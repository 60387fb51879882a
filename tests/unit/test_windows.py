"""Window plans, by hand on axes short enough to draw."""

import numpy as np
import pytest

from landslide_map.error_codes import CODES
from landslide_map.windows import intervals, offsets, plan_windows
from tests.support.raised import raised


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
    with raised(ValueError, "stride=65 px must be between 1 and size=64 px"):
        offsets(200, 64, 65)


def test_an_axis_shorter_than_a_window_is_refused():
    with raised(ValueError, "length=63 px is smaller than size=64 px"):
        offsets(63, 64, 64)


def test_a_plan_of_a_full_tile_has_the_known_number_of_windows():
    plan = plan_windows((10980, 10980), stride=64)
    assert plan.count == 172**2
    assert plan.grid_shape == (172, 172)
    assert (plan.size, plan.stride, plan.shape) == (64, 64, (10980, 10980))
    assert plan.row_starts[-1] == 10980 - 64


@pytest.mark.parametrize("stride", [7, 65, 0, -8])
def test_a_stride_out_of_range_is_a_usage_error_with_a_documented_code(stride):
    with raised("E430", f"the stride is {stride} px; it must be from 8 to 64 px") as caught:
        plan_windows((100, 100), stride)
    assert caught.value.code in CODES
    assert caught.value.exit_status == 2


@pytest.mark.parametrize("shape", [(63, 500), (500, 63)])
def test_a_grid_smaller_than_one_window_is_an_input_error_that_says_what_to_do(shape):
    with raised("E130", f"{shape[0]} rows and {shape[1]} columns", "64 x 64 px", "larger") as caught:
        plan_windows(shape, 64)
    assert caught.value.code in CODES
    assert caught.value.exit_status == 4


def test_intervals_lie_between_all_window_edges_by_hand():
    # Windows of 4 px at 0, 2, 4 and 5 of 9.
    edges, (first, stop) = intervals(offsets(9, 4, 2), 4, range(4))
    assert edges.tolist() == [0, 2, 4, 5, 6, 8, 9]
    assert list(zip(first.tolist(), stop.tolist(), strict=True)) == [
        (0, 1),
        (0, 2),
        (1, 3),
        (1, 4),
        (2, 4),
        (3, 4),
    ]


def test_intervals_under_some_windows_know_of_the_others_over_them():
    edges, (first, stop) = intervals(offsets(9, 4, 2), 4, range(1, 2))
    assert edges.tolist() == [2, 4, 5, 6]
    assert (first.tolist(), stop.tolist()) == ([0, 1, 1], [2, 3, 4])


@pytest.mark.parametrize("shape", [(1024, 64), (1030, 70), (3000, 64), (2048, 64), (1087, 64), (64, 64)])
@pytest.mark.parametrize("stride", [8, 48, 64])
def test_every_window_ends_in_one_row_of_blocks(shape: tuple[int, int], stride: int) -> None:
    plan = plan_windows(shape, stride)
    counted = [row for block_row in plan.block_rows for row in plan.ending_in(block_row)]
    assert counted == list(range(len(plan.row_starts)))
    for block_row in plan.block_rows:
        ends = [int(plan.row_starts[row]) + 64 for row in plan.ending_in(block_row)]
        assert ends, "a row of blocks without a window would look like a missing one"
        assert all(block_row * 1024 < end <= (block_row + 1) * 1024 for end in ends)
