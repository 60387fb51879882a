"""What is called decided stays so, whatever the open votes turn out to be; bounds hold whatever they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landslide_map.models.voting.calibration import Calibration
from landslide_map.models.voting.early_exit import SAFE, decided_windows, decided_windows_and_pixels
from landslide_map.models.voting.scenario import Scenario, bounds, combine_predictions
from landslide_map.products.painting import mean_over, window_mosaic
from landslide_map.products.rasters import classify
from landslide_map.reasons import Reason
from landslide_map.windows import WindowPlan, offsets, plan_windows

THRESHOLDS = np.array([0.3, 0.49, 0.6])


@st.composite
def plans(draw: Any) -> WindowPlan:
    size = draw(st.integers(2, 9))
    rows, cols = draw(st.integers(size, 30)), draw(st.integers(size, 24))
    stride = draw(st.integers(-(-size // 4), size))
    return WindowPlan(offsets(rows, size, stride), offsets(cols, size, stride), size, stride, (rows, cols))


def classes(plan: WindowPlan, probability: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    """The class of every pixel, by the very functions that write the map."""
    threshold = np.where(np.isnan(probability), np.nan, threshold)
    means = (mean_over(values.reshape(plan.grid_shape), plan) for values in (probability, threshold))
    return window_mosaic(plan).paint(classify(*means, Reason.NO_DATA), 0, plan.shape[0])


@settings(max_examples=150)
@given(st.data(), plans(), st.integers(0, 2**32 - 1))
def test_no_value_within_the_bounds_changes_a_pixel_or_window_that_is_decided(
    data: Any, plan: WindowPlan, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    first = data.draw(st.integers(0, plan.grid_shape[0] - 1))
    rows = range(first, data.draw(st.integers(first + 1, plan.grid_shape[0])))
    here = np.zeros(plan.grid_shape, dtype=bool)
    here[rows.start : rows.stop] = True
    here = here.ravel()
    threshold = rng.choice(THRESHOLDS, plan.count)
    # Mostly far from the threshold, so that much is decided; some windows are open, some not analysed.
    centre = rng.choice([0.02, 0.98], p=[0.8, 0.2]) + rng.normal(0, 0.03, plan.count)
    width = rng.choice([0.0, 0.3, 0.6, 2.0], plan.count, p=[0.5, 0.2, 0.2, 0.1])
    low, high = np.clip(centre - width, 0, 1), np.clip(centre + width, 0, 1)
    analysed = rng.random(plan.count) > 0.1
    margins = [np.where(analysed, bound - threshold, 0.0)[here] for bound in (low, high)]
    widest = (-THRESHOLDS.max(), 1 - THRESHOLDS.min())
    decided = decided_windows_and_pixels(*margins, plan, rows, widest)

    covered = np.zeros(plan.shape, dtype=bool)
    for window in np.flatnonzero(here)[decided]:
        row, col = divmod(window, plan.grid_shape[1])
        top, left = plan.row_starts[row], plan.col_starts[col]
        covered[top : top + plan.size, left : left + plan.size] = True
    seen = []
    for share in (0.0, 1.0, *rng.random((6, plan.count))):
        probability = np.where(analysed, low + share * (high - low), np.nan)
        # Of windows elsewhere nothing is known, not even whether they are analysed.
        unknown = np.where(rng.random(plan.count) < 0.3, np.nan, rng.choice([0.0, 1.0], plan.count))
        limit = np.where(here, threshold, rng.choice(THRESHOLDS, plan.count))
        painted = classes(plan, np.where(here, probability, unknown), limit)
        own = (probability > threshold)[here][decided]
        seen.append((painted[covered].tolist(), own.tolist()))
    assert all(answer == seen[0] for answer in seen)


@given(plans(), st.integers(0, 2**32 - 1))
def test_whatever_is_known_is_decided_unless_it_is_a_tie(plan: WindowPlan, seed: int) -> None:
    margin = np.random.default_rng(seed).choice([-0.49, 0.51], plan.count)  # no sums to 0 but of 51 and 49
    every = range(plan.grid_shape[0])
    assert decided_windows_and_pixels(margin, margin, plan, every, (-1, 1)).all()
    flat = np.zeros(plan.count)
    assert not decided_windows_and_pixels(flat, flat, plan, every, (-1, 1)).any()


def test_open_neighbours_keep_a_window_open_only_where_they_share_pixels() -> None:
    plan = WindowPlan(offsets(16, 4, 3), offsets(4, 4, 4), 4, 3, (16, 4))  # rows of windows at 0, 3, 6, 9, 12
    low, high = np.full(5, -0.4), np.full(5, -0.4)
    low[2], high[2] = -0.4, 0.45  # open; with either neighbour the sum may be 0.05
    decided = decided_windows_and_pixels(low, high, plan, range(5), (-0.5, 0.5))
    assert decided.tolist() == [True, False, False, False, True]
    high[2] = 0.39  # the shared pixels are decided, the two rows that it covers alone are not
    decided = decided_windows_and_pixels(low, high, plan, range(5), (-0.5, 0.5))
    assert decided.tolist() == [True, True, False, True, True]
    high[2] = -0.4
    alone = decided_windows_and_pixels(low[:2], high[:2], plan, range(2), (-0.5, 0.5))
    assert alone.tolist() == [True, False], "the row of windows below is not known"


@pytest.mark.parametrize(("stride", "rows", "edge"), [(64, 16, 0), (48, 21, 1), (32, 32, 1), (16, 64, 2)])
def test_what_the_horizon_of_a_row_of_blocks_costs(stride: int, rows: int, edge: int) -> None:
    """The figures of docs/skipping-work.md: all members sure, nothing known of the rows of blocks beside."""
    plan = plan_windows((3072, 640), stride)
    margin = np.full(rows * plan.grid_shape[1], 0.02 - 0.49)
    decided = decided_windows_and_pixels(margin, margin, plan, plan.ending_in(1), (-0.49, 0.51))
    open_rows = ~decided.reshape(rows, -1).any(axis=1)
    assert np.flatnonzero(open_rows).tolist() == [*range(edge), *range(rows - edge, rows)]


def test_a_window_alone_is_decided_by_its_own_bounds() -> None:
    low = np.array([SAFE * 2, 0.0, -0.5, -0.5, -0.5])
    high = np.array([0.5, 0.5, 0.5, 0.0, -SAFE * 2])
    assert decided_windows(low, high).tolist() == [True, False, False, False, True]


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["probability", "logit"]),
    st.floats(0.05, 5),
    st.floats(-4, 4),
    st.booleans(),
)
def test_open_votes_keep_the_probability_within_its_bounds(
    seed: int, average: Any, slope: float, shift: float, calibrated: bool
) -> None:
    rng = np.random.default_rng(seed)
    names = [f"m{i}" for i in range(5)]
    curve = Calibration(slope=slope, shift=shift) if calibrated else Calibration()
    scenarios = (
        Scenario(
            "all", dict(zip(names, rng.uniform(0.1, 3, 5), strict=True)), 0.5, average, calibration=curve
        ),
        Scenario("any", dict.fromkeys(names[:4], 1.0), 0.4, average, needs_all=False, calibration=curve),
    )
    chosen = rng.integers(-1, 2, 40).astype(np.int8)
    full = rng.choice([0.0, 1.0, 0.5, *rng.random(5)], (40, 5))
    full[chosen < 0] = np.nan
    full[chosen == 1, rng.integers(0, 3)] = np.nan  # a member that cannot vote there
    full[chosen == 1, 4] = np.nan
    pending = np.isfinite(full) & (rng.random(full.shape) < 0.5)
    low, high = bounds(names, scenarios, np.where(pending, np.nan, full), pending, chosen)
    probability, _ = combine_predictions(names, scenarios, full, chosen)
    predicted = (np.isfinite(full) & ~pending).any(axis=1)
    estimate, _ = combine_predictions(names, scenarios, np.where(pending, np.nan, full), chosen)
    np.testing.assert_array_equal(np.isnan(low), chosen < 0)
    classified = chosen >= 0
    assert (low[classified] - 1e-12 <= probability[classified]).all()
    assert (probability[classified] <= high[classified] + 1e-12).all()
    # What the map shows meanwhile, the mean of the members that predicted, lies between them too.
    assert (low[predicted] - 1e-12 <= estimate[predicted]).all()
    assert (estimate[predicted] <= high[predicted] + 1e-12).all()
    known = classified & ~pending.any(axis=1)
    np.testing.assert_array_equal(low[known], high[known])
