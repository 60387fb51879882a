"""Streamed statistics: by hand, against SciPy, and the same bits however the work is cut."""

import tracemalloc
from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from scipy import stats

from landslide_map.features.moments import STATISTICS
from landslide_map.features.window_statistics import (
    MEDIAN,
    array_statistics,
    statistics_and_pixels,
    window_statistics,
)
from landslide_map.windows import plan_windows
from tests.support.raised import raised

CHANNELS = ["red", "desc_vv", "snow_or_cloud"]


def plan_small_blocks(shape, stride):
    """Return a plan with blocks small enough for a window to reach over three of them."""
    return replace(plan_windows(shape, stride), block=30)


@pytest.fixture(scope="module")
def pixels():
    rng = np.random.default_rng(1)
    pixels = rng.gamma(2.0, 500.0, (3, 101, 142)).astype(np.float32)
    pixels[rng.random(pixels.shape) < 0.1] = np.nan
    pixels[1, :70, :80] = np.nan
    pixels[2] = pixels[2] > 900
    return pixels


def stacked(pixels, chunks=None, names=CHANNELS):
    data = pixels if chunks is None else da.from_array(pixels, chunks=chunks)
    return xr.DataArray(data, dims=("band", "y", "x"), coords={"band": names})


def streamed(stack, plan, **options):
    """Return all statistics at once, after checking that the rows of windows follow each other."""
    parts, expected = [], 0
    for first, part in window_statistics(stack, plan, **options):
        assert first == expected
        assert part.sizes["window"] % plan.grid_shape[1] == 0
        expected += part.sizes["window"] // plan.grid_shape[1]
        parts.append(part)
    assert expected == plan.grid_shape[0]
    return xr.concat(parts, "window")


def reference(window):
    pixels = window[~np.isnan(window)].astype(np.float64)
    if pixels.size == 0:
        return [0.0] + [np.nan] * 7
    shape = [np.nan, np.nan]
    if pixels.min() < pixels.max():
        shape = [stats.skew(pixels), stats.kurtosis(pixels)]
    moments = [pixels.size / window.size, pixels.mean(), pixels.std(), pixels.min(), pixels.max()]
    return [*moments, *shape, np.median(pixels)]


@pytest.mark.parametrize("stride", [8, 21, 33, 64])
def test_every_window_has_the_statistics_of_its_own_pixels(pixels, stride):
    plan = plan_small_blocks(pixels.shape[1:], stride)
    got = streamed(stacked(pixels, (2, 50, 37)), plan, median=True)
    assert got.dims == ("window", "channel", "statistic")
    assert got.dtype == np.float64
    assert got["channel"].values.tolist() == CHANNELS
    assert got["statistic"].values.tolist() == [*STATISTICS, MEDIAN]
    expected = [
        [reference(band[row : row + 64, col : col + 64]) for band in pixels]
        for row in plan.row_starts
        for col in plan.col_starts
    ]
    np.testing.assert_allclose(got, expected, rtol=1e-10)


def test_the_real_lattice_of_blocks_is_crossed_too():
    column = np.random.default_rng(2).normal(size=(1, 1100, 70)).astype(np.float32)
    plan = plan_windows((1100, 70), 64)
    got = streamed(stacked(column, names=["red"]), plan, median=True)
    expected = [
        [reference(column[0, row : row + 64, col : col + 64])] for row in plan.row_starts for col in (0, 6)
    ]
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("median", [False, True])
def test_chunks_workers_and_slabs_change_no_bit(pixels, median):
    plan = plan_small_blocks(pixels.shape[1:], 10)
    expected = streamed(stacked(pixels), plan, median=median).values.tobytes()
    for chunks, workers, slab in [((1, 30, 30), 1, 1), ((3, 17, 142), 4, 13), ((2, 101, 5), 2, 10**6)]:
        got = streamed(stacked(pixels, chunks), plan, median=median, workers=workers, slab=slab)
        assert got.values.tobytes() == expected


def counted(pixels, chunks):
    """Return a stack with a band derived from two others, and a list of the chunks read for it."""
    reads = []

    def read(block, block_info):
        reads.append(tuple(map(tuple, block_info[0]["array-location"])))
        return block

    source = da.from_array(pixels, chunks=chunks)
    source = source.map_blocks(read, dtype=np.float32, meta=pixels[:0, :0, :0])
    derived = da.concatenate([source, source[:1] - source[1:2]])
    return stacked(derived, names=[*CHANNELS, "ndvi"]), reads


