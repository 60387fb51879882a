"""Window-level figures of an ensemble, its members, scenarios and profiles against labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from landslide_map.array_types import Floats, Labels
from landslide_map.datasets.labelled_windows import checked_labels
from landslide_map.datasets.window_arrays import Windows
from landslide_map.errors import BundleError, InputError
from landslide_map.evaluation.member_votes import Data, MemberVotes, collect_votes, window_count
from landslide_map.evaluation.out_of_fold import combine_nested, keeps_votes, kept_votes, training_folds
from landslide_map.metrics import LEVEL, UNIT, reliability_curve, scores, threshold_curve
from landslide_map.models.bundle.load import Bundle, load_bundle
from landslide_map.models.bundle.options import BundleFields, PredictionOptions, decided_at, with_fields
from landslide_map.models.bundle.profiles import PROFILES, with_profile
from landslide_map.models.voting.calibration import IDENTITY
from landslide_map.models.voting.scenario import Scenario
from landslide_map.options import OperatingPoint

_EVEN = 0.5


@dataclass(frozen=True)
class LabelledPredictions:
    """Labelled windows and the predictions of a bundle's members for them."""

    bundle: Bundle
    labels: Labels
    votes: MemberVotes
    folds: npt.NDArray[np.int64] | None = None
    """The fold each window was left out of, where the votes are out of fold."""
    moved: bool = False
    """Whether the threshold was given as a number, rather than learned with the calibration."""

    def combine_predictions(
        self, scenarios: tuple[Scenario, ...]
    ) -> tuple[Floats, Floats, npt.NDArray[np.int8]]:
        """Return probability, threshold and scenario of each window."""
        probability, threshold, chosen = self.votes.combine_predictions(scenarios)
        if self.folds is None:
            return probability, threshold, chosen
        soft = keeps_votes(self.bundle)
        honest, learned, _ = combine_nested(self.votes, scenarios, self.labels, self.folds, soft)
        return honest, threshold if self.moved else learned, chosen


def evaluate(
    windows: Data | npt.NDArray[np.floating],
    labels: npt.ArrayLike,
    *,
    bundle: Bundle | None = None,
    prediction: PredictionOptions = PredictionOptions(),
    ids: Iterable[str] = (),
    all_members: bool = False,
    out_of_fold: bool = False,
    folds: npt.NDArray[np.int64] | None = None,
    **given: Unpack[BundleFields],
) -> dict[str, Any]:
    """Score a bundle on labelled windows: window-level figures.

    Parameters
    ----------
    windows : DataArray, ndarray or Windows
        Statistics ``(window, channel, statistic)``, or pixels ``(window, 64, 64, 12)`` in the order and units
        of ``bands.MODEL_BANDS``.
    labels : array, (window,), 0 or 1
    bundle : Bundle, optional
        The default bundle if not given.
    prediction : PredictionOptions
        Profile, and threshold or operating point instead of each scenario's own; also as keywords, such as
        ``operating_point="recall90"``.
    ids : iterable of str, optional
        Names of the windows, to identify those that the bundle was trained on.
    all_members : bool
        Use every member, and add the figures of every scenario and profile.
    out_of_fold : bool
        Let only the fold vote that was not trained on the window; `windows` are those of the training.
    folds : ndarray, (window,), optional
        That fold, where the bundle does not say.

    Returns
    -------
    dict
        Plain JSON values, ``level`` with each set of figures, and what
        :func:`landslide_map.metrics.scores` returns. ``n`` counts windows scored, ``unscored`` those in which
        no member could vote. ``threshold`` is a number where all windows share it. ``operating_points`` are
        of the most frequent scenario. Further keys are ``threshold_curve``, ``reliability``, ``members`` and
        ``member_correlation``; with `all_members` also ``scenarios`` and ``profiles``.

    Raises
    ------
    InputError
        E122 labels other than 0 and 1 or all the same, E140 or E141 windows that cannot be used. E142
        another number of labels than windows, E145 no window with a prediction.
    """
    prediction = with_fields(prediction, given)
    names = tuple(ids) or (windows.ids if isinstance(windows, Windows) else ())
    predicted = predict_labelled(
        windows,
        labels,
        ids=names,
        bundle=bundle,
        prediction=prediction,
        all_members=all_members,
        out_of_fold=out_of_fold,
        folds=folds,
    )
    point = prediction.operating_point
    return figures(predicted, ids=names, all_members=all_members) | {"operating_point": point}


