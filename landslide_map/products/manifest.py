"""``run.json``: what went in, what was decided, with which software, and what came out."""

from __future__ import annotations

import hashlib
import json
import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, date, datetime
from enum import Enum
from importlib import metadata
from pathlib import Path, PurePath
from typing import Any, Final

import dask
import numpy as np
import pyogrio
import rasterio
from dask.system import CPU_COUNT

from landslide_map import __version__
from landslide_map.errors import Notice
from landslide_map.whole_file import whole_file

FORMAT_VERSION: Final = 1
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


def run_manifest(
    *,
    configuration: Mapping[str, Any],
    inputs: Sequence[Mapping[str, Any]],
    bundle: Mapping[str, Any],
    counts: Mapping[str, Any],
    bands: Mapping[str, Any],
    notices: Iterable[Notice],
    timings: Mapping[str, Any],
    started: datetime,
    outputs: Path,
) -> dict[str, Any]:
    """Return everything about a run as plain JSON values.

    Parameters
    ----------
    configuration : mapping
        The scene as it was understood, defaults filled in.
    inputs : sequence of mapping
        Of the files read, as from :func:`input_identities`.
    bundle : mapping
        Name, version, hash.
    counts : mapping
        Windows, analysed windows, windows per scenario and reason, landslides.
    bands : mapping
        Distribution of every model band that was read, beside the training data's.
    notices : iterable of Notice
        What the user must know.
    timings : mapping
        Where the time went, as of :meth:`landslide_map.timings.Timings.as_json`.
    started : datetime
        With time zone.
    outputs : Path
        Folder with the finished files, before they are moved.
    """
    return {
        "format_version": FORMAT_VERSION,
        "started": _plain(started.astimezone(UTC)),
        "configuration": _plain(configuration),
        "inputs": _plain(inputs),
        "bundle": _plain(bundle),
        "counts": _plain(counts),
        "bands": _plain(bands),
        "notices": [_plain(notice) for notice in notices],
        "timings": {**_plain(timings), "threads": dask.config.get("num_workers", CPU_COUNT)},
        "versions": versions(),
        "outputs": {path.name: output_identity(path) for path in every_file([outputs])},
    }


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Write strict JSON, keys sorted; appears whole or not at all."""
    text = json.dumps(_plain(manifest), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    with whole_file(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def input_identities(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """Return :func:`input_identity` of files, sorted by path; of a folder, of every file in it."""
    return [input_identity(path) for path in every_file(paths)]


def input_identity(path: Path) -> dict[str, Any]:
    """Return path, size and the hash of the first 64 KiB: enough to tell files apart, at any size."""
    with path.open("rb") as file:
        header = file.read(HEADER_BYTES)
    return {
        "path": str(path),
        "bytes": path.stat().st_size,
        "header_sha256": hashlib.sha256(header).hexdigest(),
    }


def output_identity(path: Path) -> dict[str, Any]:
    """Return size and hash of a whole file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def versions() -> dict[str, str]:
    """Return versions of this package, Python, GDAL and the libraries; imports none of them anew."""
    found = {"landslide-map": __version__, "python": platform.python_version()}
    # The wheels of rasterio and pyogrio each bring their own GDAL.
    found["gdal (rasterio)"] = rasterio.__gdal_version__
    found["gdal (pyogrio)"] = pyogrio.__gdal_version_string__
    for name in _DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def every_file(paths: Iterable[Path]) -> list[Path]:
    """Return `paths`, sorted, each once; of a folder, every file in it."""
    found: set[Path] = set()
    for path in map(Path, paths):
        found.update(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else found.add(path)
    return sorted(found)


def _plain(value: Any) -> Any:
    """Return `value` in JSON's own types; what is not a finite number becomes null."""
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, Enum):
        return _plain(value.value)
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return [_plain(item) for item in items]
    if isinstance(value, datetime | date):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{value!r} of type {type(value).__name__} has no place in run.json")
