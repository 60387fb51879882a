"""A sample of pixels against slices of the whole array."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from landslide_map.stack.pixel_sample import PixelSample, sampling_step

ROWS, COLUMNS = 2100, 1100


def pixels() -> np.ndarray:
    """Return values that encode band, row and column, ``(3, row, column)``."""
    band, row, column = np.meshgrid(np.arange(3), np.arange(ROWS), np.arange(COLUMNS), indexing="ij")
    return (band * 1e7 + row * 2000 + column).astype(np.float32)


def lazy(rows: tuple[int, ...]) -> xr.DataArray:
    data = da.from_array(pixels(), chunks=((2, 1), rows, (1024, 76)))
    return xr.DataArray(data, dims=("band", "y", "x"), coords={"band": ["red", "snow", "desc_vv"]})


@pytest.mark.parametrize("rows", [(1024, 1024, 52), (1000, 24, 1024, 52)])
def test_every_32nd_pixel_is_kept_by_rows_of_blocks(rows: tuple[int, ...]) -> None:
    sample = PixelSample(["red", "desc_vv"])
    passed = sample.of(lazy(rows))
    np.testing.assert_array_equal(passed.to_numpy(), pixels())
    whole = pixels()
    for row in range(3) if len(rows) == 3 else (1, 2):
        found = sample.taken(row)
        assert list(found) == ["desc_vv", "red"]
        for band, name in ((0, "red"), (2, "desc_vv")):
            expected = whole[band, row * 1024 : (row + 1) * 1024 : 32, ::32]
            assert found[name].dtype == np.float32
            assert sorted(found[name].tolist()) == sorted(expected.ravel().tolist())
    assert sample.taken(2) == {}


def test_nothing_is_kept_of_what_is_not_read() -> None:
    sample = PixelSample(["red"])
    sample.of(lazy((1024, 1024, 52))).isel(y=slice(1024, 2048)).compute()
    assert sample.taken(0) == {}
    assert len(sample.taken(1)["red"]) == 32 * 35


def test_a_band_that_is_not_there_stays_one_value() -> None:
    """Reductions of a block detect an absent band by its strides."""
    absent = np.broadcast_to(np.float32(np.nan), (1, 64, 64))
    stack = xr.DataArray(
        da.from_delayed(da.from_array(absent).to_delayed().item(), absent.shape, np.float32).rechunk(64),
        dims=("band", "y", "x"),
        coords={"band": ["red"]},
    )
    sample = PixelSample(["red"])
    sample.of(stack).compute()
    assert np.isnan(sample.taken(0)["red"]).all()


def test_a_small_grid_is_sampled_densely_enough() -> None:
    for rows, cols in ((10980, 10980), (2048, 2048), (704, 704), (320, 320), (64, 64), (1024, 64)):
        step = sampling_step((rows, cols))
        sample = PixelSample(["red"], step)
        assert step in (1, 2, 4, 8, 16, 32)
        assert -(-rows // step) * -(-cols // step) >= min(2**14, rows * cols)
    sample.of(
        xr.DataArray(da.ones((1, 1024, 64), chunks=1024), dims=("band", "y", "x"), coords={"band": ["red"]})
    ).compute()
    assert sample.taken(0)["red"].size == (1024 // step) * (64 // step)
