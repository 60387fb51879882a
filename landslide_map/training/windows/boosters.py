"""Training of the two published boosters on 126 features, with their libraries' own parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from landslide_map.array_types import Floats
from landslide_map.training.windows.recipe import BoosterRecipe


def fit_published(recipe: BoosterRecipe, features: Floats, labels: npt.NDArray[np.integer[Any]]) -> bytes:
    """Return a trained booster as text (LightGBM) or UBJ (XGBoost).

    One thread, so that the same data give the same trees on any number of cores.

    Parameters
    ----------
    recipe : BoosterRecipe
    features : ndarray, (window, 126)
        From :func:`~landslide_map.models.statistics.published_boosters.published_features`; NaN is left to
        the library.
    labels : ndarray, (window,), 0 or 1
    """
    if recipe.library == "lightgbm":
        import lightgbm

        own = {"objective": "binary", "num_threads": 1, "deterministic": True, "force_col_wise": True}
        table = lightgbm.Dataset(features, labels, params={"verbosity": -1})
        parameters = {**own, "verbosity": -1, **recipe.settings}
        trained = lightgbm.train(parameters, table, num_boost_round=recipe.trees)
        return str(trained.model_to_string()).encode("ascii")
    import xgboost

    parameters = {"objective": "binary:logistic", "nthread": 1, "verbosity": 0, **recipe.settings}
    data = xgboost.DMatrix(features, labels)
    return bytes(xgboost.train(parameters, data, num_boost_round=recipe.trees).save_raw("ubj"))
