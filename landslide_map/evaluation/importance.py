"""Feature importance in the trees of a bundle."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from landslide_map.metrics import LEVEL
from landslide_map.models.bundle.load import Bundle
from landslide_map.models.statistics.boosters import StatisticsMember
from landslide_map.models.statistics.checked_lightgbm import checked_lightgbm
from landslide_map.models.statistics.checked_xgboost import checked_xgboost
from landslide_map.models.statistics.features import feature_names
from landslide_map.models.statistics.published_boosters import STATISTICS, PublishedBooster

MOST: Final = 20
"""Features that are listed."""


def feature_importance(bundle: Bundle, most: int = MOST) -> dict[str, Any]:
    """Return the features that the trees of each member rely on most.

    Parameters
    ----------
    bundle : Bundle
    most : int
        Features listed for each member.

    Returns
    -------
    dict
        Member -> ``measure`` and ``features`` (name -> share of the whole, largest first, mean of the folds).
        The measure is ``gain``, the loss that splits on the feature took away. It is ``splits``, their
        number, where a LightGBM file was stored without its gains, as in the default bundle. Members without
        trees are left out.
    """
    found = {}
    for member in bundle.members:
        if isinstance(member, PublishedBooster):
            names = [f"{channel}.{statistic}" for channel in member.channels for statistic in STATISTICS]
            found[member.name] = _member(member.kind, member.folds, names, most)
        elif isinstance(member, StatisticsMember) and member.kind in ("lightgbm", "xgboost"):
            found[member.name] = _member(
                member.kind, member.folds, list(feature_names(member.channels)), most
            )
    return found


def _member(library: str, folds: tuple[bytes, ...], names: list[str], most: int) -> dict[str, Any]:
    shares, measures = np.zeros(len(names)), set()
    for content in folds:
        measure, values = (_lightgbm if library == "lightgbm" else _xgboost)(content, len(names))
        shares += values / max(values.sum(), 1e-300) / len(folds)
        measures.add(measure)
    return {"level": LEVEL, "measure": measures.pop(), "features": largest(names, shares, most)}


def largest(names: list[str], shares: np.ndarray[Any, Any], most: int) -> dict[str, float]:
    """Return the largest shares by name, largest first, those of 0 left out."""
    order = np.argsort(-shares, kind="stable")[:most]
    return {names[i]: float(shares[i]) for i in order if shares[i] > 0}


def _lightgbm(content: bytes, count: int) -> tuple[str, np.ndarray[Any, Any]]:
    import lightgbm

    text = content.decode("ascii")
    if "\nsplit_gain=" in text:
        booster = lightgbm.Booster(model_str=checked_lightgbm(text))
        return "gain", np.asarray(booster.feature_importance("gain"), dtype=np.float64)
    lines = [line for line in text.splitlines() if line.startswith("split_feature=")]
    used = [int(number) for line in lines for number in line.partition("=")[2].split()]
    return "splits", np.bincount(used, minlength=count).astype(np.float64)


def _xgboost(content: bytes, count: int) -> tuple[str, np.ndarray[Any, Any]]:
    import xgboost

    booster = xgboost.Booster(model_file=bytearray(checked_xgboost(content)))
    gains: dict[str, Any] = booster.get_score(importance_type="total_gain")
    known = booster.feature_names
    values = np.zeros(count)
    for name, gain in gains.items():
        values[known.index(name) if known else int(name.removeprefix("f"))] = gain
    return "gain", values
