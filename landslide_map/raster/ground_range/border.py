"""Edges of the swath in a GRD product: beyond them is no data, or noise that looks like data.

Products made before March 2018 (IPF 2.90) hold a fringe of small numbers along the swath. Backscatter in VV,
its thermal noise included, is never as dark as the fringe.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from rasterio.io import DatasetReader
from rasterio.windows import Window
from scipy.ndimage import uniform_filter1d

from landslide_map.raster.ground_range.annotation import Annotation
from landslide_map.raster.ground_range.product import annotation_of, product_files

EVERY: Final = 64
"""Step between the lines that are read."""
RUN: Final = 16
"""Samples in a mean that is compared."""
DARKEST: Final = 1e-3
"""Sigma0 with its thermal noise, -30 dB: the noise alone of VV is near -25 dB."""
ERODED: Final = 3
"""Samples left out along an edge."""
ERODED_BEFORE: Final = 10
"""The same of a product from before :data:`CLEAN_SINCE`."""
CLEAN_SINCE: Final = np.datetime64("2018-06-01")

Edges = npt.NDArray[np.int32]
"""``(2, lines)``: the first valid sample of each line, and the one after the last."""


def valid_samples(product: Path, open_raster: Callable[[str], DatasetReader]) -> Edges:
    """Return the edges of the swath in VV; read once for each product."""
    return _edges(product, product.stat().st_mtime_ns, open_raster)


@lru_cache(maxsize=64)
def _edges(product: Path, changed: int, open_raster: Callable[[str], DatasetReader]) -> Edges:
    del changed
    annotation = annotation_of(product, "vv")
    lines = annotation.timing.lines
    at = np.unique(np.append(np.arange(0, lines, EVERY), lines - 1))
    with open_raster(str(product_files(product, "vv").measurement)) as image:
        seen = np.array([_ends(image, annotation, int(line)) for line in at])
    number = np.clip(np.searchsorted(at, np.arange(lines), side="right") - 1, 0, len(at) - 2)
    start = np.maximum(seen[number, 0], seen[number + 1, 0])
    stop = np.minimum(seen[number, 1], seen[number + 1, 1])
    return np.stack([start, stop]).astype(np.int32)


def _ends(image: DatasetReader, annotation: Annotation, line: int) -> tuple[int, int]:
    """Return the first valid sample of a line, and the one after the last; none where all is dark."""
    samples = annotation.timing.samples
    numbers = image.read(1, window=Window(0, line, samples, 1))[0].astype(np.float64)
    sigma = annotation.sigma.rows(np.array([float(line)]), 0, samples)[0]
    bright = uniform_filter1d((numbers / sigma) ** 2, RUN, mode="nearest") > DARKEST
    valid = np.flatnonzero(bright & (numbers > 0))
    if not valid.size:
        return samples, 0
    eroded = ERODED if annotation.timing.first_line >= CLEAN_SINCE else ERODED_BEFORE
    return int(valid[0]) + eroded, int(valid[-1]) + 1 - eroded
