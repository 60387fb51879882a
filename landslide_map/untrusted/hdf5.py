"""Datasets of foreign HDF5 files: plain, stored in the file itself, and of the size that they say."""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np
import numpy.typing as npt

from landslide_map.errors import InputError, optional_packages
from landslide_map.untrusted.arrays import refuse_larger
from landslide_map.untrusted.files import refuse_waiting

_GZIP: Final = 1
_CHECKSUM: Final = 3
_FILTERS: Final = {_GZIP: "gzip", 2: "shuffle", _CHECKSUM: "fletcher32"}
"""Filters of HDF5 itself that other programs use. Others load a plugin, or unpack without bounds."""
_LARGEST_CHUNK: Final = 2**26
"""Bytes of a chunk, where the dataset itself is smaller."""


def read_h5(path: Path, dataset: str, most: int) -> npt.NDArray[Any]:
    """Return a dataset of an HDF5 file: a plain one, stored in the file itself.

    Parameters
    ----------
    path : Path
    dataset : str
        Its name.
    most : int
        Bytes of the largest file, and of the largest dataset.

    Raises
    ------
    InputError
        E180 unreadable or without the dataset, E185 too large, E186 links to other files, stored outside,
        with other filters, or unpacked larger than it says.
    ResourceError
        E612 if h5py is not installed.
    """
    with optional_packages(f"{path}: reading .h5 needs", "networks"):
        import h5py
    try:
        refuse_waiting(path)
        refuse_larger(path, "the file", path.stat().st_size, most)
        with h5py.File(path, "r", locking=False) as file:
            found = _plain_dataset(file, dataset, path, most)
            return np.asarray(found[()])
    except InputError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, zlib.error) as error:
        raise InputError("E180", f"{path}: cannot be read as HDF5 ({str(error)[:200]}).") from error


def _plain_dataset(file: Any, dataset: str, path: Path, most: int) -> Any:
    """Return a dataset of an open file before any of its numbers is read."""
    import h5py

    link = file.get(dataset, getlink=True)
    if link is None:
        names = ", ".join(list(file)[:5])
        raise InputError("E180", f"{path}: has no dataset {dataset!r}; found {names or 'nothing'}.")
    if not isinstance(link, h5py.HardLink):
        _not_plain(path, f"{dataset!r} is a link elsewhere")
    found = file[dataset]
    if not isinstance(found, h5py.Dataset):
        raise InputError("E180", f"{path}: {dataset!r} is a group; expected a dataset.")
    if found.dtype.kind not in "fiub":
        raise InputError("E180", f"{path}: {dataset!r} holds {found.dtype}; expected real numbers.")
    refuse_larger(path, repr(dataset), found.nbytes, most)
    if found.is_virtual or found.external:
        _not_plain(path, f"{dataset!r} is stored in other files")
    if found.chunks is not None:
        _check_chunks(found, path, most)
    return found


def _check_chunks(found: Any, path: Path, most: int) -> None:
    """Refuse filters other than the known ones, and chunks that are larger than the dataset may be.

    HDF5 unpacks gzip until it ends, whatever the size of a chunk: some kilobytes could fill the memory.
    """
    properties = found.id.get_create_plist()
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    if others := [number for number in filters if number not in _FILTERS]:
        _not_plain(
            path, f"{found.name[1:]!r} needs filter {others[0]}; expected {', '.join(_FILTERS.values())}"
        )
    size = math.prod(found.chunks) * found.dtype.itemsize
    refuse_larger(path, "a chunk", size, min(most, max(found.nbytes, _LARGEST_CHUNK)))
    if _GZIP not in filters:
        return
    after = filters[filters.index(_GZIP) + 1 :]
    if any(number != _CHECKSUM for number in after):
        _not_plain(path, f"{found.name[1:]!r} is packed twice")
    size += 4 * filters.count(_CHECKSUM)
    for i in range(found.id.get_num_chunks()):
        chunk = found.id.get_chunk_info(i)
        refuse_larger(path, "a chunk", chunk.size, most)
        skipped, packed = found.id.read_direct_chunk(chunk.chunk_offset)
        if skipped >> filters.index(_GZIP) & 1:
            continue
        if len(zlib.decompressobj().decompress(packed, size + 1)) > size:
            _not_plain(path, f"a chunk of {found.name[1:]!r} unpacks to more than {size} bytes")


def _not_plain(path: Path, reason: str) -> NoReturn:
    raise InputError(
        "E186", f"{path}: {reason}. Only plain datasets are read; copy the data into a file of its own."
    )
