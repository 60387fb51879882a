"""``run.json``: inputs, options, software and outputs of a run, with hashes."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import pyogrio
import rasterio

from landslide_map._version import __version__
from landslide_map.runtime.package_versions import package_version

HEADER_BYTES: Final = 65536
_DISTRIBUTIONS: Final = (
    "dask",
    "geopandas",
    "lightgbm",
    "numba",
    "numpy",
    "pandas",
    "pyogrio",
    "pyproj",
    "rasterio",
    "rioxarray",
    "scipy",
    "shapely",
    "xarray",
    "xgboost",
)


def input_identities(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """Return :func:`input_identity` of files, sorted by path; of a folder, of every file in it."""
    return [input_identity(path) for path in every_file(paths)]


def input_identity(path: Path) -> dict[str, Any]:
    """Return path, size and the hash of the first 64 KiB: these identify a file of any size."""
    with path.open("rb") as file:
        header = file.read(HEADER_BYTES)
    return {
        "path": str(path),
        "bytes": path.stat().st_size,
        "header_sha256": hashlib.sha256(header).hexdigest(),
    }


def versions() -> dict[str, str]:
    """Return versions of this package, Python, GDAL and the libraries; imports none of them."""
    found = {"landslide-map": __version__, "python": platform.python_version()}
    # The wheels of rasterio and pyogrio each bring their own GDAL.
    found["gdal (rasterio)"] = rasterio.__gdal_version__
    found["gdal (pyogrio)"] = pyogrio.__gdal_version_string__
    for name in _DISTRIBUTIONS:
        try:
            found[name] = package_version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def every_file(paths: Iterable[Path]) -> list[Path]:
    """Return `paths`, sorted, each once; of a folder, every file in it."""
    found: set[Path] = set()
    for path in map(Path, paths):
        found.update(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else found.add(path)
    return sorted(found)
