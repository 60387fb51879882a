"""Unpickling of published boosters, only if the user allows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from landslide_map.errors import BundleError, ResourceError
from landslide_map.models.statistics.published_boosters import FEATURES


def converted_booster(path: Path, library: str) -> bytes:
    """Return a pickled ``LGBMClassifier`` or ``XGBClassifier`` as LightGBM text or XGBoost UBJ.

    Raises
    ------
    BundleError
        E524 if the file cannot be read, E521 if it is not a classifier on the 126 published features.
    ResourceError
        E612 if a package that unpickling needs is not installed.
    """
    model = _unpickled(path)
    booster = _booster(model, library, path)
    found = int(booster.num_feature() if library == "lightgbm" else booster.num_features())
    if found != FEATURES:
        raise BundleError("E521", f"{path}: reads {found} features, expected the {FEATURES} published ones.")
    if library == "lightgbm":
        return str(booster.model_to_string()).encode("ascii")
    return bytes(booster.save_raw("ubj"))


def _unpickled(path: Path) -> Any:
    try:
        import joblib

        return joblib.load(path)
    except ModuleNotFoundError as error:
        raise ResourceError(
            "E612",
            f"{path}: reading a pickled booster needs the package {error.name!r}. "
            "Install it with: pip install joblib scikit-learn",
        ) from error
    except Exception as error:  # any exception of a pickle
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        raise BundleError("E524", f"{path}: cannot be unpickled ({reason}). Copy it again.") from error


def _booster(model: Any, library: str, path: Path) -> Any:
    import lightgbm
    import xgboost

    if library == "lightgbm":
        found = model.booster_ if isinstance(model, lightgbm.LGBMModel) else model
        wanted: type = lightgbm.Booster
    else:
        found = model.get_booster() if isinstance(model, xgboost.XGBModel) else model
        wanted = xgboost.Booster
    if not isinstance(found, wanted):
        raise BundleError("E521", f"{path}: holds a {type(model).__name__}, expected a {library} classifier.")
    return found
