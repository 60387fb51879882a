"""Out-of-fold votes of a bundle for the windows that it was trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from landslide_map.array_types import Floats, Labels
from landslide_map.datasets.folds import shuffled_folds, stratified_folds
from landslide_map.errors import UsageError
from landslide_map.evaluation.member_votes import MemberVotes, fold_count
from landslide_map.models.bundle.load import Bundle
from landslide_map.models.voting.calibration import IDENTITY
from landslide_map.models.voting.scenario import Scenario, combine_predictions
from landslide_map.options import OperatingPoint
from landslide_map.training.calibrate import nested, operating_points
from landslide_map.training.windows.bundle import VOTES, softened

Folds = npt.NDArray[np.int64]


def training_folds(
    bundle: Bundle, labels: Labels, ids: Sequence[str] = (), given: Folds | None = None
) -> Folds:
    """Return the fold that each window was left out of, ``(window,)``.

    Taken from `given`, or from the votes that the bundle keeps, by ID, or drawn again with the seed that the
    bundle records.

    Parameters
    ----------
    bundle : Bundle
    labels : ndarray, (window,)
        To draw folds again: of all training windows, in the order of the training.
    ids : sequence of str
        Names of the windows, for bundles that keep their out-of-fold votes.
    given : ndarray, (window,), optional
        What the user says.

    Raises
    ------
    UsageError
        E526 if the bundle does not say how it was divided, or these are not its training windows.
    """
    count = fold_count(bundle)
    if count is None:
        raise UsageError("E526", f"{bundle.path}: its members lack folds, or have different numbers of them.")
    if given is not None:
        if given.max() >= count:
            raise UsageError(
                "E526", f"column fold names fold {int(given.max())}, but members have folds 0 to {count - 1}."
            )
        return given
    if keeps_votes(bundle) and ids:
        return _kept_folds(bundle, ids)
    return _drawn_folds(bundle, labels, count)


def keeps_votes(bundle: Bundle) -> bool:
    """Return whether a bundle brings its out-of-fold votes, as those trained on windows do."""
    return VOTES in bundle.document.files


def kept_votes(bundle: Bundle) -> tuple[MemberVotes, Labels, Folds]:
    """Return the out-of-fold votes that a bundle keeps, with labels and folds of its training windows.

    Raises
    ------
    UsageError
        E526 if it keeps none.
    """
    if not keeps_votes(bundle):
        raise UsageError(
            "E526",
            f"{bundle.path}: keeps no out-of-fold votes ({VOTES}); name the windows that it was trained on.",
        )
    table = _read_votes(bundle)
    names = tuple(member.name for member in bundle.members)
    predictions = table[[f"p_{name}" for name in names]].to_numpy(dtype=np.float64)
    votes = MemberVotes(names, predictions, np.zeros(len(table), dtype=np.bool_))
    return votes, table["label"].to_numpy(dtype=np.int8), table["fold"].to_numpy(dtype=np.int64)


def _kept_folds(bundle: Bundle, ids: Sequence[str]) -> Folds:
    known = _read_votes(bundle).set_index("id")["fold"]
    names = list(ids)
    if absent := [name for name in names if name not in known.index]:
        raise UsageError(
            "E526",
            f"{bundle.path}: was not trained on window {absent[0]} ({len(absent)} of {len(names)} such "
            "windows), so there is nothing to leave out.",
        )
    return known.loc[names].to_numpy(dtype=np.int64)


def _read_votes(bundle: Bundle) -> pd.DataFrame:
    return pd.read_csv(bundle.path / VOTES, dtype={"id": str})


def _drawn_folds(bundle: Bundle, labels: Labels, count: int) -> Folds:
    record = bundle.document.training
    division = record.get("division", "stratified")
    known = division in ("stratified", "shuffled")
    if not known or record.get("folds") != count or not isinstance(record.get("seed"), int):
        raise UsageError(
            "E526",
            f"{bundle.path}: does not say which windows each fold was trained on. Add a column fold, the "
            "number of the model that did not see the window, to the table of labels.",
        )
    if record.get("windows") != len(labels) or record.get("landslides") != int(labels.sum()):
        raise UsageError(
            "E526",
            f"{bundle.path}: was trained on {record.get('windows')} windows with {record.get('landslides')} "
            f"landslides; here are {len(labels)} with {int(labels.sum())}. Out-of-fold figures need the very "
            "windows of its training, in the same order.",
        )
    drawn = (
        stratified_folds(labels, count, record["seed"])
        if division == "stratified"
        else shuffled_folds(len(labels), count, record["seed"])
    )
    folds = np.empty(len(labels), dtype=np.int64)
    for fold, rows in enumerate(drawn):
        folds[rows] = fold
    return folds


def combine_nested(
    votes: MemberVotes, scenarios: tuple[Scenario, ...], labels: Labels, folds: Folds, soft: bool = False
) -> tuple[Floats, Floats, npt.NDArray[np.int8]]:
    """Return probability, threshold and scenario of each window, none of which saw the window's label.

    Where a scenario is calibrated, its curve and threshold were learned on all out-of-fold votes. Here they
    are learned again for each fold from the others. The labels are softened if `soft`, as in training on
    windows. Scenarios without calibration keep their threshold.
    """
    chosen = votes.select_scenario(scenarios)
    raw = tuple(replace(scenario, calibration=IDENTITY) for scenario in scenarios)
    probability, threshold = combine_predictions(votes.members, raw, votes.predictions, chosen)
    for i, scenario in enumerate(scenarios):
        rows = np.flatnonzero(chosen == i)
        if scenario.calibration == IDENTITY or not rows.size:
            continue
        own = [np.flatnonzero(folds[rows] == fold) for fold in np.unique(folds[rows])]
        wanted: Any = softened(labels[rows]) if soft else labels[rows]
        probability[rows], threshold[rows] = nested(probability[rows], wanted, own, _chooser(scenario))
    return probability, threshold, chosen


def _chooser(scenario: Scenario) -> Callable[[Floats], float]:
    """Return the function that chooses a fold's threshold as that of the scenario: by operating point."""
    at_it = [name for name, value in scenario.operating_points.items() if value == scenario.threshold]
    name: OperatingPoint = at_it[0] if at_it else "f1"

    def choose(probability: Floats) -> float:
        found = operating_points(probability)
        return found.get(name, found["f1"])

    return choose
