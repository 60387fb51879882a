"""Labelled windows on disk: the competition's layout, or windows beside a table of labels."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from landslide_map.datasets.window_arrays import Windows
from landslide_map.errors import InputError

LABELS: Final = "Train.csv"
"""Labels of the competition's layout: columns ``ID,label``."""
FOLDERS: Final = ("train_data/train_data", "train_data", ".")
"""Folders of the windows beside it, the published name first."""


@dataclass(frozen=True, slots=True)
class LabelledWindows:
    """Windows and their answers."""

    windows: Windows
    labels: npt.NDArray[np.int8]
    """``(window,)``; 1 is landslide."""
    folds: npt.NDArray[np.int64] | None = None
    """``(window,)``, the column ``fold`` of the table of labels, if it has one."""
    unlabelled: int = 0
    """Files in the folder that no row of the table names; they are left out."""
    table: pd.DataFrame | None = None
    """All columns of the table of labels: ``group``, perhaps, and ``scene, row, col`` of the first pixel."""


def read_labelled_windows(
    path: str | PathLike[str], labels: str | PathLike[str] | None = None
) -> LabelledWindows:
    """Open windows and read their labels.

    Parameters
    ----------
    path : path
        Folder with ``Train.csv`` and ``train_data/train_data/<ID>.npy``; or, with `labels`, a folder of
        ``<ID>.npy`` or an ``.npy`` file of shape ``(n, 64, 64, 12)``.
    labels : path, optional
        CSV with columns ``ID,label`` (and perhaps ``fold``); for an ``.npy`` file in its order.

    Raises
    ------
    InputError
        E140 windows missing or of another shape, E142 IDs repeated or without a window. E122 labels other
        than 0 and 1 or all the same, E144 no or unreadable labels.
    """
    path = Path(path)
    table_path = path / LABELS if labels is None else Path(labels)
    if labels is None and not path.exists():
        raise InputError("E140", f"{path}: no such file or folder; expected labelled windows.")
    if labels is None and not table_path.is_file():
        raise InputError(
            "E144",
            f"{path}: has no {LABELS}, so the labels of its windows are unknown. Name a CSV file with the "
            "columns ID and label.",
        )
    table = _read(table_path)
    ids = [str(name) for name in table["ID"]]
    windows = Windows.open(_folder(path) if labels is None else path, ids)
    present = len(list(windows.files[0].parent.glob("*.npy"))) if windows.files else len(ids)
    return LabelledWindows(
        windows,
        checked_labels(table["label"], str(table_path)),
        _folds(table, table_path),
        present - len(ids),
        table,
    )


def checked_labels(labels: Any, where: str) -> npt.NDArray[np.int8]:
    """Return labels as 0 and 1; E122 for anything else, and where all are the same."""
    values = pd.to_numeric(pd.Series(np.asarray(labels).ravel()), errors="coerce").to_numpy(dtype=np.float64)
    wrong = ~np.isin(values, (0.0, 1.0))
    if wrong.any():
        first = np.asarray(labels).ravel()[int(np.argmax(wrong))]
        raise InputError(
            "E122",
            f"{where}: {int(wrong.sum())} of {len(values)} labels are neither 0 nor 1 (first: {first!r}, row "
            f"{int(np.argmax(wrong)) + 1}).",
        )
    if np.unique(values).size < 2:
        problem = f"every label is {int(values[0])}" if len(values) else "there are no labels"
        raise InputError("E122", f"{where}: {problem}; windows of both classes are needed.")
    return values.astype(np.int8)


def _folder(path: Path) -> Path:
    return next((path / name for name in FOLDERS if any((path / name).glob("*.npy"))), path / FOLDERS[0])


def _read(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype={"ID": str}, encoding="utf-8-sig")  # "007" must not become 7
    except FileNotFoundError:
        raise InputError("E144", f"{path}: no such file; expected a CSV file of labels.") from None
    except (OSError, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError("E144", f"{path}: cannot be read as a CSV file of labels ({error}).") from error
    if missing := [name for name in ("ID", "label") if name not in table.columns]:
        raise InputError(
            "E144", f"{path}: has no column {missing[0]}; expected ID and label. It has {_some(table)}."
        )
    if table["ID"].isna().any():
        raise InputError("E142", f"{path}: row {int(table['ID'].isna().argmax()) + 1} has no ID.")
    return table


def _some(table: pd.DataFrame) -> str:
    names = [str(name) for name in table.columns[:6]]
    return ", ".join(names) + (" ..." if len(table.columns) > 6 else "")


def _folds(table: pd.DataFrame, path: Path) -> npt.NDArray[np.int64] | None:
    if "fold" not in table.columns:
        return None
    values = pd.to_numeric(table["fold"], errors="coerce").to_numpy(dtype=np.float64)
    if not np.isfinite(values).all() or (values < 0).any() or (values != np.round(values)).any():
        raise InputError("E144", f"{path}: column fold must hold the numbers of folds, from 0.")
    return values.astype(np.int64)
