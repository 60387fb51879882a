"""Comparison of two results: inputs, options, rasters within a tolerance, outlines matched by overlap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import shapely
from pydantic import BaseModel, ValidationError
from pyproj.exceptions import ProjError
from rasterio.errors import RasterioError

from landslide_map.errors import InputError
from landslide_map.products import CLASSES, LANDSLIDES, MANIFEST, PROBABILITY
from landslide_map.products.columns import LANDSLIDES as LAYER
from landslide_map.products.geopackage import read_layer
from landslide_map.raster.dataset import open_dataset
from landslide_map.untrusted.files import read_bytes
from landslide_map.untrusted.validation import first_problem
from landslide_map.vector.areas import overlaps

_RASTERS: Final = (PROBABILITY, CLASSES, "outline_probability.tif")
_SAME_OVERLAP: Final = 0.5
_LONGEST: Final = 64 * 2**20
"""Bytes of a manifest."""


class _Input(BaseModel):
    path: str
    bytes: int | None
    header_sha256: str | None


class _Manifest(BaseModel):
    """Compared part of a manifest, which may come from another machine."""

    format_version: int | None = None
    configuration: dict[str, Any]
    versions: dict[str, Any] = {}
    inputs: list[_Input] = []
    bundle: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which two results differ."""

    what: str
    message: str


def compare_results(a: Path, b: Path, tolerance: float = 0.0) -> list[Difference]:
    """Return the differences between two results; none means that they are the same.

    Parameters
    ----------
    a, b : Path
        Folders of finished maps.
    tolerance : float
        Largest difference of a probability that counts as none.

    Raises
    ------
    InputError
        E160: a folder holds no finished map.
    """
    manifests = [_manifest(folder) for folder in (a, b)]
    found = [*_inputs(*manifests), *_options(*manifests)]
    for name in _RASTERS:
        found += _raster(a / name, b / name, tolerance)
    return [*found, *_outlines(a / LANDSLIDES, b / LANDSLIDES)]


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        found = _Manifest.model_validate_json(read_bytes(folder / MANIFEST, _LONGEST)).model_dump()
    except ValidationError as error:
        wrong = first_problem(error, _Manifest, MANIFEST).text
        raise InputError("E160", f"{folder}: {wrong}; expected the folder of a finished map.") from None
    except (OSError, ValueError) as error:
        raise InputError(
            "E160", f"{folder}: {MANIFEST} cannot be read ({error}); expected the folder of a finished map."
        ) from error
    return found


def _inputs(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Difference]:
    """Compare input files by name, size and hash: two copies may lie in different folders."""
    sides = [
        {Path(one["path"]).name: (one["bytes"], one["header_sha256"]) for one in side.get("inputs", [])}
        for side in (a, b)
    ]
    for name in sorted(sides[0].keys() | sides[1].keys()):
        left, right = (side.get(name) for side in sides)
        if left is None or right is None:
            yield Difference(
                "inputs", f"{name} was read by the {'second' if left is None else 'first'} alone"
            )
        elif left != right:
            yield Difference("inputs", f"{name} has another content")
    bundles = [side.get("bundle", {}) for side in (a, b)]
    if bundles[0].get("sha256") != bundles[1].get("sha256"):
        yield Difference("inputs", f"bundle {bundles[0].get('name')} and {bundles[1].get('name')}")


def _options(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Difference]:
    sides = [dict(_flat(side["configuration"])) for side in (a, b)]
    for key in sorted(sides[0].keys() | sides[1].keys()):
        left, right = (side.get(key) for side in sides)
        if left != right and not _is_path(left) and not _is_path(right):
            yield Difference("options", f"{key}: {left} and {right}")
    if a["format_version"] != b["format_version"]:
        yield Difference("versions", f"format of {MANIFEST}: {a['format_version']} and {b['format_version']}")
    for name in sorted(a["versions"].keys() | b["versions"].keys()):
        left, right = (side["versions"].get(name) for side in (a, b))
        if left != right:
            yield Difference("versions", f"{name}: {left} and {right}")


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every leaf of nested mappings and lists by its dotted key."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _flat(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _flat(item, f"{key}[{index}]")
    else:
        yield key, value


def _is_path(value: Any) -> bool:
    """Whether a value names a file: those are compared by content."""
    return isinstance(value, str) and ("/" in value or "\\" in value)


def _raster(a: Path, b: Path, tolerance: float) -> Iterator[Difference]:
    if a.exists() != b.exists():
        yield Difference("rasters", f"{a.name} is in the {'first' if a.exists() else 'second'} alone")
    if not a.exists() or not b.exists():
        return
    try:
        with open_dataset(a) as left, open_dataset(b) as right:
            grids = [(one.crs, one.transform, one.shape, one.count, one.dtypes) for one in (left, right)]
            if grids[0] != grids[1]:
                yield Difference("rasters", f"{a.name}: grids or types differ")
                return
            yield from _pixels(left, right, a.name, tolerance)
    except RasterioError as error:
        raise InputError("E101", f"{a.name} cannot be read ({error}).") from error


def _pixels(left: Any, right: Any, name: str, tolerance: float) -> Iterator[Difference]:
    """Compare two rasters of one grid, a tile at a time."""
    worst, differing, missing, total = 0.0, 0, 0, left.width * left.height
    for _, window in left.block_windows(1):
        pixels = [side.read(1, window=window).astype(np.float64) for side in (left, right)]
        holes = [np.isnan(one) for one in pixels]
        missing += int((holes[0] != holes[1]).sum())
        both = ~holes[0] & ~holes[1]
        change = np.abs(pixels[0] - pixels[1])[both]
        differing += int((change > tolerance).sum())
        worst = max(worst, float(change.max(initial=0.0)))
    if missing:
        yield Difference("rasters", f"{name}: {missing:,} of {total:,} pixels have a value in one alone")
    if differing:
        yield Difference(
            "rasters", f"{name}: {differing:,} of {total:,} pixels differ, by {worst:.6g} at most"
        )


def _outlines(a: Path, b: Path) -> Iterator[Difference]:
    """Match outlines by the greatest overlap, each once."""
    first, second = (frame[frame.geometry.notna()] for frame in (read_layer(p, LAYER)[0] for p in (a, b)))
    try:
        second = second.to_crs(first.crs)
    except (ProjError, ValueError) as error:
        raise InputError("E170", f"{a} and {b}: their projections cannot be compared ({error}).") from error
    left, right = (frame.geometry.make_valid().to_numpy() for frame in (first, second))
    mine, theirs, overlap = overlaps(left, right)
    pairs: dict[int, int] = {}
    for index in np.argsort(-overlap, kind="stable"):
        i, j = int(mine[index]), int(theirs[index])
        if overlap[index] >= _SAME_OVERLAP and i not in pairs and j not in pairs.values():
            pairs[i] = j
    alone = [len(left) - len(pairs), len(right) - len(pairs)]
    if any(alone):
        yield Difference("outlines", f"{len(pairs)} are in both, {alone[0]} and {alone[1]} in one alone")
    moved = sum(not shapely.equals(left[i], right[j]) for i, j in pairs.items())
    if moved:
        yield Difference("outlines", f"{moved} of {len(pairs)} in both have another shape")
