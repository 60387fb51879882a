"""Ablation: figures without a sensor or statistic, or with its values shuffled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from landslide_map.array_types import Bools, Floats, Labels
from landslide_map.bands import BACKSCATTER, CHANNELS, DIFFERENCES, GROUPS, INDICES
from landslide_map.datasets.folds import stratified_folds
from landslide_map.errors import UsageError
from landslide_map.evaluation.importance import MOST, largest
from landslide_map.evaluation.member_votes import collect_votes
from landslide_map.features.window_statistics import MEDIAN
from landslide_map.metrics import LEVEL, average_precision, confusion, rates, roc_auc
from landslide_map.models.bundle.load import Bundle
from landslide_map.models.statistics.features import BASE_STATISTICS
from landslide_map.runtime.progress import Report, silent
from landslide_map.training.calibrate import nested
from landslide_map.training.statistics.trees import train_lightgbm

MODALITIES: Final[Mapping[str, tuple[str, ...]]] = {
    "Sentinel-2": GROUPS["optical"],
    "optical indices": INDICES,
    "Sentinel-1": (*BACKSCATTER, *DIFFERENCES),
    "Sentinel-1 descending": GROUPS["descending"],
    "Sentinel-1 ascending": GROUPS["ascending"],
    "Sentinel-1 backscatter": BACKSCATTER,
    "Sentinel-1 change": DIFFERENCES,
}
"""Name of a group that is left out -> its channels."""
SETTINGS: Final = {
    "trees": 200,
    "learning_rate": 0.07,
    "num_leaves": 12,
    "max_bin": 127,
    "min_data_in_leaf": 30,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "feature_fraction": 0.15,
    "lambda_l2": 0.3,
}
"""LightGBM, quick; the default recipe's for channel sets that are needed less often."""
REPEATS: Final = 3
"""Number of shuffles in an average of figures."""
SEED: Final = 42
"""Seed of the folds and trees of the quick model."""
_Part = tuple[str, tuple[str, ...], tuple[str, ...]]


def retrained_ablation(
    statistics: xr.DataArray,
    labels: Labels,
    *,
    folds: int = 5,
    settings: Mapping[str, Any] = SETTINGS,
    report: Report = silent,
) -> dict[str, Any]:
    """Train one quick model without each modality and without each statistic, and score it out of fold.

    The model is not a member of any bundle: one LightGBM on the plain statistics, so that leaving a statistic
    out leaves it out everywhere. What is lost is lost although everything else could make up for it.

    Parameters
    ----------
    statistics : xr.DataArray, (window, channel, statistic)
    labels : ndarray, (window,), 0 or 1
    folds : int
        Stratified folds.
    settings : mapping
        LightGBM's, and ``trees``.
    report : Report
        Receives the progress.

    Returns
    -------
    dict
        ``method``, ``all`` (``f1, auc, average_precision``), ``without_modality`` and ``without_statistic``
        (name -> the same figures and their loss against ``all``), and ``importance`` (gain) of the whole
        model's features.
    """
    present = [str(name) for name in statistics.channel.values if name in CHANNELS]
    held = [name for name in (*BASE_STATISTICS, MEDIAN) if name in statistics.statistic.values]
    parts = [("all", tuple(present), tuple(held)), *_parts(present, held)]
    rows = stratified_folds(labels, folds, SEED)
    found: dict[str, dict[str, Any]] = {}
    gains = np.zeros(len(present) * len(held))
    for done, (name, channels, kept) in enumerate(parts):
        report("ablation", done, len(parts))
        table = statistics.sel(channel=list(channels), statistic=list(kept)).values
        features = table.reshape(len(table), -1).astype(np.float32)
        votes = np.empty(len(labels))
        for fold, left_out in enumerate(rows):
            others = np.setdiff1d(np.arange(len(labels)), left_out)
            booster = train_lightgbm(features[others], labels[others], dict(settings), SEED + 1000 * fold)
            votes[left_out] = booster.predict(features[left_out])
            if name == "all":
                gains += booster.feature_importance("gain")
        probability, threshold = nested(votes, labels, rows)
        found[name] = _figures(labels, probability, probability > threshold)
    report("ablation", len(parts), len(parts))
    names = [f"{channel}.{statistic}" for channel in present for statistic in held]
    return {
        "level": LEVEL,
        "method": f"retrained: LightGBM of {settings['trees']} trees on plain statistics, out of fold over "
        f"{folds} folds; calibration and threshold from the other folds",
        **_losses(found),
        "importance": {
            "measure": "gain",
            "features": largest(names, gains / max(gains.sum(), 1e-300), MOST),
        },
    }


