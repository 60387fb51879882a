"""Streaming and merging against describing every window on its own, for any stride and block."""

from dataclasses import replace

import dask.array as da
import numpy as np
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from landslide_map.features.window_statistics import array_statistics, window_statistics
from landslide_map.windows import plan_windows


def pixels_with_gaps(rows, cols, seed, missing):
    rng = np.random.default_rng(seed)
    pixels = rng.normal(1500, 200, (2, rows, cols)).astype(np.float32)
    pixels[rng.random(pixels.shape) < missing] = np.nan
    top, left = rng.integers(0, rows), rng.integers(0, cols)
    pixels[1, top:, left:] = np.nan  # a swath edge
    return pixels


@settings(max_examples=40)
@given(
    shape=st.tuples(st.integers(64, 110), st.integers(64, 110)),
    stride=st.integers(8, 64),
    block=st.integers(12, 120),
    chunk=st.integers(20, 120),
    missing=st.sampled_from([0.0, 0.2, 0.999]),
    seed=st.integers(0, 2**32 - 1),
)
def test_merged_cells_describe_each_window_as_if_it_were_alone(shape, stride, block, chunk, missing, seed):
    pixels = pixels_with_gaps(*shape, seed, missing)
    stack = xr.DataArray(
        da.from_array(pixels, chunks=(1, chunk, chunk)),
        dims=("band", "y", "x"),
        coords={"band": ["red", "nir"]},
    )
    plan = replace(plan_windows(shape, stride), block=block)
    parts = [part for _, part in window_statistics(stack, plan, median=True, slab=50)]
    windows = np.stack([pixels[:, i : i + 64, j : j + 64] for i in plan.row_starts for j in plan.col_starts])
    alone = array_statistics(windows, ["red", "nir"], median=True)
    # Merging rounds once per cell; skew and kurtosis near zero are only good to what is absolute.
    xr.testing.assert_allclose(xr.concat(parts, "window"), alone, rtol=1e-10, atol=1e-10)
