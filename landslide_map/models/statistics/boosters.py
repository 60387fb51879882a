"""Gradient-boosted trees and small networks on window statistics: the members of the default bundle."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from landslide_map.errors import BundleError
from landslide_map.models.statistics.checked_lightgbm import checked_lightgbm
from landslide_map.models.statistics.checked_xgboost import checked_document
from landslide_map.models.statistics.features import FEATURE_SET, feature_names, feature_table
from landslide_map.models.statistics.perceptron import Perceptron, one_blas_thread
from landslide_map.models.statistics.quick_scorer import QuickScorer
from landslide_map.models.statistics.ubjson import write_ubjson

Features = npt.NDArray[np.float32]
Predictor = Callable[[npt.NDArray[np.floating]], npt.NDArray[np.float64]]
"""Function from ``(window, feature)`` to probabilities ``(window,)``, on one thread; threads may share it."""

_ROWS: Final = 2048
"""Windows that a thread predicts at a time: enough for every thread to have some, with any folds."""


def lightgbm_predictor(content: bytes) -> Predictor:
    """Return the predictor of a LightGBM model in its text format: quick where it can be, the same always."""
    text = content.decode("ascii")
    quick = QuickScorer.of_lightgbm(text)
    return quick.probability if quick else slow_lightgbm_predictor(checked_lightgbm(text))


def slow_lightgbm_predictor(text: str) -> Predictor:
    """Return LightGBM's own predictor; it does not check the text (:func:`checked_lightgbm`)."""
    import lightgbm

    try:
        booster = lightgbm.Booster(model_str=text)
    except lightgbm.basic.LightGBMError as error:
        raise ValueError(str(error)) from error
    return lambda features: np.asarray(booster.predict(features, num_threads=1), dtype=np.float64)


def xgboost_predictor(content: bytes) -> Predictor:
    """Return the predictor of an XGBoost model in its UBJ format: quick where it can be, the same always."""
    document = checked_document(content)
    quick = QuickScorer.of_xgboost(document)
    return quick.probability if quick else slow_xgboost_predictor(write_ubjson(document))


def slow_xgboost_predictor(content: bytes) -> Predictor:
    """Return XGBoost's own predictor; it does not check the content (:func:`checked_document`)."""
    import xgboost

    booster = xgboost.Booster(model_file=bytearray(content))
    booster.set_param({"nthread": 1})
    return lambda features: booster.inplace_predict(features).astype(np.float64)


def perceptron_predictor(content: bytes) -> Predictor:
    """Return the predictor of small networks."""
    return Perceptron.from_bytes(content).probability


PREDICTORS: Final[dict[str, Callable[[bytes], Predictor]]] = {
    "lightgbm": lightgbm_predictor,
    "xgboost": xgboost_predictor,
    "perceptron": perceptron_predictor,
}
"""Kind of member -> how one fold's file becomes a predictor."""
_KEPT, _KEPT_BYTES = 128, 2**20
"""Number of folds with kept predictors, and the size of the largest of them."""
ENDING: Final = {"lightgbm": "txt", "xgboost": "ubj", "perceptron": "npz"}
"""Kind of member -> ending of such a file's name."""


def predictor_of(kind: str, content: bytes) -> Predictor:
    """Return the predictor of one fold's file; `kind` is a key of :data:`PREDICTORS`.

    Those of the last folds are kept for the same bytes. Parsing would take most of the time of the second
    small scene of a process.
    """
    return _kept_predictor(kind, content) if len(content) <= _KEPT_BYTES else PREDICTORS[kind](content)


@lru_cache(_KEPT)
def _kept_predictor(kind: str, content: bytes) -> Predictor:
    return PREDICTORS[kind](content)


def mean_vote(predictors: Sequence[Predictor], features: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Return the mean over predictors, ``(window,)``: folds and parts of the windows side by side."""
    parts = [features[start : start + _ROWS] for start in range(0, max(len(features), 1), _ROWS)]
    with one_blas_thread(), ThreadPoolExecutor(os.cpu_count()) as pool:
        votes = [[pool.submit(predict, part) for part in parts] for predict in predictors]
        mean: npt.NDArray[np.float64] = np.mean(
            [np.concatenate([part.result() for part in of_one]) for of_one in votes], axis=0
        )
    return mean


@dataclass(frozen=True)
class ParsedFolds:
    """Folds of one model on statistics, parsed at first use: most runs need few of a bundle's members."""

    name: str
    kind: str
    """A key of :data:`PREDICTORS`."""
    channels: tuple[str, ...]
    folds: tuple[bytes, ...] = field(repr=False)
    """One model file per fold."""
    input: Literal["statistics"] = "statistics"

    @cached_property
    def one_window(self) -> npt.NDArray[np.floating]:
        """Features of a window of zeros, ``(1, feature)``: as many as the model must take."""
        raise NotImplementedError

    @cached_property
    def predictors(self) -> tuple[Predictor, ...]:
        """One for each fold; E506 where a file is no model, or none of a window's features."""
        try:
            made = tuple(predictor_of(self.kind, content) for content in self.folds)
            for predict in made:
                if not 0 <= float(predict(self.one_window)[0]) <= 1:
                    raise ValueError("its vote is no probability")
            return made
        except ValueError as error:  # XGBoostError is one
            raise BundleError(
                "E506", f"member {self.name!r} of the bundle cannot be loaded: {error}"
            ) from error

    @property
    def unparsed_bytes(self) -> int:
        """Size of the model files that are still to be parsed."""
        return 0 if "predictors" in vars(self) else sum(map(len, self.folds))


class StatisticsMember(ParsedFolds):
    """A model on the features of window statistics; a :class:`Member`."""

    @cached_property
    def one_window(self) -> Features:
        """Zeros, one for each feature of the member's channels."""
        return np.zeros((1, len(feature_names(self.channels))), np.float32)

    def predict(self, x: xr.DataArray) -> npt.NDArray[np.float64]:
        """Return the mean over the folds, ``(window,)``."""
        return self.predict_features(feature_table(x, self.channels)[0])

    def predict_features(self, features: Features) -> npt.NDArray[np.float64]:
        """Predict from the member's features: members of equal channels share them."""
        return mean_vote(self.predictors, features)


def load_statistics_member(entry: Any, contents: dict[str, bytes]) -> StatisticsMember:
    """Return the member that a bundle's entry describes; `contents` are its verified files."""
    if entry.settings.get("features") != FEATURE_SET:
        raise ValueError(
            f"features {entry.settings.get('features')!r}; this version computes {FEATURE_SET!r}"
        )
    return StatisticsMember(
        entry.name, entry.kind, tuple(entry.channels), tuple(contents[name] for name in entry.files)
    )
