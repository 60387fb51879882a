"""Votes of models that never saw the window, from a bundle and the very windows it was trained on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from landslide_map.errors import UsageError
from landslide_map.evaluation.votes import Floats, MemberVotes, fold_count
from landslide_map.models.bundle import Bundle
from landslide_map.models.calibration import IDENTITY
from landslide_map.models.ensemble import Scenario, settle
from landslide_map.training.folds import stratified_folds
from landslide_map.training.operating_point import nested

Labels = npt.NDArray[np.integer[Any]]
Folds = npt.NDArray[np.int64]


def training_folds(bundle: Bundle, labels: Labels, given: Folds | None = None) -> Folds:
    """Return the fold that each window was left out of, ``(window,)``.

    Parameters
    ----------
    bundle : Bundle
    labels : ndarray, (window,)
        In the order of the training table.
    given : ndarray, (window,), optional
        What the user says; by default folds are drawn again with the seed that the bundle records.

    Raises
    ------
    UsageError
        E526 if the bundle does not say how it was divided, or these are not its training windows.
    """
    count = fold_count(bundle)
    record = bundle.document.training
    if count is None:
        raise UsageError("E526", f"{bundle.path}: members have different numbers of folds.")
    if given is not None:
        if given.max() >= count:
            raise UsageError(
                "E526", f"column fold names fold {int(given.max())}, but members have folds 0 to {count - 1}."
            )
        return given
    if record.get("folds") != count or not isinstance(record.get("seed"), int):
        raise UsageError(
            "E526",
            f"{bundle.path}: does not say which windows each fold was trained on. Add a column fold, the "
            "number of the model that did not see the window, to the table of labels.",
        )
    same = record.get("windows") == len(labels) and record.get("landslides") == int(labels.sum())
    if not same:
        raise UsageError(
            "E526",
            f"{bundle.path}: was trained on {record.get('windows')} windows with {record.get('landslides')} "
            f"landslides; here are {len(labels)} with {int(labels.sum())}. Out-of-fold figures need the very "
            "windows of its training, in the same order.",
        )
    folds = np.empty(len(labels), dtype=np.int64)
    for fold, rows in enumerate(stratified_folds(labels, count, record["seed"])):
        folds[rows] = fold
    return folds


def settle_nested(
    votes: MemberVotes, scenarios: tuple[Scenario, ...], labels: Labels, folds: Folds
) -> tuple[Floats, Floats, npt.NDArray[np.int8]]:
    """Return probability, threshold and scenario of each window, none of which saw the window's label.

    Where a scenario is calibrated, its curve and threshold were learned on all out-of-fold votes; here they
    are learned again for each fold from the others. Scenarios without calibration keep their threshold.
    """
    chosen = votes.choose(scenarios)
    raw = tuple(replace(scenario, calibration=IDENTITY) for scenario in scenarios)
    probability, threshold = settle(votes.members, raw, votes.said, chosen)
    for i, scenario in enumerate(scenarios):
        rows = np.flatnonzero(chosen == i)
        if scenario.calibration == IDENTITY or not rows.size:
            continue
        own = [np.flatnonzero(folds[rows] == fold) for fold in np.unique(folds[rows])]
        probability[rows], threshold[rows] = nested(probability[rows], labels[rows], own)
    return probability, threshold, chosen
