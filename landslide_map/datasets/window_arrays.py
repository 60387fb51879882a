"""Ready windows on disk: one array of all, or a folder of one array each."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from landslide_map.bands import MODEL_BANDS
from landslide_map.errors import InputError
from landslide_map.untrusted.arrays import open_npy
from landslide_map.untrusted.files import refuse_waiting

CHUNK: Final = 512
"""Windows in memory at once; every fold's weights are read once for each chunk."""

WINDOW_SHAPE: Final = (64, 64, len(MODEL_BANDS))
"""Rows, columns and bands of a window."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows with their IDs, read some at a time."""

    ids: tuple[str, ...]
    array: npt.NDArray[Any] | None = None
    """All windows, ``(window, 64, 64, 12)``, perhaps still on disk."""
    files: tuple[Path, ...] = ()
    """File of each window, where there is no array."""

    @classmethod
    def of_array(cls, array: npt.NDArray[Any], ids: Sequence[str] | None = None) -> Windows:
        """Return the windows of an array, numbered from 0 unless they have IDs; E140 or E142."""
        if array.ndim != 4 or array.shape[1:] != WINDOW_SHAPE or not len(array):
            raise InputError("E140", f"the windows have shape {array.shape}; {_expected('n, ')}")
        _check_type(array, "the windows")
        if ids is None:
            return cls(tuple(str(i) for i in range(len(array))), array)
        if len(ids) != len(array):
            raise InputError(
                "E142", f"{len(ids)} IDs for {len(array)} windows; expected one for each, in order."
            )
        return cls(_distinct(ids), array)

    @classmethod
    def open(cls, path: str | PathLike[str], ids: Sequence[str] | None = None) -> Windows:
        """Return the windows of an ``.npy`` file or of a folder of ``<ID>.npy``.

        Parameters
        ----------
        path : path
            File of shape ``(n, 64, 64, 12)``, or folder of files of shape ``(64, 64, 12)``.
        ids : sequence of str, optional
            Of a file: the ID of each window. Of a folder: which windows, in which order; by default all.

        Raises
        ------
        InputError
            E140 missing, unreadable or of another shape, E142 IDs that do not match.
        """
        path = Path(path)
        if path.is_file():
            return cls.of_array(open_npy(path, "E140"), ids)
        if not path.is_dir():
            raise InputError(
                "E140", f"{path}: no such file or folder; expected an .npy file or a folder of them."
            )
        present = {file.stem: file for file in sorted(path.glob("*.npy"))}
        if not present:
            raise InputError("E140", f"{path}: holds no .npy file; expected one <ID>.npy for each window.")
        wanted = tuple(present) if ids is None else _distinct(ids)
        if absent := [name for name in wanted if name not in present]:
            raise InputError(
                "E142",
                f"{path / absent[0]}.npy: no such window ({len(absent)} of {len(wanted)} IDs are missing).",
            )
        return cls(wanted, files=tuple(present[name] for name in wanted))

    def read(self, start: int, stop: int) -> npt.NDArray[np.floating]:
        """Return windows ``start`` to ``stop - 1`` as floating-point numbers, precision kept."""
        if self.array is not None:
            part = np.asarray(self.array[start:stop])
        else:
            part = np.stack([_load_one(path) for path in self.files[start:stop]])
        return part if np.issubdtype(part.dtype, np.floating) else part.astype(np.float64)


def read_ids(path: str | PathLike[str]) -> list[str]:
    """Return the column ``ID`` of a CSV file such as the competition's ``Test.csv``; E142 if it has none."""
    path = Path(path)
    try:
        refuse_waiting(path)
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            column = next((name for name in rows.fieldnames or () if name.lower() == "id"), None)
            found = [] if column is None else [row[column] or "" for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError("E142", f"{path}: cannot be read as a CSV file of IDs ({error}).") from error
    if not found or not all(found):
        raise InputError("E142", f"{path}: expected a column ID with one name in every row.")
    return found


def _distinct(ids: Sequence[str]) -> tuple[str, ...]:
    if len(set(ids)) < len(ids):
        twice = next(name for i, name in enumerate(ids) if name in ids[:i])
        raise InputError("E142", f"ID {twice!r} occurs twice; every window needs its own.")
    return tuple(ids)


def _load_one(path: Path) -> npt.NDArray[Any]:
    found = open_npy(path, "E140")
    if found.shape != WINDOW_SHAPE:
        raise InputError("E140", f"{path}: the window has shape {found.shape}; {_expected('')}")
    _check_type(found, str(path))
    return found


def _check_type(array: npt.NDArray[Any], where: str) -> None:
    if array.dtype.kind not in "fiu":
        raise InputError("E140", f"{where}: values of type {array.dtype}; expected real numbers.")


def _expected(first: str) -> str:
    rows, columns, bands = WINDOW_SHAPE
    return (
        f"expected ({first}{rows}, {columns}, {bands}): rows, columns, then bands {', '.join(MODEL_BANDS)}."
    )


def checked_chunks(source: Windows) -> Iterator[tuple[Sequence[str], npt.NDArray[np.floating]]]:
    """Yield IDs and pixels of some windows at a time; E141 for pixels that cannot be predicted."""
    for start in range(0, len(source.ids), CHUNK):
        ids = source.ids[start : start + CHUNK]
        chunk = source.read(start, start + CHUNK)
        check_pixels(ids, chunk)
        yield ids, chunk


def check_pixels(ids: Sequence[str], chunk: npt.NDArray[np.floating]) -> None:
    """Refuse infinite pixels, bands with holes, and windows without anything (E141)."""
    missing = np.isnan(chunk).mean(axis=(1, 2))
    infinite = np.isinf(chunk).any(axis=(1, 2))
    for wrong, what in (
        (infinite, "infinite values"),
        ((missing > 0) & (missing < 1), "missing pixels (NaN) beside measured ones"),
    ):
        if wrong.any():
            window, band = np.argwhere(wrong)[0]
            raise InputError(
                "E141",
                f"window {ids[window]}: band {MODEL_BANDS[band]} holds {what} (in "
                f"{int(wrong.any(axis=1).sum())} windows of {len(ids)} read together). Fill or drop them; a "
                "sensor without data is NaN in the whole window.",
            )
    if (empty := (missing == 1).all(axis=1)).any():
        raise InputError("E141", f"window {ids[int(np.argmax(empty))]}: every pixel is NaN. Drop it.")