def permuted_ablation(
    statistics: xr.DataArray,
    labels: Labels,
    bundle: Bundle,
    *,
    folds: npt.NDArray[np.int64] | None = None,
    report: Report = silent,
) -> dict[str, Any]:
    """Measure the loss of a bundle when each modality and each statistic is shuffled among windows.

    No training; it measures what *this* bundle relies on, not what could be learned without. Related values
    together are shuffled together, but windows arise that no satellite ever saw, so losses are exaggerated.

    Parameters
    ----------
    statistics, labels
        As of :func:`retrained_ablation`.
    bundle : Bundle
        Members that read statistics only.
    folds : ndarray, (window,), optional
        The fold that each window was left out of, for votes out of fold.
    report : Report
        Receives the progress.

    Raises
    ------
    UsageError
        E402 if a member reads pixels.
    """
    if bundle.needs_pixels:
        raise UsageError(
            "E402",
            f"{bundle.name} has networks, and networks read pixels, not statistics: shuffle the boosters "
            "alone with --profile boosters.",
        )
    present = [name for name in bundle.channels if name in statistics.channel.values]
    held = [str(name) for name in statistics.statistic.values if name != "valid_fraction"]
    scenario = bundle.scenarios[int(_vote(statistics, bundle, folds)[1])]

    def score(shuffled: xr.DataArray) -> dict[str, Any]:
        probability = _vote(shuffled, bundle, folds)[0]
        return _figures(labels, probability, probability > scenario.threshold)

    whole = score(statistics)
    generator = np.random.default_rng(0)
    orders = [generator.permutation(len(labels)) for _ in range(REPEATS)]
    parts = list(_parts(present, held))
    found = {"all": whole}
    for done, (name, channels, kept) in enumerate(parts):
        report("ablation", done, len(parts))
        changed = [c for c in present if c not in channels] or present
        moved = [s for s in held if s not in kept] or held
        rounds = [score(_shuffled(statistics, changed, moved, order)) for order in orders]
        found[name] = {key: float(np.mean([one[key] or 0.0 for one in rounds])) for key in whole}
    report("ablation", len(parts), len(parts))
    return {
        "level": LEVEL,
        "method": f"permuted: the bundle's own votes, mean of {REPEATS} shuffles"
        + (", out of fold" if folds is not None else ""),
        **_losses(found),
    }


def _parts(present: list[str], held: list[str]) -> Iterator[_Part]:
    """Yield a name, and the channels and statistics that stay when it is left out."""
    for name, channels in MODALITIES.items():
        stay = tuple(channel for channel in present if channel not in channels)
        if 0 < len(stay) < len(present):
            yield f"modality:{name}", stay, tuple(held)
    for statistic in held:
        stay = tuple(other for other in held if other != statistic)
        if stay:
            yield f"statistic:{statistic}", tuple(present), stay


def _vote(
    statistics: xr.DataArray, bundle: Bundle, folds: npt.NDArray[np.int64] | None
) -> tuple[Floats, int]:
    probability, _, chosen = collect_votes(statistics, bundle, folds=folds).combine_predictions(
        bundle.scenarios
    )
    if (chosen < 0).any() or np.unique(chosen).size > 1:
        raise UsageError(
            "E402", "windows of different sensors cannot be shuffled among each other; give complete windows."
        )
    return probability, int(chosen[0])


def _shuffled(
    statistics: xr.DataArray, channels: list[str], moved: list[str], order: npt.NDArray[np.intp]
) -> xr.DataArray:
    changed = statistics.copy(deep=True)
    where = {"channel": channels, "statistic": moved}
    changed.loc[where] = statistics.sel(where).values[order]
    return changed


def _figures(labels: Labels, probability: Floats, landslide: Bools) -> dict[str, Any]:
    truth = np.asarray(labels) == 1
    return {
        "f1": rates(confusion(truth, landslide))["f1"],
        "auc": roc_auc(truth, probability),
        "average_precision": average_precision(truth, probability),
    }


def _losses(found: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return figures in two groups, each with its loss against the whole."""
    whole = found["all"]
    grouped: dict[str, Any] = {"all": whole, "without_modality": {}, "without_statistic": {}}
    for name, own in found.items():
        kind, _, what = name.partition(":")
        if what:
            losses = {f"{key}_loss": (whole[key] or 0.0) - (value or 0.0) for key, value in own.items()}
            grouped[f"without_{kind}"][what] = own | losses
    return grouped
