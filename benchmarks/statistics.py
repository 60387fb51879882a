"""Speed of window statistics against plain loops, and of stride 16 against stride 64.

``python -m benchmarks.statistics [--size 2048]`` prints a table to stderr and one JSON object to
stdout. Everything is measured in one run on one machine, one thread each; the loops are timed on
pixels that the library has just described, and both results are compared.
"""

# mypy: untyped-calls-exclude=dask

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial

import dask.array as da
import numpy as np
import xarray as xr
from scipy import stats

from landslide_map.bands import CHANNELS, TRAINING_QUANTILES
from landslide_map.features.window_statistics import window_statistics
from landslide_map.windows import plan_windows

LOOP_WINDOWS = 40
"""Windows that the plain loops describe; every one costs the same."""
REPEATS = 3


def plain(window: np.ndarray, median: bool) -> list[float]:
    """Return the statistics of one window of one channel as most scripts would."""
    pixels = window.ravel()
    values = [
        np.mean(pixels),
        np.std(pixels),
        np.min(pixels),
        np.max(pixels),
        stats.skew(pixels),
        stats.kurtosis(pixels),
    ]
    return [*values, np.median(pixels)] if median else values


def plain_without_nan(window: np.ndarray, median: bool) -> list[float]:
    """Do the same where pixels may be missing."""
    pixels = window.ravel()
    values = [
        np.nanmean(pixels),
        np.nanstd(pixels),
        np.nanmin(pixels),
        np.nanmax(pixels),
        stats.skew(pixels, nan_policy="omit"),
        stats.kurtosis(pixels, nan_policy="omit"),
    ]
    return [*values, np.nanmedian(pixels)] if median else values


def simulated(size: int) -> np.ndarray:
    """Return float32 pixels (channel, y, x) with the quartiles of real ones and 5 % missing."""
    rng = np.random.default_rng(0)
    pixels = np.empty((len(CHANNELS), size, size), dtype=np.float32)
    for band, name in enumerate(CHANNELS):
        low, middle, high = TRAINING_QUANTILES.get(name, (0.2, 0.5, 0.8))
        pixels[band] = middle + (high - low) / 3.3 * rng.standard_normal((size, size), dtype=np.float32)
    pixels[:, : size // 20] = np.nan
    return pixels


def best(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Return the least CPU time of `work`, seconds: of all threads, whatever else the machine does."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def measure(size: int) -> dict[str, object]:
    """Time the library at strides 64, 32, 16 and 8, and the loops on some windows."""
    pixels = simulated(size)
    stack = xr.DataArray(
        da.from_array(pixels, chunks=(1, 1024, 1024)),
        dims=("band", "y", "x"),
        coords={"band": list(CHANNELS)},
    )

    def library(stride: int, median: bool = False) -> xr.DataArray:
        plan = plan_windows((size, size), stride)
        parts = window_statistics(stack, plan, median=median, workers=1)
        return xr.concat([part for _, part in parts], "window")

    described = library(64, median=True)  # also compiles the kernels
    plan = plan_windows((size, size), 64)
    chosen = np.flatnonzero((described.sel(statistic="valid_fraction") == 1).all("channel"))[:LOOP_WINDOWS]

    def loop(describe: Callable[[np.ndarray, bool], list[float]], median: bool) -> np.ndarray:
        corners = [
            (plan.row_starts[i], plan.col_starts[j])
            for i, j in (divmod(w, plan.grid_shape[1]) for w in chosen)
        ]
        return np.array(
            [
                [describe(band[row : row + 64, col : col + 64], median) for band in pixels]
                for row, col in corners
            ]
        )

    # NumPy's float32 sums of 4,096 pixels are good to about 1e-6 of the spread.
    np.testing.assert_allclose(loop(plain, True), described[chosen, :, 1:], rtol=1e-3, atol=1e-4)
    seconds = {stride: best(partial(library, stride)) for stride in (64, 32, 16, 8)}
    with_median = best(lambda: library(64, median=True))
    per_window = {
        "ours": seconds[64] / plan.count,
        "loop": best(lambda: loop(plain, False)) / len(chosen),
        "loop, NaN-aware": best(lambda: loop(plain_without_nan, False)) / len(chosen),
        "ours with median": with_median / plan.count,
        "loop with median": best(lambda: loop(plain, True)) / len(chosen),
    }
    return {
        "pixels": [len(CHANNELS), size, size],
        "cpu_microseconds_per_window": {name: round(1e6 * value, 1) for name, value in per_window.items()},
        "speedup": round(per_window["loop"] / per_window["ours"], 1),
        "speedup_nan_aware": round(per_window["loop, NaN-aware"] / per_window["ours"], 1),
        "speedup_with_median": round(per_window["loop with median"] / per_window["ours with median"], 1),
        "cpu_seconds_at_stride": {str(stride): round(value, 3) for stride, value in seconds.items()},
        "stride_16_over_64": round(seconds[16] / seconds[64], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2048, help="edge of the scene, pixels")
    options = parser.parse_args()
    result = measure(options.size)
    for name, value in result.items():
        print(f"{name:26} {value}", file=sys.stderr)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
