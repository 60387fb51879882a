"""Array of a Zarr store of version 3, read as a raster of one band: GDAL's own reader knows version 2 only.

It needs the package ``zarr`` (``pip install 'landslide-map[zarr]'``). Only codecs of a short list are run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from rasterio.errors import RasterioIOError

from landslide_map.array_types import Rows
from landslide_map.errors import InputError, ResourceError
from landslide_map.raster.one_band import OneBand
from landslide_map.untrusted.files import ZIP_ERRORS, Member, read_bytes, read_member
from landslide_map.untrusted.json_text import parse_json

METADATA: Final = "zarr.json"
CODECS: Final = frozenset({"bytes", "blosc", "zstd", "gzip", "crc32c", "sharding_indexed"})
"""Permitted codecs of chunks."""
CONSOLIDATED: Final = ".zmetadata"
COMPRESSORS: Final = frozenset({"blosc", "zstd", "gzip", "zlib", "lz4", "lzma"})
"""The same, in version 2."""
_LIMIT: Final = 64 << 20
"""Longest metadata file that is read, bytes."""


def metadata_of(store: Path, name: str, file: str = METADATA) -> Mapping[str, Any] | None:
    """Return the metadata of a group or array of version 3; None where there are none.

    Parameters
    ----------
    store : Path
        A folder, or a zip; of a zip with a top folder, the path of that inside it.
    name : str
        Path in the store, empty for its root.
    file : str
        Name of the metadata, for those of version 2.

    Raises
    ------
    InputError
        E101 where they are damaged.
    """
    zip_file, top = in_zip(store)
    inner = "/".join(part for part in (top, name, file) if part)
    try:
        if zip_file is None:
            path = store / name / file
            if not path.is_file():
                return None
            text = read_bytes(path, _LIMIT)
        else:
            text = read_member(Member(zip_file, inner), _LIMIT)
        found = parse_json(text)
    except KeyError:
        return None
    except ZIP_ERRORS as error:
        stated = f"{store}: its {name or 'root'}/{file} cannot be read ({error}); fetch the product again"
        raise InputError("E101", stated) from None
    return found if isinstance(found, dict) else None


def check_version_2(store: Path, name: str) -> None:
    """Refuse an array of version 2 that GDAL would find in other files, or unpack in ways that are not read.

    Raises
    ------
    InputError
        E101 where it is packed otherwise or damaged; E113 where the store refers to other files.
    """
    if not (store.is_dir() or in_zip(store)[0]):
        raise InputError("E113", f"{store}: is no folder and no zip; expected a Zarr store")
    consolidated = metadata_of(store, "", CONSOLIDATED) or {}
    if "record_size" in consolidated:
        raise InputError(
            "E113", f"{store}: holds references to other files (kerchunk), which are not followed"
        )
    together = consolidated.get("metadata")
    listed = together.get(f"{name}/.zarray") if isinstance(together, Mapping) else None
    described = [one for one in (metadata_of(store, name, ".zarray"), listed) if isinstance(one, Mapping)]
    if not described:
        raise InputError("E101", f"{store}: has no array {name}; fetch the product again")
    if other := sorted({name for stated in described for name in _packed_with(stated)} - COMPRESSORS):
        raise InputError(
            "E101",
            f"{store}: {name} is packed with {', '.join(other)[:80]}, which is not read; take the SAFE "
            "product",
        )


def in_zip(store: Path) -> tuple[Path | None, str]:
    """Return the zip that a store lies in, and the folder of the store inside; None for a folder.

    >>> in_zip(Path("/data/a.zarr.zip/a.zarr"))
    (PosixPath('/data/a.zarr.zip'), 'a.zarr')
    """
    zip_file = next((place for place in (store, *store.parents) if place.name.lower().endswith(".zip")), None)
    if zip_file is None or zip_file.is_dir():
        return None, ""
    return zip_file, store.relative_to(zip_file).as_posix().removeprefix(".")


def _packed_with(stated: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of compressor and filters of an array of version 2, and of an unusual separator."""
    filters = stated.get("filters") or []
    for one in (stated.get("compressor"), *(filters if isinstance(filters, list) else [filters])):
        if one:
            yield str(one.get("id") if isinstance(one, Mapping) else one)
    if (separator := stated.get("dimension_separator", ".")) not in (".", "/"):
        yield f"chunks named with {separator!r}"  # which could lead out of the store


class ZarrRaster(OneBand):
    """One array."""

    driver = "Zarr"

    def __init__(self, store: Path, name: str) -> None:
        self._array, self._store = _opened(store, name)
        self.name = f"{store}/{name}"
        self.height, self.width = self._array.shape
        self.shape = (self.height, self.width)
        self.dtypes = (self._array.dtype.name,)
        fill = float(self._array.fill_value) if self._array.fill_value is not None else math.nan
        self.nodatavals = (None if math.isnan(fill) else fill,)
        self.block_shapes = (tuple(self._array.chunks),)

    def pixels(self, rows: Rows, cols: Rows) -> npt.NDArray[Any]:
        """Return the numbers stored."""
        if not (rows.size and cols.size):
            return np.empty((rows.size, cols.size), self._array.dtype)
        top, left = int(rows[0]), int(cols[0])
        try:
            seen = np.asarray(self._array[top : int(rows[-1]) + 1, left : int(cols[-1]) + 1])
        except Exception as error:  # any exception of a codec on damaged bytes
            raise RasterioIOError(
                f"{self.name}: a chunk cannot be read ({type(error).__name__}: {error})"
            ) from error
        return seen if seen.shape == (rows.size, cols.size) else seen[np.ix_(rows - top, cols - left)]

    def close(self) -> None:
        """Close the zip, where the array lies in one."""
        self._store.close()


def _opened(store: Path, name: str) -> tuple[Any, Any]:
    try:
        import zarr
        from zarr.storage import LocalStore, ZipStore
    except ImportError:
        raise ResourceError(
            "E612",
            f"{store}: is a Zarr store of version 3, which needs the package zarr. Install it with: "
            "pip install 'landslide-map[zarr]'",
        ) from None
    stated = metadata_of(store, name)
    if stated is None or stated.get("node_type") != "array":
        raise InputError("E101", f"{store}: has no array {name}; fetch the product again")
    if other := sorted(set(_codecs(stated)) - CODECS):
        raise InputError(
            "E101",
            f"{store}: {name} is packed with {', '.join(other)}, which is not read; take the SAFE product",
        )
    zip_file, top = in_zip(store)
    place = LocalStore(store, read_only=True) if zip_file is None else ZipStore(zip_file, mode="r")
    try:
        array = zarr.open_array(store=place, path="/".join(part for part in (top, name) if part), mode="r")
    except Exception as error:  # its metadata are checked by the package, with errors of many types
        raise InputError(
            "E101", f"{store}: {name} cannot be opened ({error}); fetch the product again"
        ) from None
    if array.ndim != 2 or min(array.shape) < 1 or array.dtype.kind not in "uif":
        raise InputError("E101", f"{store}: {name} is no array of numbers in rows and columns")
    return array, place


def _codecs(metadata: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of codecs, those inside of shards too."""
    waiting = [metadata.get("codecs", [])]
    while waiting:
        for codec in waiting.pop():
            if not isinstance(codec, Mapping):
                yield str(codec)
                continue
            yield str(codec.get("name"))
            inside = codec.get("configuration") or {}
            waiting += [
                inside[key] for key in ("codecs", "index_codecs") if isinstance(inside.get(key), list)
            ]
