"""Division of labelled windows into folds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.spatial import cKDTree

from landslide_map.datasets.window_arrays import WINDOW_SHAPE
from landslide_map.errors import InputError, Notice


def stratified_folds(
    labels: npt.NDArray[np.integer[Any]], count: int, seed: int
) -> list[npt.NDArray[np.intp]]:
    """Return the row numbers of each fold: every row once, each class spread evenly.

    Raises
    ------
    InputError
        E122 if a class has fewer windows than there are folds.
    """
    generator = np.random.default_rng(seed)
    folds: list[list[npt.NDArray[np.intp]]] = [[] for _ in range(count)]
    for label in (0, 1):
        rows = generator.permutation(np.flatnonzero(labels == label))
        if len(rows) < count:
            raise InputError(
                "E122", f"only {len(rows)} windows have label {label}; {count} folds need at least {count}."
            )
        for fold, part in zip(folds, np.array_split(rows, count), strict=True):
            fold.append(part)
    return [np.sort(np.concatenate(parts)) for parts in folds]


def shuffled_folds(rows: int, count: int, seed: int) -> list[npt.NDArray[np.intp]]:
    """Return the row numbers of each fold, as ``KFold(count, shuffle=True, random_state=seed)`` of sklearn.

    The published ensemble was divided so; another division would not be comparable window by window.

    Raises
    ------
    InputError
        E122 if there are fewer rows than folds.
    """
    if rows < count:
        raise InputError("E122", f"only {rows} windows; {count} folds need at least {count}.")
    order = np.arange(rows)
    np.random.RandomState(seed).shuffle(order)
    return [np.sort(part) for part in np.array_split(order, count)]


def grouped_folds(
    groups: Sequence[str] | npt.NDArray[Any], labels: npt.NDArray[np.integer[Any]], count: int, seed: int
) -> list[npt.NDArray[np.intp]]:
    """Return the row numbers of each fold, no group being in two of them.

    Groups are dealt out largest first, each to the fold with the fewest landslides, then the fewest
    windows; equal ones in random order.

    Raises
    ------
    InputError
        E146 if there are fewer groups than folds, or a fold would have no landslide or nothing else.
    """
    names, group = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    if len(names) < count:
        raise InputError(
            "E146",
            f"the windows are in {len(names)} spatial groups; {count} folds need at least {count}. Cut "
            "windows with a smaller --group-km, use fewer folds, or add scenes.",
        )
    windows = np.bincount(group)
    landslides = np.bincount(group, weights=labels).astype(int)
    chance = np.random.default_rng(seed).permutation(len(names))
    fold_of = np.empty(len(names), dtype=np.intp)
    held = np.zeros((count, 2), dtype=int)
    for i in np.lexsort((chance, -windows, -landslides)):
        fold_of[i] = min(range(count), key=lambda fold: tuple(held[fold]))
        held[fold_of[i]] += landslides[i], windows[i]
    if (poor := (held[:, 0] == 0) | (held[:, 0] == held[:, 1])).any():
        fold = int(np.argmax(poor))
        raise InputError(
            "E146",
            f"dealing {len(names)} spatial groups to {count} folds leaves one with {held[fold, 0]} "
            f"landslides in {held[fold, 1]} windows. Cut windows with a smaller --group-km, "
            "or use fewer folds.",
        )
    return [np.flatnonzero(fold_of[group] == fold) for fold in range(count)]


def overlapping_windows(origin: pd.DataFrame, folds: Sequence[npt.NDArray[np.intp]], size: int) -> int:
    """Return how many windows share pixels with a window of another fold.

    Parameters
    ----------
    origin : DataFrame
        Columns ``scene``, ``row`` and ``col``: the first pixel of each window on its scene's grid.
    folds : sequence of ndarray
        Row numbers of each fold.
    size : int
        Edge of the windows, pixels.
    """
    fold = np.empty(len(origin), dtype=np.intp)
    for number, rows in enumerate(folds):
        fold[rows] = number
    found = np.zeros(len(origin), dtype=np.bool_)
    places = origin.assign(fold=fold, position=np.arange(len(origin)))
    for _, scene in places.groupby("scene", sort=False):
        corners = cKDTree(scene[["row", "col"]].to_numpy())
        pairs = corners.query_pairs(size - 1, p=np.inf, output_type="ndarray")
        apart = np.unique(pairs[np.diff(scene["fold"].to_numpy()[pairs], axis=1)[:, 0] != 0])
        found[scene["position"].to_numpy()[apart]] = True
    return int(found.sum())


def overlap_notices(
    origin: pd.DataFrame | None, folds: Sequence[npt.NDArray[np.intp]], cure: str
) -> list[Notice]:
    """Return a notice (W530) where windows share pixels with those of another fold, and `cure` is what to do.

    Parameters
    ----------
    origin : DataFrame or None
        As for :func:`overlapping_windows`; there is no notice where this is unknown.
    """
    count = 0 if origin is None else overlapping_windows(origin, folds, WINDOW_SHAPE[0])
    if origin is None or not count:
        return []
    return [
        Notice(
            "W530",
            f"{count} of {len(origin)} windows share ground with a window of another fold: out-of-fold "
            f"figures will be better than the truth. {cure}",
        )
    ]
