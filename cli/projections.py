"""Data of PROJ and GDAL that belong to the libraries in use, not to another program."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_OWN_DATA: Final = {
    "rasterio": ("proj_data", "gdal_data"),
    "pyogrio": ("proj_data", "gdal_data"),
    "pyproj": ("proj_dir/share/proj",),
}
"""Library -> data that its wheel brings."""
_OF_OTHERS: Final = ("PROJ_LIB", "PROJ_DATA", "GDAL_DATA")


def use_own_data() -> None:
    """Ignore the variables by which QGIS, PostGIS or conda point every program to data of their versions.

    Libraries that bring no data of their own, as those of conda and of distributions, need the variables.
    """
    if all(_has(name, folders) for name, folders in _OWN_DATA.items()):
        for variable in _OF_OTHERS:
            os.environ.pop(variable, None)


def _has(library: str, folders: tuple[str, ...]) -> bool:
    spec = find_spec(library)
    places = (spec.submodule_search_locations or []) if spec else []
    return any(all((Path(place) / folder).is_dir() for folder in folders) for place in places)