@pytest.mark.parametrize("chunks", [(1, 30, 30), (3, 30, 142), (3, 30, 71)])
@pytest.mark.parametrize("median", [False, True])
def test_every_pixel_is_read_once_by_whatever_blocks_and_bands_share_it(pixels, chunks, median):
    stack, reads = counted(pixels, chunks)
    streamed(stack, plan_small_blocks(pixels.shape[1:], 8), median=median, workers=2)
    expected = np.prod([-(-n // chunk) for n, chunk in zip(pixels.shape, chunks, strict=True)])
    assert len(reads) == len(set(reads)) == expected


def test_rows_of_windows_come_out_before_the_rows_below_are_read(pixels):
    stack, reads = counted(pixels, (3, 30, 142))
    next(window_statistics(stack, plan_small_blocks(pixels.shape[1:], 64)))
    assert [rows for _, rows, _ in reads] == [(0, 30), (30, 60), (60, 90)]


def test_channels_are_chosen_by_name_and_come_out_in_that_order(pixels):
    plan = plan_windows(pixels.shape[1:], 64)
    every = streamed(stacked(pixels), plan)
    two = streamed(stacked(pixels), plan, channels=["snow_or_cloud", "red"])
    xr.testing.assert_identical(two, every.sel(channel=["snow_or_cloud", "red"]))


def test_bands_are_computed_that_nothing_describes(pixels):
    seen = set()

    def keep(chunk, block_info):
        seen.add(block_info[0]["array-location"][0][0])
        return chunk

    stack = stacked(pixels, (1, 101, 142))
    stack = stack.copy(data=stack.data.map_blocks(keep, dtype=pixels.dtype, meta=stack.data._meta))
    plan, found = plan_windows(pixels.shape[1:], 64), []
    for computed in ((), ("red",)):
        seen.clear()
        (part,) = statistics_and_pixels(stack, plan, ["desc_vv"], channels=["desc_vv"], computed=computed)
        assert list(part[1]["channel"].values) == ["desc_vv"]
        assert seen == ({0, 1} if computed else {1})
        found.append((part[1].to_numpy().tobytes(), part[2][np.arange(plan.count)].tobytes()))
    assert found[0] == found[1]


def test_a_channel_that_the_stack_lacks_is_named(pixels):
    plan = plan_windows(pixels.shape[1:], 64)
    with raised(ValueError, "no band 'asc_vv'; it has red, desc_vv, snow_or_cloud"):
        next(window_statistics(stacked(pixels), plan, channels=["red", "asc_vv"]))


def test_a_plan_for_another_grid_is_refused(pixels):
    with raised(ValueError, "(101, 142) pixels", "planned for (101, 140)"):
        next(window_statistics(stacked(pixels), plan_windows((101, 140), 64)))


def test_an_absent_band_is_empty_and_its_pixels_are_never_there():
    """One NaN stands for a block of them; a read of each would take an array of its own."""
    absent = da.full((1, 1000, 1000), np.nan, dtype=np.float32, chunks=(1, 1000, 1000))
    stack, plan = stacked(absent, names=["asc_vv"]), plan_windows((1000, 1000), 64)
    streamed(stack, plan)  # imports
    tracemalloc.start(1)
    try:
        got = streamed(stack, plan).sel(channel="asc_vv")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1000 * 1000 * 4 / 2
    assert (got.sel(statistic="valid_fraction") == 0).all()
    assert got.sel(statistic=list(STATISTICS[1:])).isnull().all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.uint8])
def test_ready_windows_of_any_type_and_either_layout_agree_with_the_stream(dtype):
    pixels = np.random.default_rng(4).integers(0, 200, (2, 64, 128)).astype(dtype)
    expected = streamed(stacked(pixels, names=["red", "nir"]), plan_windows((64, 128), 64), median=True)
    windows = np.stack([pixels[:, :, :64], pixels[:, :, 64:]])
    xr.testing.assert_identical(array_statistics(windows, ["red", "nir"], median=True), expected)
    last = np.moveaxis(windows, 1, -1)
    xr.testing.assert_identical(array_statistics(last, ["red", "nir"], median=True), expected)


@pytest.mark.parametrize("shape", [(5, 64, 64, 3), (64, 64, 2), (1, 2, 64, 2)])
def test_ready_windows_with_unknown_channels_are_refused(shape):
    with raised(ValueError, "do not have the 2 channels"):
        array_statistics(np.zeros(shape), ["red", "nir"])


def test_no_ready_windows_are_no_statistics():
    assert array_statistics(np.zeros((0, 2, 64, 64)), ["red", "nir"]).shape == (0, 2, 7)
