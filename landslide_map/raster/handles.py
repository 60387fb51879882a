"""Raster files kept open between reads, so that GDAL decodes shared blocks once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from rasterio.io import DatasetReader

from landslide_map.raster.dataset import open_dataset


class OpenFiles:
    """Handles of raster files, each lent to one thread at a time.

    GDAL keeps decoded blocks of files that stay open, as many as its cache holds (``GDAL_CACHEMAX``), and
    drops them with the handle. The files are closed when the last reference to this object goes.
    """

    def __init__(self) -> None:
        self._idle: dict[str, list[DatasetReader]] = {}
        self._lock = Lock()

    @contextmanager
    def lend(self, path: str) -> Iterator[DatasetReader]:
        """Yield a handle of a file; one more is opened where all are lent.

        A failure inside closes the handle: the next try begins with a new one.
        """
        with self._lock:
            idle = self._idle.setdefault(path, [])
            dataset = idle.pop() if idle else None
        if dataset is None:
            dataset = open_dataset(path)
        try:
            yield dataset
        except BaseException:
            dataset.close()
            raise
        with self._lock:
            idle.append(dataset)
