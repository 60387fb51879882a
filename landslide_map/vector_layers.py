"""Which layer of a vector file holds its shapes."""

from __future__ import annotations

from pathlib import Path

import pyogrio


def spatial_layers(path: Path) -> list[str]:
    """Return the names of the layers that have shapes, in the order of the file.

    QGIS keeps styles and views in tables beside them, which are no layers to read.

    Raises
    ------
    pyogrio.errors.DataSourceError
        If the file is no vector file.
    """
    return [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]
