"""Vector files: which layer holds the shapes, and rings that are not closed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyogrio
import shapely

from landslide_map.vector.dataset import NoVectorFileError

_FARTHEST: Final = 1e9
"""Greatest coordinate in any unit: the Earth is 130 million feet round."""


def spatial_layers(path: Path) -> list[str]:
    """Return the names of the layers that have shapes, in the order of the file.

    QGIS keeps styles and views in tables beside them, which are no layers to read.

    `path` has passed :func:`~landslide_map.vector.dataset.readable`.

    Raises
    ------
    pyogrio.errors.DataSourceError
        If the file is no vector file.
    """
    with unclosed_rings():
        return [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]


def check_coordinates(shapes: npt.NDArray[Any]) -> None:
    """Refuse shapes with coordinates that are not finite, or far off the Earth: GEOS fails on them.

    Raises
    ------
    NoVectorFileError
    """
    if not (np.abs(shapely.get_coordinates(shapes)) <= _FARTHEST).all():
        raise NoVectorFileError("it holds coordinates that are no numbers, or lie far off the Earth")


@contextmanager
def unclosed_rings() -> Iterator[None]:
    """Leave unclosed rings, of a GeoJSON written by hand, to shapely's error: without a warning of GDAL's."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Non closed ring detected", RuntimeWarning)
        yield
