"""Files stay open between reads, are used by one thread at a time, and are opened again after a failure."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from rasterio._env import get_gdal_config
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from landslide_map.errors import InputError
from landslide_map.raster.band import RasterBand
from landslide_map.raster.handles import OpenFiles
from landslide_map.raster.resample import read_block
from landslide_map.runtime.memory_limit import CACHE, bounded_cache
from tests.support.rasters import grid_at, whole, write_band


@pytest.fixture
def path(tmp_path: Path) -> str:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    return write_band(tmp_path / "a.tif", values, grid_at(32632, 0, 30, (3, 4))).path


def test_a_file_is_opened_once_for_reads_that_follow_one_another(path: str) -> None:
    files = OpenFiles()
    with files.lend(path) as first:
        pass
    with files.lend(path) as second:
        assert second is first
        assert second.read(1).sum() == 66


def test_threads_that_read_at_once_have_handles_of_their_own(path: str) -> None:
    files, together = OpenFiles(), Barrier(3, timeout=10)

    def read(_: int) -> int:
        with files.lend(path) as dataset:
            together.wait()
            return id(dataset)

    with ThreadPoolExecutor(3) as pool:
        assert len(set(pool.map(read, range(3)))) == 3
        assert len(set(pool.map(read, range(3)))) == 3


def test_what_failed_is_opened_again(path: str, tmp_path: Path) -> None:
    files = OpenFiles()
    with pytest.raises(RasterioError), files.lend(path) as broken:
        raise RasterioError("the disk was gone for a moment")
    assert broken.closed
    with files.lend(path) as again:
        assert not again.closed
    with pytest.raises(InputError), files.lend(str(tmp_path / "gone.tif")):
        pass


def test_files_are_closed_with_the_object(path: str) -> None:
    files = OpenFiles()
    with files.lend(path) as dataset:
        assert isinstance(dataset, DatasetReader)
    del dataset
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("open files cannot be listed here")
    assert any(entry.resolve() == Path(path) for entry in descriptors.iterdir())
    del files
    gc.collect()
    assert not any(entry.resolve() == Path(path) for entry in descriptors.iterdir())


def test_the_cache_is_bounded_for_all_threads_and_reading_does_not_undo_it(path: str) -> None:
    files = OpenFiles()
    band = RasterBand(path, grid_at(32632, 0, 30, (3, 4)))

    def cache_after_a_read(_: int) -> int:
        read_block(band, band.grid, whole(band.grid), files=files)
        return int(get_gdal_config("GDAL_CACHEMAX"))

    before = get_gdal_config("GDAL_CACHEMAX")
    with bounded_cache(), ThreadPoolExecutor(2) as pool:
        assert set(pool.map(cache_after_a_read, range(8))) == {CACHE}
        assert get_gdal_config("GDAL_CACHEMAX") == CACHE
    assert get_gdal_config("GDAL_CACHEMAX") == before
