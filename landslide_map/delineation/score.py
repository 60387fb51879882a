"""Learned probability of a candidate: boosted trees on its features, and their calibration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from landslide_map.delineation.edges import EDGE_FEATURES
from landslide_map.delineation.features import FEATURES, TRACKS
from landslide_map.models.statistics.boosters import Predictor, lightgbm_predictor

DOCUMENT: Final = "model.json"
IMAGE: Final = "image"
"""Variant for candidates without a change of backscatter: probabilities of windows do not help there."""
RADAR: Final = "radar"
"""Variant for candidates with at least one track."""
_LEAST: Final = 1e-6


@dataclass(frozen=True)
class Variant:
    """Trees for candidates with some sensors, each learned without some of the simulated events."""

    columns: tuple[int, ...]
    """Positions in :data:`features.FEATURES` of the features of the trees."""
    models: tuple[bytes, ...] = field(repr=False)
    """Files of LightGBM, parsed at first use: most scenes need one variant."""
    slope: float
    """Slope of the logit of the probability over that of the expected share of landslide."""
    intercept: float
    cost: float
    """Share of landslide from which an outline is worth drawing."""

    @cached_property
    def predictors(self) -> tuple[Predictor, ...]:
        """One for each model."""
        return tuple(map(lightgbm_predictor, self.models))

    def shares(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the share of landslide that each model expects, ``(model, candidate)``."""
        chosen = np.ascontiguousarray(features[:, list(self.columns)])
        return np.stack([predict(chosen) for predict in self.predictors])

    def probability(self, share: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Return the probability that at least half of a candidate is landslide, of its expected share."""
        share = np.clip(np.asarray(share, np.float64), _LEAST, 1 - _LEAST)
        logit = self.intercept + self.slope * np.log(share / (1 - share))
        probability: npt.NDArray[np.float64] = 1 / (1 + np.exp(-logit))
        return probability

    @property
    def threshold(self) -> float:
        """Probability from which an outline is drawn."""
        return float(self.probability(np.array([self.cost]))[0])


@dataclass(frozen=True)
class OutlineModel:
    """The variants, and the variant of each candidate."""

    name: str
    variants: Mapping[str, Variant]
    """Variants by :data:`IMAGE` and :data:`RADAR`, with equally many models."""
    edge: Predictor
    """Probability that a pixel near an object belongs to it, from :data:`edges.EDGE_FEATURES`."""
    edge_least: float
    """Part of the expected share of the object: from that probability it does."""

    def variant_of(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.str_]:
        """Return the name of the variant for each candidate, ``(candidate,)``."""
        tracks = [FEATURES.index(f"has_{prefix}") for prefix in TRACKS]
        return np.where(features[:, tracks].any(axis=1), RADAR, IMAGE)

    def shares(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the share of landslide that each model expects, ``(candidate, model)``.

        Parameters
        ----------
        features : float32, (candidate, feature)
            Columns :data:`features.FEATURES`.
        """
        own = self.variant_of(features)
        found = np.zeros((len(features), len(self.variants[IMAGE].models)))
        for name, variant in self.variants.items():
            if (of_it := own == name).any():
                found[of_it] = variant.shares(features[of_it]).T
        return found

    def costs(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the share from which each candidate is worth drawing."""
        own = self.variant_of(features)
        return np.where(own == RADAR, self.variants[RADAR].cost, self.variants[IMAGE].cost)

    def redraws(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """Return which candidates have their edges redrawn: those with a track, ``(candidate,)``."""
        found: npt.NDArray[np.bool_] = self.variant_of(features) == RADAR
        return found

    def belongs(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return how far pixels are of the object near them, of ``(pixel, edge feature)``: from a half on.

        The probability of a pixel is that of its object, times that of its place in it. Only the place
        decides here: otherwise a doubtful object would lose most of its pixels.
        """
        if not len(features):
            return np.zeros(0, np.float32)
        least = self.edge_least * features[:, EDGE_FEATURES.index("share")]
        return np.clip(self.edge(features) - least + 0.5, 0, 1).astype(np.float32)

    def probability(
        self, shares: npt.NDArray[np.float64], features: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float64]:
        """Return the probability of each candidate, shaped as `shares`: ``(candidate,)`` or with models."""
        own = self.variant_of(features)
        found = np.zeros_like(shares)
        for name, variant in self.variants.items():
            found[own == name] = variant.probability(shares[own == name])
        return found


@cache
def default_model() -> OutlineModel:
    """Return the model that the package brings."""
    return read_model(resources.files("landslide_map.delineation") / "learned")


def read_model(folder: Traversable) -> OutlineModel:
    """Read a model that ``python -m benchmarks.learn_outlines`` wrote.

    Raises
    ------
    ValueError
        It was learned on a feature that is none now.
    """
    document: dict[str, Any] = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
    variants = {}
    for name, about in document["variants"].items():
        columns = tuple(FEATURES.index(feature) for feature in about["features"])
        models = tuple((folder / file).read_bytes() for file in about["models"])
        variants[name] = Variant(columns, models, about["slope"], about["intercept"], about["cost"])
    edge = document["edge"]
    if edge["features"] != list(EDGE_FEATURES):
        raise ValueError("the edges were learned on other features")
    predictor = lightgbm_predictor((folder / edge["model"]).read_bytes())
    return OutlineModel(document["name"], variants, predictor, edge["least"])