def predict_labelled(
    windows: Data | npt.NDArray[np.floating],
    labels: npt.ArrayLike,
    *,
    ids: Sequence[str] = (),
    bundle: Bundle | None = None,
    prediction: PredictionOptions = PredictionOptions(),
    all_members: bool = False,
    out_of_fold: bool = False,
    folds: npt.NDArray[np.int64] | None = None,
) -> LabelledPredictions:
    """Predict labelled windows with a bundle's members; parameters as of :func:`evaluate`."""
    data = Windows.of_array(windows) if isinstance(windows, np.ndarray) else windows
    known = checked_labels(labels, "labels")
    if len(known) != window_count(data):
        raise InputError(
            "E142", f"{len(known)} labels for {window_count(data)} windows; expected one for each, in order."
        )
    ready = bundle or load_bundle(prediction.bundle)
    if prediction.profile is not None:
        ready = with_profile(ready, prediction.profile)
    ready = decided_at(ready, prediction.threshold, prediction.operating_point)
    left_out = training_folds(ready, known, ids, folds) if out_of_fold else None
    votes = collect_votes(data, ready, all_members=all_members, folds=left_out)
    return LabelledPredictions(ready, known, votes, left_out, moved=prediction.threshold is not None)


def kept_predictions(
    bundle: Bundle, *, threshold: float | None = None, operating_point: OperatingPoint | None = None
) -> LabelledPredictions:
    """Return the out-of-fold votes that a bundle keeps, no window being read; E526 if it keeps none."""
    votes, labels, folds = kept_votes(bundle)
    ready = decided_at(bundle, threshold, operating_point)
    return LabelledPredictions(ready, labels, votes, folds, moved=threshold is not None)


def figures(
    predicted: LabelledPredictions, *, ids: Iterable[str] = (), all_members: bool = False
) -> dict[str, Any]:
    """Return the result of :func:`evaluate`, from votes."""
    bundle = predicted.bundle
    seen = bundle.trained_on(ids)
    probability, threshold, chosen = predicted.combine_predictions(bundle.scenarios)
    if not (chosen >= 0).any():
        raise InputError(
            "E145",
            f"none of the {len(predicted.labels)} windows could be predicted by a member of {bundle.name}: "
            f"it has "
            "no scenario for the channels that are valid in them.",
        )
    names = [scenario.name for scenario in bundle.scenarios]
    counts = np.bincount(chosen[chosen >= 0], minlength=len(names))
    result = {
        "level": LEVEL,
        "unit": UNIT,
        "bundle": bundle.name,
        "estimate": "as given" if predicted.folds is None else "out of fold",
        **_scored(predicted.labels, probability, threshold),
        "unscored": int((chosen < 0).sum()),
        "trained_on": seen > 0,
        "trained_on_windows": seen,
        "windows_per_scenario": {names[i]: int(count) for i, count in enumerate(counts) if count},
        "operating_points": dict(bundle.scenarios[int(counts.argmax())].operating_points),
        "threshold_curve": _thresholds(predicted.labels, probability),
        "reliability": _reliability(predicted.labels, probability),
        "members": _members(predicted),
        "member_correlation": member_correlation(predicted.votes, predicted.labels),
    }
    if all_members:
        result["scenarios"] = _scenarios(predicted)
        result["profiles"] = _profiles(predicted)
    return result


