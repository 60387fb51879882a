"""Moments of any pixels, against SciPy, and merging against computing at once."""

import warnings

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from landslide_map.features.moments import cell_moments, merge_columns, merge_rows, summarise

PIXEL = st.one_of(st.floats(-1e4, 1e4, width=32), st.just(float("nan")), st.sampled_from([0.0, 1000.0]))
PLANES = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12), elements=PIXEL
)

# Pixels of 1e4 that differ by one float32 step (1e-3) have a float64 mean known to 2e-9 of their spread.
CLOSE = {"rtol": 1e-7, "atol": 1e-7}


def whole(plane):
    return cell_moments(plane, *(np.array([0, n]) for n in plane.shape))


def reference(plane):
    pixels = plane[np.isfinite(plane)].astype(np.float64)
    if pixels.size == 0:
        return [0.0] + [np.nan] * 6
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # SciPy warns of a constant input
        shape = [stats.skew(pixels), stats.kurtosis(pixels)]
    return [pixels.size / plane.size, pixels.mean(), pixels.std(), pixels.min(), pixels.max(), *shape]


@given(PLANES)
def test_statistics_of_any_pixels_are_those_of_scipy(plane):
    expected = reference(plane)
    np.testing.assert_allclose(summarise(whole(plane), plane.size)[0, 0], expected, **CLOSE)


@given(st.data(), PLANES)
def test_merging_cells_equals_computing_at_once(data, plane):
    edges = [
        np.array([0, *sorted(data.draw(st.sets(st.integers(1, n - 1)) if n > 1 else st.just(set()))), n])
        for n in plane.shape
    ]
    cells = cell_moments(plane, *edges)
    columns = merge_columns(cells, np.array([0]), np.array([len(edges[1]) - 1]))
    merged = merge_rows(columns, np.array([0]), np.array([len(edges[0]) - 1]))
    got, expected = (summarise(moments, plane.size)[0, 0] for moments in (merged, whole(plane)))
    np.testing.assert_allclose(got, expected, **CLOSE)


@given(PLANES)
def test_the_order_along_an_axis_changes_nothing_but_rounding(plane):
    got = summarise(whole(np.ascontiguousarray(plane[::-1, ::-1])), plane.size)
    np.testing.assert_allclose(got, summarise(whole(plane), plane.size), **CLOSE)
