"""Dividing labelled windows into folds."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from landslide_map.errors import InputError


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
