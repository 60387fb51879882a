"""Normal scores: numpy's interpolation, to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from landslide_map.models.statistics.perceptron import normal_scores

KNOTS = np.array(
    [
        [0, 1, 2, 4, 8, 16, 32],
        [-3, -3, -3, 0.1, 0.3, 5, 5],  # ties at both ends
        [0, 1, 1, 1, 1e6, 2e6, 2e6],  # and between
        [7, 7, 7, 7, 7, 7, 7],
    ],
    np.float32,
)
SCORES = np.array([-2, -1.1, -0.4, 0.0, 0.3, 1.3, 2], np.float32)


def by_numpy(features: np.ndarray, knots: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Interpolate between the first scores of distinct knots, feature by feature."""
    columns = []
    for values, own in zip(features.T, knots, strict=True):
        distinct, first = np.unique(own, return_index=True)
        columns.append(np.interp(values, distinct, scores[first]).astype(np.float32))
    return np.stack(columns, axis=1)


def test_scores_lie_on_the_lines_between_the_knots() -> None:
    values = np.array([[3, 0.2, 500_000.5, 7], [12, -9, 1, 6], [99, 2.65, 0.25, 8]], np.float32)
    expected = [[-0.2, 0.15, -0.4, -2], [0.8, -2, -1.1, -2], [2, 0.8, -1.775, -2]]
    # 500,000.5 is half of the way from 1, with the score of the first 1, to a million: -1.1 to 0.3.
    np.testing.assert_allclose(normal_scores(values, KNOTS, SCORES), expected, atol=1e-6)


@pytest.mark.parametrize("knots", [1, 2, 3, 7, 32, 33])
@pytest.mark.parametrize("windows", [0, 1, 256, 700])
def test_every_bit_is_that_of_numpy(knots: int, windows: int) -> None:
    rng = np.random.default_rng(knots)
    scores = np.sort(rng.standard_normal(knots)).astype(np.float32)
    line = np.sort(rng.standard_normal((5, knots)) * 10.0 ** rng.integers(-6, 6, (5, 1))).astype(np.float32)
    line[3] = np.sort(rng.integers(0, 4, knots))  # ties
    values = (rng.standard_normal((windows, 5)) * 2 * np.abs(line).max(axis=1)).astype(np.float32)
    values[::3] = line[:, rng.integers(0, knots, len(values[::3]))].T  # on the knots
    np.testing.assert_array_equal(normal_scores(values, line, scores), by_numpy(values, line, scores))


def test_what_lies_beyond_keeps_the_outermost_score_and_nan_stays() -> None:
    values = np.array([[np.inf] * 4, [-np.inf] * 4, [np.nan] * 4], np.float32)
    mapped = normal_scores(values, KNOTS, SCORES)
    np.testing.assert_array_equal(mapped[:2], by_numpy(values[:2], KNOTS, SCORES))
    assert np.isnan(mapped[2]).all()
