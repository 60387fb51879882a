"""Bundles trained on windows are evaluated as their training said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from landslide_map.datasets.window_arrays import Windows
from landslide_map.evaluation.windows import figures, kept_predictions, predict_labelled
from landslide_map.models.bundle.load import Bundle, load_bundle
from landslide_map.training.windows.train import train
from tests.support.network_recipes import labelled_windows, tiny_window_recipe

WINDOWS, KNOWN = labelled_windows()
IDS = tuple(str(i) for i in range(len(KNOWN)))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    out: Path = tmp_path_factory.mktemp("trained") / "b"
    train(WINDOWS, KNOWN, out, recipe=tiny_window_recipe(), members=("one", "trees"))
    return load_bundle(out)


def test_kept_votes_give_the_figures_of_the_training(bundle: Bundle) -> None:
    found = figures(kept_predictions(bundle), all_members=True)
    for scenario in bundle.scenarios:
        stored, again = scenario.metrics, found["scenarios"][scenario.name]
        for key in ("f1", "precision", "recall", "auc", "average_precision", "brier", "ece"):
            expected = None if again[key] is None else round(again[key], 4)
            assert expected == stored[key], (scenario.name, key)
        assert again["confusion"] == stored["confusion"]


def test_predicting_again_out_of_fold_gives_the_kept_votes(bundle: Bundle) -> None:
    some = np.array([20, 3, 11, 4, 9, 18])  # of both classes and both folds
    again = predict_labelled(
        Windows.of_array(WINDOWS[some], [IDS[i] for i in some]),
        KNOWN[some],
        ids=[IDS[i] for i in some],
        bundle=bundle,
        all_members=True,
        out_of_fold=True,
    )
    kept = kept_predictions(bundle)
    np.testing.assert_allclose(again.votes.predictions, kept.votes.predictions[some], atol=1e-5)
    np.testing.assert_array_equal(again.folds, kept.folds[some])