def member_correlation(votes: MemberVotes, labels: Labels) -> dict[str, Any]:
    """Return Pearson correlations of members' probabilities and of their errors (probability - label).

    Pairs are compared over the windows in which both voted; None where that is not defined.
    """
    voters = [i for i in range(len(votes.members)) if np.isfinite(votes.predictions[:, i]).any()]
    predictions = votes.predictions[:, voters]
    return {
        "level": LEVEL,
        "members": [votes.members[i] for i in voters],
        "probability": _correlations(predictions),
        "error": _correlations(predictions - np.asarray(labels)[:, np.newaxis]),
    }


def _correlations(columns: Floats) -> list[list[float | None]]:
    def pair(a: Floats, b: Floats) -> float | None:
        both = np.isfinite(a) & np.isfinite(b)
        if both.sum() < 2 or not a[both].std() or not b[both].std():
            return None
        return float(np.corrcoef(a[both], b[both])[0, 1])

    return [[pair(a, b) for b in columns.T] for a in columns.T]


def _scored(labels: Labels, probability: Floats, threshold: Floats) -> dict[str, Any]:
    voted = np.isfinite(probability)
    used = sorted(set(threshold[voted].tolist()))
    return {
        "level": LEVEL,
        "n": int(voted.sum()),
        "threshold": used[0] if len(used) == 1 else (used or None),
        **scores(labels[voted], probability[voted], probability[voted] > threshold[voted]),
    }


def _thresholds(labels: Labels, probability: Floats) -> dict[str, Any]:
    voted = np.isfinite(probability)
    curve = threshold_curve(labels[voted] == 1, probability[voted])
    return {"level": LEVEL} | {
        name: [None if np.isnan(value) else float(np.round(value, 6)) for value in values]
        for name, values in curve.items()
    }


def _reliability(labels: Labels, probability: Floats) -> dict[str, Any]:
    voted = np.isfinite(probability)
    curve = reliability_curve(labels[voted] == 1, probability[voted])
    return {"level": LEVEL} | {name: values.round(6).tolist() for name, values in curve.items()}


def _members(predicted: LabelledPredictions) -> dict[str, Any]:
    """Return the figures of every member that voted.

    Members are not calibrated. They are scored at the ensemble's threshold where that is not calibrated
    either, and at even odds otherwise. The best F1 of any threshold *on these very windows* shows what the
    choice costs; it is too good.
    """
    plain = {s.threshold for s in predicted.bundle.scenarios if s.calibration == IDENTITY}
    limit = plain.pop() if len(plain) == 1 else _EVEN
    found = {}
    for name, predictions in zip(predicted.votes.members, predicted.votes.predictions.T, strict=True):
        voted = np.isfinite(predictions)
        if not voted.any():
            continue
        curve = threshold_curve(predicted.labels[voted] == 1, predictions[voted])
        best = int(np.argmax(curve["f1"]))
        found[name] = _scored(predicted.labels, predictions, np.full(len(predictions), limit)) | {
            "best_f1_on_these_windows": float(curve["f1"][best]),
            "best_threshold_on_these_windows": float(curve["threshold"][best]),
        }
    return found


def _scenarios(predicted: LabelledPredictions) -> dict[str, Any]:
    """Return the figures of every scenario that fits some window, as if it were the only one."""
    found = {}
    for scenario in predicted.bundle.scenarios:
        probability, threshold, _ = predicted.combine_predictions((scenario,))
        if np.isfinite(probability).any():
            found[scenario.name] = _scored(predicted.labels, probability, threshold)
    return found


def _profiles(predicted: LabelledPredictions) -> dict[str, Any]:
    """Return the figures of every profile; None for those that the bundle has no members for."""
    found: dict[str, Any] = {}
    for name in PROFILES:
        try:
            reduced = with_profile(predicted.bundle, name)
        except BundleError:
            found[name] = None
            continue
        probability, threshold, _ = predicted.combine_predictions(reduced.scenarios)
        voted = np.isfinite(probability).any()
        found[name] = _scored(predicted.labels, probability, threshold) if voted else None
        if found[name]:
            found[name]["members"] = [member.name for member in reduced.members]
    return found
