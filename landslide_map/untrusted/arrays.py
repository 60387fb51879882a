"""Arrays of foreign files (``.npy``, ``.npz``): numbers only, and of the size that the reader expects."""

from __future__ import annotations

import math
import zipfile
from io import BytesIO
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from landslide_map.errors import InputError
from landslide_map.untrusted.files import ZIP_ERRORS, TooLargeError, refuse_waiting

ARRAY_ERRORS: Final = (*ZIP_ERRORS, SyntaxError, TokenError, TypeError, OverflowError, MemoryError)
"""Exceptions of numpy for files that are no arrays, or have wrong headers."""
_LONGEST_HEADER: Final = 4096


def open_npy(path: Path, code: str) -> npt.NDArray[Any]:
    """Open an ``.npy`` file without reading its numbers.

    Parameters
    ----------
    path : Path
    code : str
        Code of the refusal.

    Raises
    ------
    InputError
        `code`, if it is no plain array or not a plain file.
    """
    try:
        refuse_waiting(path)
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except ARRAY_ERRORS as error:
        raise InputError(code, f"{path}: cannot be read as an .npy array ({str(error)[:200]}).") from None
    if not isinstance(found, np.ndarray):
        raise InputError(code, f"{path}: is an .npz archive; expected one .npy array.")
    return found


def read_npz(content: bytes, most: int) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of an archive, at most `most` bytes of them, however small they are packed.

    Raises
    ------
    ValueError
        If it is no archive of arrays of numbers.
    """
    found: dict[str, npt.NDArray[Any]] = {}
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            for name in archive.namelist():
                with archive.open(name) as file:
                    array = _read(file, most)
                most -= array.nbytes
                found[name.removesuffix(".npy")] = array
    except ARRAY_ERRORS as error:
        raise ValueError(f"it is no archive of arrays ({error})") from None
    return found


def _read(file: IO[bytes], most: int) -> npt.NDArray[Any]:
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    shape, columns_first, kind = read[version](file, _LONGEST_HEADER)
    if kind.kind not in "biuf":
        raise ValueError(f"an array of {kind}; expected numbers")
    size = math.prod(shape) * kind.itemsize
    if not 0 <= size <= most:
        raise TooLargeError("its arrays are larger than such files are")
    data = file.read(size)
    if len(data) != size:
        raise ValueError("it is cut off")
    array = np.frombuffer(data, kind)
    return array.reshape(shape[::-1]).T if columns_first else array.reshape(shape)


def refuse_larger(path: Path, what: str, size: int, most: int) -> None:
    """Refuse (E185) a file of pixels, or a part of one, of more than `most` bytes."""
    if size > most:
        raise InputError(
            "E185",
            f"{path}: {what} has {size / 1e6:.0f} MB; expected at most {most / 1e6:.0f} MB. Cut it into "
            "parts, or save it as .npy, which is read in parts.",
        )
